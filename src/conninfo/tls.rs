//! What TLS needs to know, read from options and files before connecting. Knows no handshake and no certificate's content.

mod files;

use zeroize::Zeroize;

use super::plan::Secret;

pub(super) use files::read;

/// How the server of a connection proves itself, and how the client does. Everything is read when the connection is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// How much of the server's certificate is checked.
    pub verify: Verify,
    /// What a server's certificate is checked against.
    pub roots: Roots,
    /// Whether certificates are checked for revocation: then a list of each issuer of the chain must be among `revocations`.
    pub check_revocation: bool,
    /// `sslcrl` and the files of `sslcrldir`: certificate revocation lists, PEM or DER.
    pub revocations: Vec<File>,
    /// The client's certificate and key, if there is one and it may be sent.
    pub identity: Option<Identity>,
    /// `sslcertmode`.
    pub certificate_mode: CertificateMode,
    /// `sslsni`: tell the server the host name, unless it is an address.
    pub sni: bool,
    /// `ssl_min_protocol_version`.
    pub min_version: Option<TlsVersion>,
    /// `ssl_max_protocol_version`.
    pub max_version: Option<TlsVersion>,
    /// `sslkeylogfile`.
    pub keylog: Option<Vec<u8>>,
    /// `sslnegotiation=direct`: no request before the handshake, and the server must select the ALPN protocol `postgresql`.
    pub direct: bool,
    /// What was wrong with the files. TLS cannot be begun with it: whoever begins says this instead.
    pub problem: Option<String>,
}

impl Tls {
    /// Encrypted, with whoever it may be: `sslmode=require` where there are no files.
    pub fn unverified() -> Self {
        Self {
            verify: Verify::Nothing,
            roots: Roots::None,
            check_revocation: false,
            revocations: Vec::new(),
            identity: None,
            certificate_mode: CertificateMode::Allow,
            sni: true,
            min_version: None,
            max_version: None,
            keylog: None,
            direct: false,
            problem: None,
        }
    }
}

/// How much of the server's certificate is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verify {
    /// Nothing: the connection is encrypted, with whoever it may be.
    Nothing,
    /// That it was issued by one that is trusted (`verify-ca`, and weaker modes where there is a root certificate file).
    Issuer,
    /// That, and that it is the host's (`verify-full`).
    Host,
}

/// What a server's certificate is checked against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roots {
    /// Nothing, because nothing is checked.
    None,
    /// `sslrootcert=system`: what the operating system trusts.
    System,
    /// A file of certificates in PEM.
    File(File),
}

/// A file as it was read. It is wiped when dropped: the key may be in one file with the certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    /// Where it was.
    pub path: Vec<u8>,
    /// What was in it.
    pub content: Vec<u8>,
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "File({}, {} bytes)",
            self.path.escape_ascii(),
            self.content.len()
        )
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.content.zeroize();
    }
}

/// A client's certificate and key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `sslcert`: the certificate, followed by those that issued it; PEM, or one in DER.
    pub certificate: File,
    /// Where the key was.
    pub key_path: Vec<u8>,
    /// `sslkey`: PEM or DER, perhaps encrypted.
    pub key: Secret,
    /// `sslpassword`.
    pub password: Option<Secret>,
}

/// `sslcertmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateMode {
    /// No certificate is sent.
    Disable,
    /// One is sent if the server asks for it and there is one.
    Allow,
    /// The server must ask for one, and there must be one.
    Require,
}

/// A version of TLS.
#[allow(missing_docs)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    V1_0,
    V1_1,
    V1_2,
    V1_3,
}
