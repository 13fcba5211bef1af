//! Options to a plan: what each value means, and which values are refused. Knows no file's syntax and no socket.

use std::time::Duration;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::encoding;
use super::error::Error;
use super::hosts;
use super::number::parse_integer;
use super::options::{GSSAPI, TLS};
use super::plan::{
    ChannelBinding, GssEncMode, Host, Plan, Secret, SslMode, Target, TargetSessionAttrs, TcpOptions,
};
use super::surroundings::Surroundings;
use super::values::Options;
use crate::auth::RequireAuth;

/// A SCRAM-SHA-256 key has this many bytes.
const SCRAM_KEY: usize = 32;

const PROTOCOL_3_0: u32 = 3 << 16;
const PROTOCOL_3_2: u32 = 3 << 16 | 2;

/// What `PQgetenv`-era variables set in the session, unless they say `default`.
const SESSION_VARIABLES: [(&str, &str); 3] = [
    ("PGDATESTYLE", "datestyle"),
    ("PGTZ", "timezone"),
    ("PGGEQO", "geqo"),
];

/// What a build can do.
#[derive(Clone, Copy)]
struct Build {
    tls: bool,
    gssapi: bool,
}

const THIS_BUILD: Build = Build {
    tls: TLS,
    gssapi: GSSAPI,
};

impl Options {
    /// Checks every option and makes the plan to connect, with warnings to show on standard error (a password file that others
    /// can read, a locale without an encoding).
    ///
    /// Call [`Options::fill_defaults`] first. Manual: "Parameter Key Words".
    ///
    /// # Errors
    /// libpq's text for the first option that cannot be. A host that cannot be reached as it is written is an error only if no
    /// host before or after it can: else it is a [`Target::Invalid`] among the others.
    pub fn plan(&self, from: &Surroundings) -> Result<(Plan, Vec<String>), Error> {
        plan(self, from, THIS_BUILD)
    }

    /// Writes back what the plan decided, so that the options say what libpq's `PQuser`, `PQdb`, `PQconninfo` would: the user, the
    /// database, the password file, `client_encoding=auto`.
    ///
    /// # Errors
    /// `out of memory`.
    pub fn settle(&mut self, plan: &Plan, from: &Surroundings) -> Result<(), Error> {
        self.set("user", &plan.user)?;
        self.set("dbname", &plan.database)?;
        if self.filled("password").is_none()
            && let Some(path) = hosts::password_file(self, from)
        {
            self.set("passfile", &path)?;
        }
        if self.get("client_encoding") == Some(b"auto") {
            let name = plan
                .parameters
                .iter()
                .find(|(name, _)| name == b"client_encoding");
            self.set("client_encoding", name.map_or(&b""[..], |(_, value)| value))?;
        }
        self.shrink()
    }
}

fn plan(
    options: &Options,
    from: &Surroundings,
    build: Build,
) -> Result<(Plan, Vec<String>), Error> {
    // The order is libpq's: of several mistakes the same one is reported.
    let mut warnings = Vec::new();
    let mut hosts = hosts::read(options, from)?;
    let user = match options.filled("user") {
        Some(user) => user.to_vec(),
        None => from.account()?.name,
    };
    let database = options.filled("dbname").unwrap_or(&user).to_vec();
    hosts::add_passwords(&mut hosts, options, from, (&user, &database), &mut warnings)?;
    let require_auth = require_auth(options)?;
    let channel_binding = channel_binding(options)?;
    let sslmode = sslmode(options, build)?;
    check_tls_versions(options)?;
    check_sslcertmode(options, build)?;
    let gssencmode = gssencmode(options, build)?;
    let target_session_attrs = target_session_attrs(options)?;
    let scram_client_key = scram_key(options, "scram_client_key", "client")?;
    let scram_server_key = scram_key(options, "scram_server_key", "server")?;
    let load_balance = load_balance(options)?;
    let (min_protocol, max_protocol) = protocols(options)?;
    let parameters = parameters(options, from, &mut warnings);
    check_hosts(&hosts)?;
    let connect_timeout = connect_timeout(options)?;
    let tcp = tcp(options, &hosts)?;
    let plan = Plan {
        hosts,
        user,
        database,
        parameters,
        connect_timeout,
        tcp,
        target_session_attrs,
        load_balance,
        require_auth,
        channel_binding,
        sslmode,
        gssencmode,
        requirepeer: options.filled("requirepeer").map(<[u8]>::to_vec),
        min_protocol,
        max_protocol,
        scram_client_key,
        scram_server_key,
    };
    Ok((plan, warnings))
}

