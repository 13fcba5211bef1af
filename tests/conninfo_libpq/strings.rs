//! Strings put together at random from pieces, right and wrong.

use pgpoll::conninfo::{OPTIONS, Options, Surroundings};

use crate::Random;
use crate::libpq::Libpq;

/// Pieces that connection strings are made of, right and wrong.
const PIECES: &[&str] = &[
    "host",
    "user",
    "password",
    "port",
    "dbname",
    "options",
    "sslmode",
    "requiressl",
    "nonsense",
    "application_name",
    "hostaddr",
    "=",
    "=",
    "=",
    "=",
    " ",
    " ",
    "  ",
    "\t",
    "\n",
    "\u{b}",
    "'",
    "''",
    "\\",
    "\\'",
    "\\\\",
    "a",
    "b c",
    "1",
    "5432",
    "é",
    "\u{7f}",
    "postgres://",
    "postgresql://",
    "/",
    "/",
    "?",
    "?",
    "&",
    "&",
    "@",
    ":",
    ":",
    ",",
    "[",
    "]",
    "[::1]",
    "[fe80::1%25eth0]",
    "%",
    "%2",
    "%2f",
    "%2F",
    "%00",
    "%zz",
    "%20",
    "%41",
    "ssl=true",
    "ssl=1",
    "true",
    "localhost",
    "127.0.0.1",
    "#",
    ";",
    "\"",
];

/// The same for URIs, more of which are right.
const URI_PIECES: &[&str] = &[
    "u",
    "u:p",
    "@",
    "h",
    "h",
    ":5432",
    ":",
    ",",
    "[::1]",
    "[",
    "]",
    "/",
    "/d",
    "?",
    "&",
    "user=v",
    "host=%2Ftmp",
    "port=1",
    "ssl=true",
    "sslmode=allow",
    "x=y",
    "dbname=",
    "=",
    "%20",
    "%",
    " ",
    "a b",
    "é",
    "requiressl=1",
];

fn random_string(random: &mut Random) -> String {
    let mut string = String::new();
    let pieces = match random.below(3) {
        0 => PIECES,
        1 => {
            string.push_str(random.pick(&["postgres://", "postgresql://"]));
            PIECES
        }
        _ => {
            string.push_str("postgresql://");
            URI_PIECES
        }
    };
    for _ in 0..random.below(12) {
        string.push_str(random.pick(pieces));
    }
    string
}

#[test]
fn twenty_thousand_strings_are_read_alike() {
    let Some(libpq) = Libpq::load() else { return };
    let version = (libpq.version)() / 10000;
    let known: Vec<_> = libpq
        .take((libpq.defaults)())
        .into_iter()
        .map(|option| option.keyword)
        .collect();
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let (mut alike, mut errors, mut skipped) = (0, 0, 0);
    for _ in 0..20_000 {
        let string = random_string(&mut random);
        if version < 18 && string.starts_with("postgres") && string.contains(' ') {
            skipped += 1;
            continue;
        }
        let ours = Options::parse(string.as_bytes());
        match (libpq.parse(string.as_bytes()), ours) {
            (Ok(theirs), Ok(ours)) => {
                for option in theirs {
                    let keyword = std::str::from_utf8(&option.keyword).unwrap();
                    assert_eq!(
                        option.value.as_deref(),
                        ours.get(keyword),
                        "{string:?}: {keyword}"
                    );
                }
                for option in OPTIONS {
                    let unknown = !known.iter().any(|name| name == option.keyword.as_bytes());
                    assert!(!unknown || ours.get(option.keyword).is_none(), "{string:?}");
                }
            }
            (Err(theirs), Err(ours)) => {
                errors += 1;
                assert_eq!(
                    String::from_utf8_lossy(&theirs),
                    String::from_utf8_lossy(ours.as_bytes()),
                    "{string:?}"
                );
            }
            (theirs, ours) => {
                assert!(
                    theirs.is_ok() == ours.is_ok(),
                    "{string:?}: libpq says {:?}, we say {:?}",
                    theirs
                        .map(|_| ())
                        .map_err(|text| String::from_utf8_lossy(&text).into_owned()),
                    ours.map(|_| ())
                );
            }
        }
        alike += 1;
    }
    eprintln!(
        "{alike} alike, of them {errors} errors; {skipped} not compared with libpq {version}"
    );
    assert!(
        errors > 4000 && alike - errors > 4000,
        "{errors} of {alike}"
    );
}

#[test]
fn pairs_are_read_alike() {
    let Some(libpq) = Libpq::load() else { return };
    if (libpq.version)() / 10000 != 18 {
        eprintln!("SKIPPED: this libpq has other options than version 18");
        return;
    }
    let keywords = [
        "dbname",
        "dbname",
        "dbname",
        "host",
        "user",
        "password",
        "port",
        "application_name",
        "nonsense",
        "client_encoding",
    ];
    let values = [
        "",
        "a",
        "b c",
        "1",
        "/nonexistent",
        "host=/nonexistent user=c",
        "postgres://u:p@127.0.0.1:1/d",
        "postgres://",
        "postgres://%",
        "x=y",
        "user=v dbname=e=f passfile=/nonexistent/file",
    ];
    let hosts = ["/nonexistent", "127.0.0.1", "host", ""];
    let real = Surroundings::real();
    let mut random = Random(0x0bad_cafe_1234_5678);
    let (mut alike, mut errors) = (0, 0);
    for _ in 0..3_000 {
        // Not even a wrong string may make libpq look a name up.
        let mut pairs = vec![("hostaddr", Some("127.0.0.1")), ("port", Some("1"))];
        for _ in 0..random.below(5) {
            let keyword = random.pick(&keywords);
            let value = random.pick(if keyword == "host" { &hosts } else { &values });
            let value = if random.below(8) == 0 {
                None
            } else {
                Some(value)
            };
            pairs.push((keyword, value));
        }
        let expand = random.below(4) != 0;
        let bytes = pairs
            .iter()
            .map(|(keyword, value)| (keyword.as_bytes(), value.map(str::as_bytes)));
        let ours = Options::from_pairs(bytes, expand).and_then(|mut options| {
            options.fill_defaults(&real)?;
            let (plan, _) = options.plan(&real)?;
            options.settle(&plan, &real)?;
            Ok(options)
        });
        let (error, theirs) = libpq.start_pairs(&pairs, expand);
        match ours {
            Err(ours) => {
                errors += 1;
                assert!(
                    error.starts_with(&format!("{ours}\n")),
                    "{pairs:?}: we say {ours}, libpq says {error}"
                );
            }
            Ok(ours) => {
                alike += 1;
                assert!(
                    error.is_empty() || error.starts_with("connection to server "),
                    "{pairs:?}: {error}"
                );
                for option in theirs {
                    let keyword = std::str::from_utf8(&option.keyword).unwrap();
                    // Whether a build has GSSAPI decides over this one.
                    if keyword != "gssencmode" {
                        assert_eq!(
                            option.value.as_deref(),
                            ours.get(keyword),
                            "{pairs:?}: {keyword}"
                        );
                    }
                }
            }
        }
    }
    eprintln!("{alike} sets of pairs alike, and {errors} errors");
    assert!(alike > 500 && errors > 500);
}
