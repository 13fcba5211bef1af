//! Who belongs to a group: adding, taking out, lending to the owner. All that a group ever allocates is allocated here.

use std::collections::TryReserveError;

use super::member::{Member, Standing, Turn, Watch};
use super::{Group, Key, Slot, key};
use crate::conn::Readiness;
use crate::error::Error;

const USED: &str =
    "another call is inside the connection: one call at a time, from whichever thread";

const STREAM: &str = "the connection has no descriptor: what conn_open_stream made is fed and polled by its owner, not by a group";

impl<M: Member> Group<M> {
    /// Adds a connection at whatever point it is: connecting, idle, with operations under way. It is polled by the next
    /// [`poll`](Group::poll), and what it has to be taken is told then.
    ///
    /// # Errors
    /// There is no memory, the process has forked, or the connection has no descriptor because its bytes are carried by the
    /// caller. The connection is given back.
    pub fn add(&mut self, mut member: M) -> Result<Key, (Error, M)> {
        if self.many.is_forked() {
            return Err((forked(), member));
        }
        let mut is_stream = false;
        let looked = member.turn(|connection| {
            is_stream = connection.is_stream();
            // What failed before is none of the group's business, unless it is over.
            if connection.error().is_none() {
                connection.engine_mut().take_failure();
            }
            Turn::default()
        });
        if looked.is_none() {
            return Err((Error::misuse(USED), member));
        }
        if is_stream {
            return Err((Error::misuse(STREAM), member));
        }
        let Ok(slot) = self.free_slot() else {
            let error = "out of memory: the group has no room for another connection";
            return Err((Error::misuse(error), member));
        };
        let Some(place) = self.slots.get_mut(slot as usize) else {
            return Err((Error::misuse("internal error: no such slot"), member));
        };
        place.member = Some(member);
        let turn = place.turn;
        self.counts.members += 1;
        self.counts.join(Standing::Running);
        self.touched.join(slot);
        self.press();
        Ok(Key { slot, turn })
    }

    /// A slot without a member. All that this group ever allocates is allocated here.
    fn free_slot(&mut self) -> Result<u32, TryReserveError> {
        if let Some(slot) = self.free.pop() {
            return Ok(slot);
        }
        let count = self.slots.len() + 1;
        self.slots.try_reserve(1)?;
        self.free.try_reserve(count)?;
        for line in [
            &mut self.touched,
            &mut self.due,
            &mut self.news,
            &mut self.failures,
        ] {
            line.grow(count)?;
        }
        self.timers.grow(count)?;
        let slot = self.slots.len() as u32;
        self.slots.push(Slot {
            member: None,
            turn: 0,
            watch: Watch::new(key(slot, 0)),
            standing: Standing::Running,
            last: Readiness::default(),
            something: 0,
            told: 0,
            said_once: 0,
            failure: None,
        });
        Ok(slot)
    }

    /// Takes a member out; `None` if there is none of that name. Its operations go on, whoever drives it now: its next poll says
    /// that the descriptor is another one, so that it gets registered.
    pub fn remove(&mut self, key: Key) -> Option<M> {
        let slot = self.slot_mut(key)?;
        let mut member = slot.member.take()?;
        let standing = slot.standing;
        slot.turn = slot.turn.wrapping_add(1);
        let watch = Watch::new(self::key(key.slot, slot.turn));
        let mut watched = std::mem::replace(&mut slot.watch, watch);
        slot.standing = Standing::Running;
        slot.last = Readiness::default();
        slot.something = 0;
        slot.told = 0;
        slot.said_once = 0;
        slot.failure = None;
        watched.stop(&self.many);
        self.timers.set(key.slot, None);
        self.counts.members -= 1;
        self.counts.leave(standing);
        self.free.push(key.slot);
        member.turn(|connection| {
            connection.forget_told();
            Turn::default()
        });
        Some(member)
    }

    /// A member, to be asked.
    pub fn get(&self, key: Key) -> Option<&M> {
        let slot = self.slots.get(key.slot as usize)?;
        slot.member.as_ref().filter(|_| slot.turn == key.turn)
    }

    /// A member, to start operations, to take items, or to do whatever there is to do but to poll it: that is the group's.
    /// [`poll`](Group::poll) afterwards.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut M> {
        self.touch(key);
        self.press();
        self.slot_mut(key)?.member.as_mut()
    }

    /// Says that a member was used by other ways than [`get_mut`](Group::get_mut): the next poll looks at it.
    pub fn touch(&mut self, key: Key) {
        if self.get(key).is_some() {
            self.touched.join(key.slot);
        }
    }

    /// Says that the next poll must not be waited with.
    pub fn press(&mut self) {
        self.pressing = true;
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.counts.members
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.counts.members == 0
    }

    /// The first member of all, in no order that means anything: [`key_after`](Group::key_after) gives the others.
    pub fn first_key(&self) -> Option<Key> {
        self.key_from(0)
    }

    /// The member that comes after this one, which need not be there any more.
    pub fn key_after(&self, key: Key) -> Option<Key> {
        self.key_from(key.slot as usize + 1)
    }

    fn key_from(&self, slot: usize) -> Option<Key> {
        let mut rest = self.slots.iter().enumerate().skip(slot);
        let (slot, place) = rest.find(|(_, place)| place.member.is_some())?;
        Some(Key {
            slot: slot as u32,
            turn: place.turn,
        })
    }

    fn slot_mut(&mut self, key: Key) -> Option<&mut Slot<M>> {
        let slot = self.slots.get_mut(key.slot as usize)?;
        (slot.turn == key.turn).then_some(slot)
    }
}

#[cold]
fn forked() -> Error {
    Error::misuse(
        "the process has forked: the group belongs to the parent; close it here and open another",
    )
}
