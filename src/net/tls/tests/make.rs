//! Makes certificates and revocation lists, also ones that nobody should make. Knows DER, and no files.

use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::SigningKey;
use std::sync::Arc;

/// Tags of DER.
pub(crate) mod tag {
    pub(crate) const BOOLEAN: u8 = 0x01;
    pub(crate) const INTEGER: u8 = 0x02;
    pub(crate) const BIT_STRING: u8 = 0x03;
    pub(crate) const OCTET_STRING: u8 = 0x04;
    pub(crate) const OID: u8 = 0x06;
    pub(crate) const ENUMERATED: u8 = 0x0a;
    pub(crate) const UTC_TIME: u8 = 0x17;
    pub(crate) const GENERALIZED_TIME: u8 = 0x18;
    pub(crate) const SEQUENCE: u8 = 0x30;
    pub(crate) const SET: u8 = 0x31;

    /// `[n]` of a simple type (IMPLICIT).
    pub(crate) const fn simple(n: u8) -> u8 {
        0x80 | n
    }

    /// `[n]` of a constructed type, or EXPLICIT.
    pub(crate) const fn nested(n: u8) -> u8 {
        0xa0 | n
    }
}

/// Object identifiers, without tag and length.
pub(crate) mod oid {
    pub(crate) const COMMON_NAME: &[u8] = &[0x55, 4, 3];
    pub(crate) const SUBJECT_KEY: &[u8] = &[0x55, 29, 14];
    pub(crate) const KEY_USAGE: &[u8] = &[0x55, 29, 15];
    pub(crate) const SUBJECT_ALT_NAME: &[u8] = &[0x55, 29, 17];
    pub(crate) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 29, 19];
    pub(crate) const CRL_NUMBER: &[u8] = &[0x55, 29, 20];
    pub(crate) const CRL_REASON: &[u8] = &[0x55, 29, 21];
    pub(crate) const ISSUING_POINT: &[u8] = &[0x55, 29, 28];
    pub(crate) const NAME_CONSTRAINTS: &[u8] = &[0x55, 29, 30];
    pub(crate) const AUTHORITY_KEY: &[u8] = &[0x55, 29, 35];
    pub(crate) const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 29, 37];
    /// 1.3.6.1.5.5.7.3.1, serverAuth.
    pub(crate) const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
    /// 2.16.840.1.113730.1.1.
    pub(crate) const NETSCAPE_CERT_TYPE: &[u8] = &[0x60, 0x86, 0x48, 1, 0x86, 0xf8, 0x42, 1, 1];
}

/// 2025-06-01, when the certificates of the tests are looked at.
pub(crate) const NOW: i64 = 1_748_736_000;
const DAY: i64 = 86_400;

/// A key pair, with how it signs.
#[derive(Clone)]
pub(crate) struct Key {
    #[allow(dead_code)]
    pub(crate) pkcs8: Vec<u8>,
    signing: Arc<dyn SigningKey>,
    scheme: SignatureScheme,
    /// The AlgorithmIdentifier of its signatures, whole.
    algorithm: Vec<u8>,
}

impl Key {
    /// ECDSA on P-256 with SHA-256.
    pub(crate) fn new() -> Key {
        let pkcs8 = ring::signature::EcdsaKeyPair::generate_pkcs8(
            &ring::signature::ECDSA_P256_SHA256_ASN1_SIGNING,
            &ring::rand::SystemRandom::new(),
        );
        let algorithm = sequence(&[&der(tag::OID, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2])]);
        Key::from_pkcs8(
            pkcs8.unwrap().as_ref(),
            SignatureScheme::ECDSA_NISTP256_SHA256,
            algorithm,
        )
    }

    pub(crate) fn ed25519() -> Key {
        let random = ring::rand::SystemRandom::new();
        let pkcs8 = ring::signature::Ed25519KeyPair::generate_pkcs8(&random);
        let algorithm = sequence(&[&der(tag::OID, &[0x2b, 0x65, 0x70])]);
        Key::from_pkcs8(pkcs8.unwrap().as_ref(), SignatureScheme::ED25519, algorithm)
    }

    pub(crate) fn from_pkcs8(pkcs8: &[u8], scheme: SignatureScheme, algorithm: Vec<u8>) -> Key {
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8));
        Key {
            pkcs8: pkcs8.to_vec(),
            signing: any_supported_type(&der).unwrap(),
            scheme,
            algorithm,
        }
    }

    /// The same key with another name for how it signs.
    pub(crate) fn claiming(&self, algorithm: Vec<u8>) -> Key {
        Key {
            algorithm,
            ..self.clone()
        }
    }

    fn public(&self) -> Vec<u8> {
        self.signing.public_key().unwrap().as_ref().to_vec()
    }

    fn sign(&self, body: &[u8]) -> Vec<u8> {
        let signer = self.signing.choose_scheme(&[self.scheme]).unwrap();
        let signature = signer.sign(body).unwrap();
        let bits = der(tag::BIT_STRING, &[&[0], &signature[..]].concat());
        sequence(&[body, &self.algorithm, &bits])
    }
}

