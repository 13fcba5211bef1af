//! Options whose values are checked before anything is sent.

use pgpoll::conninfo::{Options, Surroundings, Target};

use crate::Random;
use crate::libpq::Libpq;

/// Options and values for what is checked before anything is sent. Nothing listens at port 1, nor in a folder that is not there.
const CHECKED: &[(&str, &[&str])] = &[
    (
        "host",
        &[
            "/nonexistent",
            "127.0.0.1",
            "/nonexistent,127.0.0.1",
            "@none,,/x",
        ],
    ),
    (
        "hostaddr",
        &[
            "127.0.0.1",
            "127.0.0.1,::1",
            "127.0.0.300",
            "0x7f.1",
            "0177.1",
            "0X7F000001",
            "2130706433",
            "127.0.0.1.",
            "127.0.0.0.1",
            "127.0.1",
            "127.65536",
            "127.16777216",
            "08.1",
            "0x",
            "127.0x.1",
            "127..1",
            " 127.0.0.1",
            "127.0.0.1 ",
            "::1",
            "::1%lo",
            "::1%",
            "::1%1",
            "[::1]",
            "::ffff:127.0.0.1",
            "::ffff:127.1",
            "0",
            "0000",
            "127.00.00.01",
            "127.0.0.1x",
            "127.0.0.1%lo",
            "ff02::1%lo",
            "1e3",
            "+127.1",
            "-1",
            "4294967296",
            "fe80::1%lo",
            "127.1",
            "localhost",
            ",",
        ],
    ),
    (
        "port",
        &[
            "1",
            "1,1",
            "0",
            "65536",
            "x",
            " 1 ",
            "0,x",
            "+1",
            "1,",
            "-1",
            "99999999999",
        ],
    ),
    ("dbname", &["d", ""]),
    (
        "require_auth",
        &[
            "md5",
            "!md5",
            "md5,!md5",
            "!md5,none",
            "md5,md5",
            "none,none",
            "!none,!none",
            "",
            "x",
            "!",
            "md5,",
            "!x",
        ],
    ),
    (
        "channel_binding",
        &["disable", "prefer", "require", "", "x"],
    ),
    (
        "sslmode",
        &[
            "disable",
            "allow",
            "prefer",
            "require",
            "verify-ca",
            "verify-full",
            "",
            "x",
        ],
    ),
    ("sslnegotiation", &["postgres", "direct", "", "x"]),
    ("sslrootcert", &["system", "/nonexistent", ""]),
    (
        "ssl_min_protocol_version",
        &["TLSv1", "tlsv1.1", "TLSv1.3", "", "x"],
    ),
    (
        "ssl_max_protocol_version",
        &["TLSv1", "TLSV1.2", "TLSv1.3", "", "SSLv3"],
    ),
    ("sslcertmode", &["disable", "allow", "require", "", "x"]),
    ("gssencmode", &["disable", "prefer", "", "x"]),
    (
        "target_session_attrs",
        &["any", "read-write", "prefer-standby", "", "x"],
    ),
    (
        "scram_client_key",
        &[
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            "AAAA",
            "AAA=",
            "AAB=",
            "A",
            "A===",
            "====",
            "AA A",
            "!!!!",
            "",
        ],
    ),
    (
        "scram_server_key",
        &[
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=",
            "AAAAAAAA",
            "AA==",
            "AA",
        ],
    ),
    ("load_balance_hosts", &["disable", "", "x"]),
    ("min_protocol_version", &["3.0", "3.2", "latest", "3.1", ""]),
    ("max_protocol_version", &["3.0", "3.2", "latest", "3", "x"]),
    ("keepalives", &["0", "1", "x"]),
    ("keepalives_idle", &["10", "1.5", ""]),
    ("tcp_user_timeout", &["10", " -1 ", "x"]),
];

#[test]
fn what_cannot_be_is_refused_alike() {
    let Some(libpq) = Libpq::load() else { return };
    if (libpq.version)() / 10000 != 18 {
        eprintln!("SKIPPED: this libpq checks other options than version 18");
        return;
    }
    let real = Surroundings::real();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut refused, mut skipped) = (0, 0);
    for round in 0..4_000 {
        let mut conninfo = String::from("host=/nonexistent ");
        // Few options: of many, one is nearly always wrong, and always the same.
        for _ in 0..1 + random.below(4) {
            let (keyword, values) = CHECKED[random.below(CHECKED.len())];
            conninfo += &format!("{keyword}='{}' ", random.pick(values));
        }
        let mut options = Options::parse(conninfo.as_bytes()).unwrap();
        options.fill_defaults(&real).unwrap();
        let (theirs, _) = libpq.start(conninfo.as_bytes());
        let ours = match options.plan(&real) {
            Ok((plan, _)) => match &plan.hosts[0].target {
                Target::Invalid { error, .. } => error.to_string(),
                _ => String::new(),
            },
            Err(error) => error.to_string(),
        };
        // Without keepalives libpq does not look at the numbers of TCP.
        let unread = conninfo.contains("keepalives='0'") && ours.starts_with("invalid integer");
        if ours.contains("not supported") || unread {
            skipped += 1;
        } else if ours.is_empty() {
            assert!(
                theirs.is_empty() || theirs.starts_with("connection to server "),
                "round {round}, {conninfo}: libpq says {theirs}"
            );
        } else if ours.contains("\" for connection option \"keepalives")
            || ours.contains("\"tcp_user_timeout\"")
        {
            refused += 1;
            assert!(
                theirs.contains(&ours),
                "round {round}, {conninfo}: we say {ours}, libpq says {theirs}"
            );
        } else {
            refused += 1;
            assert!(
                theirs.starts_with(&format!("{ours}\n")),
                "round {round}, {conninfo}: we say {ours}, libpq says {theirs}"
            );
        }
    }
    eprintln!("{refused} refused alike, {skipped} not compared");
    assert!(refused > 1000);
}
