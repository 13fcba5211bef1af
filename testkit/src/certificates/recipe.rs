//! Which certificates there are, and what is in them. Knows no command.

/// A certificate to be made.
pub(super) struct Recipe {
    /// The name of its files.
    pub(super) name: &'static str,
    /// Who signs it; its own name for one that signs itself.
    pub(super) issuer: &'static str,
    /// Whose key it is for; most share one, as making keys takes long.
    pub(super) key: &'static str,
    /// The parts of the subject, in order: `O=PGDG`.
    pub(super) subject: &'static [&'static str],
    /// The extensions. With none it is of X.509 version 1.
    pub(super) extensions: &'static [&'static str],
    /// The digest of the signature.
    pub(super) digest: &'static str,
}

/// Keys, and what `openssl genpkey` makes each of.
pub(super) const KEYS: &[(&str, &[&str])] = &[
    ("root_ca", RSA),
    ("server_ca", RSA),
    ("client_ca", RSA),
    ("server", RSA),
    ("client", RSA),
    (
        "rsapss",
        &["-algorithm", "rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048"],
    ),
    (
        "ecdsa",
        &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    ),
    (
        "ecdsa-p384",
        &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    ),
    (
        "ecdsa-p521",
        &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
    ),
    ("ed25519", &["-algorithm", "ed25519"]),
];

const RSA: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];

const SUITE: &str = "OU=PostgreSQL test suite";
const COMMON_NAME: &[&str] = &["CN=common-name.pg-ssltest.test", SUITE];
const CA: &[&str] = &["basicConstraints=CA:true"];
const WHOLE_CA: &[&str] = &[
    "basicConstraints=critical,CA:true",
    "subjectKeyIdentifier=hash",
    "authorityKeyIdentifier=keyid:always",
];

