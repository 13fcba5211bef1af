//! An X.509 certificate (RFC 5280, section 4), read where it lies. Knows its fields, and not whom to trust.
//!
//! Read by itself and not by webpki, because that refuses certificates of version 1, which PostgreSQL's manual tells people to make.

use crate::net::tls::asn1::{self, Malformed, Reader, tag};

/// A certificate's fields.
#[derive(Debug, Clone)]
pub(super) struct Certificate<'a> {
    /// All of it, as it was sent.
    pub(super) whole: &'a [u8],
    /// The serial number, without leading zeros.
    pub(super) serial: &'a [u8],
    /// Who issued it: a name, compared byte by byte.
    pub(super) issuer: &'a [u8],
    /// Whose it is.
    pub(super) subject: &'a [u8],
    /// Valid from and until, in seconds since 1970.
    pub(super) from: i64,
    pub(super) until: i64,
    /// The key that it is for.
    pub(super) key: PublicKey<'a>,
    /// What its issuer has signed, and how.
    pub(super) signed: Signed<'a>,
    /// 1 or 3; version 2 counts as 1, for it has no extensions either.
    pub(super) version: u8,
    pub(super) extensions: Extensions<'a>,
}

/// A public key.
#[derive(Debug, Clone, Copy)]
pub(super) struct PublicKey<'a> {
    /// The SubjectPublicKeyInfo.
    pub(super) whole: &'a [u8],
    /// The algorithm's identifier with parameters, without tag and length.
    pub(super) algorithm: &'a [u8],
    pub(super) bits: &'a [u8],
}

/// Bytes with the issuer's signature on them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signed<'a> {
    pub(super) bytes: &'a [u8],
    /// The algorithm's identifier with parameters, without tag and length.
    pub(super) algorithm: &'a [u8],
    pub(super) signature: &'a [u8],
}

/// The extensions that matter here.
#[derive(Debug, Clone, Default)]
pub(super) struct Extensions<'a> {
    pub(super) basic: Option<BasicConstraints>,
    pub(super) key_usage: Option<KeyUsage>,
    /// Extended key usage: whether it includes being a TLS server.
    pub(super) for_servers: Option<bool>,
    /// Netscape's certificate type, which came before it.
    pub(super) netscape: Option<u8>,
    /// The subject's alternative names: GeneralNames, one after the other.
    pub(super) names: Option<&'a [u8]>,
    /// Name constraints: the contents of the sequence.
    pub(super) constraints: Option<&'a [u8]>,
    pub(super) subject_key: Option<&'a [u8]>,
    pub(super) authority_key: Option<&'a [u8]>,
    pub(super) authority_serial: Option<&'a [u8]>,
    /// There is one that is critical and that nobody here understands.
    pub(super) has_unknown_critical: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BasicConstraints {
    pub(super) is_ca: bool,
    /// How many certificates of CAs may stand below it, at most.
    pub(super) path_length: Option<u32>,
}

/// What the key may be used for: the bits of the extension, the first one lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyUsage(u16);

impl KeyUsage {
    const DIGITAL_SIGNATURE: u16 = 1;
    const KEY_ENCIPHERMENT: u16 = 1 << 2;
    const KEY_AGREEMENT: u16 = 1 << 4;
    const CERT_SIGN: u16 = 1 << 5;
    const CRL_SIGN: u16 = 1 << 6;

    pub(super) fn signs_certificates(self) -> bool {
        self.0 & Self::CERT_SIGN != 0
    }

    pub(super) fn signs_revocations(self) -> bool {
        self.0 & Self::CRL_SIGN != 0
    }

    /// One of the uses that a TLS server has for it.
    pub(super) fn does_tls(self) -> bool {
        self.0 & (Self::DIGITAL_SIGNATURE | Self::KEY_ENCIPHERMENT | Self::KEY_AGREEMENT) != 0
    }
}