fn require_auth(options: &Options) -> Result<RequireAuth, Error> {
    let Some(value) = options.filled("require_auth") else {
        return Ok(RequireAuth::default());
    };
    let text =
        std::str::from_utf8(value).map_err(|_| Error::invalid_value("require_auth", value))?;
    RequireAuth::parse(text).map_err(Error::from)
}

fn channel_binding(options: &Options) -> Result<ChannelBinding, Error> {
    choose(
        options,
        "channel_binding",
        &[
            ("disable", ChannelBinding::Disable),
            ("prefer", ChannelBinding::Prefer),
            ("require", ChannelBinding::Require),
        ],
    )
    .map(|choice| {
        choice.unwrap_or(if TLS {
            ChannelBinding::Prefer
        } else {
            ChannelBinding::Disable
        })
    })
}

/// `sslmode` together with `sslnegotiation` and `sslrootcert=system`, which ask for a strong one.
fn sslmode(options: &Options, build: Build) -> Result<SslMode, Error> {
    let system_roots = options.get("sslrootcert") == Some(b"system");
    if system_roots && !build.tls {
        return Err(not_compiled_in("sslrootcert", b"system"));
    }
    let default = if build.tls { "prefer" } else { "disable" };
    let text = options.get("sslmode").unwrap_or(default.as_bytes());
    let mode = choose(
        options,
        "sslmode",
        &[
            ("disable", SslMode::Disable),
            ("allow", SslMode::Allow),
            ("prefer", SslMode::Prefer),
            ("require", SslMode::Require),
            ("verify-ca", SslMode::VerifyCa),
            ("verify-full", SslMode::VerifyFull),
        ],
    )?
    .unwrap_or(if build.tls {
        SslMode::Prefer
    } else {
        SslMode::Disable
    });
    let weak = matches!(mode, SslMode::Disable | SslMode::Allow | SslMode::Prefer);
    if !weak && !build.tls {
        return Err(not_compiled_in("sslmode", text));
    }
    let direct = choose(
        options,
        "sslnegotiation",
        &[("postgres", false), ("direct", true)],
    )?;
    if direct == Some(true) {
        if !build.tls {
            return Err(not_compiled_in("sslnegotiation", b"direct"));
        }
        if weak {
            return Err(Error::of(&[
                b"weak sslmode \"",
                text,
                b"\" may not be used with sslnegotiation=direct (use \"require\", \"verify-ca\", or \"verify-full\")",
            ]));
        }
    }
    if system_roots && mode != SslMode::VerifyFull {
        return Err(Error::of(&[
            b"weak sslmode \"",
            text,
            b"\" may not be used with sslrootcert=system (use \"verify-full\")",
        ]));
    }
    Ok(if build.tls { mode } else { SslMode::Disable })
}

/// `ssl_min_protocol_version` and `ssl_max_protocol_version`: known, and in order.
fn check_tls_versions(options: &Options) -> Result<(), Error> {
    let minimum = tls_version(options, "ssl_min_protocol_version")?;
    let maximum = tls_version(options, "ssl_max_protocol_version")?;
    if let (Some(minimum), Some(maximum)) = (minimum, maximum)
        && minimum > maximum
    {
        return Err(Error::of(&[b"invalid SSL protocol version range"]));
    }
    Ok(())
}