/// Every certificate, issuers first.
#[rustfmt::skip]
pub(super) const CERTIFICATES: &[Recipe] = &[
    // Authorities: the root signs the other two.
    own("root_ca", "root_ca", &["CN=Test root CA for PostgreSQL SSL regression test suite"], CA),
    ca("server_ca", &["CN=Test CA for PostgreSQL SSL regression test server certs"]),
    ca("client_ca", &["CN=Test CA for PostgreSQL SSL regression test client certs"]),

    // Servers, by the names that they carry.
    server("server-cn-only", COMMON_NAME, &[]),
    server("server-cn-and-alt-names", COMMON_NAME, &["subjectAltName=DNS:dns1.alt-name.pg-ssltest.test,DNS:dns2.alt-name.pg-ssltest.test"]),
    server("server-cn-and-ip-alt-names", COMMON_NAME, &["subjectAltName=IP:192.0.2.1,IP:2001:DB8::1"]),
    server("server-ip-alt-names", &[SUITE], &["subjectAltName=IP:192.0.2.1,IP:2001:DB8::1"]),
    server("server-ip-cn-only", &["CN=192.0.2.1", SUITE], &[]),
    server("server-ip-cn-and-alt-names", &["CN=192.0.2.1", SUITE], &["subjectAltName=IP:192.0.2.2,IP:2001:DB8::1"]),
    server("server-ip-cn-and-dns-alt-names", &["CN=192.0.2.1", SUITE], &["subjectAltName=DNS:dns1.alt-name.pg-ssltest.test,DNS:dns2.alt-name.pg-ssltest.test"]),
    server("server-ip-in-dnsname", &[SUITE], &["subjectAltName=DNS:192.0.2.1"]),
    server("server-single-alt-name", &[SUITE], &["subjectAltName=DNS:single.alt-name.pg-ssltest.test"]),
    server("server-multiple-alt-names", &[SUITE], &["subjectAltName=DNS:dns1.alt-name.pg-ssltest.test,DNS:dns2.alt-name.pg-ssltest.test,DNS:*.wildcard.pg-ssltest.test"]),
    server("server-no-names", &[SUITE], &[]),
    server("server-wildcard-cn", &["CN=*.wildcard.pg-ssltest.test", SUITE], &[]),
    server("server-revoked", COMMON_NAME, &[]),
    // What a real server's looks like; it is the one for `localhost`, 127.0.0.1 and ::1.
    server("server-localhost", &["CN=localhost"], &[
        "basicConstraints=critical,CA:false", "keyUsage=critical,digitalSignature,keyEncipherment", "extendedKeyUsage=serverAuth",
        "subjectKeyIdentifier=hash", "authorityKeyIdentifier=keyid", "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1",
    ]),
    // For clients only: not a server's.
    server("server-client-usage", COMMON_NAME, &["extendedKeyUsage=clientAuth"]),

    // Servers, by key and signature.
    Recipe { key: "rsapss", ..own("server-rsapss", "rsapss", COMMON_NAME, &[]) },
    Recipe { key: "ecdsa", ..server("server-ecdsa", COMMON_NAME, &["subjectAltName=DNS:common-name.pg-ssltest.test"]) },
    Recipe { key: "ecdsa-p384", ..server("server-ecdsa-p384", COMMON_NAME, &[]) },
    Recipe { key: "ecdsa-p521", ..server("server-ecdsa-p521", COMMON_NAME, &[]) },
    Recipe { key: "ed25519", ..server("server-ed25519", COMMON_NAME, &[]) },
    Recipe { digest: "sha384", ..server("server-sha384", COMMON_NAME, &[]) },
    Recipe { digest: "sha512", ..server("server-sha512", COMMON_NAME, &[]) },
    Recipe { key: "ed25519", ..own("server-self-signed-ed25519", "ed25519", COMMON_NAME, WHOLE_CA) },

    // What the manual tells people to make ("Creating Certificates"): one that signs itself, and a root that signs a plain one.
    own("server-self-signed", "server", COMMON_NAME, WHOLE_CA),
    own("server-self-signed-v1", "server", COMMON_NAME, &[]),
    own("manual-root", "root_ca", &["CN=root.yourdomain.com"], WHOLE_CA),
    Recipe { issuer: "manual-root", ..server("manual-server", COMMON_NAME, &[]) },

    // Clients.
    client("client", &["CN=ssltestuser"], &[]),
    client("client-dn", &["O=PGDG", "OU=Engineering", "OU=Testing", "CN=ssltestuser-dn"], &[]),
    client("client-revoked", &["CN=ssltestuser"], &[]),
    client("client_ext", &["CN=ssltestuser"], &["basicConstraints=critical,CA:false", "extendedKeyUsage=clientAuth"]),
    client("client-long", &["CN=ssl-123456789012345678901234567890123456789012345678901234567890", "OU=Some Organizational Unit", "O=PostgreSQL Global Development Group"], &[]),
    client("client-revoked-utf8", &["CN=Οδυσσέας"], &[]),
    Recipe { key: "ecdsa", ..client("client-ecdsa", &["CN=ssltestuser"], &[]) },
    Recipe { key: "ed25519", ..client("client-ed25519", &["CN=ssltestuser"], &[]) },
];

/// Certificates of `server_ca` with the subject of `server-cn-only`: name, first and last day.
pub(super) const DATED: &[(&str, &str, &str)] = &[
    ("server-expired", "20100101000000Z", "20110101000000Z"),
    ("server-not-yet-valid", "20480101000000Z", "20490101000000Z"),
];

/// Revocation lists: the name, whose they are, which certificates they revoke, and the days of their issue and of the next.
pub(super) const LISTS: &[(&str, &str, &[&str], &str, &str)] = &[
    ("root", "root_ca", &[], ISSUED, NEXT),
    ("server", "server_ca", &["server-revoked"], ISSUED, NEXT),
    (
        "client",
        "client_ca",
        &["client-revoked", "client-revoked-utf8"],
        ISSUED,
        NEXT,
    ),
    (
        "server-expired",
        "server_ca",
        &["server-revoked"],
        "20100101000000Z",
        "20110101000000Z",
    ),
    (
        "root-revokes-server_ca",
        "root_ca",
        &["server_ca"],
        ISSUED,
        NEXT,
    ),
];

const ISSUED: &str = "20230629010101Z";
const NEXT: &str = "20490101010101Z";

