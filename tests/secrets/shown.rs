//! What a connection says of itself: errors, inspections, traces, Debug. None of it has a secret in it, however it is written.

use pgpoll::auth::scram::{Binding, Client, Credentials};
use pgpoll::conn::{Cancel, Connection, Readiness};
use pgpoll::conninfo::{OPTIONS, Options, Secret, Surroundings};
use pgpoll::engine::Trace;
use pgpoll::link::Ask;
use pgpoll::net::clock;
use pgpoll::wire::{
    BackendKeyData, CancelRequest, PasswordMessage, SASLInitialResponse, SASLResponse,
};
use testkit::{PASSWORD, shared};

/// Everything that can be asked of a connection, as one text.
fn all_said(connection: &mut Connection) -> String {
    let lines = connection.engine_mut().trace().unwrap().lines().to_vec();
    let mut said = format!(
        "{connection:?} {:#?} {:?} {:?} {:?} {:?} {:?} {:?} {}",
        connection,
        connection.facts(),
        connection.options(),
        connection.engine(),
        connection.error(),
        connection.warnings(),
        connection.tls_attribute(b"cipher"),
        connection.inspect(),
    );
    if let Some(error) = connection.error() {
        said += &format!("{error} {error:#?}");
    }
    if let Ok(cancel) = Cancel::of(connection) {
        said += &format!("{cancel:?} {cancel:#?}");
    }
    said + &String::from_utf8_lossy(&lines)
}

/// As text, in a list of numbers, in hexadecimal.
fn spellings(secret: &[u8]) -> Vec<String> {
    let list = |bytes: &[u8]| {
        let numbers: Vec<_> = bytes.iter().map(u8::to_string).collect();
        numbers.join(", ")
    };
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    vec![
        String::from_utf8_lossy(secret).into_owned(),
        secret.escape_ascii().to_string(),
        list(secret),
        hex.to_uppercase(),
        hex,
    ]
}

fn shows_none(said: &str, secrets: &[&[u8]]) {
    for secret in secrets {
        for spelling in spellings(secret) {
            assert!(!said.contains(&spelling), "{spelling} stands in {said}");
        }
    }
}

fn conninfo(role: &str, password: &str) -> String {
    let password = password.replace('\'', "\\'");
    format!(
        "{} password='{password}' sslpassword='{password}'",
        shared().conninfo_as(role)
    )
}

/// Goes on until the connection is up or over, and collects what is said on the way.
fn connect(conninfo: &str) -> (Connection, String) {
    let mut connection = Connection::open(conninfo);
    connection
        .engine_mut()
        .set_trace(Some(Trace::new(0, clock::local_time)));
    let mut said = all_said(&mut connection);
    loop {
        let ready = connection.wait_for(Readiness::WANT_READ | Readiness::SOMETHING, None);
        said += &all_said(&mut connection);
        if ready.is_idle() || ready.is_failed() {
            return (connection, said);
        }
        let socket = connection.socket();
        pgpoll::net::wait(socket, ready.wants_read(), ready.wants_write(), None);
    }
}

#[test]
fn a_connection_that_is_up_says_nothing_of_its_password_and_its_key() {
    for role in ["user_scram", "user_md5", "user_password", "user_trust"] {
        let (mut connection, mut said) = connect(&conninfo(role, PASSWORD));
        assert!(connection.error().is_none(), "{:?}", connection.error());
        let key = connection.facts().cancel_key().unwrap().expose().to_vec();
        connection.reset();
        connection
            .engine_mut()
            .set_trace(Some(Trace::new(0, clock::local_time)));
        while !connection.wait(None).is_idle() {}
        connection.close();
        said += &all_said(&mut connection);
        shows_none(&said, &[PASSWORD.as_bytes(), &key]);
        // The proof of SCRAM, the salted hash of md5.
        assert!(!said.contains(",p="), "{said}");
        let hash = |rest: &str| rest.starts_with(|next: char| next.is_ascii_hexdigit());
        assert!(!said.split("md5").skip(1).any(hash), "{said}");
        assert!(said.contains("ReadyForQuery"), "there was a trace");
    }
}

#[test]
fn an_error_says_nothing_of_the_password() {
    const WRONG: &str = "not the right one at all";
    for conninfo in [
        conninfo("user_scram", WRONG),
        conninfo("user_md5", WRONG),
        conninfo("user_password", WRONG),
        conninfo("user_reject", WRONG),
        conninfo("user_scram", WRONG) + " options=-cnonsense=1",
        conninfo("user_scram", WRONG) + " host=/nonexistent",
        conninfo("user_scram", WRONG) + " port=x",
        conninfo("user_scram", WRONG) + " nonsense=1",
        format!("postgres://u:{}@h:x/d", WRONG.replace(' ', "%20")),
    ] {
        let (connection, said) = connect(&conninfo);
        let error = connection.error().unwrap().to_string();
        assert!(!error.is_empty());
        shows_none(&said, &[WRONG.as_bytes()]);
    }
}

/// Every option that is a secret, in whatever it becomes.
#[test]
fn debug_shows_no_secret_option_and_no_plan_of_it() {
    const KEY: &str = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=";
    let from = Surroundings::empty().with_account("tester", "/home/tester");
    let mut options = Options::parse(b"host=h").unwrap();
    for option in OPTIONS.iter().filter(|option| option.is_secret()) {
        options.set(option.keyword, KEY.as_bytes()).unwrap();
    }
    options.fill_defaults(&from).unwrap();
    let (plan, warnings) = options.plan(&from).unwrap();
    let said = format!("{options:#?} {options:?} {plan:#?} {plan:?} {warnings:?} {from:?}");
    shows_none(
        &said,
        &[KEY.as_bytes(), &b"secretsecretsecretsecretsecretse"[..]],
    );
}

#[test]
fn debug_shows_no_message_that_carries_a_secret() {
    const SECRET: &[u8] = b"nobody's business";
    let scram = Client::new(Credentials::Password(SECRET), [0; 18], Binding::None);
    let key: &[u8; 32] = b"0123456789abcdef0123456789abcdef";
    let keys = Credentials::Keys {
        client_key: key,
        server_key: key,
    };
    let said = format!(
        "{scram:?} {keys:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        Credentials::Password(SECRET),
        Secret::new(SECRET.to_vec()),
        PasswordMessage { password: SECRET },
        SASLInitialResponse {
            mechanism: b"SCRAM-SHA-256",
            response: Some(SECRET)
        },
        SASLResponse { data: SECRET },
        BackendKeyData {
            process_id: 1,
            secret_key: SECRET
        },
        CancelRequest {
            process_id: 1,
            secret_key: SECRET
        },
        Ask::Hangup,
    );
    shows_none(&said, &[SECRET, key]);
}