/// A certificate to be made.
#[derive(Clone)]
pub(crate) struct Make {
    pub(crate) serial: Vec<u8>,
    pub(crate) subject: Vec<u8>,
    pub(crate) from: i64,
    pub(crate) until: i64,
    pub(crate) extensions: Vec<Vec<u8>>,
}

impl Make {
    /// Of version 1, for a common name.
    pub(crate) fn v1(common_name: &str) -> Make {
        let serial = common_name.bytes().fold(7_u32, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(u32::from(byte))
        });
        Make {
            serial: [&[1], &serial.to_be_bytes()[..]].concat(),
            subject: name(common_name.as_bytes()),
            from: NOW - DAY,
            until: NOW + DAY,
            extensions: Vec::new(),
        }
    }

    /// A CA's.
    pub(crate) fn ca(common_name: &str) -> Make {
        Make::v1(common_name).with(basic(true, None))
    }

    /// A server's with alternative names, as `dns:name` or `ip:address`.
    pub(crate) fn server(common_name: &str, names: &[&str]) -> Make {
        Make::v1(common_name).with(alternatives(names))
    }

    pub(crate) fn with(mut self, extension: Vec<u8>) -> Make {
        self.extensions.push(extension);
        self
    }

    pub(crate) fn valid(mut self, from: i64, until: i64) -> Make {
        (self.from, self.until) = (NOW + from * DAY, NOW + until * DAY);
        self
    }

    /// Issued by itself.
    pub(crate) fn alone(self, key: &Key) -> Made {
        let issuer = self.subject.clone();
        self.make(key, &issuer, key)
    }

    /// Issued by another.
    pub(crate) fn by(self, issuer: &Made) -> Made {
        let key = Key::new();
        self.make(&key, &issuer.name, &issuer.key)
    }

    pub(crate) fn make(self, key: &Key, issuer: &[u8], signer: &Key) -> Made {
        let version = match self.extensions.is_empty() {
            true => Vec::new(),
            false => der(tag::nested(0), &der(tag::INTEGER, &[2])),
        };
        let extensions = match self.extensions.is_empty() {
            true => Vec::new(),
            false => {
                let all: Vec<&[u8]> = self.extensions.iter().map(Vec::as_slice).collect();
                der(tag::nested(3), &sequence(&all))
            }
        };
        let body = sequence(&[
            &version,
            &der(tag::INTEGER, &self.serial),
            &signer.algorithm,
            issuer,
            &sequence(&[&time(self.from), &time(self.until)]),
            &self.subject,
            &key.public(),
            &extensions,
        ]);
        Made {
            der: signer.sign(&body),
            key: key.clone(),
            name: self.subject,
            serial: self.serial,
        }
    }
}

/// A certificate with its key.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) der: Vec<u8>,
    pub(crate) key: Key,
    pub(crate) name: Vec<u8>,
    pub(crate) serial: Vec<u8>,
}

impl Made {
    /// A list of what it has issued and revoked.
    pub(crate) fn revokes(&self, revoked: &[&Made], from: i64, until: i64) -> Vec<u8> {
        let entries = revoked.iter().map(|made| {
            let serial = der(tag::INTEGER, &made.serial);
            sequence(&[&serial, &time(NOW - DAY)])
        });
        self.list(entries.collect(), from, Some(until), Vec::new())
    }

    /// A list of any kind; extensions make it one of version 2.
    pub(crate) fn list(
        &self,
        entries: Vec<Vec<u8>>,
        from: i64,
        until: Option<i64>,
        extensions: Vec<Vec<u8>>,
    ) -> Vec<u8> {
        let all: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
        let entries = if all.is_empty() {
            Vec::new()
        } else {
            sequence(&all)
        };
        let until = until.map_or(Vec::new(), |until| time(NOW + until * DAY));
        let (version, extensions) = match extensions.is_empty() {
            true => (Vec::new(), Vec::new()),
            false => {
                let all: Vec<&[u8]> = extensions.iter().map(Vec::as_slice).collect();
                (
                    der(tag::INTEGER, &[1]),
                    der(tag::nested(0), &sequence(&all)),
                )
            }
        };
        self.key.sign(&sequence(&[
            &version,
            &self.key.algorithm,
            &self.name,
            &time(NOW + from * DAY),
            &until,
            &entries,
            &extensions,
        ]))
    }

    pub(crate) fn pem(&self) -> Vec<u8> {
        pem("CERTIFICATE", &self.der)
    }
}

pub(crate) fn der(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = value.len();
    let bytes = u32::try_from(length).unwrap().to_be_bytes();
    let head = match length {
        0..0x80 => vec![tag, bytes[3]],
        0x80..0x100 => vec![tag, 0x81, bytes[3]],
        0x100..0x1_0000 => vec![tag, 0x82, bytes[2], bytes[3]],
        _ => vec![tag, 0x83, bytes[1], bytes[2], bytes[3]],
    };
    [&head, value].concat()
}

pub(crate) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    der(tag::SEQUENCE, &parts.concat())
}

