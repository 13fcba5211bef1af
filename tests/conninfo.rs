//! Connection strings as a caller writes them, to options and plans: the cases of PostgreSQL's own URI test, and the precedence of
//! service file, environment, password file and defaults. Needs no server and no environment.
#![allow(clippy::unwrap_used)]

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use pgpoll::conninfo::{Error, OPTIONS, Options, Plan, Secret, Surroundings, Target};

fn surroundings() -> Surroundings {
    Surroundings::empty().with_account("alice", "/home/alice")
}

/// What `libpq_uri_regress` prints: the options that differ from the defaults, in the table's order, and whether the connection
/// would be a local one.
fn regress(uri: &str, from: &Surroundings) -> Result<String, String> {
    let options = Options::parse(uri.as_bytes()).map_err(|error| error.to_string())?;
    let defaults = Options::defaults(from).unwrap();
    let mut shown = String::new();
    let mut local = true;
    for option in OPTIONS {
        let Some(value) = options.get(option.keyword) else {
            continue;
        };
        if defaults.get(option.keyword) != Some(value) {
            let value = String::from_utf8_lossy(value);
            shown += &format!("{}='{value}' ", option.keyword);
        }
        let is_inet = match option.keyword {
            "hostaddr" => !value.is_empty(),
            "host" => !value.is_empty() && !value.starts_with(b"/"),
            _ => false,
        };
        local &= !is_inet;
    }
    Ok(shown + if local { "(local)" } else { "(inet)" })
}

