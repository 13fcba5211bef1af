//! OAUTHBEARER (RFC 7628): what goes to the server and what it answers. Knows no flow that gets a token, and no connection.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::conninfo::Secret;

/// What is known of who issues tokens and for what, over all connections to one server, and the token once there is one.
#[derive(Debug, Clone)]
pub struct Bearer {
    issuer: String,
    discovery: Option<String>,
    scope: Option<String>,
    token: Option<Secret>,
    /// `http:` will do, too: for tests.
    insecure: bool,
}

const WELL_KNOWN: &str = "/.well-known/";
const SUFFIXES: [&str; 2] = ["openid-configuration", "oauth-authorization-server"];

impl Bearer {
    /// From the options `oauth_issuer`, an issuer or its discovery document, and `oauth_scope`.
    ///
    /// # Errors
    /// libpq's text for a discovery document that belongs to no issuer.
    pub fn new(issuer: &str, scope: Option<&str>, insecure: bool) -> Result<Self, String> {
        let is_document = issuer.contains(WELL_KNOWN);
        Ok(Self {
            issuer: match is_document {
                true => issuer_of(issuer, insecure)?,
                false => issuer.to_owned(),
            },
            discovery: is_document.then(|| issuer.to_owned()),
            scope: scope.map(str::to_owned),
            token: None,
            insecure,
        })
    }

    /// Where the issuer describes itself, once that is known.
    pub fn discovery(&self) -> Option<&str> {
        self.discovery.as_deref()
    }

    /// The scopes to ask for, if they are known.
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// Whether there is a token.
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Takes a token.
    pub fn set_token(&mut self, token: Secret) {
        self.token = Some(token);
    }

    /// The initial response (RFC 7628, 3.1): the token, or without one the question what token it has to be (4.3).
    pub fn initial_response(&self) -> Zeroizing<Vec<u8>> {
        let mut response = Zeroizing::new(Vec::new());
        let token = self.token.as_ref().map(Secret::expose);
        response.reserve_exact(24 + token.map_or(0, <[u8]>::len));
        response.extend_from_slice(b"n,,\x01auth=");
        if let Some(token) = token {
            response.extend_from_slice(b"Bearer ");
            response.extend_from_slice(token);
        }
        response.extend_from_slice(b"\x01\x01");
        response
    }

    /// What follows an error of the server (RFC 7628, 3.2.3).
    pub const DUMMY: &[u8] = b"\x01";

    /// Learns from the server's error (RFC 7628, 3.2.2) where tokens come from. The server will refuse this exchange.
    ///
    /// # Errors
    /// libpq's text for what is malformed, for another issuer than the one that is trusted, and for an error that no other token
    /// could mend.
    pub fn learn(&mut self, error: &[u8]) -> Result<(), String> {
        if error.contains(&0) {
            return Err(
                "server's error message contained an embedded NULL, and was discarded".into(),
            );
        }
        let Ok(error) = std::str::from_utf8(error) else {
            return Err("server's error response is not valid UTF-8".into());
        };
        let told = Told::read(error)
            .map_err(|text| format!("failed to parse server's error response: {text}"))?;
        if let Some(document) = told.discovery {
            self.accept(document)?;
        }
        if self.scope.is_none() {
            self.scope = told.scope;
        }
        match told.status.as_deref() {
            None => Err("server sent error response without a status".into()),
            Some("invalid_token") => Ok(()),
            Some(status) => Err(format!("server rejected OAuth bearer token: {status}")),
        }
    }

    /// The document must be that of the issuer that is trusted: a server must not lead us to another one (RFC 9207, 2.4).
    fn accept(&mut self, document: String) -> Result<(), String> {
        let issuer = issuer_of(&document, self.insecure)?;
        if issuer != self.issuer {
            return Err(format!(
                "server's discovery document at {document} (issuer \"{issuer}\") is incompatible with oauth_issuer ({})",
                self.issuer
            ));
        }
        match &self.discovery {
            Some(known) if *known != document => Err(format!(
                "server's discovery document has moved to {document} (previous location was {known})"
            )),
            Some(_) => Ok(()),
            None => {
                self.discovery = Some(document);
                Ok(())
            }
        }
    }
}