/// The minor number of a TLS version; `None` leaves it open.
fn tls_version(options: &Options, keyword: &str) -> Result<Option<usize>, Error> {
    let Some(value) = options.filled(keyword) else {
        return Ok(None);
    };
    ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]
        .iter()
        .position(|version| version.as_bytes().eq_ignore_ascii_case(value))
        .map(Some)
        .ok_or_else(|| {
            Error::of(&[
                b"invalid \"",
                keyword.as_bytes(),
                b"\" value: \"",
                value,
                b"\"",
            ])
        })
}

fn check_sslcertmode(options: &Options, build: Build) -> Result<(), Error> {
    let required = choose(
        options,
        "sslcertmode",
        &[("disable", false), ("allow", false), ("require", true)],
    )?;
    if required == Some(true) && !build.tls {
        return Err(not_compiled_in("sslcertmode", b"require"));
    }
    Ok(())
}

fn gssencmode(options: &Options, build: Build) -> Result<GssEncMode, Error> {
    let mode = choose(
        options,
        "gssencmode",
        &[
            ("disable", GssEncMode::Disable),
            ("prefer", GssEncMode::Prefer),
            ("require", GssEncMode::Require),
        ],
    )?;
    match mode {
        Some(GssEncMode::Require) if !build.gssapi => Err(Error::of(&[
            b"gssencmode value \"require\" invalid when GSSAPI support is not compiled in",
        ])),
        Some(mode) if build.gssapi => Ok(mode),
        None if build.gssapi => Ok(GssEncMode::Prefer),
        _ => Ok(GssEncMode::Disable),
    }
}

fn target_session_attrs(options: &Options) -> Result<TargetSessionAttrs, Error> {
    choose(
        options,
        "target_session_attrs",
        &[
            ("any", TargetSessionAttrs::Any),
            ("read-write", TargetSessionAttrs::ReadWrite),
            ("read-only", TargetSessionAttrs::ReadOnly),
            ("primary", TargetSessionAttrs::Primary),
            ("standby", TargetSessionAttrs::Standby),
            ("prefer-standby", TargetSessionAttrs::PreferStandby),
        ],
    )
    .map(Option::unwrap_or_default)
}

/// A key in base64. Padding is required; the spare bits before it need not be zero.
fn scram_key(options: &Options, keyword: &str, name: &str) -> Result<Option<Secret>, Error> {
    const BASE64: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
    );
    let Some(value) = options.get(keyword) else {
        return Ok(None);
    };
    let mut key = Zeroizing::new(Vec::new());
    // The decoder sizes its output by whole groups of four.
    key.try_reserve_exact(value.len() / 4 * 3 + 3)
        .map_err(|_| Error::out_of_memory())?;
    BASE64
        .decode_vec(value, &mut key)
        .map_err(|_| Error::from(format!("invalid SCRAM {name} key")))?;
    if key.len() != SCRAM_KEY {
        let length = key.len();
        return Err(Error::from(format!(
            "invalid SCRAM {name} key length: {length}"
        )));
    }
    Ok(Some(Secret::new(std::mem::take(&mut *key))))
}

fn load_balance(options: &Options) -> Result<bool, Error> {
    choose(
        options,
        "load_balance_hosts",
        &[("disable", false), ("random", true)],
    )
    .map(Option::unwrap_or_default)
}

/// `min_protocol_version` and `max_protocol_version`. Many poolers cannot yet be asked for a newer one, so 3.0 is the limit unless
/// more is wanted.
fn protocols(options: &Options) -> Result<(u32, u32), Error> {
    // There never was a 3.1.
    let known = [
        ("latest", PROTOCOL_3_2),
        ("3.0", PROTOCOL_3_0),
        ("3.2", PROTOCOL_3_2),
    ];
    let minimum = choose(options, "min_protocol_version", &known)?.unwrap_or(PROTOCOL_3_0);
    // Without a maximum: 3.0, or the latest one if 3.0 is not enough, which is the minimum itself.
    let maximum = choose(options, "max_protocol_version", &known)?.unwrap_or(minimum);
    if minimum > maximum {
        return Err(Error::of(&[
            b"\"min_protocol_version\" is greater than \"max_protocol_version\"",
        ]));
    }
    Ok((minimum, maximum))
}