impl<'a> Certificate<'a> {
    /// Reads one; there must be nothing behind it.
    pub(super) fn read(whole: &'a [u8]) -> Result<Certificate<'a>, Malformed> {
        let (body, signed) = signed(whole)?;
        let mut body = Reader::new(body);
        let version = match body.optional(tag::nested(0))? {
            None => 1,
            Some(version) => match asn1::only(version, tag::INTEGER)? {
                [0 | 1] => 1,
                [2] => 3,
                _ => return Err(Malformed),
            },
        };
        let serial = trimmed(body.value(tag::INTEGER)?)?;
        if body.value(tag::SEQUENCE)? != signed.algorithm {
            return Err(Malformed); // RFC 5280, section 4.1.1.2: the same as outside
        }
        let issuer = name(&mut body)?;
        let mut validity = body.sequence()?;
        let (from, until) = (validity.time()?, validity.time()?);
        validity.end()?;
        let subject = name(&mut body)?;
        let key = PublicKey::read(&mut body)?;
        for unique_id in [1, 2] {
            body.optional(tag::simple(unique_id))?;
        }
        let extensions = match body.optional(tag::nested(3))? {
            Some(list) if version == 3 => Extensions::read(asn1::only(list, tag::SEQUENCE)?)?,
            Some(_) => return Err(Malformed),
            None => Extensions::default(),
        };
        body.end()?;
        Ok(Certificate {
            whole,
            serial,
            issuer,
            subject,
            from,
            until,
            key,
            signed,
            version,
            extensions,
        })
    }

    /// Issued by itself, as far as its names tell.
    pub(super) fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }

    /// The same, and its key identifiers do not deny it: the end of a chain.
    pub(super) fn is_self_signed(&self) -> bool {
        self.may_have_issued(self)
    }

    /// Whether `other` says that this one is its issuer.
    pub(super) fn may_have_issued(&self, other: &Certificate<'_>) -> bool {
        let agrees = |said: Option<&[u8]>, is: Option<&[u8]>| {
            said.zip(is).is_none_or(|(said, is)| said == is)
        };
        self.subject == other.issuer
            && agrees(other.extensions.authority_key, self.extensions.subject_key)
            && agrees(other.extensions.authority_serial, Some(self.serial))
    }

    /// The first common name, as its bytes are.
    pub(super) fn common_name(&self) -> Option<&'a [u8]> {
        common_names(self.subject).next()
    }
}

impl<'a> PublicKey<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let element = reader.element()?;
        if element.tag != tag::SEQUENCE {
            return Err(Malformed);
        }
        let mut inside = Reader::new(element.value);
        let algorithm = inside.value(tag::SEQUENCE)?;
        let bits = inside.bits()?;
        inside.end()?;
        Ok(Self {
            whole: element.whole,
            algorithm,
            bits,
        })
    }

    /// The bits of the modulus, if it is an RSA key.
    pub(super) fn rsa_bits(&self) -> Option<usize> {
        let mut algorithm = Reader::new(self.algorithm);
        let oid = algorithm.value(tag::OID).ok()?;
        if oid != oid::RSA && oid != oid::RSA_PSS {
            return None;
        }
        let mut key = Reader::new(self.bits).sequence().ok()?;
        let modulus = trimmed(key.value(tag::INTEGER).ok()?).ok()?;
        let unused = modulus.first().map_or(0, |byte| byte.leading_zeros());
        Some(modulus.len() * 8 - unused as usize)
    }
}

impl<'a> Extensions<'a> {
    fn read(list: &'a [u8]) -> Result<Self, Malformed> {
        let mut extensions = Extensions::default();
        let mut seen = Vec::new();
        each_extension(list, |oid, critical, value| {
            if seen.contains(&oid) || seen.len() >= MOST_EXTENSIONS {
                return Err(Malformed); // RFC 5280, section 4.2: not more than one of a kind
            }
            seen.push(oid);
            let known = extensions.take(oid, value)?;
            extensions.has_unknown_critical |= critical && !known;
            Ok(())
        })?;
        Ok(extensions)
    }

