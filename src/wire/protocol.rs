//! The numbers of the protocol: versions and the request codes that stand in a version's place.

/// A protocol version as it travels: the major number in the upper 16 bits, the minor one in the lower.
#[must_use]
pub const fn version(major: u16, minor: u16) -> i32 {
    // Majors above 0x7fff would turn negative; none is near.
    ((major as i32) << 16) | minor as i32
}

/// The major number of a version.
#[must_use]
pub const fn major(version: i32) -> i32 {
    version >> 16
}

/// The minor number of a version.
#[must_use]
pub const fn minor(version: i32) -> i32 {
    version & 0xffff
}

/// Version 3.0: PostgreSQL 7.4 and newer.
pub const V3_0: i32 = version(3, 0);
/// A number that was never used: 3.0 was followed by 3.2, because a pooler had answered 3.1 wrongly.
pub const V3_1: i32 = version(3, 1);
/// Version 3.2: PostgreSQL 18 and newer. Secret keys of up to 256 bytes.
pub const V3_2: i32 = version(3, 2);
/// The newest version that this library speaks.
pub const LATEST: i32 = V3_2;

/// A version that no server will ever support. Asking for it holds that the server answers with
/// NegotiateProtocolVersion, as it must, and does not choke: the idea of RFC 8701 (GREASE).
pub const GREASE_VERSION: i32 = version(3, 9999);
/// A protocol option that no server will ever know, to be asked for together with [`GREASE_VERSION`].
pub const GREASE_OPTION: &[u8] = b"_pq_.test_protocol_negotiation";
/// How the names of protocol options begin; what a server does not know of them it names in NegotiateProtocolVersion.
pub const OPTION_PREFIX: &[u8] = b"_pq_.";

/// The request code of CancelRequest, in the place of the version.
pub const CANCEL_REQUEST: i32 = version(1234, 5678);
/// The request code of SSLRequest.
pub const SSL_REQUEST: i32 = version(1234, 5679);
/// The request code of GSSENCRequest.
pub const GSSENC_REQUEST: i32 = version(1234, 5680);

/// The longest StartupMessage that a PostgreSQL server takes, in bytes after the length word.
pub const MAX_STARTUP_BODY: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::{CANCEL_REQUEST, GSSENC_REQUEST, SSL_REQUEST, V3_0, V3_2, major, minor};

    #[test]
    fn the_numbers_are_the_manuals() {
        assert_eq!(V3_0, 196_608);
        assert_eq!(V3_2, 196_610);
        assert_eq!(CANCEL_REQUEST, 80_877_102);
        assert_eq!(SSL_REQUEST, 80_877_103);
        assert_eq!(GSSENC_REQUEST, 80_877_104);
        assert_eq!((major(V3_2), minor(V3_2)), (3, 2));
    }
}
