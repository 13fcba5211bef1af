//! Servers that want a bearer token (RFC 7628). Knows which responses they expect, not what they think of them.

use pgpoll::wire::{AuthenticationResponse, Frontend, SASLInitialResponse};

use super::{Script, auth_sasl, auth_sasl_continue};

/// Where the issuer that these servers trust describes itself.
pub const ISSUERS_DOCUMENT: &str = "https://i/.well-known/openid-configuration";

/// A server that is shown these credentials (`Bearer …`); none is the question whose tokens it takes.
pub fn bearer_shown(credentials: &str) -> Script {
    let response = format!("n,,\x01auth={credentials}\x01\x01");
    let initial = SASLInitialResponse {
        mechanism: b"OAUTHBEARER",
        response: Some(response.as_bytes()),
    };
    let mut message = Vec::new();
    #[allow(clippy::unwrap_used)] // a short text
    initial.encode(&mut message).unwrap();
    Script::new()
        .startup()
        .send(auth_sasl(&["OAUTHBEARER"]))
        .expect(&sasl_response(&message[5..]))
}

/// It takes none of these, and tells who issues those that it does.
pub fn bearer_challenge() -> Vec<u8> {
    let json =
        format!(r#"{{"status":"invalid_token","openid-configuration":"{ISSUERS_DOCUMENT}"}}"#);
    auth_sasl_continue(json.as_bytes())
}

/// What the client answers to that.
pub fn bearer_dummy() -> Frontend<'static> {
    sasl_response(b"\x01")
}

fn sasl_response(body: &[u8]) -> Frontend<'_> {
    Frontend::AuthenticationResponse(AuthenticationResponse { body })
}
