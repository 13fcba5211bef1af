//! What a poll says: a set of bits, the same numbers in Rust and in C.

/// What to wait for, and what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Readiness(u32);

impl Readiness {
    /// Wait until the socket is readable, then poll again.
    pub const WANT_READ: u32 = 1;
    /// Wait until the socket is writable, then poll again.
    pub const WANT_WRITE: u32 = 2;
    /// The work budget of one call is used up: poll again soon, without waiting.
    pub const RUNNABLE: u32 = 4;
    /// An item can be taken.
    pub const RESULT: u32 = 8;
    /// A notification can be taken.
    pub const NOTIFY: u32 = 16;
    /// A notice can be taken.
    pub const NOTICE: u32 = 32;
    /// Register the new socket; the old descriptor is closed at the next poll.
    pub const SOCKET_CHANGED: u32 = 64;
    /// Connected, and nothing outstanding.
    pub const IDLE: u32 = 128;
    /// The connection is over, and its last item was taken.
    pub const FAILED: u32 = 256;
    /// Data of a COPY can be taken.
    pub const COPY: u32 = 1024;
    /// What was refused because too much was queued would be accepted now.
    pub const ROOM: u32 = 2048;
    /// The server wants a bearer token, and the connection waits for it.
    pub const WANT_TOKEN: u32 = 4096;
    /// Whatever there is to take or to know.
    pub const SOMETHING: u32 = Self::RESULT
        | Self::NOTIFY
        | Self::NOTICE
        | Self::IDLE
        | Self::FAILED
        | Self::COPY
        | Self::ROOM
        | Self::WANT_TOKEN;

    /// All bits.
    #[inline]
    pub fn bits(self) -> u32 {
        self.0
    }

    #[inline]
    pub(super) fn set(&mut self, bit: u32, on: bool) {
        if on {
            self.0 |= bit;
        }
    }

    /// Whether any of `bits` is set.
    #[inline]
    pub fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }

    /// See [`Readiness::WANT_READ`].
    pub fn wants_read(self) -> bool {
        self.has(Self::WANT_READ)
    }

    /// See [`Readiness::WANT_WRITE`].
    pub fn wants_write(self) -> bool {
        self.has(Self::WANT_WRITE)
    }

    /// See [`Readiness::RUNNABLE`].
    pub fn is_runnable(self) -> bool {
        self.has(Self::RUNNABLE)
    }

    /// See [`Readiness::RESULT`].
    pub fn has_result(self) -> bool {
        self.has(Self::RESULT)
    }

    /// See [`Readiness::IDLE`].
    pub fn is_idle(self) -> bool {
        self.has(Self::IDLE)
    }

    /// See [`Readiness::FAILED`].
    pub fn is_failed(self) -> bool {
        self.has(Self::FAILED)
    }

    /// Whether there is nothing to wait for, nothing to take and nothing to do.
    #[inline]
    pub(super) fn is_stalled(self) -> bool {
        self.0 & !(Self::SOCKET_CHANGED | Self::IDLE) == 0
    }

    /// Whether there is something to take or to know before waiting makes sense.
    pub fn is_something(self) -> bool {
        self.has(Self::SOMETHING)
    }
}

/// All that an event loop needs to know after a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// What the poll said.
    pub ready: Readiness,
    /// The descriptor to wait for, or -1.
    pub socket: i32,
    /// Goes up whenever the descriptor changes.
    pub generation: u64,
    /// When to poll at the latest: nanoseconds of CLOCK_MONOTONIC.
    pub deadline_ns: Option<u64>,
}
