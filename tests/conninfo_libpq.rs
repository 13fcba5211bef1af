//! The same connection strings to libpq and to this library: same options or same error, byte for byte. Needs a libpq and no server;
//! where there is none it says so. `PGPOLL_TEST_LIBPQ` names another one than the newest installed.
#![allow(clippy::unwrap_used)]

use std::env;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr;

use pgpoll::conninfo::{OPTIONS, Options, Surroundings, Target};
use testkit::Server;

/// `PQconninfoOption` of `libpq-fe.h`.
#[repr(C)]
struct RawOption {
    keyword: *const c_char,
    envvar: *const c_char,
    compiled: *const c_char,
    val: *const c_char,
    label: *const c_char,
    dispchar: *const c_char,
    dispsize: c_int,
}

type Conninfo = *mut RawOption;
type Connection = *mut c_void;

/// The functions of a libpq that are compared with.
struct Libpq {
    version: extern "C" fn() -> c_int,
    defaults: extern "C" fn() -> Conninfo,
    parse: extern "C" fn(*const c_char, *mut *mut c_char) -> Conninfo,
    free: extern "C" fn(Conninfo),
    free_text: extern "C" fn(*mut c_void),
    start: extern "C" fn(*const c_char) -> Connection,
    error: extern "C" fn(Connection) -> *const c_char,
    password: extern "C" fn(Connection) -> *const c_char,
    finish: extern "C" fn(Connection),
}

#[derive(Debug, PartialEq, Eq)]
struct Shown {
    keyword: Vec<u8>,
    envvar: Option<Vec<u8>>,
    compiled: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    label: Vec<u8>,
    dispchar: Vec<u8>,
    dispsize: c_int,
}

impl Libpq {
    fn load() -> Option<Self> {
        let chosen = env::var("PGPOLL_TEST_LIBPQ").ok();
        let installed = Server::installed()
            .into_iter()
            .map(|server| server.bin.join("../lib/libpq.so.5"))
            .filter(|path| path.exists())
            .map(|path| path.to_string_lossy().into_owned());
        let candidates = chosen.into_iter().chain(installed);
        for name in candidates.chain(["libpq.so.5".to_owned()]) {
            let name = CString::new(name).unwrap();
            // SAFETY: a C string; libpq's constructors have no precondition.
            let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW) };
            if !handle.is_null() {
                eprintln!("comparing with {}", name.to_string_lossy());
                return Some(Self::of(handle));
            }
        }
        eprintln!("SKIPPED: no libpq.so.5 to compare with: apt-get install libpq5");
        None
    }

    fn of(handle: *mut c_void) -> Self {
        let symbol = |name: &CStr| {
            // SAFETY: the handle is open and stays so.
            let symbol = unsafe { libc::dlsym(handle, name.as_ptr()) };
            assert!(!symbol.is_null(), "{name:?}");
            symbol
        };
        // SAFETY: these are the signatures of libpq-fe.h.
        unsafe {
            Self {
                version: std::mem::transmute::<*mut c_void, extern "C" fn() -> c_int>(symbol(
                    c"PQlibVersion",
                )),
                defaults: std::mem::transmute::<*mut c_void, extern "C" fn() -> Conninfo>(symbol(
                    c"PQconndefaults",
                )),
                parse: std::mem::transmute::<
                    *mut c_void,
                    extern "C" fn(*const c_char, *mut *mut c_char) -> Conninfo,
                >(symbol(c"PQconninfoParse")),
                free: std::mem::transmute::<*mut c_void, extern "C" fn(Conninfo)>(symbol(
                    c"PQconninfoFree",
                )),
                free_text: std::mem::transmute::<*mut c_void, extern "C" fn(*mut c_void)>(symbol(
                    c"PQfreemem",
                )),
                start: std::mem::transmute::<*mut c_void, extern "C" fn(*const c_char) -> Connection>(
                    symbol(c"PQconnectStart"),
                ),
                error: std::mem::transmute::<*mut c_void, extern "C" fn(Connection) -> *const c_char>(
                    symbol(c"PQerrorMessage"),
                ),
                password: std::mem::transmute::<
                    *mut c_void,
                    extern "C" fn(Connection) -> *const c_char,
                >(symbol(c"PQpass")),
                finish: std::mem::transmute::<*mut c_void, extern "C" fn(Connection)>(symbol(
                    c"PQfinish",
                )),
            }
        }
    }

    fn take(&self, options: Conninfo) -> Vec<Shown> {
        let mut shown = Vec::new();
        let mut next = options;
        loop {
            // SAFETY: the array ends with an element whose keyword is null, and is freed below only.
            let option = unsafe { &*next };
            let Some(keyword) = text(option.keyword) else {
                break;
            };
            shown.push(Shown {
                keyword,
                envvar: text(option.envvar),
                compiled: text(option.compiled),
                value: text(option.val),
                label: text(option.label).unwrap(),
                dispchar: text(option.dispchar).unwrap(),
                dispsize: option.dispsize,
            });
            // SAFETY: not at the end yet.
            next = unsafe { next.add(1) };
        }
        (self.free)(options);
        shown
    }

    fn parse(&self, conninfo: &[u8]) -> Result<Vec<Shown>, Vec<u8>> {
        let conninfo = CString::new(conninfo).unwrap();
        let mut error = ptr::null_mut();
        let options = (self.parse)(conninfo.as_ptr(), &raw mut error);
        if !options.is_null() {
            return Ok(self.take(options));
        }
        let message = text(error).unwrap();
        (self.free_text)(error.cast());
        Err(message.strip_suffix(b"\n").unwrap().to_vec())
    }

    /// What is said at once when connecting is started, empty if nothing is wrong yet, and the password for the first host.
    fn start(&self, conninfo: &[u8]) -> (String, Vec<u8>) {
        let conninfo = CString::new(conninfo).unwrap();
        let connection = (self.start)(conninfo.as_ptr());
        let error = text((self.error)(connection)).unwrap();
        let password = text((self.password)(connection)).unwrap_or_default();
        (self.finish)(connection);
        (String::from_utf8(error).unwrap(), password)
    }
}

