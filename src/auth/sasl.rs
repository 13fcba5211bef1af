//! Which SASL mechanism to take of those that the server offers, and when a channel binding is missing. Knows names, not exchanges.

use super::{Error, Request, RequireAuth};

/// `channel_binding`: whether the exchange must prove that nobody sits between us and the other end of the TLS connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChannelBinding {
    /// `disable`: never bind.
    Disable,
    /// `prefer`: bind if there is TLS and the server can.
    #[default]
    Prefer,
    /// `require`: bind or fail.
    Require,
}

impl ChannelBinding {
    /// Looks at an authentication request before anything is answered: what cannot be bound must not see the password, and
    /// AuthenticationOk must come after a bound exchange.
    ///
    /// # Errors
    /// [`Error::ChannelBinding`] when a binding is required and `request` goes without.
    pub fn check(self, request: Request) -> Result<(), Error> {
        match (self, request) {
            (Self::Disable | Self::Prefer, _)
            | (_, Request::Sasl | Request::Ok { bound: true, .. }) => Ok(()),
            (Self::Require, Request::Ok { bound: false, .. }) => Err(Error::ChannelBinding(
                "channel binding required, but server authenticated client without channel binding",
            )),
            (Self::Require, _) => Err(Error::ChannelBinding(
                "channel binding required but not supported by server's authentication request",
            )),
        }
    }
}

/// A SASL mechanism that is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// SCRAM-SHA-256 (RFC 7677).
    ScramSha256,
    /// SCRAM-SHA-256-PLUS: the same, bound to the TLS connection.
    ScramSha256Plus,
    /// OAUTHBEARER (RFC 7628).
    OauthBearer,
}

const SCRAM_SHA_256: &str = "SCRAM-SHA-256";
const SCRAM_SHA_256_PLUS: &str = "SCRAM-SHA-256-PLUS";
const OAUTHBEARER: &str = "OAUTHBEARER";

impl Mechanism {
    /// The name as registered with IANA, to be sent in SASLInitialResponse.
    pub fn name(self) -> &'static str {
        match self {
            Self::ScramSha256 => SCRAM_SHA_256,
            Self::ScramSha256Plus => SCRAM_SHA_256_PLUS,
            Self::OauthBearer => OAUTHBEARER,
        }
    }
}