/// What goes into the startup packet besides user and database.
fn parameters(
    options: &Options,
    from: &Surroundings,
    warnings: &mut Vec<String>,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut parameters = Vec::new();
    let mut add = |name: &str, value: &[u8]| parameters.push((name.into(), value.into()));
    for keyword in ["replication", "options"] {
        if let Some(value) = options.filled(keyword) {
            add(keyword, value);
        }
    }
    let name = options
        .get("application_name")
        .or_else(|| options.get("fallback_application_name"));
    if let Some(name) = name.filter(|name| !name.is_empty()) {
        add("application_name", name);
    }
    match options.filled("client_encoding") {
        Some(b"auto") => {
            if let Some(encoding) = locale_encoding(from, warnings) {
                add("client_encoding", encoding.as_bytes());
            }
        }
        Some(encoding) => add("client_encoding", encoding),
        None => {}
    }
    for (variable, parameter) in SESSION_VARIABLES {
        if let Some(value) = from
            .variable(variable)
            .filter(|value| !value.eq_ignore_ascii_case(b"default"))
        {
            add(parameter, &value);
        }
    }
    parameters
}

fn locale_encoding(from: &Surroundings, warnings: &mut Vec<String>) -> Option<&'static str> {
    let (name, codeset) = from.locale();
    let encoding = encoding::of_locale(&name, &codeset);
    if encoding.is_none() {
        warnings.push(format!(
            "could not determine encoding for locale \"{}\": codeset is \"{}\"",
            String::from_utf8_lossy(&name),
            String::from_utf8_lossy(&codeset)
        ));
    }
    encoding
}

/// Refuses a list of hosts of which none can be tried.
fn check_hosts(hosts: &[Host]) -> Result<(), Error> {
    let mut text = Vec::new();
    for host in hosts {
        let Target::Invalid { error, last } = &host.target else {
            return Ok(());
        };
        if !text.is_empty() {
            text.push(b'\n');
        }
        text.extend_from_slice(error.as_bytes());
        if *last {
            break;
        }
    }
    Err(Error::of(&[&text]))
}

/// `connect_timeout`; zero and less wait for ever.
fn connect_timeout(options: &Options) -> Result<Option<Duration>, Error> {
    Ok(positive(options, "connect_timeout")?.map(|seconds| Duration::from_secs(seconds.into())))
}

/// The options of a TCP socket, which are not looked at if there is none.
fn tcp(options: &Options, hosts: &[Host]) -> Result<TcpOptions, Error> {
    if hosts
        .iter()
        .all(|host| matches!(host.target, Target::Unix(_) | Target::Invalid { .. }))
    {
        return Ok(TcpOptions {
            keepalives: true,
            ..TcpOptions::default()
        });
    }
    let keepalives = match options.get("keepalives") {
        Some(value) => parse_integer("keepalives", value)? != 0,
        None => true,
    };
    // Without keepalives, libpq does not look at how they should be.
    let detail = |keyword| {
        if keepalives {
            positive(options, keyword)
        } else {
            Ok(None)
        }
    };
    Ok(TcpOptions {
        keepalives,
        keepalives_idle: detail("keepalives_idle")?,
        keepalives_interval: detail("keepalives_interval")?,
        keepalives_count: detail("keepalives_count")?,
        user_timeout_ms: positive(options, "tcp_user_timeout")?,
    })
}

/// A number above zero; zero and less mean that nothing is asked for.
fn positive(options: &Options, keyword: &str) -> Result<Option<u32>, Error> {
    let Some(value) = options.get(keyword) else {
        return Ok(None);
    };
    let number = parse_integer(keyword, value)?;
    Ok(u32::try_from(number).ok().filter(|number| *number > 0))
}

/// What the value of `keyword` stands for; `None` if it is not set.
fn choose<T: Copy>(
    options: &Options,
    keyword: &str,
    choices: &[(&str, T)],
) -> Result<Option<T>, Error> {
    let Some(value) = options.get(keyword) else {
        return Ok(None);
    };
    choices
        .iter()
        .find(|(name, _)| name.as_bytes() == value)
        .map(|(_, choice)| Some(*choice))
        .ok_or_else(|| Error::invalid_value(keyword, value))
}