fn text(pointer: *const c_char) -> Option<Vec<u8>> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: libpq's strings end with NUL and live until their owner is freed.
    Some(unsafe { CStr::from_ptr(pointer) }.to_bytes().to_vec())
}

/// A folder of its own for a test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("pgpoll-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Writes a file that nobody else can read. It is a new one each time: file systems write a truncated one out at once, which takes
/// them ten times as long.
fn write(path: &Path, content: &str) {
    let _ = fs::remove_file(path);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(path).unwrap();
    file.write_all(content.as_bytes()).unwrap();
}

/// Marsaglia's xorshift: the same strings in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

#[test]
fn the_table_is_libpqs() {
    let Some(libpq) = Libpq::load() else { return };
    let theirs = libpq.take((libpq.defaults)());
    if (libpq.version)() / 10000 != 18 {
        eprintln!("SKIPPED: this libpq has another table than version 18");
        return;
    }
    assert_eq!(theirs.len(), OPTIONS.len());
    let defaults = Options::defaults(&Surroundings::real()).unwrap();
    for (theirs, ours) in theirs.iter().zip(OPTIONS) {
        let keyword = ours.keyword;
        assert_eq!(theirs.keyword, keyword.as_bytes());
        assert_eq!(
            theirs.envvar.as_deref(),
            ours.envvar.map(str::as_bytes),
            "{keyword}"
        );
        assert_eq!(theirs.label, ours.label.as_bytes(), "{keyword}");
        assert_eq!(theirs.dispchar, ours.dispchar.as_bytes(), "{keyword}");
        assert_eq!(theirs.dispsize, c_int::from(ours.dispsize), "{keyword}");
        // What a build can encrypt with decides over these.
        if !["sslmode", "gssencmode", "channel_binding"].contains(&keyword) {
            assert_eq!(
                theirs.compiled.as_deref(),
                ours.compiled.map(str::as_bytes),
                "{keyword}"
            );
            assert_eq!(theirs.value.as_deref(), defaults.get(keyword), "{keyword}");
        }
    }
}

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
    ("sslmode", &["disable", "allow", "prefer", "", "x"]),
    ("sslnegotiation", &["postgres", "", "x"]),
    (
        "ssl_min_protocol_version",
        &["TLSv1", "tlsv1.1", "TLSv1.3", "", "x"],
    ),
    (
        "ssl_max_protocol_version",
        &["TLSv1", "TLSV1.2", "TLSv1.3", "", "SSLv3"],
    ),
    ("sslcertmode", &["disable", "allow", "", "x"]),
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
        if theirs.starts_with("weak sslmode") || ours.contains("compiled in") {
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

#[test]
fn the_password_file_is_read_alike() {
    let Some(libpq) = Libpq::load() else { return };
    let folder = Folder::new("password");
    let file = folder.0.join("pgpass");
    let pieces = [
        "/nonexistent",
        "\\/nonexistent",
        "localhost",
        "127.0.0.1",
        "*",
        "*",
        "*",
        "*",
        ":",
        ":",
        ":",
        ":",
        ":",
        "1",
        "1",
        "d",
        "d",
        "u",
        "u",
        "\\",
        "\n",
        "\n",
        "\r",
        "#",
        " ",
        "secret",
        "x\\:y",
        "\n*:*:*:*:",
        "\n*:1:d:u:",
        "\n/nonexistent:1:d:u:",
        "\n127.0.0.1:*:d:u:",
    ];
    let real = Surroundings::real();
    let mut random = Random(0x0123_4567_89ab_cdef);
    let mut found = 0;
    for _ in 0..2_000 {
        let content: String = (0..random.below(30))
            .map(|_| random.pick(&pieces))
            .collect();
        write(&file, &content);
        let host = random.pick(&[
            "host=/nonexistent",
            "hostaddr=127.0.0.1",
            "host=a hostaddr=127.0.0.1",
        ]);
        let conninfo = format!(
            "{host} port=1 dbname=d user=u passfile='{}'",
            file.display()
        );
        let (_, theirs) = libpq.start(conninfo.as_bytes());
        let mut options = Options::parse(conninfo.as_bytes()).unwrap();
        options.fill_defaults(&real).unwrap();
        let (plan, warnings) = options.plan(&real).unwrap();
        let ours = plan.hosts[0].password.as_ref();
        assert_eq!(
            ours.map_or(&b""[..], |secret| secret.expose()),
            theirs,
            "{host}: {content:?}"
        );
        assert!(warnings.is_empty());
        found += usize::from(ours.is_some());
    }
    eprintln!("{found} passwords found alike");
    assert!(found > 200);
}

/// Set where the environment is made for the comparison.
const FOLDER: &str = "PGPOLL_TEST_FOLDER";

#[test]
fn service_file_and_environment_are_read_alike() {
    let folder = Folder::new("service");
    let me = env::current_exe().unwrap();
    for variables in [
        &[
            ("PGSERVICE", "s"),
            ("PGUSER", "environment"),
            ("PGPORT", ""),
        ][..],
        &[
            ("PGSERVICE", ""),
            ("PGSSLROOTCERT", "system"),
            ("PGREQUIRESSL", "1"),
        ],
        &[
            ("PGSSLROOTCERT", "system"),
            ("PGCLIENTENCODING", "auto"),
            ("PGHOST", "/nonexistent"),
        ],
        &[
            ("PGSERVICE", "s"),
            ("PGSERVICEFILE", "/nonexistent/file"),
            ("PGSSLMODE", "allow"),
        ],
    ] {
        let run = Command::new(&me)
            .args(["--exact", "in_this_environment", "--nocapture"])
            .env(FOLDER, &folder.0)
            .env("HOME", &folder.0)
            .env("PGSYSCONFDIR", &folder.0)
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{variables:?}: {said}");
    }
}

/// Run by `service_file_and_environment_are_read_alike`, each time in another environment.
#[test]
fn in_this_environment() {
    let Some(folder) = env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let Some(libpq) = Libpq::load() else { return };
    let version = (libpq.version)() / 10000;
    let pieces = [
        "[s]",
        "[s]\n",
        "[s]\n",
        "[t]\n",
        "[]\n",
        "[s",
        "\n",
        "\n",
        "\n",
        "host=",
        "port=1\n",
        "user=u\n",
        " dbname=d \n",
        "service=s\n",
        "nonsense=1\n",
        "#",
        " ",
        "\t",
        "\r\n",
        "=",
        "/nonexistent",
        "application_name=a b\n",
        "options",
        "password=x=y\n",
    ];
    let real = Surroundings::real();
    let mut random = Random(0xfeed_beef_dead_cafe);
    let mut errors = 0;
    for round in 0..500 {
        let mut content: String = (0..random.below(16))
            .map(|_| random.pick(&pieces))
            .collect();
        if round % 50 == 0 {
            content += &format!("\n[s]\nuser={}\n", "u".repeat(1010 + round / 50));
        }
        write(
            &folder.join(random.pick(&[".pg_service.conf", "pg_service.conf"])),
            &content,
        );

        let ours = Options::defaults(&real).unwrap();
        for theirs in libpq.take((libpq.defaults)()) {
            let keyword = std::str::from_utf8(&theirs.keyword).unwrap();
            let value = ours.get(keyword);
            let compiled = OPTIONS
                .iter()
                .find(|option| option.keyword == keyword)
                .unwrap()
                .compiled;
            // What a build can encrypt with decides over some, and old versions have other defaults.
            if value.is_some() && value == compiled.map(str::as_bytes) {
                continue;
            }
            if version >= 18 || theirs.value.is_some() {
                assert_eq!(theirs.value.as_deref(), value, "{keyword}: {content}");
            }
        }

        let mut options = Options::parse(b"dbname=given").unwrap();
        if let Err(error) = options.fill_defaults(&real) {
            errors += 1;
            let (theirs, _) = libpq.start(b"dbname=given");
            assert_eq!(theirs, format!("{error}\n"), "{content}");
        }
    }
    eprintln!("{errors} errors alike");
}