/// A Name with a common name in UTF8.
pub(crate) fn name(common_name: &[u8]) -> Vec<u8> {
    names(&[(oid::COMMON_NAME, common_name)])
}

/// A Name with any attributes, each in a set of its own.
pub(crate) fn names(attributes: &[(&[u8], &[u8])]) -> Vec<u8> {
    let sets: Vec<Vec<u8>> = attributes
        .iter()
        .map(|(oid, value)| {
            der(
                tag::SET,
                &sequence(&[&der(tag::OID, oid), &der(0x0c, value)]),
            )
        })
        .collect();
    sequence(&sets.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

pub(crate) fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical {
        der(tag::BOOLEAN, &[0xff])
    } else {
        Vec::new()
    };
    sequence(&[
        &der(tag::OID, oid),
        &critical,
        &der(tag::OCTET_STRING, value),
    ])
}

pub(crate) fn basic(is_ca: bool, path_length: Option<u8>) -> Vec<u8> {
    let is_ca = if is_ca {
        der(tag::BOOLEAN, &[0xff])
    } else {
        Vec::new()
    };
    let length = path_length.map_or(Vec::new(), |length| der(tag::INTEGER, &[length]));
    extension(oid::BASIC_CONSTRAINTS, true, &sequence(&[&is_ca, &length]))
}

/// Key usage, by the first byte of the bit string.
pub(crate) fn usage(bits: u8) -> Vec<u8> {
    extension(oid::KEY_USAGE, true, &der(tag::BIT_STRING, &[0, bits]))
}

pub(crate) fn purposes(oids: &[&[u8]]) -> Vec<u8> {
    let oids: Vec<u8> = oids.iter().flat_map(|oid| der(tag::OID, oid)).collect();
    extension(oid::EXTENDED_KEY_USAGE, false, &der(tag::SEQUENCE, &oids))
}

pub(crate) fn alternatives(names: &[&str]) -> Vec<u8> {
    let names: Vec<u8> = names.iter().flat_map(|name| general_name(name)).collect();
    extension(oid::SUBJECT_ALT_NAME, false, &der(tag::SEQUENCE, &names))
}

pub(crate) fn general_name(name: &str) -> Vec<u8> {
    match name.split_once(':').unwrap() {
        ("dns", name) => der(0x82, name.as_bytes()),
        ("mail", name) => der(0x81, name.as_bytes()),
        ("cn", common_name) => der(0xa4, &self::name(common_name.as_bytes())),
        ("ip", address) => match address.parse().unwrap() {
            std::net::IpAddr::V4(address) => der(0x87, &address.octets()),
            std::net::IpAddr::V6(address) => der(0x87, &address.octets()),
        },
        ("net", net) => {
            let (net, mask) = net.split_once('/').unwrap();
            let octets = |text: &str| text.parse::<std::net::Ipv4Addr>().unwrap().octets();
            der(0x87, &[octets(net), octets(mask)].concat())
        }
        other => panic!("{other:?}"),
    }
}

pub(crate) fn constraints(permitted: &[&str], excluded: &[&str]) -> Vec<u8> {
    let trees = |number: u8, names: &[&str]| {
        let trees: Vec<u8> = names
            .iter()
            .flat_map(|name| sequence(&[&general_name(name)]))
            .collect();
        if trees.is_empty() {
            Vec::new()
        } else {
            der(tag::nested(number), &trees)
        }
    };
    let value = sequence(&[&trees(0, permitted), &trees(1, excluded)]);
    extension(oid::NAME_CONSTRAINTS, true, &value)
}

pub(crate) fn subject_key(id: &[u8]) -> Vec<u8> {
    extension(oid::SUBJECT_KEY, false, &der(tag::OCTET_STRING, id))
}

pub(crate) fn authority_key(id: &[u8]) -> Vec<u8> {
    extension(
        oid::AUTHORITY_KEY,
        false,
        &sequence(&[&der(tag::simple(0), id)]),
    )
}

/// A GeneralizedTime, or a UTCTime where RFC 5280 wants one.
pub(crate) fn time(seconds: i64) -> Vec<u8> {
    let days = seconds.div_euclid(DAY);
    let of_day = seconds.rem_euclid(DAY);
    let (mut year, mut left) = (1970, days);
    let length = |year: i64| 365 + i64::from(year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
    while left >= length(year) {
        left -= length(year);
        year += 1;
    }
    let mut month = 1;
    for days in [
        31,
        length(year) - 337,
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ] {
        if left < days {
            break;
        }
        left -= days;
        month += 1;
    }
    let rest = format!(
        "{month:02}{:02}{:02}{:02}{:02}Z",
        left + 1,
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60
    );
    match year {
        1950..2050 => der(tag::UTC_TIME, format!("{:02}{rest}", year % 100).as_bytes()),
        _ => der(tag::GENERALIZED_TIME, format!("{year}{rest}").as_bytes()),
    }
}

pub(crate) fn pem(label: &str, der: &[u8]) -> Vec<u8> {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
    .into_bytes()
}
