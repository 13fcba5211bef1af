//! When each of many members has to be polled at the latest: a heap that knows the place of each. Knows numbers and times only.

use std::collections::TryReserveError;

/// Not in the heap.
const NOWHERE: u32 = u32::MAX;

/// At most one time for each number. Setting one costs O(log n) of those that have a time.
#[derive(Debug, Default)]
pub(super) struct Timers {
    /// A binary heap, the earliest first.
    heap: Vec<(u64, u32)>,
    places: Vec<u32>,
}

impl Timers {
    /// Makes room for the numbers below `count`: after that nothing allocates.
    pub(super) fn grow(&mut self, count: usize) -> Result<(), TryReserveError> {
        self.heap
            .try_reserve(count.saturating_sub(self.heap.len()))?;
        let more = count.saturating_sub(self.places.len());
        self.places.try_reserve(more)?;
        self.places.resize(self.places.len() + more, NOWHERE);
        Ok(())
    }

    /// The earliest time.
    #[inline]
    pub(super) fn first(&self) -> Option<u64> {
        self.heap.first().map(|(time, _)| *time)
    }

    /// Takes out one whose time has come.
    #[inline]
    pub(super) fn due(&mut self, now: u64) -> Option<u32> {
        let (time, number) = *self.heap.first()?;
        if time > now {
            return None;
        }
        self.set(number, None);
        Some(number)
    }

    /// Sets the time of a number, or takes it away.
    #[inline]
    pub(super) fn set(&mut self, number: u32, time: Option<u64>) {
        let Some(&place) = self.places.get(number as usize) else {
            return;
        };
        match (place, time) {
            (NOWHERE, None) => {}
            (NOWHERE, Some(time)) => {
                self.heap.push((time, number));
                self.rise(self.heap.len() - 1);
            }
            (place, None) => self.remove(place as usize),
            (place, Some(time)) => self.change(place as usize, time),
        }
    }

    fn change(&mut self, place: usize, time: u64) {
        let before = std::mem::replace(&mut self.heap[place].0, time);
        if time < before {
            self.rise(place);
        } else if time > before {
            self.sink(place);
        }
    }

    fn remove(&mut self, place: usize) {
        let (_, number) = self.heap.swap_remove(place);
        self.places[number as usize] = NOWHERE;
        if place < self.heap.len() {
            self.rise(place);
            self.sink(place);
        }
    }

    fn rise(&mut self, mut place: usize) {
        while place > 0 {
            let above = (place - 1) / 2;
            if self.heap[above].0 <= self.heap[place].0 {
                break;
            }
            self.swap(place, above);
            place = above;
        }
        self.note(place);
    }

    fn sink(&mut self, mut place: usize) {
        loop {
            let mut least = place;
            for below in [2 * place + 1, 2 * place + 2] {
                if below < self.heap.len() && self.heap[below].0 < self.heap[least].0 {
                    least = below;
                }
            }
            if least == place {
                break;
            }
            self.swap(place, least);
            place = least;
        }
        self.note(place);
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.note(a);
        self.note(b);
    }

    fn note(&mut self, place: usize) {
        if let Some((_, number)) = self.heap.get(place) {
            self.places[*number as usize] = place as u32;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_whatever_was_set_and_taken_away() {
        const COUNT: u32 = 50;
        let mut timers = Timers::default();
        timers.grow(COUNT as usize).unwrap();
        let mut model = vec![None; COUNT as usize];
        let mut seed = 7u64;
        let mut dice = |most: u64| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % most
        };
        let mut now = 0;
        for _ in 0..20_000 {
            let number = dice(COUNT.into()) as u32;
            let time = (dice(4) > 0).then(|| now + dice(100));
            timers.set(number, time);
            model[number as usize] = time;
            assert_eq!(timers.first(), model.iter().flatten().min().copied());
            if dice(10) == 0 {
                now += dice(60);
                while let Some(number) = timers.due(now) {
                    assert!(model[number as usize].take().unwrap() <= now);
                }
                assert!(timers.first().is_none_or(|first| first > now));
            }
        }
        timers.set(COUNT, Some(1));
        assert!(timers.heap.len() <= COUNT as usize);
    }
}