/// Files put together from others, in this order.
pub(super) const COMBINATIONS: &[(&str, &[&str])] = &[
    (
        "both-cas-1.crt",
        &["root_ca.crt", "client_ca.crt", "server_ca.crt"],
    ),
    (
        "both-cas-2.crt",
        &["root_ca.crt", "server_ca.crt", "client_ca.crt"],
    ),
    ("root+server_ca.crt", &["root_ca.crt", "server_ca.crt"]),
    ("root+client_ca.crt", &["root_ca.crt", "client_ca.crt"]),
    ("client+client_ca.crt", &["client.crt", "client_ca.crt"]),
    ("client+key.crt", &["client.crt", "client.key"]),
    (
        "server-cn-only+server_ca.crt",
        &["server-cn-only.crt", "server_ca.crt"],
    ),
    ("root+server.crl", &["root.crl", "server.crl"]),
    ("root+client.crl", &["root.crl", "client.crl"]),
    (
        "root+server-expired.crl",
        &["root.crl", "server-expired.crl"],
    ),
    (
        "root-revokes-server_ca+server.crl",
        &["root-revokes-server_ca.crl", "server.crl"],
    ),
];

/// Folders of lists, each under the hash of its issuer's name.
pub(super) const LIST_FOLDERS: &[(&str, &[&str])] = &[
    ("root+server-crldir", &["server", "root"]),
    ("root+client-crldir", &["client", "root"]),
    ("server-crldir", &["server"]),
    ("client-crldir", &["client"]),
];

/// Keys in other shapes: the file, and how openssl makes it of `client.key` (or of `client-ecdsa.key`, `server-cn-only.key`).
pub(super) const SHAPES: &[(&str, &str, &[&str])] = &[
    (
        "server-password.key",
        "server-cn-only.key",
        &["pkey", "-aes256", "-passout", "pass:secret1"],
    ),
    (
        "client-der.key",
        "client.key",
        &["rsa", "-traditional", "-outform", "DER"],
    ),
    (
        "client-pkcs8-der.key",
        "client.key",
        &["pkcs8", "-topk8", "-nocrypt", "-outform", "DER"],
    ),
    (
        "client-traditional.key",
        "client.key",
        &["rsa", "-traditional"],
    ),
    (
        "client-encrypted-pem.key",
        "client.key",
        &["pkey", "-aes128", "-passout", CLIENT],
    ),
    (
        "client-encrypted-aes256.key",
        "client.key",
        &["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", CLIENT],
    ),
    (
        "client-encrypted-scrypt.key",
        "client.key",
        &["pkcs8", "-topk8", "-scrypt", "-passout", CLIENT],
    ),
    (
        "client-encrypted-des3.key",
        "client.key",
        &["pkcs8", "-topk8", "-v2", "des3", "-passout", CLIENT],
    ),
    (
        "client-encrypted-der.key",
        "client.key",
        &[
            "pkcs8",
            "-topk8",
            "-v2",
            "aes-256-cbc",
            "-outform",
            "DER",
            "-passout",
            CLIENT,
        ],
    ),
    (
        "client-encrypted-traditional.key",
        "client.key",
        &["rsa", "-traditional", "-aes128", "-passout", CLIENT],
    ),
    (
        "client-encrypted-traditional-des3.key",
        "client.key",
        &["rsa", "-traditional", "-des3", "-passout", CLIENT],
    ),
    ("client-ecdsa-sec1.key", "client-ecdsa.key", &["ec"]),
    (
        "client-ecdsa-sec1-der.key",
        "client-ecdsa.key",
        &["ec", "-outform", "DER"],
    ),
    (
        "client-encrypted-ecdsa-sec1.key",
        "client-ecdsa.key",
        &["ec", "-aes128", "-passout", CLIENT],
    ),
];

const CLIENT: &str = "pass:dUmmyP^#+";

/// Signed by itself.
const fn own(
    name: &'static str,
    key: &'static str,
    subject: &'static [&'static str],
    extensions: &'static [&'static str],
) -> Recipe {
    Recipe {
        name,
        issuer: name,
        key,
        subject,
        extensions,
        digest: "sha256",
    }
}

const fn ca(name: &'static str, subject: &'static [&'static str]) -> Recipe {
    Recipe {
        issuer: "root_ca",
        ..own(name, name, subject, CA)
    }
}

const fn server(
    name: &'static str,
    subject: &'static [&'static str],
    extensions: &'static [&'static str],
) -> Recipe {
    Recipe {
        issuer: "server_ca",
        ..own(name, "server", subject, extensions)
    }
}

const fn client(
    name: &'static str,
    subject: &'static [&'static str],
    extensions: &'static [&'static str],
) -> Recipe {
    Recipe {
        issuer: "client_ca",
        ..own(name, "client", subject, extensions)
    }
}
