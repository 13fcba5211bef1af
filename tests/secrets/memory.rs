//! What is left in a process's memory: C programs look through their own, with both faces. Knows what may stay, and until when.
//!
//! What stays while a connection is open is one copy of the options, passwords among them: a reset connects with them again, as
//! libpq's does. It goes with the connection. The drop-in keeps what the password file has, too: PQpass tells it.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::num::NonZero;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::OnceLock;

use hmac::{Hmac, KeyInit, Mac};
use pgpoll::auth::md5;
use pgpoll::auth::scram::build_verifier;
use sha2::Sha256;
use testkit::built::root;
use testkit::c::{Checker, Face, Program};
use testkit::certificates::{CLIENT_KEY_PASSWORD, certificates};
use testkit::{Cluster, ClusterOptions, ServerTls};

/// Longer than what an allocator writes into memory that it is given back.
const PASSWORD: &str = "a password that is found nowhere else: 7fK2pQ9xVw4RtZ8mLc3JhB6nYd1";
const SALT: [u8; 16] = *b"0123456789abcdef";
const ITERATIONS: u32 = 4096;

/// How often each secret is in memory after each step.
type Seen = BTreeMap<String, BTreeMap<String, usize>>;

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let scram = build_verifier(
            PASSWORD.as_bytes(),
            &SALT,
            NonZero::new(ITERATIONS).unwrap(),
        );
        let md5 = md5::hash(PASSWORD.as_bytes(), b"user_md5");
        let md5 = String::from_utf8_lossy(&md5[..]).into_owned();
        let mut options = ClusterOptions::new();
        for (role, method, stored) in [
            ("user_scram", "scram-sha-256", &scram),
            ("user_password", "password", &scram),
            ("user_md5", "md5", &md5),
            ("user_trust", "trust", &scram),
        ] {
            options = options.method(role, method).setup(&format!(
                "set client_min_messages = error; create role {role} login password '{stored}'"
            ));
        }
        let options = options.method("all", "trust").tls(ServerTls::default());
        Cluster::start(options)
    })
}

fn hmac(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}

/// What nobody may find, by name: the ends of the password and of all that is as good as it.
fn secrets() -> Vec<(&'static str, Vec<u8>)> {
    let password = PASSWORD.as_bytes();
    let end = |bytes: &[u8]| bytes[bytes.len() - 20..].to_vec();
    let xored = |byte: u8| end(&password.iter().map(|b| b ^ byte).collect::<Vec<_>>());
    let mut newest = hmac(password, &[&SALT[..], &[0, 0, 0, 1]].concat());
    let mut salted = newest.clone();
    for _ in 1..ITERATIONS {
        newest = hmac(password, &newest);
        salted.iter_mut().zip(&newest).for_each(|(a, b)| *a ^= b);
    }
    let words: Vec<u8> = salted
        .chunks(4)
        .flat_map(|word| word.iter().rev().copied())
        .collect();
    let stored = md5::hash(password, b"user_md5");
    vec![
        ("password", end(password)),
        ("inner", xored(0x36)),
        ("outer", xored(0x5c)),
        ("salted", end(&salted)),
        ("salted-words", end(&words)),
        ("client", end(&hmac(&salted, b"Client Key"))),
        ("server", end(&hmac(&salted, b"Server Key"))),
        ("md5", end(&stored[..])),
    ]
}

/// Hexadecimal, every bit turned over.
fn turned(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{:02x}", !byte)).collect()
}

fn program(face: Face) -> &'static Program {
    static PROGRAMS: [OnceLock<Program>; 2] = [const { OnceLock::new() }; 2];
    let source = root().join("tests/secrets/memory.c");
    // Bound at once: a resolver would save registers, with what lies in them, to the stack.
    let now = "-Wl,-z,now";
    let more: &[&str] = match face {
        Face::Pgpoll => &[now],
        Face::Libpq => &["-DLIBPQ", now],
    };
    let slot = usize::from(face == Face::Libpq);
    PROGRAMS[slot].get_or_init(|| Program::compile(&source, face, Checker::None, more))
}

/// Runs the program: what it sees after each step, and what the connection's error says.
fn run(face: Face, conninfo: &str, secret: &str, variable: &str) -> (Seen, String) {
    run_with(face, conninfo, secret, variable, &[])
}

