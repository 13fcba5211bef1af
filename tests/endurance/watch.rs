//! Memory and descriptors over time: flat, once everything has been used once.

use std::fmt;
use std::time::{Duration, Instant};

use testkit::process;

const MB: usize = 1024 * 1024;

/// What was seen, at equal distances.
#[derive(Debug)]
pub(crate) struct Watch {
    begun: Instant,
    every: Duration,
    samples: Vec<(usize, usize)>,
}

impl Watch {
    /// Looks a hundred times in `time`.
    pub(crate) fn new(time: Duration) -> Watch {
        Watch {
            begun: Instant::now(),
            every: time / 100,
            samples: Vec::new(),
        }
    }

    /// Looks if it is time to.
    pub(crate) fn look(&mut self) {
        if self.begun.elapsed() > self.every * (self.samples.len() as u32 + 1) {
            let descriptors = process::descriptors().len();
            self.samples.push((process::resident(), descriptors));
        }
    }

    /// The middle one of the memory samples of a part of the run, in percent of it.
    fn middle(&self, from: usize, to: usize) -> usize {
        let count = self.samples.len();
        let part = self.samples.get(count * from / 100..count * to / 100);
        let mut part: Vec<usize> = part.unwrap().iter().map(|(memory, _)| *memory).collect();
        part.sort_unstable();
        part[part.len() / 2]
    }

    /// Of four quarters, the last needs no more than the second.
    pub(crate) fn check(&self) {
        let (early, late) = (self.middle(25, 50), self.middle(75, 100));
        assert!(late < early + early / 10 + 4 * MB, "it grows: {self}");
    }
}

impl fmt::Display for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let descriptors = self.samples.iter().map(|(_, descriptors)| *descriptors);
        write!(
            f,
            "resident memory in the four quarters: {} {} {} {} MB; at most {} descriptors",
            self.middle(0, 25) / MB,
            self.middle(25, 50) / MB,
            self.middle(50, 75) / MB,
            self.middle(75, 100) / MB,
            descriptors.max().unwrap_or_default()
        )
    }
}