    /// Reads one extension, and says whether it is known here.
    fn take(&mut self, oid: &[u8], value: &'a [u8]) -> Result<bool, Malformed> {
        match oid {
            oid::BASIC_CONSTRAINTS => self.basic = Some(basic_constraints(value)?),
            oid::KEY_USAGE => self.key_usage = Some(KeyUsage(flags(value)?)),
            oid::EXTENDED_KEY_USAGE => self.for_servers = Some(for_servers(value)?),
            oid::NETSCAPE_CERT_TYPE => self.netscape = Some(flags(value)?.to_le_bytes()[0]),
            oid::SUBJECT_ALT_NAME => self.names = Some(asn1::only(value, tag::SEQUENCE)?),
            oid::NAME_CONSTRAINTS => self.constraints = Some(asn1::only(value, tag::SEQUENCE)?),
            oid::SUBJECT_KEY => self.subject_key = Some(asn1::only(value, tag::OCTET_STRING)?),
            oid::AUTHORITY_KEY => {
                let mut inside = Reader::new(asn1::only(value, tag::SEQUENCE)?);
                self.authority_key = inside.optional(tag::simple(0))?;
                inside.optional(tag::nested(1))?;
                let serial = inside.optional(tag::simple(2))?;
                self.authority_serial = serial.map(trimmed).transpose()?;
            }
            // Policies say nothing that a client without wishes about them must heed.
            oid::POLICIES | oid::POLICY_MAPPINGS | oid::POLICY_CONSTRAINTS | oid::INHIBIT_ANY => {}
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Object identifiers, without tag and length.
pub(super) mod oid {
    pub(crate) const COMMON_NAME: &[u8] = &[0x55, 4, 3];
    pub(crate) const SUBJECT_KEY: &[u8] = &[0x55, 29, 14];
    pub(crate) const KEY_USAGE: &[u8] = &[0x55, 29, 15];
    pub(crate) const SUBJECT_ALT_NAME: &[u8] = &[0x55, 29, 17];
    pub(crate) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 29, 19];
    pub(crate) const CRL_NUMBER: &[u8] = &[0x55, 29, 20];
    pub(crate) const CRL_REASON: &[u8] = &[0x55, 29, 21];
    pub(crate) const INVALIDITY_DATE: &[u8] = &[0x55, 29, 24];
    pub(crate) const ISSUING_POINT: &[u8] = &[0x55, 29, 28];
    pub(crate) const NAME_CONSTRAINTS: &[u8] = &[0x55, 29, 30];
    pub(crate) const POLICIES: &[u8] = &[0x55, 29, 32];
    pub(crate) const POLICY_MAPPINGS: &[u8] = &[0x55, 29, 33];
    pub(crate) const AUTHORITY_KEY: &[u8] = &[0x55, 29, 35];
    pub(crate) const POLICY_CONSTRAINTS: &[u8] = &[0x55, 29, 36];
    pub(crate) const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 29, 37];
    pub(crate) const INHIBIT_ANY: &[u8] = &[0x55, 29, 54];
    /// 1.3.6.1.5.5.7.3.1, serverAuth.
    pub(crate) const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
    /// 2.16.840.1.113730.4.1 and 1.3.6.1.4.1.311.10.3.3: servers too, for browsers that are gone.
    pub(crate) const NETSCAPE_STEP_UP: &[u8] = &[0x60, 0x86, 0x48, 1, 0x86, 0xf8, 0x42, 4, 1];
    pub(crate) const MICROSOFT_SGC: &[u8] = &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 10, 3, 3];
    /// 2.16.840.1.113730.1.1.
    pub(crate) const NETSCAPE_CERT_TYPE: &[u8] = &[0x60, 0x86, 0x48, 1, 0x86, 0xf8, 0x42, 1, 1];
    /// 1.2.840.113549.1.1.1.
    pub(crate) const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
    /// 1.2.840.113549.1.1.10.
    pub(crate) const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];
}

