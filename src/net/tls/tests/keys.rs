//! Keys in all the forms that libpq takes, as `openssl` writes them.

use super::openssl::Workshop;
use crate::conninfo::Secret;
use crate::conninfo::tls::{File, Identity};
use crate::link::LinkErrorKind;
use crate::net::tls::keys::load;

fn identity(certificate: &[u8], key: &[u8], password: Option<&str>) -> Identity {
    Identity {
        certificate: File {
            path: b"client.crt".to_vec(),
            content: certificate.to_vec(),
        },
        key_path: b"client.key".to_vec(),
        key: Secret::new(key.to_vec()),
        password: password.map(|password| Secret::new(password.as_bytes().to_vec())),
    }
}

fn error(identity: &Identity) -> String {
    let error = load(identity).unwrap_err();
    assert_eq!(error.kind, LinkErrorKind::TlsSetup);
    error.text
}

/// Makes a key of a kind, and a certificate for it.
fn make(shop: &Workshop, kind: &str) -> Vec<u8> {
    shop.must(&format!("genpkey {kind} -out key"));
    shop.must("req -new -x509 -key key -subj /CN=client -out crt");
    shop.read("crt")
}

#[test]
fn every_form_of_a_key_is_read() {
    let Some(shop) = Workshop::open() else { return };
    for (kind, traditional) in [
        ("-algorithm RSA -pkeyopt rsa_keygen_bits:2048", Some("rsa")),
        ("-algorithm EC -pkeyopt ec_paramgen_curve:P-256", Some("ec")),
        ("-algorithm EC -pkeyopt ec_paramgen_curve:P-384", Some("ec")),
        ("-algorithm ED25519", None),
    ] {
        let certificate = make(&shop, kind);
        let mut forms = vec![
            "pkcs8 -topk8 -nocrypt -in key -out out",
            "pkcs8 -topk8 -nocrypt -in key -outform DER -out out",
        ];
        // How it is encrypted has nothing to do with what it is.
        if traditional.is_none() {
            forms.extend([
                "pkcs8 -topk8 -in key -out out -passout pass:secret",
                "pkcs8 -topk8 -in key -outform DER -out out -passout pass:secret",
                "pkcs8 -topk8 -scrypt -scrypt_N 1024 -in key -out out -passout pass:secret",
                "pkcs8 -topk8 -in key -out out -passout pass:secret -v2 aes-128-cbc",
                "pkcs8 -topk8 -in key -out out -passout pass:secret -v2 aes-192-cbc -v2prf hmacWithSHA1",
                "pkcs8 -topk8 -in key -out out -passout pass:secret -v2 des3 -v2prf hmacWithSHA512",
                "pkcs8 -topk8 -in key -out out -passout pass:secret -v2prf hmacWithSHA384 -iter 1000",
            ]);
        }
        let old: Vec<String> = traditional.map_or(Vec::new(), |old| {
            [
                "-out out",
                "-outform DER -out out",
                "-out out -aes128 -passout pass:secret",
                "-out out -aes192 -passout pass:secret",
                "-out out -aes256 -passout pass:secret",
                "-out out -des3 -passout pass:secret",
            ]
            .map(|rest| {
                let traditional = if old == "rsa" { "-traditional" } else { "" };
                format!("{old} -in key {traditional} {rest}")
            })
            .to_vec()
        });
        forms.extend(old.iter().map(String::as_str));
        for form in forms {
            shop.must(form);
            let key = shop.read("out");
            let made = load(&identity(&certificate, &key, Some("secret")));
            assert!(made.is_ok(), "{kind}, {form}: {:?}", made.err());
            if form.contains("pass:") {
                assert_eq!(
                    error(&identity(&certificate, &key, Some("wrong"))),
                    "could not load private key file \"client.key\": bad decrypt",
                    "{form}"
                );
                assert_eq!(
                    error(&identity(&certificate, &key, None)),
                    "could not load private key file \"client.key\": processing error: the key is encrypted; give its password as sslpassword"
                );
            }
        }
    }
}

