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
