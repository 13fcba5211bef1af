//! Options to a plan: what each value means, and which values are refused. Knows no file's syntax and no socket.

use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::choice::choose;
use super::encryption::{self, Build};
use super::error::{Decided, Error, copy};
use super::plan::{Host, OauthOptions, Plan, Secret, SslMode, Target, TargetSessionAttrs};
use super::surroundings::Surroundings;
use super::tls::CertificateMode;
use super::values::Options;
use super::{hosts, startup, tcp, tls};
use crate::auth::RequireAuth;
use crate::encoding::Encoding;

/// A SCRAM-SHA-256 key has this many bytes.
const SCRAM_KEY: usize = 32;

impl Options {
    /// Checks every option and makes the plan to connect, with warnings to show on standard error (a password file that others
    /// can read, a locale without an encoding).
    ///
    /// Call [`Options::fill_defaults`] first. Manual: "Parameter Key Words".
    ///
    /// # Errors
    /// libpq's text for the first option that cannot be. A host that cannot be as it is written is an error only if no other one
    /// can be tried: else it is a [`Target::Invalid`] among them.
    pub fn plan(&self, from: &Surroundings) -> Result<(Plan, Vec<String>), Error> {
        self.plan_over(from, false)
    }

    /// The same over a transport that the caller has connected, instead of dialling.
    ///
    /// # Errors
    /// As [`Options::plan`]; and if there is more than one host.
    pub fn plan_given(&self, from: &Surroundings) -> Result<(Plan, Vec<String>), Error> {
        let (mut plan, warnings) = self.plan_over(from, true)?;
        plan.use_given_transport()?;
        Ok((plan, warnings))
    }

    /// `krbsrvname` and `gssdelegation`.
    pub(crate) fn gss(&self) -> (&[u8], bool) {
        let delegation = self.get("gssdelegation").unwrap_or_default();
        let service = self.get("krbsrvname").unwrap_or_default();
        (service, delegation.starts_with(b"1"))
    }

    fn plan_over(&self, from: &Surroundings, given: bool) -> Result<(Plan, Vec<String>), Error> {
        let build = Build::THIS;
        // The order is libpq's: of several mistakes the same one is reported.
        let mut warnings = Vec::new();
        let mut hosts = hosts::read(self, from)?;
        let user = match self.filled("user") {
            Some(user) => copy(user)?,
            None => from.account()?.name,
        };
        let database = copy(self.filled("dbname").unwrap_or(&user))?;
        hosts::add_passwords(&mut hosts, self, from, (&user, &database), &mut warnings)?;
        let account = |error: Error| error.after(Decided::Account);
        let require_auth = require_auth(self).map_err(account)?;
        let channel_binding = encryption::channel_binding(self, build).map_err(account)?;
        let sslmode = encryption::sslmode(self, build).map_err(account)?;
        let tls_versions = encryption::tls_versions(self, sslmode).map_err(account)?;
        let certificate_mode = encryption::certificate_mode(self, build).map_err(account)?;
        let certificate = |error: Error| error.after(Decided::Certificate);
        let gssencmode = encryption::gssencmode(self, build).map_err(certificate)?;
        let target_session_attrs = target_session_attrs(self).map_err(certificate)?;
        let scram_client_key =
            scram_key(self, "scram_client_key", "client").map_err(certificate)?;
        let scram_server_key =
            scram_key(self, "scram_server_key", "server").map_err(certificate)?;
        let load_balance = load_balance(self).map_err(certificate)?;
        let (min_protocol, max_protocol) = startup::protocols(self).map_err(certificate)?;
        let parameters = startup::parameters(self, from, &mut warnings)?;
        let (krbsrvname, gssdelegation) = self.gss();
        let krbsrvname = copy(krbsrvname)?;
        let requirepeer = self.filled("requirepeer").map(copy).transpose()?;
        let late = |error: Error| error.after(Decided::All);
        check_hosts(&hosts).map_err(late)?;
        let connect_timeout = tcp::connect_timeout(self).map_err(late)?;
        let tcp = tcp::tcp(self, &hosts).map_err(late)?;
        // There is no TLS over Unix sockets: its files need not be read.
        let local = |host: &Host| matches!(host.target, Target::Unix(_));
        let may_encrypt = sslmode != SslMode::Disable && (given || !hosts.iter().all(local));
        // Without TLS a certificate that is required is not asked for, and nobody is let in: as with libpq.
        let wants_tls = may_encrypt || certificate_mode == CertificateMode::Require;
        let tls = wants_tls.then(|| tls::read(self, sslmode, tls_versions, certificate_mode, from));
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
            tls: tls.map(Arc::new),
            oauth: oauth(self, from),
            gssencmode,
            krbsrvname,
            gssdelegation,
            requirepeer,
            min_protocol,
            max_protocol,
            scram_client_key,
            scram_server_key,
        };
        Ok((plan, warnings))
    }

    /// Writes back what the plan decided, so that the options say what libpq's `PQuser`, `PQdb`, `PQconninfo` would: the user, the
    /// database, the password file, `client_encoding=auto`, and `sslcertmode`, whose default is not in the table.
    ///
    /// # Errors
    /// `out of memory`.
    pub fn settle(&mut self, plan: &Plan, from: &Surroundings) -> Result<(), Error> {
        self.set("user", &plan.user)?;
        self.set("dbname", &plan.database)?;
        self.settle_up_to(Decided::All, from)
    }

    /// The same after [`Options::plan`] has refused them: as far as libpq would have come.
    ///
    /// # Errors
    /// `out of memory`; a user without an account.
    pub fn settle_refused(&mut self, error: &Error, from: &Surroundings) -> Result<(), Error> {
        if error.decided() >= Decided::Account {
            let user = match self.filled("user") {
                Some(user) => copy(user)?,
                None => from.account()?.name,
            };
            self.set("user", &user)?;
            if self.filled("dbname").is_none() {
                self.set("dbname", &user)?;
            }
        }
        self.settle_up_to(error.decided(), from)
    }

    fn settle_up_to(&mut self, decided: Decided, from: &Surroundings) -> Result<(), Error> {
        if decided >= Decided::Account
            && self.filled("password").is_none()
            && let Some(path) = hosts::password_file(self, from)?
        {
            self.set("passfile", &path)?;
        }
        if decided >= Decided::Certificate && self.get("sslcertmode").is_none() {
            let default: &[u8] = if Build::THIS.tls {
                b"allow"
            } else {
                b"disable"
            };
            self.set("sslcertmode", default)?;
        }
        if decided >= Decided::All && self.get("client_encoding") == Some(b"auto") {
            let encoding = startup::locale_encoding(from).map_or(c"", Encoding::name);
            self.set("client_encoding", encoding.to_bytes())?;
        }
        self.shrink()
    }
}

