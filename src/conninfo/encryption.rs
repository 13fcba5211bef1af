//! The options about TLS and GSSAPI: which values go together, and which a build cannot do. Knows no handshake.

use super::choice::choose;
use super::error::Error;
use super::options::{GSSAPI, TLS};
use super::plan::{ChannelBinding, GssEncMode, SslMode};
use super::tls::{CertificateMode, TlsVersion};
use super::values::Options;

/// What a build can do.
#[derive(Clone, Copy)]
pub(super) struct Build {
    pub(super) tls: bool,
    pub(super) gssapi: bool,
}

impl Build {
    /// This build.
    pub(super) const THIS: Self = Self {
        tls: TLS,
        gssapi: GSSAPI,
    };
}

/// `channel_binding`. Whether a required one can be had is seen at authentication.
pub(super) fn channel_binding(options: &Options, build: Build) -> Result<ChannelBinding, Error> {
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
        choice.unwrap_or(if build.tls {
            ChannelBinding::Prefer
        } else {
            ChannelBinding::Disable
        })
    })
}

/// `sslmode` together with `sslnegotiation` and `sslrootcert=system`, which ask for a strong one.
pub(super) fn sslmode(options: &Options, build: Build) -> Result<SslMode, Error> {
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

/// `ssl_min_protocol_version` and `ssl_max_protocol_version`.
pub(super) type TlsVersions = (Option<TlsVersion>, Option<TlsVersion>);

/// The versions of TLS that may be spoken: known, and in order.
pub(super) fn tls_versions(options: &Options, mode: SslMode) -> Result<TlsVersions, Error> {
    let minimum = tls_version(options, "ssl_min_protocol_version")?;
    let maximum = tls_version(options, "ssl_max_protocol_version")?;
    if let (Some(minimum), Some(maximum)) = (minimum, maximum)
        && minimum > maximum
    {
        return Err(Error::of(&[b"invalid SSL protocol version range"]));
    }
    if maximum.is_some_and(|maximum| maximum < TlsVersion::V1_2) && mode != SslMode::Disable {
        return Err(Error::of(&[
            b"ssl_max_protocol_version value \"",
            options.get("ssl_max_protocol_version").unwrap_or_default(),
            b"\" leaves no version of TLS that this library speaks: TLS 1.0 and 1.1 are not supported (set it to \"TLSv1.2\" or \"TLSv1.3\", or leave it unset)",
        ]));
    }
    Ok((minimum, maximum))
}

/// A TLS version; `None` leaves it open.
fn tls_version(options: &Options, keyword: &str) -> Result<Option<TlsVersion>, Error> {
    let Some(value) = options.filled(keyword) else {
        return Ok(None);
    };
    [
        ("TLSv1", TlsVersion::V1_0),
        ("TLSv1.1", TlsVersion::V1_1),
        ("TLSv1.2", TlsVersion::V1_2),
        ("TLSv1.3", TlsVersion::V1_3),
    ]
    .into_iter()
    .find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(value))
    .map(|(_, version)| Some(version))
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

/// `sslcertmode`.
pub(super) fn certificate_mode(options: &Options, build: Build) -> Result<CertificateMode, Error> {
    let mode = choose(
        options,
        "sslcertmode",
        &[
            ("disable", CertificateMode::Disable),
            ("allow", CertificateMode::Allow),
            ("require", CertificateMode::Require),
        ],
    )?;
    if mode == Some(CertificateMode::Require) && !build.tls {
        return Err(not_compiled_in("sslcertmode", b"require"));
    }
    Ok(mode.unwrap_or(CertificateMode::Allow))
}

/// `gssencmode`.
pub(super) fn gssencmode(options: &Options, build: Build) -> Result<GssEncMode, Error> {
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

    type Decided = (SslMode, GssEncMode, ChannelBinding);

    fn decided(conninfo: &str, build: Build) -> Result<Decided, String> {
        let options = Options::parse(conninfo.as_bytes()).unwrap();
        let decide = || {
            let channel_binding = channel_binding(&options, build)?;
            let sslmode = sslmode(&options, build)?;
            tls_versions(&options, sslmode)?;
            certificate_mode(&options, build)?;
            Ok((sslmode, gssencmode(&options, build)?, channel_binding))
        };
        decide().map_err(|error: Error| error.to_string())
    }

    /// Trap 26, silent downgrade: TLS that is required and not there is an error, and never plain text.
    #[test]
    fn what_is_required_without_being_there_is_refused() {
        let ssl = |option: &str, value: &str| {
            (
                format!("{option}={value}"),
                format!("{option} value \"{value}\" invalid when SSL support is not compiled in"),
            )
        };
        for (conninfo, text) in [
            ssl("sslmode", "require"),
            ssl("sslmode", "verify-ca"),
            ssl("sslmode", "verify-full"),
            ssl("sslrootcert", "system"),
            ssl("sslnegotiation", "direct"),
            ssl("sslcertmode", "require"),
        ] {
            assert_eq!(decided(&conninfo, WITHOUT).unwrap_err(), text);
        }
        assert_eq!(
            decided("gssencmode=require", WITHOUT).unwrap_err(),
            "gssencmode value \"require\" invalid when GSSAPI support is not compiled in"
        );
    }

    #[test]
    fn what_is_preferred_without_being_there_is_done_without() {
        let nothing = (
            SslMode::Disable,
            GssEncMode::Disable,
            ChannelBinding::Disable,
        );
        for conninfo in [
            "",
            "sslmode=prefer gssencmode=prefer",
            "sslmode=allow sslcertmode=allow sslrootcert=/x sslnegotiation=postgres",
        ] {
            assert_eq!(decided(conninfo, WITHOUT).unwrap(), nothing, "{conninfo}");
        }
        assert_eq!(
            decided("channel_binding=require", WITHOUT).unwrap().2,
            ChannelBinding::Require
        );
    }

    #[test]
    fn with_encryption_the_options_say_what_is_done() {
        assert_eq!(
            decided("", WITH).unwrap(),
            (SslMode::Prefer, GssEncMode::Prefer, ChannelBinding::Prefer)
        );
        let conninfo = "sslmode=verify-full sslrootcert=system sslnegotiation=direct gssencmode=require sslcertmode=require";
        assert_eq!(
            decided(conninfo, WITH).unwrap(),
            (
                SslMode::VerifyFull,
                GssEncMode::Require,
                ChannelBinding::Prefer
            )
        );
    }

    #[test]
    fn a_weak_mode_does_not_go_with_what_asks_for_a_strong_one() {
        assert_eq!(
            decided("sslmode=prefer sslnegotiation=direct", WITH).unwrap_err(),
            "weak sslmode \"prefer\" may not be used with sslnegotiation=direct (use \"require\", \"verify-ca\", or \"verify-full\")"
        );
        assert_eq!(
            decided("sslmode=require sslrootcert=system", WITH).unwrap_err(),
            "weak sslmode \"require\" may not be used with sslrootcert=system (use \"verify-full\")"
        );
    }

    #[test]
    fn tls_versions_are_known_and_in_order() {
        for (minimum, maximum, fine) in [
            ("TLSv1", "TLSv1", true),
            ("TLSv1", "TLSv1.3", true),
            ("tlsV1.2", "TLSV1.2", true),
            ("TLSv1.3", "''", true),
            ("''", "TLSv1", true),
            ("TLSv1.1", "TLSv1", false),
            ("TLSv1.3", "tlsv1.2", false),
        ] {
            let conninfo =
                format!("ssl_min_protocol_version={minimum} ssl_max_protocol_version={maximum}");
            let expected = Err("invalid SSL protocol version range".to_owned());
            let found = decided(&conninfo, WITHOUT);
            assert!(
                if fine {
                    found.is_ok()
                } else {
                    found == expected
                },
                "{conninfo}"
            );
        }
        for maximum in ["TLSv1", "tlsv1.1"] {
            let conninfo = format!("ssl_max_protocol_version={maximum}");
            assert_eq!(
                decided(&conninfo, WITH).unwrap_err(),
                format!(
                    "ssl_max_protocol_version value \"{maximum}\" leaves no version of TLS that this library speaks: TLS 1.0 and 1.1 are not supported (set it to \"TLSv1.2\" or \"TLSv1.3\", or leave it unset)"
                )
            );
            decided(&format!("{conninfo} sslmode=disable"), WITH).unwrap();
        }
        decided("ssl_min_protocol_version=TLSv1", WITH).unwrap();
        assert_eq!(
            decided("ssl_max_protocol_version=TLSv1.4", WITHOUT).unwrap_err(),
            "invalid \"ssl_max_protocol_version\" value: \"TLSv1.4\""
        );
    }
}