/// The issuer whose discovery document is at `uri` (RFC 8414, OpenID Connect Discovery 1.0).
fn issuer_of(uri: &str, insecure: bool) -> Result<String, String> {
    let refused = |why| Err(format!("OAuth discovery URI \"{uri}\" {why}"));
    let after = |scheme: &str| {
        let start = uri.get(..scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(scheme.len())
    };
    let authority = after("https://").or_else(|| after("http://").filter(|_| insecure));
    let Some((scheme, rest)) = authority.and_then(|at| uri.split_at_checked(at)) else {
        return refused("must use HTTPS");
    };
    if rest.contains(['?', '#']) {
        return refused("must not contain query or fragment components");
    }
    let Some((before, found)) = rest.split_once(WELL_KNOWN) else {
        return refused("is not a .well-known URI");
    };
    let suffix = SUFFIXES
        .iter()
        .find_map(|suffix| found.strip_prefix(suffix));
    let Some(path) = suffix.filter(|path| path.is_empty() || path.starts_with('/')) else {
        return refused("uses an unsupported .well-known suffix");
    };
    // At the end, or at the beginning of the path, and nowhere else.
    if !path.is_empty() && before.contains('/') {
        return refused("uses an invalid format");
    }
    Ok(format!("{scheme}{before}{path}"))
}

/// The fields of the server's error.
#[derive(Debug, Default)]
struct Told {
    status: Option<String>,
    scope: Option<String>,
    discovery: Option<String>,
}

impl Told {
    fn read(text: &str) -> Result<Self, String> {
        let top: Top = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let Top(Some(fields)) = top else {
            return Err("top-level element must be an object".into());
        };
        let mut told = Self::default();
        for (name, value) in fields {
            let field = match &name[..] {
                "status" => &mut told.status,
                "scope" => &mut told.scope,
                "openid-configuration" => &mut told.discovery,
                _ => continue,
            };
            if field.is_some() {
                return Err(format!("field \"{name}\" is duplicated"));
            }
            let Value::String(value) = value else {
                return Err(format!("field \"{name}\" must be a string"));
            };
            if value.contains('\0') {
                return Err("\\u0000 cannot be converted to text".into());
            }
            *field = Some(value);
        }
        Ok(told)
    }
}

/// The fields of a JSON object, also those that are there twice; `None` for what is no object.
struct Top(Option<Vec<(String, Value)>>);

impl<'de> Deserialize<'de> for Top {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Fields).map(Self)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Option<Vec<(String, Value)>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Some(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "https://i.example/.well-known/openid-configuration";

    fn learnt(issuer: &str, error: &str) -> Result<Bearer, String> {
        let mut bearer = Bearer::new(issuer, None, false)?;
        bearer.learn(error.as_bytes()).map(|()| bearer)
    }

    #[test]
    fn the_response_carries_the_token_or_asks_for_one() {
        let mut bearer = Bearer::new("https://i.example", None, false).unwrap();
        assert_eq!(bearer.initial_response()[..], *b"n,,\x01auth=\x01\x01");
        bearer.set_token(Secret::new(b"abc".to_vec()));
        assert_eq!(
            bearer.initial_response()[..],
            *b"n,,\x01auth=Bearer abc\x01\x01"
        );
        assert!(!format!("{bearer:?}").contains("abc"));
    }

    #[test]
    fn an_error_says_where_tokens_come_from() {
        let error = format!(
            r#"{{"status": "invalid_token", "openid-configuration": "{DOCUMENT}", "scope": "a b", "x": [{{}}]}}"#
        );
        let bearer = learnt("https://i.example", &error).unwrap();
        assert_eq!(bearer.discovery(), Some(DOCUMENT));
        assert_eq!(bearer.scope(), Some("a b"));
        let mut given = Bearer::new(DOCUMENT, Some("own"), false).unwrap();
        assert_eq!(given.discovery(), Some(DOCUMENT));
        given.learn(error.as_bytes()).unwrap();
        assert_eq!(given.scope(), Some("own"));
    }

    #[test]
    fn what_is_wrong_with_an_error_is_said() {
        let parse = |text: &str| format!("failed to parse server's error response: {text}");
        for (error, text) in [
            ("{}", "server sent error response without a status".into()),
            (
                r#"{"status":"insufficient_scope"}"#,
                "server rejected OAuth bearer token: insufficient_scope".into(),
            ),
            ("[]", parse("top-level element must be an object")),
            ("3", parse("top-level element must be an object")),
            (r#""x""#, parse("top-level element must be an object")),
            (r#"{"status":{}}"#, parse("field \"status\" must be a string")),
            (
                r#"{"status":"a","status":"b"}"#,
                parse("field \"status\" is duplicated"),
            ),
            (
                r#"{"status":"invalid_token","scope":"a\u0000b"}"#,
                parse("\\u0000 cannot be converted to text"),
            ),
            (
                "{}\0",
                "server's error message contained an embedded NULL, and was discarded".into(),
            ),
            (
                r#"{"openid-configuration":"https://j.example/.well-known/openid-configuration"}"#,
                "server's discovery document at https://j.example/.well-known/openid-configuration (issuer \"https://j.example\") \
                 is incompatible with oauth_issuer (https://i.example)"
                    .into(),
            ),
        ] {
            assert_eq!(learnt("https://i.example", error).unwrap_err(), text);
        }
        let nested = "[".repeat(100_000);
        for error in ["", "{", "x", &nested] {
            let text = learnt("https://i.example", error).unwrap_err();
            assert!(text.starts_with(&parse("")), "{text}");
        }
        let mut bearer = Bearer::new(DOCUMENT, None, false).unwrap();
        let moved = r#"{"status":"invalid_token","openid-configuration":"https://i.example/.well-known/oauth-authorization-server"}"#;
        assert_eq!(
            bearer.learn(moved.as_bytes()).unwrap_err(),
            format!(
                "server's discovery document has moved to https://i.example/.well-known/oauth-authorization-server \
                 (previous location was {DOCUMENT})"
            )
        );
    }

    #[test]
    fn issuers_are_derived_from_their_documents() {
        for (uri, issuer) in [
            (DOCUMENT, "https://i.example"),
            (
                "HTTPS://i/.well-known/oauth-authorization-server/a",
                "HTTPS://i/a",
            ),
            (
                "https://i/a/.well-known/openid-configuration",
                "https://i/a",
            ),
        ] {
            assert_eq!(issuer_of(uri, false).unwrap(), issuer);
        }
        assert_eq!(
            issuer_of("http://i/.well-known/openid-configuration", true).unwrap(),
            "http://i"
        );
        for (uri, why) in [
            (
                "http://i/.well-known/openid-configuration",
                "must use HTTPS",
            ),
            ("", "must use HTTPS"),
            (
                "https://i/.well-known/openid-configuration?x",
                "must not contain query or fragment components",
            ),
            ("https://i/", "is not a .well-known URI"),
            (
                "https://i/.well-known/openid-configuration-bad",
                "uses an unsupported .well-known suffix",
            ),
            (
                "https://i/a/.well-known/openid-configuration/b",
                "uses an invalid format",
            ),
        ] {
            assert_eq!(
                issuer_of(uri, false).unwrap_err(),
                format!("OAuth discovery URI \"{uri}\" {why}")
            );
        }
    }
}