const MOST_EXTENSIONS: usize = 64;

/// Takes `SEQUENCE { body, algorithm, signature }` apart, which certificates and revocation lists are.
pub(super) fn signed(whole: &[u8]) -> Result<(&[u8], Signed<'_>), Malformed> {
    let mut outside = Reader::new(asn1::only(whole, tag::SEQUENCE)?);
    let body = outside.element()?;
    if body.tag != tag::SEQUENCE {
        return Err(Malformed);
    }
    let signed = Signed {
        bytes: body.whole,
        algorithm: outside.value(tag::SEQUENCE)?,
        signature: outside.bits()?,
    };
    outside.end()?;
    Ok((body.value, signed))
}

/// Calls `with` for each extension of a list: its identifier, whether it is critical, its value.
pub(super) fn each_extension<'a>(
    list: &'a [u8],
    mut with: impl FnMut(&'a [u8], bool, &'a [u8]) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut list = Reader::new(list);
    while !list.is_empty() {
        let mut extension = list.sequence()?;
        let oid = extension.value(tag::OID)?;
        let critical = extension.flag()?;
        let value = extension.value(tag::OCTET_STRING)?;
        extension.end()?;
        with(oid, critical, value)?;
    }
    Ok(())
}

/// A Name: all of it, for comparing; its form is checked when it is looked into.
pub(super) fn name<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Malformed> {
    reader.value(tag::SEQUENCE)
}

/// An integer without leading zeros.
pub(super) fn trimmed(integer: &[u8]) -> Result<&[u8], Malformed> {
    let zeros = integer.iter().take_while(|byte| **byte == 0).count();
    match integer {
        [] => Err(Malformed),
        _ => integer.get(zeros..).ok_or(Malformed),
    }
}

/// The common names in a Name, as their bytes are, in its order. What is malformed ends it.
pub(super) fn common_names(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    attributes(name)
        .filter(|(oid, _)| *oid == oid::COMMON_NAME)
        .map(|(_, value)| value)
}

fn attributes(name: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut outside = Reader::new(name);
    let mut inside = Reader::new(&[]);
    std::iter::from_fn(move || {
        while inside.is_empty() {
            inside = Reader::new(outside.value(tag::SET).ok()?);
        }
        let mut attribute = inside.sequence().ok()?;
        let oid = attribute.value(tag::OID).ok()?;
        Some((oid, attribute.element().ok()?.value))
    })
}

fn basic_constraints(value: &[u8]) -> Result<BasicConstraints, Malformed> {
    let mut inside = Reader::new(asn1::only(value, tag::SEQUENCE)?);
    let is_ca = inside.flag()?;
    let path_length = inside
        .optional(tag::INTEGER)?
        .map(asn1::number)
        .transpose()?;
    inside.end()?;
    Ok(BasicConstraints { is_ca, path_length })
}

/// A named bit list of at most sixteen bits, the first one lowest.
fn flags(value: &[u8]) -> Result<u16, Malformed> {
    match asn1::only(value, tag::BIT_STRING)? {
        [0..=7] => Ok(0),
        [0..=7, a] => Ok(u16::from(a.reverse_bits())),
        [0..=7, a, b] => Ok(u16::from_le_bytes([a.reverse_bits(), b.reverse_bits()])),
        _ => Err(Malformed),
    }
}

fn for_servers(value: &[u8]) -> Result<bool, Malformed> {
    let mut purposes = Reader::new(asn1::only(value, tag::SEQUENCE)?);
    let mut is_there = false;
    while !purposes.is_empty() {
        is_there |= matches!(
            purposes.value(tag::OID)?,
            oid::SERVER_AUTH | oid::NETSCAPE_STEP_UP | oid::MICROSOFT_SGC
        );
    }
    Ok(is_there)
}
