//! Connection strings, service files and password files of any bytes: options and a plan, or an error, and nothing else.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgpoll::conninfo::{OPTIONS, Options, Surroundings};

fuzz_target!(|data: &[u8]| {
    // The string, the service file and the password file are separated by a byte that none of them needs.
    let mut parts = data.splitn(3, |byte| *byte == 0xff);
    let conninfo = parts.next().unwrap_or_default();
    let service = parts.next().unwrap_or_default();
    let passwords = parts.next().unwrap_or_default();
    let from = Surroundings::empty()
        .with_account("alice", "/home/alice")
        .with_variable("PGSERVICE", "s")
        .with_file("/home/alice/.pg_service.conf", 0o600, service)
        .with_file("/home/alice/.pgpass", 0o600, passwords);

    let _ = Options::from_pairs(
        [
            (&b"dbname"[..], Some(conninfo)),
            (service, Some(passwords)),
            (b"user", Some(service)),
        ],
        true,
    );
    let Ok(parsed) = Options::parse(conninfo) else {
        return;
    };
    let mut options = parsed.clone();
    if options.fill_defaults(&from).is_err() {
        options = parsed.clone();
    }
    for option in OPTIONS {
        if let Some(value) = parsed.get(option.keyword) {
            assert_eq!(
                options.get(option.keyword),
                Some(value),
                "what is given stays"
            );
        }
    }
    // Values written as a string again are read as the same values.
    let mut again = Vec::new();
    for option in OPTIONS {
        if let Some(value) = options.get(option.keyword) {
            again.extend_from_slice(option.keyword.as_bytes());
            again.extend_from_slice(b"='");
            for byte in value {
                if matches!(byte, b'\'' | b'\\') {
                    again.push(b'\\');
                }
                again.push(*byte);
            }
            again.extend_from_slice(b"' ");
        }
    }
    let again = Options::parse(&again).expect("written as the manual says");
    for option in OPTIONS {
        assert_eq!(again.get(option.keyword), options.get(option.keyword));
    }

    if let Ok((plan, _)) = options.plan(&from) {
        assert!(!plan.hosts.is_empty() && !plan.user.is_empty() && !plan.database.is_empty());
        assert!(options.settle(&plan, &from).is_ok());
    }
    let _ = format!("{options:?}");
});
