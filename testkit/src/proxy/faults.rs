//! What is to go wrong with a connection, and where. Knows positions in streams, no socket.

use std::time::Duration;

/// What happens at a place in one direction of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// From here on, what arrives is passed on so much later.
    Delay(Duration),
    /// Nothing passes for this long; then all goes on.
    Pause(Duration),
    /// From here on, at most so many bytes pass at once, with this time between them.
    Pieces(usize, Duration),
    /// These bytes are put in.
    Insert(Vec<u8>),
    /// Both sides see the connection reset.
    Reset,
    /// Both directions fall silent, and the connection stays.
    BlackHole,
    /// The receiver sees the end of the stream; the other direction goes on.
    HalfClose,
    /// Both sides see the end of the stream.
    Close,
}

/// How a connection begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    PassedOn,
    Refused,
    Silent,
}

/// All that is to go wrong with one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    pub(super) opening: Opening,
    pub(super) to_server: Vec<(u64, Fault)>,
    pub(super) to_client: Vec<(u64, Fault)>,
}

impl Faults {
    /// Nothing goes wrong.
    #[must_use]
    pub fn none() -> Faults {
        Faults {
            opening: Opening::PassedOn,
            to_server: Vec::new(),
            to_client: Vec::new(),
        }
    }

    /// The connection is reset as soon as it is there. (For "connection refused" take a port that nobody listens on.)
    #[must_use]
    pub fn refused() -> Faults {
        Faults {
            opening: Opening::Refused,
            ..Faults::none()
        }
    }

    /// The connection is accepted and nothing is ever read or said; the server does not hear of it.
    #[must_use]
    pub fn silent() -> Faults {
        Faults {
            opening: Opening::Silent,
            ..Faults::none()
        }
    }

    /// Adds a fault to what the client sends, after `at` bytes of it.
    #[must_use]
    pub fn to_server(mut self, at: u64, fault: Fault) -> Faults {
        add(&mut self.to_server, at, fault);
        self
    }

    /// Adds a fault to what the server sends, after `at` bytes of it.
    #[must_use]
    pub fn to_client(mut self, at: u64, fault: Fault) -> Faults {
        add(&mut self.to_client, at, fault);
        self
    }

    /// Faults drawn from the seed for connection `number`: every second connection is left alone; the others are refused,
    /// or silent, or suffer one fault of any kind in one of the directions, half of them while they start up, the others
    /// within the first 64 KB. Delays are at most 20 ms.
    #[must_use]
    pub fn drawn(seed: u64, number: u64) -> Faults {
        let mut draw = Draw(seed ^ number.wrapping_mul(0xa076_1d64_78bd_642f));
        if draw.below(2) == 0 {
            return Faults::none();
        }
        let spread = if draw.below(2) == 0 { 600 } else { 65_536 };
        let at = draw.below(spread);
        let time = Duration::from_millis(1 + draw.below(20));
        let fault = match draw.below(10) {
            0 => return Faults::refused(),
            1 => return Faults::silent(),
            2 => Fault::Delay(time),
            3 => Fault::Pause(time),
            4 => Fault::Pieces(1 + draw.below(16) as usize, Duration::ZERO),
            5 => Fault::Insert(
                (0..=draw.below(64))
                    .map(|_| draw.below(256) as u8)
                    .collect(),
            ),
            6 => Fault::BlackHole,
            7 => Fault::HalfClose,
            8 => Fault::Close,
            _ => Fault::Reset,
        };
        match draw.below(2) {
            0 => Faults::none().to_server(at, fault),
            _ => Faults::none().to_client(at, fault),
        }
    }
}

/// Kept in the order of the places; at one place, in the order in which they were added.
fn add(faults: &mut Vec<(u64, Fault)>, at: u64, fault: Fault) {
    let behind = faults.partition_point(|(other, _)| *other <= at);
    faults.insert(behind, (at, fault));
}

/// SplitMix64.
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (value ^ (value >> 31)) % end
    }
}
