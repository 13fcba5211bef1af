//! SCRAM-SHA-256 (RFC 5802, RFC 7677). Knows the exchange's texts and keys, not the messages that carry them.

/// The highest iteration count that a server may ask for.
pub const MAX_ITERATIONS: u32 = 16_777_216;
