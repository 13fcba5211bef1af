//! The cases of PostgreSQL's own `src/test/ssl/t` (18): which connections come up, and what is said of those that do not.
//!
//! Each case is named by its place there, `1.186` for line 186 of `001_ssltests.pl`; `t` is its file, and the line that of the call.
//! Between braces stands a file of the certificates' folder.

mod run;

use testkit::ServerTls;

/// What becomes of a case here.
pub(crate) enum Twin {
    /// The connection comes up.
    Up(&'static str),
    /// It does not, and the error says this.
    Down(&'static str, &'static str),
    /// A test of its own, which is named.
    Test(&'static str),
    /// It has none, for this reason.
    None(&'static str),
}

use Twin::{Down, None as Without, Test, Up};

/// Cases for one configuration of the server.
pub(crate) struct Group {
    /// How the server does TLS.
    pub(crate) tls: fn() -> ServerTls,
    /// What all their connection strings begin with.
    pub(crate) common: &'static str,
    /// File, line, and what becomes of it.
    pub(crate) cases: &'static [(u8, u32, Twin)],
}

const VERIFY: &str = "SSL error: certificate verify failed";
const SERVER: &str = "it is about the server alone";
const CERT_KEY: &str = "sslcert={client.crt} sslkey={client.key}";

/// The cases.
#[rustfmt::skip]
pub(crate) const GROUPS: &[Group] = &[
    // Password-protected keys and wrong settings of a server; the key log.
    Group { tls: || ServerTls::new("server-cn-only"), common: "", cases: &[
        (1, 73, Without(SERVER)),
        (1, 89, Without(SERVER)),
        (1, 101, Test("client::a_server_whose_key_has_a_password")),
        (1, 110, Without(SERVER)),
        (1, 118, Without(SERVER)),
        (1, 126, Without(SERVER)),
        (1, 127, Without(SERVER)),
        (1, 162, Test("client::the_key_log_lets_others_decrypt")),
        (1, 167, Test("client::the_key_log_lets_others_decrypt")),
        (1, 173, Test("client::the_key_log_lets_others_decrypt")),
        (1, 175, Test("client::the_key_log_lets_others_decrypt")),
        (1, 179, Test("client::a_key_log_that_cannot_be_written_is_done_without")),
    ] },
    // Roots, modes and revocation lists.
    Group { tls: || ServerTls::new("server-cn-only"), common: "host=common-name.pg-ssltest.test", cases: &[
        (1, 186, Down("sslmode=disable", "no pg_hba.conf entry")),
        (1, 193, Up("sslrootcert=invalid sslmode=require")),
        (1, 196, Down("sslrootcert=invalid sslmode=verify-ca", "root certificate file \"invalid\" does not exist")),
        (1, 200, Down("sslrootcert=invalid sslmode=verify-full", "root certificate file \"invalid\" does not exist")),
        (1, 207, Down("sslrootcert={client_ca.crt} sslmode=require", VERIFY)),
        (1, 211, Down("sslrootcert={client_ca.crt} sslmode=verify-ca", VERIFY)),
        (1, 215, Down("sslrootcert={client_ca.crt} sslmode=verify-full", VERIFY)),
        (1, 222, Down("sslrootcert={server_ca.crt} sslmode=verify-ca", VERIFY)),
        (1, 228, Up("sslrootcert={root+server_ca.crt} sslmode=require")),
        (1, 231, Up("sslrootcert={root+server_ca.crt} sslmode=verify-ca")),
        (1, 234, Up("sslrootcert={root+server_ca.crt} sslmode=verify-full")),
        (1, 240, Up("sslrootcert={both-cas-1.crt} sslmode=verify-ca")),
        (1, 243, Up("sslrootcert={both-cas-2.crt} sslmode=verify-ca")),
        (1, 248, Up("sslrootcert={root+server_ca.crt} sslmode=require sslcertmode=disable")),
        (1, 251, Up("sslrootcert={root+server_ca.crt} sslmode=require sslcertmode=allow")),
        (1, 256, Down("sslrootcert={root+server_ca.crt} sslmode=require sslcertmode=require", "server accepted connection without a valid SSL certificate")),
        (1, 266, Up("sslrootcert={root+server_ca.crt} sslmode=verify-ca sslcrl=invalid")),
        (1, 271, Down("sslrootcert={root+server_ca.crt} sslmode=verify-ca sslcrl={client.crl}", VERIFY)),
        (1, 278, Down("sslcrl='' sslrootcert={root+server_ca.crt} sslmode=verify-ca sslcrldir={client-crldir}", VERIFY)),
        (1, 284, Up("sslrootcert={root+server_ca.crt} sslmode=verify-ca sslcrl={root+server.crl}")),
        (1, 289, Up("sslrootcert={root+server_ca.crt} sslmode=verify-ca sslcrldir={root+server-crldir}")),
    ] },
    // Host names.
    Group { tls: || ServerTls::new("server-cn-only"), common: "sslrootcert={root+server_ca.crt} host=wronghost.test", cases: &[
        (1, 298, Up("sslmode=require")),
        (1, 300, Up("sslmode=verify-ca")),
        (1, 303, Down("sslmode=verify-full", "server certificate for \"common-name.pg-ssltest.test\" does not match host name \"wronghost.test\"")),
    ] },
    Group { tls: || ServerTls::new("server-ip-cn-only"), common: FULL, cases: &[
        (1, 317, Up("host=192.0.2.1")),
        (1, 320, Down("host=192.000.002.001", "server certificate for \"192.0.2.1\" does not match host name \"192.000.002.001\"")),
    ] },
    Group { tls: || ServerTls::new("server-ip-in-dnsname"), common: FULL, cases: &[
        (1, 331, Up("host=192.0.2.1")),
    ] },
    Group { tls: || ServerTls::new("server-multiple-alt-names"), common: FULL, cases: &[
        (1, 340, Up("host=dns1.alt-name.pg-ssltest.test")),
        (1, 343, Up("host=dns2.alt-name.pg-ssltest.test")),
        (1, 346, Up("host=foo.wildcard.pg-ssltest.test")),
        (1, 349, Down("host=wronghost.alt-name.pg-ssltest.test", "server certificate for \"dns1.alt-name.pg-ssltest.test\" (and 2 other names) does not match host name \"wronghost.alt-name.pg-ssltest.test\"")),
        (1, 355, Down("host=deep.subdomain.wildcard.pg-ssltest.test", "server certificate for \"dns1.alt-name.pg-ssltest.test\" (and 2 other names) does not match host name \"deep.subdomain.wildcard.pg-ssltest.test\"")),
    ] },
    Group { tls: || ServerTls::new("server-single-alt-name"), common: FULL, cases: &[
        (1, 369, Up("host=single.alt-name.pg-ssltest.test")),
        (1, 373, Down("host=wronghost.alt-name.pg-ssltest.test", "server certificate for \"single.alt-name.pg-ssltest.test\" does not match host name \"wronghost.alt-name.pg-ssltest.test\"")),
        (1, 379, Down("host=deep.subdomain.wildcard.pg-ssltest.test", "server certificate for \"single.alt-name.pg-ssltest.test\" does not match host name \"deep.subdomain.wildcard.pg-ssltest.test\"")),
    ] },
    Group { tls: || ServerTls::new("server-ip-alt-names"), common: FULL, cases: &[
        (1, 394, Up("host=192.0.2.1")),
        (1, 397, Up("host=192.000.002.001")),
        (1, 402, Down("host=192.0.2.2", "server certificate for \"192.0.2.1\" (and 1 other name) does not match host name \"192.0.2.2\"")),
        (1, 409, Up("host=2001:DB8::1")),
        (1, 412, Up("host=2001:db8:0:0:0:0:0:1")),
        (1, 417, Up("host=2001:db8::0.0.0.1")),
        (1, 422, Down("host=::1", "server certificate for \"192.0.2.1\" (and 1 other name) does not match host name \"::1\"")),
        (1, 429, Down("host=2001:DB8::1/128", "server certificate for \"192.0.2.1\" (and 1 other name) does not match host name \"2001:DB8::1/128\"")),
    ] },
    Group { tls: || ServerTls::new("server-cn-and-alt-names"), common: FULL, cases: &[
        (1, 444, Up("host=dns1.alt-name.pg-ssltest.test")),
        (1, 446, Up("host=dns2.alt-name.pg-ssltest.test")),
        (1, 448, Down("host=common-name.pg-ssltest.test", "server certificate for \"dns1.alt-name.pg-ssltest.test\" (and 1 other name) does not match host name \"common-name.pg-ssltest.test\"")),
    ] },
    Group { tls: || ServerTls::new("server-cn-and-ip-alt-names"), common: FULL, cases: &[
        (1, 463, Up("host=common-name.pg-ssltest.test")),
        (1, 466, Up("host=192.0.2.1")),
        (1, 468, Up("host=2001:db8::1")),
    ] },
    Group { tls: || ServerTls::new("server-ip-cn-and-alt-names"), common: FULL, cases: &[
        (1, 474, Up("host=192.0.2.2")),
        (1, 476, Up("host=2001:db8::1")),
        (1, 478, Down("host=192.0.2.1", "server certificate for \"192.0.2.2\" (and 1 other name) does not match host name \"192.0.2.1\"")),
    ] },
    Group { tls: || ServerTls::new("server-ip-cn-and-dns-alt-names"), common: FULL, cases: &[
        (1, 488, Up("host=192.0.2.1")),
        (1, 490, Up("host=dns1.alt-name.pg-ssltest.test")),
        (1, 493, Up("host=dns2.alt-name.pg-ssltest.test")),
    ] },
    Group { tls: || ServerTls::new("server-no-names"), common: "sslrootcert={root+server_ca.crt} host=common-name.pg-ssltest.test", cases: &[
        (1, 503, Up("sslmode=verify-ca")),
        (1, 506, Down("sslmode=verify-full", "could not get server's host name from server certificate")),
    ] },
    // The system's roots.
    Group { tls: with_chain, common: "sslrootcert=system host=common-name.pg-ssltest.test", cases: &[
        (1, 525, Test("system::a_private_authority_is_not_the_systems")),
        (1, 532, Down("sslmode=verify-ca", "weak sslmode \"verify-ca\" may not be used with sslrootcert=system")),
        (1, 544, Test("system::the_environment_says_where_the_systems_roots_are")),
        (1, 549, Test("system::the_environment_says_where_the_systems_roots_are")),
    ] },
    // A revoked certificate, and the versions of TLS.
    Group { tls: || ServerTls::new("server-revoked"), common: "host=common-name.pg-ssltest.test sslrootcert={root+server_ca.crt}", cases: &[
        (1, 564, Up("sslmode=verify-ca")),
        (1, 567, Down("sslmode=verify-ca sslcrl={root+server.crl}", VERIFY)),
        (1, 573, Down("sslcrl='' sslmode=verify-ca sslcrldir={root+server-crldir}", VERIFY)),
        (1, 579, Test("facts::the_server_says_the_same_of_the_connection")),
        (1, 595, Up("sslmode=require ssl_min_protocol_version=TLSv1.2 ssl_max_protocol_version=TLSv1.2")),
        (1, 598, Down("sslmode=require ssl_min_protocol_version=TLSv1.2 ssl_max_protocol_version=TLSv1.1", "invalid SSL protocol version range")),
        (1, 602, Down("sslmode=require ssl_min_protocol_version=incorrect_tls", "invalid \"ssl_min_protocol_version\" value")),
        (1, 606, Down("sslmode=require ssl_max_protocol_version=incorrect_tls", "invalid \"ssl_max_protocol_version\" value")),
    ] },
    // Certificates of clients.
    Group { tls: || ServerTls::new("server-revoked"), common: CERT_DB, cases: &[
        (1, 621, Down("user=ssltestuser sslcert=invalid", "connection requires a valid client certificate")),
        (1, 627, Up(CERT_KEY)),
        (1, 634, Up("sslcert={client.crt} sslkey={client-der.key}")),
        (1, 641, Up("sslcert={client.crt} sslkey={client-encrypted-pem.key} sslpassword='dUmmyP^#+'")),
        (1, 649, Up("sslcert={client.crt} sslkey={client-encrypted-der.key} sslpassword='dUmmyP^#+'")),
        (1, 659, Up("sslcertmode=require sslcert={client.crt} sslkey={client.key}")),
        (1, 665, Up("sslcertmode=allow sslcert={client.crt} sslkey={client.key}")),
        (1, 672, Down("sslcertmode=disable sslcert={client.crt} sslkey={client.key}", "connection requires a valid client certificate")),
        (1, 679, Down("sslcert={client.crt} sslkey={client-encrypted-pem.key} sslpassword='wrong'", "client-encrypted-pem.key\": bad decrypt")),
        (1, 691, Up("dbname=certdb_dn sslcert={client-dn.crt} sslkey={client-dn.key}")),
        (1, 702, Up("dbname=certdb_dn_re sslcert={client-dn.crt} sslkey={client-dn.key}")),
        (1, 710, Up("dbname=certdb_cn sslcert={client-dn.crt} sslkey={client-dn.key}")),
        // Not done there, as OpenSSL asks for a password at the terminal; here nobody asks.
        (1, 729, Down("sslcert={client.crt} sslkey={client-encrypted-pem.key} sslpassword=''", "could not load private key file \"")),
        (1, 739, Down("sslcert={client.crt} sslkey={client-encrypted-pem.key}", "could not load private key file \"")),
        (1, 775, Test("facts::the_server_says_the_same_of_the_connection")),
        (1, 797, Down("sslcert={client.crt} sslkey={client_wrongperms.key}", "client_wrongperms.key\" has group or world access")),
        (1, 807, Down("user=anotheruser sslcert={client.crt} sslkey={client.key}", "certificate authentication failed for user \"anotheruser\"")),
        (1, 818, Down("sslcert={client-revoked.crt} sslkey={client-revoked.key}", "alert certificate revoked")),
        (1, 836, Up("dbname=verifydb sslcert={client.crt} sslkey={client.key}")),
        (1, 843, Down("dbname=verifydb user=anotheruser sslcert={client.crt} sslkey={client.key}", "\"trust\" authentication failed for user \"anotheruser\"")),
        (1, 854, Up("dbname=verifydb user=yetanotheruser sslcert={client.crt} sslkey={client.key}")),
    ] },
    Group { tls: || ServerTls::new("server-cn-only").authority("root_ca"), common: CERT_DB, cases: &[
        (1, 868, Up("sslcert={client+client_ca.crt} sslkey={client.key}")),
        (1, 872, Down("sslcert={client.crt} sslkey={client.key}", "alert unknown ca")),
        (1, 881, Down("sslcert={client-long.crt} sslkey={client-long.key}", "alert unknown ca")),
    ] },
    Group { tls: || ServerTls::new("server-cn-only").authority("server-cn-only"), common: CERT_DB, cases: &[
        (1, 900, Down("sslcert={client+client_ca.crt} sslkey={client.key}", "alert unknown ca")),
    ] },
    Group { tls: || ServerTls::new("server-cn-only").list_folder("root+client-crldir"), common: CERT_DB, cases: &[
        (1, 920, Down("sslcert={client-revoked.crt} sslkey={client-revoked.key}", "alert certificate revoked")),
        (1, 931, Down("sslcert={client-revoked-utf8.crt} sslkey={client-revoked-utf8.key}", "alert certificate revoked")),
    ] },
    // Passwords bound to the server's certificate.
    Group { tls: || ServerTls::new("server-cn-only"), common: SCRAM_DB, cases: &[
        (2, 88, Up("")),
        (2, 93, Down("channel_binding=invalid_value", "invalid channel_binding value: \"invalid_value\"")),
        (2, 97, Up("channel_binding=disable")),
        (2, 99, Up("channel_binding=require")),
        (2, 106, Down("user=md5testuser channel_binding=require", "channel binding required but not supported by server's authentication request")),
        (2, 126, Down("dbname=certdb sslcert={client.crt} sslkey={client.key} channel_binding=require", "channel binding required, but server authenticated client without channel binding")),
        (2, 134, Up("dbname=scramverifydb sslcert={client.crt} sslkey={client.key}")),
        (2, 142, Up("channel_binding=disable require_auth=scram-sha-256")),
        (2, 149, Down("user=md5testuser require_auth=md5 channel_binding=require", "channel binding required but not supported by server's authentication request")),
        (2, 156, Up("channel_binding=require require_auth=scram-sha-256")),
    ] },
    Group { tls: || ServerTls::new("server-rsapss"), common: SCRAM_DB, cases: &[
        (2, 167, Up("channel_binding=require")),
    ] },
    // What the server knows of the client's certificate.
    Group { tls: || ServerTls::new("server-revoked"), common: "dbname=certdb sslmode=require sslrootcert={root+server_ca.crt} host=localhost sslcert={client_ext.crt} sslkey={client_ext.key}", cases: &[
        (3, 86, Up("")),
        (3, 97, Test("facts::sslinfo_knows_the_certificate")),
        (3, 105, Test("facts::sslinfo_knows_the_certificate")),
        (3, 111, Test("facts::sslinfo_knows_the_certificate")),
        (3, 117, Test("facts::sslinfo_knows_the_certificate")),
        (3, 126, Test("facts::sslinfo_knows_the_certificate")),
        (3, 132, Test("facts::sslinfo_knows_the_certificate")),
        (3, 139, Test("facts::sslinfo_knows_the_certificate")),
        (3, 148, Test("facts::sslinfo_knows_the_certificate")),
        (3, 154, Test("facts::sslinfo_knows_the_certificate")),
        (3, 160, Test("facts::sslinfo_knows_the_certificate")),
        (3, 166, Test("facts::sslinfo_knows_the_certificate")),
        (3, 172, Test("facts::sslinfo_knows_the_certificate")),
        (3, 190, Test("facts::sslinfo_knows_the_certificate")),
    ] },
];

const FULL: &str = "sslrootcert={root+server_ca.crt} sslmode=verify-full";
const CERT_DB: &str =
    "dbname=certdb sslmode=require sslrootcert={root+server_ca.crt} host=localhost";
const SCRAM_DB: &str = "dbname=scramdb sslmode=require host=localhost password=pass";

/// The server sends its issuer's certificate too, to clients that know the root alone.
pub(crate) fn with_chain() -> ServerTls {
    ServerTls::new("server-cn-only+server_ca")
        .key("server-cn-only")
        .authority("root_ca")
}