/// PostgreSQL's `src/interfaces/libpq/t/001_uri.pl`: what is parsed, or the error.
#[rustfmt::skip]
const URIS: &[(&str, Result<&str, &str>)] = &[
    ("postgresql://uri-user:secret@host:12345/db", Ok("user='uri-user' password='secret' dbname='db' host='host' port='12345' (inet)")),
    ("postgresql://uri-user@host:12345/db", Ok("user='uri-user' dbname='db' host='host' port='12345' (inet)")),
    ("postgresql://uri-user@host/db", Ok("user='uri-user' dbname='db' host='host' (inet)")),
    ("postgresql://host:12345/db", Ok("dbname='db' host='host' port='12345' (inet)")),
    ("postgresql://host/db", Ok("dbname='db' host='host' (inet)")),
    ("postgresql://uri-user@host:12345/", Ok("user='uri-user' host='host' port='12345' (inet)")),
    ("postgresql://uri-user@host/", Ok("user='uri-user' host='host' (inet)")),
    ("postgresql://uri-user@", Ok("user='uri-user' (local)")),
    ("postgresql://host:12345/", Ok("host='host' port='12345' (inet)")),
    ("postgresql://host:12345", Ok("host='host' port='12345' (inet)")),
    ("postgresql://host/db", Ok("dbname='db' host='host' (inet)")),
    ("postgresql://host/", Ok("host='host' (inet)")),
    ("postgresql://host", Ok("host='host' (inet)")),
    ("postgresql://", Ok("(local)")),
    ("postgresql://?hostaddr=127.0.0.1", Ok("hostaddr='127.0.0.1' (inet)")),
    ("postgresql://example.com?hostaddr=63.1.2.4", Ok("host='example.com' hostaddr='63.1.2.4' (inet)")),
    ("postgresql://%68ost/", Ok("host='host' (inet)")),
    ("postgresql://host/db?user=uri-user", Ok("user='uri-user' dbname='db' host='host' (inet)")),
    ("postgresql://host/db?user=uri-user&port=12345", Ok("user='uri-user' dbname='db' host='host' port='12345' (inet)")),
    ("postgresql://host/db?u%73er=someotheruser&port=12345", Ok("user='someotheruser' dbname='db' host='host' port='12345' (inet)")),
    ("postgresql://host/db?u%7aer=someotheruser&port=12345", Err(r#"invalid URI query parameter: "uzer""#)),
    ("postgresql://host:12345?user=uri-user", Ok("user='uri-user' host='host' port='12345' (inet)")),
    ("postgresql://host?user=uri-user", Ok("user='uri-user' host='host' (inet)")),
    ("postgresql://host?  user = uri-user & port  = 12345 ", Ok("user='uri-user' host='host' port='12345' (inet)")),
    ("postgresql://host?  user user  =  uri  & port = 12345 12 ", Err(r#"unexpected spaces found in "  user user  ", use percent-encoded spaces (%20) instead"#)),
    ("postgresql://host?  user  =  uri-user  & port = 12345 12 ", Err(r#"unexpected spaces found in " 12345 12 ", use percent-encoded spaces (%20) instead"#)),
    ("postgresql://host?", Ok("host='host' (inet)")),
    ("postgresql://[::1]:12345/db", Ok("dbname='db' host='::1' port='12345' (inet)")),
    ("postgresql://[::1]/db", Ok("dbname='db' host='::1' (inet)")),
    ("postgresql://[2001:db8::1234]/", Ok("host='2001:db8::1234' (inet)")),
    ("postgresql://[200z:db8::1234]/", Ok("host='200z:db8::1234' (inet)")),
    ("postgresql://[::1]", Ok("host='::1' (inet)")),
    ("postgres://", Ok("(local)")),
    ("postgres:///", Ok("(local)")),
    ("postgres:///db", Ok("dbname='db' (local)")),
    ("postgres://uri-user@/db", Ok("user='uri-user' dbname='db' (local)")),
    ("postgres://?host=/path/to/socket/dir", Ok("host='/path/to/socket/dir' (local)")),
    ("postgresql://host?uzer=", Err(r#"invalid URI query parameter: "uzer""#)),
    ("postgre://", Err(r#"missing "=" after "postgre://" in connection info string"#)),
    ("postgres://[::1", Err(r#"end of string reached when looking for matching "]" in IPv6 host address in URI: "postgres://[::1""#)),
    ("postgres://[]", Err(r#"IPv6 host address may not be empty in URI: "postgres://[]""#)),
    ("postgres://[::1]z", Err(r#"unexpected character "z" at position 17 in URI (expected ":" or "/"): "postgres://[::1]z""#)),
    ("postgresql://host?zzz", Err(r#"missing key/value separator "=" in URI query parameter: "zzz""#)),
    ("postgresql://host?value1&value2", Err(r#"missing key/value separator "=" in URI query parameter: "value1""#)),
    ("postgresql://host?key=key=value", Err(r#"extra key/value separator "=" in URI query parameter: "key""#)),
    ("postgres://host?dbname=%XXfoo", Err(r#"invalid percent-encoded token: "%XXfoo""#)),
    ("postgresql://a%00b", Err(r#"forbidden value %00 in percent-encoded value: "a%00b""#)),
    ("postgresql://%zz", Err(r#"invalid percent-encoded token: "%zz""#)),
    ("postgresql://%1", Err(r#"invalid percent-encoded token: "%1""#)),
    ("postgresql://%", Err(r#"invalid percent-encoded token: "%""#)),
    ("postgres://@host", Ok("host='host' (inet)")),
    ("postgres://host:/", Ok("host='host' (inet)")),
    ("postgres://:12345/", Ok("port='12345' (local)")),
    ("postgres://otheruser@?host=/no/such/directory", Ok("user='otheruser' host='/no/such/directory' (local)")),
    ("postgres://otheruser@/?host=/no/such/directory", Ok("user='otheruser' host='/no/such/directory' (local)")),
    ("postgres://otheruser@:12345?host=/no/such/socket/path", Ok("user='otheruser' host='/no/such/socket/path' port='12345' (local)")),
    ("postgres://otheruser@:12345/db?host=/path/to/socket", Ok("user='otheruser' dbname='db' host='/path/to/socket' port='12345' (local)")),
    ("postgres://:12345/db?host=/path/to/socket", Ok("dbname='db' host='/path/to/socket' port='12345' (local)")),
    ("postgres://:12345?host=/path/to/socket", Ok("host='/path/to/socket' port='12345' (local)")),
    ("postgres://%2Fvar%2Flib%2Fpostgresql/dbname", Ok("dbname='dbname' host='/var/lib/postgresql' (local)")),
];

#[test]
fn the_uri_cases_of_postgresql() {
    for (uri, expected) in URIS {
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(regress(uri, &surroundings()), expected, "{uri}");
    }
}

#[test]
fn with_the_systems_roots_the_default_sslmode_is_the_strongest() {
    let from = surroundings().with_variable("PGSSLROOTCERT", "system");
    for (uri, expected) in [
        (
            "postgresql://host?sslmode=disable",
            "host='host' sslmode='disable' (inet)",
        ),
        (
            "postgresql://host?sslmode=prefer",
            "host='host' sslmode='prefer' (inet)",
        ),
        (
            "postgresql://host?sslmode=verify-full",
            "host='host' (inet)",
        ),
    ] {
        assert_eq!(regress(uri, &from).unwrap(), expected);
    }
}

/// The cases of PostgreSQL's `t/006_service.pl`: where the definition of a service is looked for.
#[test]
fn the_service_cases_of_postgresql() {
    const SERVICE: &str = "[my_srv]\nport=12345\nhost=/tmp/servers\ndbname=postgres\n";
    let empty = surroundings()
        .with_variable("PGSYSCONFDIR", "/td")
        .with_variable("PGSERVICEFILE", "/td/empty.conf")
        .with_file("/td/empty.conf", 0o644, "");
    let valid = empty
        .clone()
        .with_variable("PGSERVICEFILE", "/td/valid.conf")
        .with_file("/td/valid.conf", 0o644, SERVICE);
    let missing = empty
        .clone()
        .with_variable("PGSERVICEFILE", "/td/missing.conf");
    let default = empty
        .clone()
        .with_file("/td/pg_service.conf", 0o644, SERVICE);
    let undefined = "definition of service \"undefined-service\" not found";
    let named = |from: &Surroundings, name: &str| from.clone().with_variable("PGSERVICE", name);
    for (conninfo, from, expected) in [
        ("service=my_srv", &valid, Ok("postgres")),
        ("postgres://?service=my_srv", &valid, Ok("postgres")),
        ("service=undefined-service", &valid, Err(undefined)),
        ("", &named(&valid, "my_srv"), Ok("postgres")),
        ("", &named(&valid, "undefined-service"), Err(undefined)),
        (
            "service=my_srv",
            &missing,
            Err("service file \"/td/missing.conf\" not found"),
        ),
        ("service=my_srv", &default, Ok("postgres")),
        ("postgres://?service=my_srv", &default, Ok("postgres")),
        ("service=undefined-service", &default, Err(undefined)),
        ("", &named(&default, "my_srv"), Ok("postgres")),
        ("", &named(&default, "undefined-service"), Err(undefined)),
    ] {
        let mut options = Options::parse(conninfo.as_bytes()).unwrap();
        let filled = options
            .fill_defaults(from)
            .map_err(|error| error.to_string());
        let dbname = filled.map(|()| options.get("dbname").unwrap());
        assert_eq!(
            dbname.as_ref().map_err(String::as_str),
            expected.map(str::as_bytes).as_ref().map_err(|error| *error),
            "{conninfo}"
        );
    }
}

#[test]
fn a_real_password_file_must_be_plain_and_private() {
    let folder = env::temp_dir().join(format!("pgpoll-passfile-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("pgpass");
    fs::write(&file, "*:*:*:*:secret\n").unwrap();
    let pipe = folder.join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );

    let real = Surroundings::real();
    let planned = |path: &std::path::Path| {
        let conninfo = format!("host=h,i user=u passfile='{}'", path.display());
        let mut options = Options::parse(conninfo.as_bytes()).unwrap();
        options.set("password", b"").unwrap();
        let (plan, warnings) = options.plan(&real).unwrap();
        let found = plan.hosts.iter().filter(|host| host.password.is_some());
        (found.count(), warnings.join("|"))
    };
    let private = fs::Permissions::from_mode(0o600);
    fs::set_permissions(&file, private.clone()).unwrap();
    assert_eq!(planned(&file), (2, String::new()));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o604)).unwrap();
    let text = "has group or world access; permissions should be u=rw (0600) or less";
    let warning = |path: &std::path::Path, text| {
        format!("WARNING: password file \"{}\" {text}", path.display())
    };
    assert_eq!(planned(&file), (0, warning(&file, text)));
    // Nobody writes into the pipe: waiting for it would hang.
    fs::set_permissions(&pipe, private).unwrap();
    assert_eq!(planned(&pipe), (0, warning(&pipe, "is not a plain file")));
    assert_eq!(
        planned(&folder),
        (0, warning(&folder, "is not a plain file"))
    );
    assert_eq!(planned(&folder.join("none")), (0, String::new()));
    fs::remove_dir_all(&folder).unwrap();
}

fn planned(conninfo: &str, from: &Surroundings) -> Result<(Plan, Vec<String>), Error> {
    let mut options = Options::parse(conninfo.as_bytes())?;
    options.fill_defaults(from)?;
    options.plan(from)
}

#[test]
fn each_host_has_the_password_of_its_line() {
    let from = surroundings().with_file(
        "/home/alice/.pgpass",
        0o600,
        "a:5432:d:alice:first\n*:7:d:alice:second\nlocalhost:5432:d:alice:local\n10.0.0.1:5432:d:alice:\n",
    );
    let passwords = |conninfo: &str| -> Vec<Option<String>> {
        let (plan, _) = planned(conninfo, &from).unwrap();
        let shown = |secret: &Secret| String::from_utf8(secret.expose().to_vec()).unwrap();
        plan.hosts
            .iter()
            .map(|host| host.password.as_ref().map(shown))
            .collect()
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        passwords("host=a,b,c port=5432,7,8 dbname=d"),
        [some("first"), some("second"), None]
    );
    assert_eq!(passwords("dbname=d"), [some("local")], "the default socket");
    let (plan, _) = planned("", &from).unwrap();
    let directory = String::from_utf8_lossy(&plan.hosts[0].name);
    assert_eq!(
        passwords(&format!("host={directory} dbname=d")),
        [some("local")]
    );
    assert_eq!(passwords("host=/elsewhere dbname=d"), [None]);
    assert_eq!(
        passwords("host=a hostaddr=10.0.0.1 dbname=d"),
        [some("first")]
    );
    assert_eq!(
        passwords("hostaddr=10.0.0.1 dbname=d"),
        [None],
        "an empty one is none"
    );
    assert_eq!(passwords("host=a dbname=d password=given"), [some("given")]);
    assert_eq!(passwords("host=a dbname=d password=''"), [some("first")]);
    assert_eq!(passwords("host=a dbname=d passfile=/none"), [None]);
    let (plan, _) = planned("host=a dbname=d", &from).unwrap();
    assert_eq!(
        plan.hosts[0].passfile.as_deref(),
        Some(&b"/home/alice/.pgpass"[..])
    );
    assert!(!format!("{plan:?}").contains("first"));
}

#[test]
fn one_host_that_cannot_be_does_not_spoil_the_others() {
    let plan = planned("host=a,b,/tmp port=0,5432,x", &surroundings())
        .unwrap()
        .0;
    assert!(matches!(
        plan.hosts[0].target,
        Target::Invalid { last: false, .. }
    ));
    assert_eq!(plan.hosts[1].target, Target::Name(b"b".into()));
    assert!(matches!(
        plan.hosts[2].target,
        Target::Invalid { last: true, .. }
    ));
}

#[test]
fn what_was_decided_is_written_back() {
    let from = surroundings().with_variable("LANG", "C.UTF-8");
    let mut options = Options::parse(b"client_encoding=auto").unwrap();
    options.fill_defaults(&from).unwrap();
    let (plan, _) = options.plan(&from).unwrap();
    options.settle(&plan, &from).unwrap();
    assert_eq!(options.get("user"), Some(&b"alice"[..]));
    assert_eq!(options.get("dbname"), Some(&b"alice"[..]));
    assert_eq!(options.get("passfile"), Some(&b"/home/alice/.pgpass"[..]));
    assert_eq!(options.get("client_encoding"), Some(&b"UTF8"[..]));
    assert_eq!(options.get("sslcertmode"), Some(&b"allow"[..]));
    assert_eq!(options.get("host"), None);
}
