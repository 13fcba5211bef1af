//! `require_auth`: which authentication methods the client puts up with. Knows the option's text, not the exchange.

use super::{Error, Mechanism};

/// A method by which a server lets a client in, as `require_auth` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Method {
    /// `none`: no exchange at all (`trust`, `cert`, `peer` on the server).
    None,
    /// `password`: the password in clear text.
    Password,
    /// `md5`.
    Md5,
    /// `gss`.
    Gss,
    /// `sspi`.
    Sspi,
    /// `scram-sha-256`, with or without channel binding.
    ScramSha256,
    /// `oauth`.
    Oauth,
}

impl Method {
    const ALL: [(&'static str, Self); 7] = [
        ("password", Self::Password),
        ("md5", Self::Md5),
        ("gss", Self::Gss),
        ("sspi", Self::Sspi),
        ("scram-sha-256", Self::ScramSha256),
        ("oauth", Self::Oauth),
        ("none", Self::None),
    ];

    fn named(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, method)| *method)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// An authentication request of the server, as far as `require_auth` and `channel_binding` tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// AuthenticationOk.
    Ok {
        /// The client has done its whole part: a password was sent, or the server's SCRAM signature was verified.
        complete: bool,
        /// The exchange was bound to the TLS connection (SCRAM-SHA-256-PLUS, verified).
        bound: bool,
        /// The connection is encrypted with GSSAPI, which has told the server who we are and who it is.
        gss_encrypted: bool,
    },
    /// AuthenticationCleartextPassword.
    Password,
    /// AuthenticationMD5Password.
    Md5,
    /// AuthenticationGSS.
    Gss,
    /// AuthenticationGSSContinue, which SSPI uses as well.
    GssContinue,
    /// AuthenticationSSPI.
    Sspi,
    /// AuthenticationSASL, AuthenticationSASLContinue and AuthenticationSASLFinal.
    Sasl,
    /// Anything else.
    Unknown,
}

impl Request {
    fn description(self) -> &'static str {
        match self {
            Self::Ok { .. } => "server did not complete authentication",
            Self::Password => "server requested a cleartext password",
            Self::Md5 => "server requested a hashed password",
            Self::Gss | Self::GssContinue => "server requested GSSAPI authentication",
            Self::Sspi => "server requested SSPI authentication",
            Self::Sasl => "server requested SASL authentication",
            Self::Unknown => "server requested an unknown authentication type",
        }
    }
}

/// The set of authentication methods that the server may ask for. The default puts up with all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequireAuth {
    /// The option as it was written; empty: nothing is required.
    text: Box<str>,
    /// [`Method::bit`] of each method that is not put up with.
    refused: u8,
}

impl RequireAuth {
    /// Reads the value of `require_auth` (manual, "Database Connection Control Functions"): method names separated by commas,
    /// either all or none of them negated by `!`. An empty value requires nothing.
    ///
    /// # Errors
    /// libpq's text for a name that is unknown or given twice, and for a mixture of negated and plain names.
    pub fn parse(value: &str) -> Result<Self, String> {
        if value.is_empty() {
            return Ok(Self::default());
        }
        let negative = value.starts_with('!');
        let mut listed = 0;
        for part in value.split(',') {
            let name = match (part.strip_prefix('!'), negative) {
                (Some(name), true) => name,
                (None, false) => part,
                (Some(_), false) => {
                    return Err(format!(
                        "negative require_auth method \"{part}\" cannot be mixed with non-negative methods"
                    ));
                }
                (None, true) => {
                    return Err(format!(
                        "require_auth method \"{part}\" cannot be mixed with negative methods"
                    ));
                }
            };
            let method = Method::named(name)
                .ok_or_else(|| format!("invalid require_auth value: \"{name}\""))?;
            if listed & method.bit() != 0 {
                return Err(format!(
                    "require_auth method \"{part}\" is specified more than once"
                ));
            }
            listed |= method.bit();
        }
        Ok(Self {
            text: value.into(),
            refused: if negative { listed } else { !listed },
        })
    }

    /// The option as it was written; empty when nothing is required.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the server may use `method`.
    pub fn allows(&self, method: Method) -> bool {
        self.refused & method.bit() == 0
    }

    /// Looks at a request before anything is answered, so that no secret goes to a server that asks for the wrong thing, and at
    /// AuthenticationOk, so that a server cannot leave the exchange out or stop it half-way.
    ///
    /// # Errors
    /// [`Error::Requirement`] with libpq's reason.
    pub fn check(&self, request: Request) -> Result<(), Error> {
        let fine = match request {
            Request::Ok {
                complete,
                gss_encrypted,
                ..
            } => {
                complete || self.allows(Method::None) || (gss_encrypted && self.allows(Method::Gss))
            }
            Request::Password => self.allows(Method::Password),
            Request::Md5 => self.allows(Method::Md5),
            Request::Gss => self.allows(Method::Gss),
            Request::GssContinue => self.allows(Method::Gss) || self.allows(Method::Sspi),
            Request::Sspi => self.allows(Method::Sspi),
            Request::Sasl => self.allows(Method::ScramSha256) || self.allows(Method::Oauth),
            Request::Unknown => self.text.is_empty(),
        };
        if fine {
            return Ok(());
        }
        Err(self.refusal(request.description()))
    }

    /// Looks at the mechanism that was chosen from an AuthenticationSASL request.
    ///
    /// # Errors
    /// [`Error::Requirement`]: `server requested SCRAM-SHA-256 authentication`.
    pub fn check_mechanism(&self, mechanism: Mechanism) -> Result<(), Error> {
        let method = match mechanism {
            Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => Method::ScramSha256,
            Mechanism::OauthBearer => Method::Oauth,
        };
        if self.allows(method) {
            return Ok(());
        }
        Err(self.refusal(&format!(
            "server requested {} authentication",
            mechanism.name()
        )))
    }

