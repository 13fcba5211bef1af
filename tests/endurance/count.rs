//! What became of connections and operations. Knows numbers, and what they must add up to.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use pgpoll::error::{Error, Family};
use testkit::proxy;

/// Everything that happened.
#[derive(Debug, Default)]
pub(crate) struct Count {
    pub(crate) opened: u64,
    pub(crate) came_up: u64,
    /// Left in good order, with nothing outstanding.
    pub(crate) left: u64,
    /// Left because an operation took too long.
    pub(crate) given_up: u64,
    pub(crate) polls: u64,
    pub(crate) started: u64,
    pub(crate) right: u64,
    /// Failed because the statement does.
    pub(crate) failed: u64,
    /// Late or abandoned, and the connection lives.
    pub(crate) stopped: u64,
    /// Failed or skipped with the connection.
    pub(crate) lost: u64,
    /// Deadlines that passed, and how long after one its caller was told at most.
    late: u64,
    latest: Duration,
    /// The longest that the loop was busy with all that was ready: so late may anything be.
    pub(crate) longest_turn: Duration,
    /// Why connections ended, without names and numbers.
    endings: BTreeMap<String, u64>,
}

impl Count {
    /// A connection is over.
    pub(crate) fn ending(&mut self, error: &Error) {
        let text = error.message();
        assert!(!text.contains("internal error"), "{text}");
        assert_ne!(error.family(), Family::Misuse, "{text}");
        // What the addresses before it said, and advice, say nothing here.
        let why = text.rsplit_once("failed: ").map_or(text, |(_, why)| why);
        let why = why.lines().next().unwrap_or_default();
        let why: String = why
            .chars()
            .filter(|c| c.is_ascii_alphabetic() || *c == ' ')
            .collect();
        *self
            .endings
            .entry(why.chars().take(60).collect())
            .or_default() += 1;
    }

    /// The caller was told of a deadline so long after it.
    pub(crate) fn late(&mut self, by: Duration) {
        self.late += 1;
        self.latest = self.latest.max(by);
    }

    /// What must hold at the end of every run.
    pub(crate) fn check(&self, proxy: proxy::Counts, connections: usize) {
        let ended = self.right + self.failed + self.stopped + self.lost;
        assert_eq!(self.started, ended, "an operation without its done");
        let over = self.endings.values().sum::<u64>() + self.left + self.given_up;
        assert_eq!(
            self.opened, over,
            "a connection that ended without a reason"
        );
        assert!(
            self.opened > connections as u64,
            "no connection was opened anew"
        );
        assert!(self.right > self.lost, "more is lost than done");
        // A machine that is too busy lets few come up in time.
        assert!(self.came_up * 10 > self.opened, "too few came up");
        assert!(self.stopped > 0 && self.late > 0, "no deadline passed");
        // One thread serves all, and has the processor when the machine gives it.
        let slack = 3 * self.longest_turn + Duration::from_millis(500);
        assert!(self.latest < slack, "told {:?} too late", self.latest);
        // Only a black hole makes an operation last; nothing of ours stalls.
        let silent = proxy.black_holes;
        assert!(self.given_up <= silent, "{} stalled", self.given_up);
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} connections opened, {} came up, {} left, {} given up; {} polls",
            self.opened, self.came_up, self.left, self.given_up, self.polls
        )?;
        writeln!(
            f,
            "{} operations started: {} right, {} failed as they should, {} stopped, {} lost",
            self.started, self.right, self.failed, self.stopped, self.lost
        )?;
        writeln!(
            f,
            "{} deadlines passed, told {:?} later at most; the longest turn of the loop took {:?}",
            self.late, self.latest, self.longest_turn
        )?;
        let mut endings: Vec<_> = self.endings.iter().collect();
        endings.sort_by_key(|(_, times)| std::cmp::Reverse(**times));
        for (why, times) in endings.iter().take(25) {
            writeln!(f, "{times:8} times {why}")?;
        }
        Ok(())
    }
}
