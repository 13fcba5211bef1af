//! A line of members who wait for their turn: first come, first served, each at most once. Knows numbers, not members.

use std::collections::{TryReserveError, VecDeque};

/// Slots' numbers in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Line {
    order: VecDeque<u32>,
    stands: Vec<bool>,
}

impl Line {
    /// Makes room for the numbers below `count`: after that nothing allocates.
    pub(super) fn grow(&mut self, count: usize) -> Result<(), TryReserveError> {
        self.order
            .try_reserve(count.saturating_sub(self.order.len()))?;
        let more = count.saturating_sub(self.stands.len());
        self.stands.try_reserve(more)?;
        self.stands.resize(self.stands.len() + more, false);
        Ok(())
    }

    /// Joins at the end, unless it stands in line already.
    #[inline]
    pub(super) fn join(&mut self, number: u32) {
        if let Some(stands) = self.stands.get_mut(number as usize)
            && !*stands
        {
            *stands = true;
            self.order.push_back(number);
        }
    }

    /// The first one leaves.
    #[inline]
    pub(super) fn next(&mut self) -> Option<u32> {
        let number = self.order.pop_front()?;
        if let Some(stands) = self.stands.get_mut(number as usize) {
            *stands = false;
        }
        Some(number)
    }

    #[inline]
    pub(super) fn first(&self) -> Option<u32> {
        self.order.front().copied()
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    #[inline]
    pub(super) fn has(&self, number: u32) -> bool {
        self.stands
            .get(number as usize)
            .is_some_and(|stands| *stands)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_stands_once_and_leaves_in_order() {
        let mut line = Line::default();
        line.grow(4).unwrap();
        for number in [2, 0, 2, 3, 0, 9] {
            line.join(number);
        }
        assert_eq!((line.len(), line.first()), (3, Some(2)));
        assert!(line.has(2) && !line.has(1) && !line.has(9));
        assert_eq!(line.next(), Some(2));
        line.join(2);
        let rest: Vec<_> = std::iter::from_fn(|| line.next()).collect();
        assert_eq!(rest, [0, 3, 2]);
        assert!(line.is_empty());
    }
}
