//! The connection options of PostgreSQL 18: the one table. Knows names, defaults and labels, not what a value means.

/// Whether this build can encrypt with TLS. One that cannot answers like a libpq without SSL support.
pub(crate) const TLS: bool = true;

/// Whether this build can do GSSAPI: it can, where the system has the library for it, which is seen when it is first needed.
pub(crate) const GSSAPI: bool = true;

/// The port when none is given.
pub(crate) const PORT: &str = "5432";

const CHANNEL_BINDING: &str = if TLS { "prefer" } else { "disable" };
const SSLMODE: &str = if TLS { "prefer" } else { "disable" };
const GSSENCMODE: &str = if GSSAPI { "prefer" } else { "disable" };

/// One connection option: what `PQconndefaults` tells of it, but the value.
///
/// Manual: "Parameter Key Words" and "Environment Variables" of libpq.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionDef {
    /// The name in connection strings.
    pub keyword: &'static str,
    /// The environment variable that sets it when the connection string and the service do not.
    pub envvar: Option<&'static str>,
    /// The value when nothing sets it.
    pub compiled: Option<&'static str>,
    /// The label for a dialog that asks for it.
    pub label: &'static str,
    /// How such a dialog shows it: `""` as it is, `"*"` hidden like a password, `"D"` not unless debugging.
    pub dispchar: &'static str,
    /// The width of its field, in characters.
    pub dispsize: u16,
}

impl OptionDef {
    /// Whether the value is a secret, which nothing may print.
    pub fn is_secret(&self) -> bool {
        self.dispchar == "*" || matches!(self.keyword, "scram_client_key" | "scram_server_key")
    }
}

/// The index in [`OPTIONS`] of the option named `keyword`.
pub(crate) fn index_of(keyword: &[u8]) -> Option<usize> {
    OPTIONS
        .iter()
        .position(|option| option.keyword.as_bytes() == keyword)
}

const fn option(
    keyword: &'static str,
    envvar: Option<&'static str>,
    compiled: Option<&'static str>,
    label: &'static str,
    dispchar: &'static str,
    dispsize: u16,
) -> OptionDef {
    OptionDef {
        keyword,
        envvar,
        compiled,
        label,
        dispchar,
        dispsize,
    }
}