/// The same, with more to look for.
fn run_with(
    face: Face,
    conninfo: &str,
    secret: &str,
    variable: &str,
    more: &[(&'static str, Vec<u8>)],
) -> (Seen, String) {
    let (secret, variable) = (turned(secret.as_bytes()), turned(variable.as_bytes()));
    let needles: Vec<String> = secrets()
        .iter()
        .chain(more)
        .map(|(name, bytes)| format!("{name}={}", turned(bytes)))
        .collect();
    let mut arguments = vec![conninfo, &secret, &variable];
    arguments.extend(needles.iter().map(String::as_str));
    let services = services();
    let environment = [("PGSERVICEFILE", services.as_str())];
    let said = program(face).prints(&arguments, &environment);
    let mut seen = Seen::new();
    let mut error = String::new();
    for line in said.lines() {
        let (step, rest) = line.split_once(':').unwrap_or(("error", line));
        if step == "error" {
            error += rest;
            continue;
        }
        let counts = rest.split_whitespace().map(|pair| {
            let (name, count) = pair.split_once('=').unwrap();
            (name.to_owned(), count.parse().unwrap())
        });
        seen.insert(step.to_owned(), counts.collect());
    }
    println!("{face:?} {conninfo}: {seen:?} {error}");
    (seen, error)
}

/// Nothing but so many copies of the password is in memory after a step.
fn only(seen: &Seen, step: &str, passwords: usize) {
    for (name, &count) in &seen[step] {
        let most = if name == "password" { passwords } else { 0 };
        assert!(count <= most, "{step}: {name} is there {count} times");
    }
}

/// Whatever the way to a connection, its options are what stays, and nothing stays after it.
fn check(conninfo: &str, secret: &str, variable: &str, kept: usize, is_up: bool) {
    for face in [Face::Pgpoll, Face::Libpq] {
        let (seen, error) = run(face, conninfo, secret, variable);
        let has_file = face == Face::Libpq && conninfo.contains("passfile=");
        let kept = kept + usize::from(has_file);
        let before = seen["begin"]["password"];
        // While it is getting there: the plan, too.
        only(&seen, "opened", before + kept + 1);
        only(&seen, if is_up { "up" } else { "failed" }, before + kept);
        only(&seen, "reset", before + kept);
        only(&seen, "closed", before);
        if is_up {
            assert!(seen["up"]["password"] >= kept, "what stays is not found");
        }
        assert!(!error.contains(&PASSWORD[40..]), "{error}");
    }
}

/// The service file, written by who needs it.
fn services() -> String {
    cluster()
        .socket_dir()
        .join("services")
        .display()
        .to_string()
}

fn password() -> String {
    format!(" password='{PASSWORD}'")
}

#[test]
fn a_password_leaves_nothing_but_the_options_behind() {
    for role in ["user_scram", "user_md5", "user_password", "user_trust"] {
        check(&cluster().conninfo_as(role), &password(), "", 1, true);
    }
}

#[test]
fn it_is_the_same_when_connecting_fails() {
    for conninfo in [
        cluster().conninfo_as("user_nobody"),
        cluster().conninfo_as("user_scram") + " options=-cnonsense=1",
        String::from("host=/nonexistent user=nobody"),
        String::from("host=127.0.0.1 port=1 user=nobody"),
    ] {
        check(&conninfo, &password(), "", 1, false);
    }
    let short = format!(" password='{}'", &PASSWORD[1..]);
    check(&cluster().conninfo_as("user_scram"), &short, "", 1, false);
    // What makes no sense is not kept at all.
    for nonsense in ["nonsense=1", "port=x", "sslmode=maybe", "host='"] {
        let secret = format!("{} {nonsense}", password());
        check("host=/nonexistent user=nobody", &secret, "", 1, false);
    }
}

#[test]
fn it_is_the_same_wherever_a_password_comes_from() {
    let conninfo = cluster().conninfo_as("user_scram");
    check(&conninfo, "", PASSWORD, 1, true);

    let (host, port) = (cluster().socket_dir().display(), cluster().port());
    let escaped = PASSWORD.replace(' ', "%20").replace(':', "%3A");
    let secret = format!("user_scram:{escaped}@/postgres?host={host}&port={port}");
    check("postgres://", &secret, "", 1, true);

    // A file is read again for each connection: nothing of it stays once that is up.
    let file = cluster().socket_dir().join("passwords");
    let line = PASSWORD.replace(':', "\\:");
    std::fs::write(&file, format!("*:*:*:*:{line}\n")).unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    check(
        &format!("{conninfo} passfile={}", file.display()),
        "",
        "",
        0,
        true,
    );

    std::fs::write(services(), format!("[secret]\npassword={PASSWORD}\n")).unwrap();
    check(&format!("{conninfo} service=secret"), "", "", 1, true);
}

/// A client's key that is encrypted is nowhere in clear once it has signed.
#[test]
fn the_key_of_a_certificate_is_gone_once_it_has_signed() {
    let (key, words) = (
        certificates().path("client-encrypted-pem.key"),
        CLIENT_KEY_PASSWORD,
    );
    let plain = Command::new("openssl")
        .args([
            "pkey",
            "-outform",
            "DER",
            "-passin",
            &format!("pass:{words}"),
            "-in",
            &key,
        ])
        .output()
        .unwrap();
    assert!(plain.status.success());
    // Somewhere in the private numbers.
    let part = &plain.stdout[plain.stdout.len() / 2..][..20];
    let conninfo = format!(
        "{} sslcert={} sslkey={key}",
        cluster().conninfo_tls_as("user_scram"),
        certificates().path("client.crt")
    );
    let secret = format!("{} sslpassword='{words}'", password());
    let more = [("key", part.to_vec()), ("words", words.as_bytes().to_vec())];
    for face in [Face::Pgpoll, Face::Libpq] {
        let (seen, error) = run_with(face, &conninfo, &secret, "", &more);
        assert!(seen.contains_key("up"), "{error}");
        // A request to cancel does TLS as the connection did: what the key is encrypted with stays beside the options.
        for (step, password, words) in [("up", 1, 2), ("reset", 1, 2), ("closed", 0, 0)] {
            assert!(seen[step]["password"] <= password, "{step}");
            assert!(seen[step]["words"] <= words, "{step}");
            assert_eq!(seen[step]["key"], 0, "{step}");
            for secret in ["salted", "client", "server"] {
                assert_eq!(seen[step][secret], 0, "{step} {secret}");
            }
        }
    }
}