    fn refusal(&self, reason: &str) -> Error {
        Error::Requirement {
            requirement: self.text.clone(),
            reason: reason.into(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const DONE: Request = Request::Ok {
        complete: true,
        bound: false,
        gss_encrypted: false,
    };
    const CUT_SHORT: Request = Request::Ok {
        complete: false,
        bound: false,
        gss_encrypted: false,
    };
    const REQUESTS: [Request; 6] = [
        Request::Password,
        Request::Md5,
        Request::Gss,
        Request::Sspi,
        Request::Sasl,
        Request::Unknown,
    ];

    fn refusal(value: &str) -> String {
        RequireAuth::parse(value).unwrap_err()
    }

    fn check(value: &str, request: Request) -> Result<(), String> {
        let require = RequireAuth::parse(value).unwrap();
        require.check(request).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_required_allows_everything() {
        assert_eq!(RequireAuth::parse("").unwrap(), RequireAuth::default());
        for request in REQUESTS.into_iter().chain([DONE, CUT_SHORT]) {
            assert_eq!(check("", request), Ok(()));
        }
        for (_, method) in Method::ALL {
            assert!(RequireAuth::default().allows(method));
        }
    }

    #[test]
    fn one_method_excludes_the_others() {
        for (name, method) in Method::ALL {
            let only = RequireAuth::parse(name).unwrap();
            let but = RequireAuth::parse(&format!("!{name}")).unwrap();
            for (_, other) in Method::ALL {
                assert_eq!(only.allows(other), other == method);
                assert_eq!(but.allows(other), other != method);
            }
        }
    }

    #[test]
    fn lists_add_up() {
        let require = RequireAuth::parse("md5,scram-sha-256,none").unwrap();
        assert!(require.allows(Method::Md5) && require.allows(Method::ScramSha256));
        assert!(require.allows(Method::None) && !require.allows(Method::Password));
        let require = RequireAuth::parse("!password,!md5,!none").unwrap();
        assert!(!require.allows(Method::Password) && !require.allows(Method::Md5));
        assert!(!require.allows(Method::None) && require.allows(Method::ScramSha256));
        assert_eq!(require.as_str(), "!password,!md5,!none");
        RequireAuth::parse("gss,sspi").unwrap();
        RequireAuth::parse("!gss,!sspi").unwrap();
    }

    #[test]
    fn wrong_values_are_refused_in_libpqs_words() {
        for (value, named) in [
            ("scram", "scram"),
            ("MD5", "MD5"),
            ("!ldap", "ldap"),
            ("md5,", ""),
            (",md5", ""),
            ("!", ""),
            ("md5, password", " password"),
            ("!!md5", "!md5"),
        ] {
            assert_eq!(
                refusal(value),
                format!("invalid require_auth value: \"{named}\"")
            );
        }
        assert_eq!(
            refusal("md5,!password"),
            "negative require_auth method \"!password\" cannot be mixed with non-negative methods"
        );
        assert_eq!(
            refusal("!md5,password"),
            "require_auth method \"password\" cannot be mixed with negative methods"
        );
        for (name, _) in Method::ALL {
            for method in [name.to_owned(), format!("!{name}")] {
                assert_eq!(
                    refusal(&format!("{method},{method}")),
                    format!("require_auth method \"{method}\" is specified more than once")
                );
            }
        }
    }

    #[test]
    fn requests_are_refused_in_libpqs_words() {
        let failed = |reason| {
            Err(format!(
                "authentication method requirement \"none\" failed: {reason}"
            ))
        };
        for (request, reason) in REQUESTS.into_iter().zip([
            "server requested a cleartext password",
            "server requested a hashed password",
            "server requested GSSAPI authentication",
            "server requested SSPI authentication",
            "server requested SASL authentication",
            "server requested an unknown authentication type",
        ]) {
            assert_eq!(check("none", request), failed(reason));
        }
        assert_eq!(check("none", CUT_SHORT), Ok(()));
        assert_eq!(check("!scram-sha-256,!oauth", Request::Md5), Ok(()));
        assert!(check("!scram-sha-256,!oauth", Request::Sasl).is_err());
    }

    #[test]
    fn an_exchange_that_is_required_must_be_complete() {
        for value in ["scram-sha-256", "md5", "!none", "!md5,!none"] {
            assert_eq!(check(value, DONE), Ok(()));
            assert_eq!(
                check(value, CUT_SHORT),
                Err(format!(
                    "authentication method requirement \"{value}\" failed: server did not complete authentication"
                ))
            );
        }
        for value in ["none", "scram-sha-256,none", "!md5"] {
            assert_eq!(check(value, CUT_SHORT), Ok(()));
        }
    }

    #[test]
    fn a_mechanism_is_refused_by_name() {
        let require = RequireAuth::parse("!scram-sha-256").unwrap();
        assert_eq!(require.check(Request::Sasl), Ok(()));
        assert_eq!(
            require
                .check_mechanism(Mechanism::ScramSha256)
                .unwrap_err()
                .to_string(),
            "authentication method requirement \"!scram-sha-256\" failed: server requested SCRAM-SHA-256 authentication"
        );
        let require = RequireAuth::parse("scram-sha-256").unwrap();
        assert_eq!(require.check_mechanism(Mechanism::ScramSha256Plus), Ok(()));
    }
}