/// Every option, in libpq's order, which is also the order of `PQconndefaults` and `PQconninfo`.
#[rustfmt::skip]
pub const OPTIONS: &[OptionDef] = &[
    option("service", Some("PGSERVICE"), None, "Database-Service", "", 20),
    option("user", Some("PGUSER"), None, "Database-User", "", 20),
    option("password", Some("PGPASSWORD"), None, "Database-Password", "*", 20),
    option("passfile", Some("PGPASSFILE"), None, "Database-Password-File", "", 64),
    option("channel_binding", Some("PGCHANNELBINDING"), Some(CHANNEL_BINDING), "Channel-Binding", "", 8),
    option("connect_timeout", Some("PGCONNECT_TIMEOUT"), None, "Connect-timeout", "", 10),
    option("dbname", Some("PGDATABASE"), None, "Database-Name", "", 20),
    option("host", Some("PGHOST"), None, "Database-Host", "", 40),
    option("hostaddr", Some("PGHOSTADDR"), None, "Database-Host-IP-Address", "", 45),
    option("port", Some("PGPORT"), Some(PORT), "Database-Port", "", 6),
    option("client_encoding", Some("PGCLIENTENCODING"), None, "Client-Encoding", "", 10),
    option("options", Some("PGOPTIONS"), Some(""), "Backend-Options", "", 40),
    option("application_name", Some("PGAPPNAME"), None, "Application-Name", "", 64),
    option("fallback_application_name", None, None, "Fallback-Application-Name", "", 64),
    option("keepalives", None, None, "TCP-Keepalives", "", 1),
    option("keepalives_idle", None, None, "TCP-Keepalives-Idle", "", 10),
    option("keepalives_interval", None, None, "TCP-Keepalives-Interval", "", 10),
    option("keepalives_count", None, None, "TCP-Keepalives-Count", "", 10),
    option("tcp_user_timeout", None, None, "TCP-User-Timeout", "", 10),
    option("sslmode", Some("PGSSLMODE"), Some(SSLMODE), "SSL-Mode", "", 12),
    option("sslnegotiation", Some("PGSSLNEGOTIATION"), Some("postgres"), "SSL-Negotiation", "", 9),
    option("sslcompression", Some("PGSSLCOMPRESSION"), Some("0"), "SSL-Compression", "", 1),
    option("sslcert", Some("PGSSLCERT"), None, "SSL-Client-Cert", "", 64),
    option("sslkey", Some("PGSSLKEY"), None, "SSL-Client-Key", "", 64),
    option("sslcertmode", Some("PGSSLCERTMODE"), None, "SSL-Client-Cert-Mode", "", 8),
    option("sslpassword", None, None, "SSL-Client-Key-Password", "*", 20),
    option("sslrootcert", Some("PGSSLROOTCERT"), None, "SSL-Root-Certificate", "", 64),
    option("sslcrl", Some("PGSSLCRL"), None, "SSL-Revocation-List", "", 64),
    option("sslcrldir", Some("PGSSLCRLDIR"), None, "SSL-Revocation-List-Dir", "", 64),
    option("sslsni", Some("PGSSLSNI"), Some("1"), "SSL-SNI", "", 1),
    option("requirepeer", Some("PGREQUIREPEER"), None, "Require-Peer", "", 10),
    option("require_auth", Some("PGREQUIREAUTH"), None, "Require-Auth", "", 14),
    option("min_protocol_version", Some("PGMINPROTOCOLVERSION"), None, "Min-Protocol-Version", "", 6),
    option("max_protocol_version", Some("PGMAXPROTOCOLVERSION"), None, "Max-Protocol-Version", "", 6),
    option("ssl_min_protocol_version", Some("PGSSLMINPROTOCOLVERSION"), Some("TLSv1.2"), "SSL-Minimum-Protocol-Version", "", 8),
    option("ssl_max_protocol_version", Some("PGSSLMAXPROTOCOLVERSION"), None, "SSL-Maximum-Protocol-Version", "", 8),
    option("gssencmode", Some("PGGSSENCMODE"), Some(GSSENCMODE), "GSSENC-Mode", "", 8),
    option("krbsrvname", Some("PGKRBSRVNAME"), Some("postgres"), "Kerberos-service-name", "", 20),
    option("gsslib", Some("PGGSSLIB"), None, "GSS-library", "", 7),
    option("gssdelegation", Some("PGGSSDELEGATION"), Some("0"), "GSS-delegation", "", 1),
    option("replication", None, None, "Replication", "D", 5),
    option("target_session_attrs", Some("PGTARGETSESSIONATTRS"), Some("any"), "Target-Session-Attrs", "", 15),
    option("load_balance_hosts", Some("PGLOADBALANCEHOSTS"), Some("disable"), "Load-Balance-Hosts", "", 8),
    option("scram_client_key", None, None, "SCRAM-Client-Key", "D", 64),
    option("scram_server_key", None, None, "SCRAM-Server-Key", "D", 64),
    option("oauth_issuer", None, None, "OAuth-Issuer", "", 40),
    option("oauth_client_id", None, None, "OAuth-Client-ID", "", 40),
    option("oauth_client_secret", None, None, "OAuth-Client-Secret", "*", 40),
    option("oauth_scope", None, None, "OAuth-Scope", "", 15),
    option("sslkeylogfile", None, None, "SSL-Key-Log-File", "D", 64),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_fifty_options_and_each_is_named_once() {
        assert_eq!(OPTIONS.len(), 50);
        for (index, option) in OPTIONS.iter().enumerate() {
            assert_eq!(index_of(option.keyword.as_bytes()), Some(index));
        }
        assert_eq!(index_of(b"Host"), None, "keywords are case-sensitive");
    }

    #[test]
    fn secrets_are_what_must_not_be_printed() {
        let secrets: Vec<_> = OPTIONS
            .iter()
            .filter(|option| option.is_secret())
            .map(|option| option.keyword)
            .collect();
        assert_eq!(
            secrets,
            [
                "password",
                "sslpassword",
                "scram_client_key",
                "scram_server_key",
                "oauth_client_secret"
            ]
        );
    }
}
