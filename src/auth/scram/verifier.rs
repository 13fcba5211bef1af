//! What a server stores of a password (manual, `pg_authid.rolpassword`). Knows the text, not the exchange.

use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::derive::{SaltedPassword, sha256};
use crate::auth::{saslprep, wiping};

/// The SCRAM-SHA-256 verifier of a password, for `ALTER ROLE … PASSWORD`, so that the server never sees the password itself
/// (`PQencryptPasswordConn`). `salt` must be random (PostgreSQL takes 16 bytes). All iterations are done in this call.
pub fn build_verifier(password: &[u8], salt: &[u8], iterations: NonZeroU32) -> String {
    wiping(|| verifier(password, salt, iterations))
}

fn verifier(password: &[u8], salt: &[u8], iterations: NonZeroU32) -> String {
    let password = saslprep(password);
    let mut salted = SaltedPassword::new(&password, salt, iterations.get());
    let (client_key, server_key) = loop {
        salted.derive(u32::MAX);
        if let Some(keys) = salted.keys() {
            break keys;
        }
    };
    format!(
        "SCRAM-SHA-256${iterations}:{}${}:{}",
        STANDARD.encode(salt),
        STANDARD.encode(**sha256(&**client_key)),
        STANDARD.encode(**server_key),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn is_what_a_server_stores() {
        let iterations = NonZeroU32::new(4096).unwrap();
        // The stored key and the server key of RFC 7677's example, computed by hand in Python.
        assert_eq!(
            build_verifier(
                b"pencil",
                b"\x5b\x6d\x99\x68\x9d\x12\x35\x8e\xec\xa0\x4b\x14\x12\x36\xfa\x81",
                iterations
            ),
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
        let typed = build_verifier("I\u{ad}X".as_bytes(), b"salt", iterations);
        assert_eq!(typed, build_verifier(b"IX", b"salt", iterations));
    }
}
