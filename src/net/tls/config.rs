//! What one TLS handshake is begun with, and what it came to. Knows rustls' configuration, and neither records nor sockets.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::{DnsName, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, CommonState, ProtocolVersion, SupportedProtocolVersion};

use crate::conninfo::tls::{Identity, Roots, Tls, TlsVersion};
use crate::link::{LinkError, LinkErrorKind, TlsFacts};
use crate::net::tls::client::{self, ClientCertificate, Requested};
use crate::net::tls::explain::explain;
use crate::net::tls::keylog::KeyLogFile;
use crate::net::tls::verify::Verifier;
use crate::net::tls::{cache, cipher, end_point, keys};

/// The protocol that a client of PostgreSQL offers by ALPN.
const ALPN: &[u8] = b"postgresql";

/// How many tickets of a server are kept for later connections; rustls keeps eight.
const TICKETS: usize = 8;

/// What one handshake needs.
#[derive(Clone)]
pub(in crate::net) struct Setup {
    /// What rustls is told.
    pub(super) config: Arc<ClientConfig>,
    /// The name for SNI: no name, where it is an address or not to be told.
    pub(super) name: ServerName<'static>,
    tls: Arc<Tls>,
    requested: Option<Requested>,
}

/// The part of it that connections with the same options to the same host have in common.
pub(super) struct Shared {
    config: Arc<ClientConfig>,
    pub(super) verifier: Arc<Verifier>,
}

impl Setup {
    /// The setup, unless making it takes its time: then [`Setup::new`] is for a thread of its own.
    pub(in crate::net) fn at_once(tls: &Arc<Tls>, host: &[u8]) -> Option<Result<Setup, LinkError>> {
        if tls.problem.is_some() || !takes_time(tls) {
            return Some(Setup::new(tls, host));
        }
        let shared = cache::find(tls, host)?;
        Some(Ok(Setup::over(&shared, tls, host)))
    }

    /// The setup for `host` as the user wrote it, perhaps empty. **Blocks** where [`Setup::at_once`] gives nothing.
    ///
    /// # Errors
    /// `TlsSetup`: the options or files are of no use, whatever the server is.
    pub(in crate::net) fn new(tls: &Arc<Tls>, host: &[u8]) -> Result<Setup, LinkError> {
        if let Some(problem) = &tls.problem {
            return Err(setup_error(problem.clone()));
        }
        let shared = match cache::find(tls, host) {
            Some(shared) => shared,
            None => {
                let shared = Arc::new(Shared::new(tls, host)?);
                cache::keep(tls, host, &shared);
                shared
            }
        };
        Ok(Setup::over(&shared, tls, host))
    }

    fn over(shared: &Shared, tls: &Arc<Tls>, host: &[u8]) -> Setup {
        Setup {
            config: shared.config.clone(),
            name: server_name(tls, host),
            tls: tls.clone(),
            requested: None,
        }
    }

    /// To be called after each step of the handshake, before this thread goes on with another one: remembers what the server asked for.
    pub(super) fn note(&mut self) {
        self.requested = client::requested().or(self.requested);
    }

    /// What the finished handshake came to.
    pub(super) fn facts(&self, connection: &CommonState) -> TlsFacts {
        let suite = connection.negotiated_cipher_suite();
        let (cipher, key_bits) =
            suite.map_or(("unknown", 0), |suite| cipher::name_and_bits(suite.suite()));
        let leaf = connection.peer_certificates().and_then(<[_]>::first);
        TlsFacts {
            version: match connection.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
                Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
                _ => "unknown",
            },
            cipher,
            key_bits,
            alpn: connection.alpn_protocol().map(<[u8]>::to_vec),
            end_point: leaf.map(|leaf| end_point::hash(leaf)),
            certificate_requested: self.requested.is_some(),
            certificate_sent: self.requested.is_some_and(|requested| requested.was_sent),
        }
    }

    /// Why the handshake, or a record after it, failed: in libpq's words where it has some.
    pub(super) fn explain(&self, error: rustls::Error) -> LinkError {
        LinkError {
            kind: LinkErrorKind::Tls,
            errno: 0,
            text: explain(&error, &self.tls),
        }
    }
}

impl Shared {
    fn new(tls: &Tls, host: &[u8]) -> Result<Shared, LinkError> {
        let verifier = Arc::new(Verifier::new(tls, host)?);
        let key = tls.identity.as_ref().map(keys::load).transpose()?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions(tls)?)
            .map_err(|error| setup_error(format!("could not create SSL context: {error}")))?
            .dangerous()
            .with_custom_certificate_verifier(verifier.clone())
            .with_client_cert_resolver(Arc::new(ClientCertificate(key)));
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = if cache::is_shareable(tls) {
            Resumption::in_memory_sessions(TICKETS)
        } else {
            Resumption::disabled()
        };
        if let Some(path) = &tls.keylog {
            config.key_log = Arc::new(KeyLogFile::new(path));
        }
        Ok(Shared {
            config: Arc::new(config),
            verifier,
        })
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Setup({:?})", self.name)
    }
}

/// The system has hundreds of files of roots, and an encrypted key's password is derived in as many rounds as its file says.
fn takes_time(tls: &Tls) -> bool {
    let is_encrypted = |identity: &Identity| identity.password.is_some();
    tls.roots == Roots::System || tls.identity.as_ref().is_some_and(is_encrypted)
}

static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
static ONLY_1_2: [&SupportedProtocolVersion; 1] = [&TLS12];
static ONLY_1_3: [&SupportedProtocolVersion; 1] = [&TLS13];

/// The versions between the options' bounds that there are.
fn versions(tls: &Tls) -> Result<&'static [&'static SupportedProtocolVersion], LinkError> {
    let from = tls.min_version.unwrap_or(TlsVersion::V1_2);
    let to = tls.max_version.unwrap_or(TlsVersion::V1_3);
    if to < TlsVersion::V1_2 {
        return Err(setup_error(String::from(
            "could not set maximum SSL protocol version: TLS versions before TLSv1.2 are not supported; set ssl_max_protocol_version to TLSv1.2 or TLSv1.3, or leave it out",
        )));
    }
    Ok(match (from > TlsVersion::V1_2, to < TlsVersion::V1_3) {
        (false, false) => &BOTH,
        (false, true) => &ONLY_1_2,
        (true, false) => &ONLY_1_3,
        (true, true) => {
            return Err(setup_error(String::from(
                "invalid SSL protocol version range",
            )));
        }
    })
}

/// What SNI tells. Libpq leaves out what looks like an address; what is no name cannot be told either, and an address in its place is not.
fn server_name(tls: &Tls, host: &[u8]) -> ServerName<'static> {
    let nothing = ServerName::IpAddress(IpAddr::V4(Ipv4Addr::UNSPECIFIED).into());
    let is_address = host.contains(&b':')
        || host
            .iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b'.');
    if !tls.sni || is_address {
        return nothing;
    }
    match DnsName::try_from(host) {
        Ok(name) => ServerName::DnsName(name.to_owned()),
        Err(_) => nothing,
    }
}

/// An error of our own side, before anything is said to the server.
pub(super) fn setup_error(text: String) -> LinkError {
    LinkError {
        kind: LinkErrorKind::TlsSetup,
        errno: 0,
        text,
    }
}