fn require_auth(options: &Options) -> Result<RequireAuth, Error> {
    let Some(value) = options.filled("require_auth") else {
        return Ok(RequireAuth::default());
    };
    let text =
        std::str::from_utf8(value).map_err(|_| Error::invalid_value("require_auth", value))?;
    RequireAuth::parse(text).map_err(Error::from)
}

fn oauth(options: &Options, from: &Surroundings) -> OauthOptions {
    let text = |keyword| {
        let value = String::from_utf8_lossy(options.get(keyword)?);
        Some(value.into_owned())
    };
    OauthOptions {
        issuer: text("oauth_issuer").filter(|_| options.get("oauth_client_id").is_some()),
        scope: text("oauth_scope"),
        insecure: from.variable("PGOAUTHDEBUG").as_deref() == Some(b"UNSAFE"),
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

/// Refuses a list of hosts of which none can be tried.
fn check_hosts(hosts: &[Host]) -> Result<(), Error> {
    let mut text = Vec::new();
    for host in hosts {
        let Target::Invalid { error, last } = &host.target else {
            return Ok(());
        };
        let more = error.as_bytes().len() + 1;
        text.try_reserve(more).map_err(|_| Error::out_of_memory())?;
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn planned(conninfo: &str, from: &Surroundings) -> Result<(Plan, Vec<String>), String> {
        let mut options = Options::parse(conninfo.as_bytes()).unwrap();
        options.fill_defaults(from).unwrap();
        options.plan(from).map_err(|error| error.to_string())
    }

    fn surroundings() -> Surroundings {
        Surroundings::empty().with_account("alice", "/home/alice")
    }

    fn good(conninfo: &str) -> Plan {
        planned(conninfo, &surroundings()).unwrap().0
    }

    fn error(conninfo: &str) -> String {
        planned(conninfo, &surroundings()).unwrap_err()
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
            planned("", &Surroundings::empty()).unwrap_err(),
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
    fn scram_keys_are_decoded() {
        let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let plan = good(&format!("scram_client_key={key} scram_server_key={key}"));
        let expected: Vec<u8> = (0..32).collect();
        assert_eq!(plan.scram_client_key.unwrap().expose(), expected);
        assert_eq!(plan.scram_server_key.unwrap().expose(), expected);
    }
}
