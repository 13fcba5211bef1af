//! What a group asks of an engine: whether it has to be advanced, what it waits for, and what has failed. Changes nothing
//! that the protocol sees.

use super::Engine;
use super::state::State;

impl Engine {
    /// All bytes ever received.
    #[inline]
    pub fn bytes_received(&self) -> u64 {
        self.state().input.received
    }

    /// Whether an open group is to be flushed: see [`flush_open_group`](Engine::flush_open_group).
    #[inline]
    pub fn owes_flush(&self) -> bool {
        let state = self.state();
        state.group_open && !state.group_flushed && !state.portal_open
    }

    /// Whether the head of the queue is a portal that has given as many rows as were asked for.
    #[inline]
    pub fn is_portal_suspended(&self) -> bool {
        self.state().portal_suspended
    }

    /// The first operation that has failed since this was last asked; 0 if the connection was lost and none of them says so.
    /// Operations that were abandoned do not fail, and skipped ones are not told.
    #[inline]
    pub fn take_failure(&mut self) -> Option<u64> {
        self.state_mut().failure.take()
    }
}

impl State {
    /// Remembers which operation has failed first.
    #[cold]
    pub(super) fn note_failure(&mut self, operation: u64) {
        self.failure.get_or_insert(operation);
    }
}
