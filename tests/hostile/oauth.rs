//! Servers that want a bearer token, by the rules and not.

use testkit::script::{
    ISSUERS_DOCUMENT, Script, auth_cleartext, auth_ok, auth_sasl, auth_sasl_continue,
    auth_sasl_final, bearer_challenge, bearer_dummy, bearer_shown, error,
};
use testkit::sim::{Server, Session};

const WHERE: &str = "connection to server at \"127.0.0.1\", port 5432 failed: ";

fn asked() -> Script {
    bearer_shown("")
}

fn with_token() -> Script {
    bearer_shown("Bearer token of the test")
}

/// What came of it; the error without the words for the server's address.
fn said(options: &str, servers: Vec<Script>) -> Option<String> {
    let mut session = Session::new(options, Script::new(), Vec::new());
    session.conninfo.push_str(" oauth_client_id=c ");
    session.conninfo.push_str(options);
    session.servers = servers.into_iter().map(Server::Plays).collect();
    let seen = super::seen(&session);
    assert!(seen.error.is_some() || seen.finished, "{}", seen.place);
    Some(seen.error?.message().replace(WHERE, ""))
}

/// Trap 34, OAuth by a hook of the whole process: each connection asks its own owner, who answers when the token is there. (libpq's
/// hook, which is of the whole process, is the face's.)
#[test]
fn a_token_is_asked_for_and_shown_on_the_next_connection() {
    let second = || with_token().send(auth_ok()).settled();
    let first = asked().send(bearer_challenge());
    assert_eq!(said("oauth_issuer=https://i", vec![first, second()]), None);
    let slow = asked().send(bearer_challenge()).expect(&bearer_dummy());
    let options = "oauth_issuer=https://i oauth_scope=slow";
    assert_eq!(said(options, vec![slow.clone(), second()]), None);
    // It is known at once who issues it.
    let document = format!("oauth_issuer={ISSUERS_DOCUMENT}");
    assert_eq!(said(&document, vec![second()]), None);
    let options = format!("{document} oauth_scope=slow require_auth=oauth");
    assert_eq!(said(&options, vec![slow, second()]), None);
}

#[test]
fn a_token_that_is_refused_is_refused_in_the_servers_words() {
    let fatal = error("FATAL", "28000", "OAuth bearer authentication failed");
    let refused = with_token()
        .send(bearer_challenge())
        .expect(&bearer_dummy())
        .send(fatal);
    assert_eq!(
        said(
            &format!("oauth_issuer={ISSUERS_DOCUMENT}"),
            vec![refused.clone()]
        )
        .unwrap(),
        "FATAL:  OAuth bearer authentication failed"
    );
    assert_eq!(
        said(
            "oauth_issuer=https://i",
            vec![asked().send(bearer_challenge()), refused]
        )
        .unwrap(),
        "retrying connection with new bearer token\nFATAL:  OAuth bearer authentication failed"
    );
}

#[test]
fn servers_that_do_not_play_by_the_rules() {
    let known = &format!("oauth_issuer={ISSUERS_DOCUMENT}");
    let issuer = "oauth_issuer=https://i";
    let token = || {
        with_token()
            .send(bearer_challenge())
            .expect(&bearer_dummy())
    };
    let challenge = |json: &str| asked().send(auth_sasl_continue(json.as_bytes()));
    for (options, script, text) in [
        (
            known.as_str(),
            token().send(auth_ok()).settled(),
            "server sent additional OAuth data after error",
        ),
        (
            known,
            token().send(bearer_challenge()),
            "server sent additional OAuth data after error",
        ),
        (
            known,
            with_token().send(auth_sasl_final(b"x")),
            "server sent unexpected additional OAuth data",
        ),
        (
            known,
            with_token().send(auth_sasl(&["OAUTHBEARER"])),
            "duplicate SASL authentication request",
        ),
        (
            known,
            with_token().send(auth_sasl(&["SCRAM-SHA-256"])),
            "duplicate SASL authentication request",
        ),
        (
            known,
            with_token().send(auth_cleartext()),
            "server asked for a password in the middle of the OAuth exchange",
        ),
        (
            "oauth_issuer=https://i require_auth=oauth",
            asked().send(auth_ok()).settled(),
            "authentication method requirement \"oauth\" failed: server did not complete authentication",
        ),
        (
            issuer,
            challenge(r#"{"status":"invalid_token"}"#),
            "server requires OAuth authentication, but no discovery metadata was provided",
        ),
        (
            issuer,
            challenge("{"),
            "failed to parse server's error response: EOF while parsing an object at line 1 column 1",
        ),
        (
            issuer,
            challenge(
                r#"{"status":"invalid_token","openid-configuration":"http://i/.well-known/openid-configuration"}"#,
            ),
            "OAuth discovery URI \"http://i/.well-known/openid-configuration\" must use HTTPS",
        ),
        (
            "",
            Script::new().startup().send(auth_sasl(&["OAUTHBEARER"])),
            "server requires OAuth authentication, but oauth_issuer and oauth_client_id are not both set",
        ),
    ] {
        assert_eq!(said(options, vec![script]).unwrap(), text);
    }
}