fn not_compiled_in(keyword: &str, value: &[u8]) -> Error {
    Error::of(&[
        keyword.as_bytes(),
        b" value \"",
        value,
        b"\" invalid when SSL support is not compiled in",
    ])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const WITHOUT: Build = Build {
        tls: false,
        gssapi: false,
    };
    const WITH: Build = Build {
        tls: true,
        gssapi: true,
    };

    fn planned(
        conninfo: &str,
        from: &Surroundings,
        build: Build,
    ) -> Result<(Plan, Vec<String>), String> {
        let mut options = Options::parse(conninfo.as_bytes()).unwrap();
        options.fill_defaults(from).unwrap();
        plan(&options, from, build).map_err(|error| error.to_string())
    }

    fn surroundings() -> Surroundings {
        Surroundings::empty().with_account("alice", "/home/alice")
    }

    fn good(conninfo: &str) -> Plan {
        planned(conninfo, &surroundings(), WITHOUT).unwrap().0
    }

    fn error(conninfo: &str) -> String {
        planned(conninfo, &surroundings(), WITHOUT).unwrap_err()
    }

    #[test]
    fn the_database_is_named_like_the_user_and_the_user_like_the_account() {
        let plan = good("");
        assert_eq!(
            (&plan.user[..], &plan.database[..]),
            (&b"alice"[..], &b"alice"[..])
        );
        let plan = good("user=bob dbname=''");
        assert_eq!(
            (&plan.user[..], &plan.database[..]),
            (&b"bob"[..], &b"bob"[..])
        );
        assert_eq!(good("user='' dbname=d").user, b"alice");
        assert_eq!(
            planned("", &Surroundings::empty(), WITHOUT).unwrap_err(),
            "local user with ID 0 does not exist"
        );
    }

    #[test]
    fn every_value_that_cannot_be_is_refused_with_libpqs_text() {
        for keyword in [
            "channel_binding",
            "sslmode",
            "sslnegotiation",
            "sslcertmode",
            "gssencmode",
            "target_session_attrs",
            "load_balance_hosts",
            "min_protocol_version",
            "max_protocol_version",
            "require_auth",
        ] {
            assert_eq!(
                error(&format!("{keyword}=maybe")),
                format!("invalid {keyword} value: \"maybe\"")
            );
            if keyword != "require_auth" {
                assert_eq!(
                    error(&format!("{keyword}=''")),
                    format!("invalid {keyword} value: \"\"")
                );
            }
        }
        for keyword in ["ssl_min_protocol_version", "ssl_max_protocol_version"] {
            assert_eq!(
                error(&format!("{keyword}=SSLv3")),
                format!("invalid \"{keyword}\" value: \"SSLv3\"")
            );
            good(&format!("{keyword}=''"));
        }
        for keyword in [
            "connect_timeout",
            "keepalives",
            "keepalives_idle",
            "keepalives_interval",
            "keepalives_count",
            "tcp_user_timeout",
        ] {
            assert_eq!(
                error(&format!("host=h {keyword}=1s")),
                format!("invalid integer value \"1s\" for connection option \"{keyword}\"")
            );
        }
        for (conninfo, text) in [
            (
                "ssl_min_protocol_version=tlsv1.3 ssl_max_protocol_version=TLSv1.1",
                "invalid SSL protocol version range",
            ),
            (
                "ssl_max_protocol_version=TLSv1",
                "invalid SSL protocol version range",
            ),
            (
                "min_protocol_version=3.2 max_protocol_version=3.0",
                "\"min_protocol_version\" is greater than \"max_protocol_version\"",
            ),
            (
                "min_protocol_version=3.1",
                "invalid min_protocol_version value: \"3.1\"",
            ),
            (
                "scram_client_key=AAAA",
                "invalid SCRAM client key length: 3",
            ),
            ("scram_server_key=''", "invalid SCRAM server key length: 0"),
            ("scram_server_key=A", "invalid SCRAM server key"),
            ("scram_client_key='AAA A'", "invalid SCRAM client key"),
            (
                "require_auth=md5,md5",
                "require_auth method \"md5\" is specified more than once",
            ),
            ("host=h port=70000", "invalid port number: \"70000\""),
            (
                "host=h,i port=0,70000",
                "invalid port number: \"0\"\ninvalid port number: \"70000\"",
            ),
            (
                "host=h,i port=x,0",
                "invalid integer value \"x\" for connection option \"port\"",
            ),
        ] {
            assert_eq!(error(conninfo), text, "{conninfo}");
        }
    }

    #[test]
    fn encryption_that_is_required_but_not_there_is_refused() {
        for (conninfo, text) in [
            (
                "sslmode=require",
                "sslmode value \"require\" invalid when SSL support is not compiled in",
            ),
            (
                "sslmode=verify-ca",
                "sslmode value \"verify-ca\" invalid when SSL support is not compiled in",
            ),
            (
                "sslmode=verify-full",
                "sslmode value \"verify-full\" invalid when SSL support is not compiled in",
            ),
            (
                "sslrootcert=system",
                "sslrootcert value \"system\" invalid when SSL support is not compiled in",
            ),
            (
                "sslnegotiation=direct",
                "sslnegotiation value \"direct\" invalid when SSL support is not compiled in",
            ),
            (
                "sslcertmode=require",
                "sslcertmode value \"require\" invalid when SSL support is not compiled in",
            ),
            (
                "gssencmode=require",
                "gssencmode value \"require\" invalid when GSSAPI support is not compiled in",
            ),
        ] {
            assert_eq!(error(conninfo), text, "{conninfo}");
        }
        let plan = good(
            "sslmode=prefer gssencmode=prefer sslcertmode=allow sslrootcert=/x sslnegotiation=postgres",
        );
        assert_eq!(
            (plan.sslmode, plan.gssencmode),
            (SslMode::Disable, GssEncMode::Disable)
        );
        assert_eq!(good("sslmode=allow").sslmode, SslMode::Disable);
        assert_eq!(
            good("channel_binding=require").channel_binding,
            ChannelBinding::Require
        );
    }

    #[test]
    fn with_encryption_a_weak_mode_does_not_go_with_what_asks_for_a_strong_one() {
        let planned = |conninfo| planned(conninfo, &surroundings(), WITH);
        assert_eq!(
            planned("sslmode=verify-ca").unwrap().0.sslmode,
            SslMode::VerifyCa
        );
        assert_eq!(
            planned("gssencmode=require").unwrap().0.gssencmode,
            GssEncMode::Require
        );
        assert_eq!(
            planned("sslrootcert=system").unwrap().0.sslmode,
            SslMode::VerifyFull
        );
        assert_eq!(
            planned("sslmode=prefer sslnegotiation=direct").unwrap_err(),
            "weak sslmode \"prefer\" may not be used with sslnegotiation=direct (use \"require\", \"verify-ca\", or \"verify-full\")"
        );
        assert_eq!(
            planned("sslmode=require sslrootcert=system").unwrap_err(),
            "weak sslmode \"require\" may not be used with sslrootcert=system (use \"verify-full\")"
        );
    }

    #[test]
    fn numbers_mean_what_the_manual_says() {
        assert_eq!(
            good("connect_timeout=1").connect_timeout,
            Some(Duration::from_secs(1))
        );
        assert_eq!(good("connect_timeout=0").connect_timeout, None);
        assert_eq!(good("connect_timeout=-1").connect_timeout, None);
        let tcp = good("host=h keepalives_idle=30 keepalives_interval=0 keepalives_count=-1 tcp_user_timeout=5000").tcp;
        let expected = TcpOptions {
            keepalives: true,
            keepalives_idle: Some(30),
            user_timeout_ms: Some(5000),
            ..TcpOptions::default()
        };
        assert_eq!(tcp, expected);
        let tcp = good("host=h keepalives=0 keepalives_idle=x tcp_user_timeout=7").tcp;
        let expected = TcpOptions {
            user_timeout_ms: Some(7),
            ..TcpOptions::default()
        };
        assert_eq!(tcp, expected);
        assert!(
            good("host=/tmp keepalives=x tcp_user_timeout=x")
                .tcp
                .keepalives,
            "no TCP, no look"
        );
    }

    #[test]
    fn protocol_versions() {
        for (conninfo, minimum, maximum) in [
            ("", PROTOCOL_3_0, PROTOCOL_3_0),
            ("max_protocol_version=latest", PROTOCOL_3_0, PROTOCOL_3_2),
            ("min_protocol_version=3.2", PROTOCOL_3_2, PROTOCOL_3_2),
            (
                "min_protocol_version=3.0 max_protocol_version=3.2",
                PROTOCOL_3_0,
                PROTOCOL_3_2,
            ),
        ] {
            let plan = good(conninfo);
            assert_eq!(
                (plan.min_protocol, plan.max_protocol),
                (minimum, maximum),
                "{conninfo}"
            );
        }
    }

    #[test]
    fn what_the_startup_packet_carries_and_in_which_order() {
        let from = surroundings()
            .with_variable("PGTZ", "UTC")
            .with_variable("PGDATESTYLE", "ISO")
            .with_variable("PGGEQO", "Default")
            .with_variable("LANG", "de_DE.UTF-8");
        let conninfo = "client_encoding=auto fallback_application_name=f options='-c x=1' replication=database";
        let (plan, warnings) = planned(conninfo, &from, WITHOUT).unwrap();
        let shown: Vec<_> = plan
            .parameters
            .iter()
            .map(|(name, value)| {
                format!(
                    "{}={}",
                    String::from_utf8_lossy(name),
                    String::from_utf8_lossy(value)
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                "replication=database",
                "options=-c x=1",
                "application_name=f",
                "client_encoding=UTF8",
                "datestyle=ISO",
                "timezone=UTC",
            ]
        );
        assert!(warnings.is_empty());
        assert!(good("").parameters.is_empty());
        assert!(
            good("application_name='' fallback_application_name=f")
                .parameters
                .is_empty()
        );

        let from = surroundings().with_locale("xx_XX.VISCII", "VISCII");
        let (plan, warnings) = planned("client_encoding=auto", &from, WITHOUT).unwrap();
        assert!(plan.parameters.is_empty());
        assert_eq!(
            warnings,
            ["could not determine encoding for locale \"xx_XX.VISCII\": codeset is \"VISCII\""]
        );
    }

    #[test]
    fn each_host_has_the_password_of_its_line() {
        let from = surroundings().with_file(
            "/home/alice/.pgpass",
            0o600,
            "a:5432:d:alice:first\n*:7:d:alice:second\nlocalhost:5432:d:alice:local\n10.0.0.1:5432:d:alice:\n",
        );
        let passwords = |conninfo: &str| -> Vec<Option<String>> {
            let (plan, _) = planned(conninfo, &from, WITHOUT).unwrap();
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
        assert_eq!(passwords("host=/tmp dbname=d"), [some("local")]);
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
        let (plan, _) = planned("host=a dbname=d", &from, WITHOUT).unwrap();
        assert_eq!(
            plan.hosts[0].passfile.as_deref(),
            Some(&b"/home/alice/.pgpass"[..])
        );
        assert!(!format!("{plan:?}").contains("first"));
    }

    #[test]
    fn one_host_that_cannot_be_does_not_spoil_the_others() {
        let plan = good("host=a,b,/tmp port=0,5432,x");
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
    fn scram_keys_are_decoded() {
        let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let plan = good(&format!("scram_client_key={key} scram_server_key={key}"));
        let expected: Vec<u8> = (0..32).collect();
        assert_eq!(plan.scram_client_key.unwrap().expose(), expected);
        assert_eq!(plan.scram_server_key.unwrap().expose(), expected);
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
        assert_eq!(options.get("host"), None);
    }
}