/// Takes the best mechanism of an AuthenticationSASL message. `tls`: the connection is encrypted by TLS.
///
/// # Errors
/// Nothing known is offered, `require` does not put up with it, or `binding` cannot be met.
pub fn choose<'a>(
    offered: impl Iterator<Item = &'a [u8]>,
    binding: ChannelBinding,
    tls: bool,
    require: &RequireAuth,
) -> Result<Mechanism, Error> {
    if binding == ChannelBinding::Require && !tls {
        return Err(Error::ChannelBinding(
            "channel binding required, but SSL not in use",
        ));
    }
    let mut chosen = None;
    for name in offered {
        if name == SCRAM_SHA_256_PLUS.as_bytes() {
            if !tls {
                // Somebody may have taken TLS away in between, and the server would refuse the unbound exchange anyway.
                return Err(Error::BindingWithoutTls);
            }
            if binding != ChannelBinding::Disable {
                chosen = Some(Mechanism::ScramSha256Plus);
            }
        } else if name == SCRAM_SHA_256.as_bytes() {
            chosen = chosen.or(Some(Mechanism::ScramSha256));
        } else if name == OAUTHBEARER.as_bytes() {
            chosen = chosen.or(Some(Mechanism::OauthBearer));
        }
    }
    let Some(mechanism) = chosen else {
        return Err(Error::NoMechanism);
    };
    require.check_mechanism(mechanism)?;
    if binding == ChannelBinding::Require && mechanism != Mechanism::ScramSha256Plus {
        return Err(Error::ChannelBinding(
            "channel binding is required, but server did not offer an authentication method that supports channel binding",
        ));
    }
    Ok(mechanism)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::ChannelBinding::{Disable, Prefer, Require};
    use super::*;

    fn pick(offered: &[&str], binding: ChannelBinding, tls: bool) -> Result<Mechanism, String> {
        pick_under("", offered, binding, tls)
    }

    fn pick_under(
        require: &str,
        offered: &[&str],
        binding: ChannelBinding,
        tls: bool,
    ) -> Result<Mechanism, String> {
        let require = RequireAuth::parse(require).unwrap();
        let offered = offered.iter().map(|name| name.as_bytes());
        choose(offered, binding, tls, &require).map_err(|error| error.to_string())
    }

    const BOTH: &[&str] = &[SCRAM_SHA_256_PLUS, SCRAM_SHA_256];
    const PLAIN: &[&str] = &[SCRAM_SHA_256];

    #[test]
    fn plus_wins_over_tls_unless_disabled() {
        for offered in [BOTH, &[SCRAM_SHA_256, SCRAM_SHA_256_PLUS]] {
            assert_eq!(pick(offered, Prefer, true), Ok(Mechanism::ScramSha256Plus));
            assert_eq!(pick(offered, Require, true), Ok(Mechanism::ScramSha256Plus));
            assert_eq!(pick(offered, Disable, true), Ok(Mechanism::ScramSha256));
        }
        assert_eq!(pick(PLAIN, Prefer, true), Ok(Mechanism::ScramSha256));
        assert_eq!(pick(PLAIN, Prefer, false), Ok(Mechanism::ScramSha256));
        assert_eq!(
            pick(&["X", SCRAM_SHA_256, OAUTHBEARER], Prefer, false),
            Ok(Mechanism::ScramSha256)
        );
        let offered = [OAUTHBEARER, SCRAM_SHA_256];
        assert_eq!(pick(&offered, Prefer, true), Ok(Mechanism::OauthBearer));
        assert!(pick(&offered, Require, true).is_err());
    }

    #[test]
    fn a_binding_offered_without_tls_is_an_attack() {
        for binding in [Disable, Prefer] {
            assert_eq!(
                pick(BOTH, binding, false).unwrap_err(),
                "server offered SCRAM-SHA-256-PLUS authentication over a non-SSL connection"
            );
        }
    }

    #[test]
    fn a_required_binding_is_not_dropped() {
        assert_eq!(
            pick(BOTH, Require, false).unwrap_err(),
            "channel binding required, but SSL not in use"
        );
        assert_eq!(
            pick(PLAIN, Require, true).unwrap_err(),
            "channel binding is required, but server did not offer an authentication method that supports channel binding"
        );
        let ok = |bound| Request::Ok {
            complete: true,
            bound,
            gss_encrypted: false,
        };
        assert_eq!(
            Require.check(ok(false)).unwrap_err().to_string(),
            "channel binding required, but server authenticated client without channel binding"
        );
        for request in [Request::Password, Request::Md5, Request::Gss] {
            assert_eq!(
                Require.check(request).unwrap_err().to_string(),
                "channel binding required but not supported by server's authentication request"
            );
            assert_eq!(Prefer.check(request), Ok(()));
        }
        assert_eq!(Require.check(Request::Sasl), Ok(()));
        assert_eq!(Require.check(ok(true)), Ok(()));
        assert_eq!(Disable.check(ok(false)), Ok(()));
    }

    #[test]
    fn nothing_known_is_an_error_that_says_what_was_offered() {
        for offered in [&[] as &[&str], &["SCRAM-SHA-1", "", "scram-sha-256"]] {
            assert_eq!(
                pick(offered, Prefer, false).unwrap_err(),
                "none of the server's SASL authentication mechanisms are supported"
            );
        }
    }

    #[test]
    fn require_auth_is_asked() {
        assert_eq!(
            pick_under("!scram-sha-256", BOTH, Prefer, true).unwrap_err(),
            "authentication method requirement \"!scram-sha-256\" failed: server requested SCRAM-SHA-256-PLUS authentication"
        );
        assert_eq!(
            pick_under("scram-sha-256", &[OAUTHBEARER], Prefer, true).unwrap_err(),
            "authentication method requirement \"scram-sha-256\" failed: server requested OAUTHBEARER authentication"
        );
        assert_eq!(
            pick_under("scram-sha-256", PLAIN, Prefer, true),
            Ok(Mechanism::ScramSha256)
        );
    }
}
