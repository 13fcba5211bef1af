//! What the owner of a group's members is told: who is ready, what has failed, how many are under way.

use super::member::Member;
use super::{Counts, Failure, Group, Key, Ready};
use crate::conn::Readiness;
use crate::net::clock;

impl<M: Member> Group<M> {
    /// The next member with something to take or to know, the one that has waited longest. It is given again by a later
    /// [`poll`](Group::poll) if its items are not all taken then, or when there is something new.
    pub fn ready(&mut self) -> Option<Ready> {
        let slot = self.first_ready()?;
        self.news.next();
        let place = self.slots.get_mut(slot as usize)?;
        place.told = place.something;
        self.touched.join(slot);
        self.pressing = true;
        let mut ready = Readiness::default();
        ready.set(place.something | std::mem::take(&mut place.said_once), true);
        let turn = place.turn;
        Some(Ready {
            key: Key { slot, turn },
            ready,
        })
    }

    pub(super) fn first_ready(&mut self) -> Option<u32> {
        loop {
            let slot = self.news.first()?;
            if self.touched.has(slot) {
                self.look(slot, clock::now_ns());
            }
            let place = self.slots.get(slot as usize)?;
            if place.news() != 0 {
                return Some(slot);
            }
            self.news.next();
        }
    }

    /// The next operation that has failed, in the order in which that was seen: each member's first since it was last asked for. It
    /// is told once; its error is an item of the member's as ever.
    pub fn failure(&mut self) -> Option<Failure> {
        let slot = self.first_failure()?;
        self.failures.next();
        let place = self.slots.get_mut(slot as usize)?;
        let operation = place.failure.take()?;
        let turn = place.turn;
        Some(Failure {
            key: Key { slot, turn },
            operation,
        })
    }

    pub(super) fn first_failure(&mut self) -> Option<u32> {
        loop {
            let slot = self.failures.first()?;
            let place = self.slots.get(slot as usize)?;
            if place.failure.is_some() {
                return Some(slot);
            }
            self.failures.next();
        }
    }

    /// How many members there are, and where they stand now, as far as that can be known without a poll: an operation that was
    /// just started counts.
    pub fn counts(&mut self) -> Counts {
        let now = clock::now_ns();
        for _ in 0..self.touched.len() {
            let Some(slot) = self.touched.next() else {
                break;
            };
            if let Some(turn) = self.looked_at(slot, now) {
                self.note_standing(slot, turn);
            }
            // What there is to take is told by the next poll, not by this.
            self.touched.join(slot);
        }
        self.counts
    }
}