#[test]
fn a_certificate_file_may_have_a_chain_in_any_text() {
    let Some(shop) = Workshop::open() else { return };
    let certificate = make(&shop, "-algorithm ED25519");
    let key = shop.read("key");
    shop.must("x509 -in crt -text -out text");
    let chain = [shop.read("text"), certificate.clone()].concat();
    let loaded = load(&identity(&chain, &key, None)).unwrap();
    assert_eq!(loaded.cert.len(), 2);
    assert_eq!(loaded.cert[0], loaded.cert[1]);
    shop.must("x509 -in crt -outform DER -out der");
    let loaded = load(&identity(&shop.read("der"), &key, None)).unwrap();
    assert_eq!(loaded.cert.len(), 1);
    // Both in one file.
    let both = [&certificate[..], &key].concat();
    assert!(load(&identity(&both, &both, None)).is_ok());
}

#[test]
fn what_is_wrong_is_said() {
    let Some(shop) = Workshop::open() else { return };
    let certificate = make(&shop, "-algorithm ED25519");
    let key = shop.read("key");
    make(&shop, "-algorithm ED25519");
    let other = shop.read("key");
    assert_eq!(
        error(&identity(&certificate, &other, None)),
        "could not load private key file \"client.key\": key values mismatch"
    );
    for (content, why) in [
        (&b""[..], "no start line"),
        (b"text\n", "no start line"),
        (&key, "no start line"),
        (b"-----BEGIN CERTIFICATE-----\n", "bad base64 decode"),
        (b"\x30\x03abc", "a certificate in it is malformed"),
    ] {
        assert_eq!(
            error(&identity(content, &key, None)),
            format!("could not read certificate file \"client.crt\": {why}")
        );
    }
    for (content, why) in [
        (&b""[..], "no start line: there is no private key in it"),
        (&certificate, "no start line: there is no private key in it"),
        (
            b"-----BEGIN PRIVATE KEY-----\nA\n-----END PRIVATE KEY-----\n",
            "bad base64 decode",
        ),
        (
            b"\x30\x03abc",
            "no start line: it is neither PEM nor a key in DER",
        ),
    ] {
        assert_eq!(
            error(&identity(&certificate, content, None)),
            format!("could not load private key file \"client.key\": {why}")
        );
    }
    for kind in [
        "-algorithm RSA -pkeyopt rsa_keygen_bits:1024",
        "-algorithm EC -pkeyopt ec_paramgen_curve:secp521r1",
        "-algorithm X25519",
        "-algorithm ED448",
    ] {
        shop.must(&format!("genpkey {kind} -out key"));
        let text = error(&identity(&certificate, &shop.read("key"), None));
        assert!(
            text.starts_with("could not load private key file \"client.key\": unsupported"),
            "{text}"
        );
    }
    shop.must("pkcs8 -topk8 -v1 PBE-SHA1-3DES -in key -out out -passout pass:secret");
    let text = error(&identity(&certificate, &shop.read("out"), Some("secret")));
    assert!(text.contains("openssl pkcs8 -topk8 -v2 aes256"), "{text}");
}

/// An encrypted key that is cut off or changed anywhere is refused, and nothing more happens.
#[test]
fn damaged_keys_do_no_harm() {
    let Some(shop) = Workshop::open() else { return };
    let certificate = make(&shop, "-algorithm ED25519");
    shop.must("pkcs8 -topk8 -in key -outform DER -out out -passout pass:secret -iter 1");
    let der = shop.read("out");
    for end in 0..der.len() {
        assert!(load(&identity(&certificate, &der[..end], Some("secret"))).is_err());
    }
    for at in 0..der.len() {
        let mut der = der.clone();
        der[at] ^= 1;
        let _ = load(&identity(&certificate, &der, Some("secret")));
    }
}
