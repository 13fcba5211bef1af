//! The other end: a TLS server of rustls', and what carries bytes between it and a net over memory.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::{Arc, OnceLock};

use pgpoll::conninfo::TcpOptions;
use pgpoll::conninfo::tls::{Tls, TlsVersion};
use pgpoll::link::{Addr, Answer, Ask, LinkError, TlsFacts};
use pgpoll::net::{Net, Received};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection};

/// How a server is to be.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) version: TlsVersion,
    /// The plaintext of one record is at most so long.
    pub(crate) record: usize,
}

pub(crate) const TLS_1_3: Kind = Kind {
    version: TlsVersion::V1_3,
    record: 16 * 1024,
};
pub(crate) const TLS_1_2: Kind = Kind {
    version: TlsVersion::V1_2,
    record: 16 * 1024,
};

/// The server's end.
pub(crate) struct Peer {
    pub(crate) tls: ServerConnection,
    record: usize,
    /// What it has sent and nobody has carried yet.
    pub(crate) wire: Vec<u8>,
}

impl Peer {
    pub(crate) fn new(kind: Kind) -> Peer {
        let mut config = config().as_ref().clone();
        config.max_fragment_size = (kind.record >= 32).then_some(kind.record + 5);
        let tls = ServerConnection::new(Arc::new(config)).unwrap();
        Peer {
            tls,
            record: kind.record,
            wire: Vec::new(),
        }
    }

    /// Encrypts, in records of the wanted size.
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        for record in bytes.chunks(self.record) {
            self.tls.writer().write_all(record).unwrap();
            self.flush();
        }
    }

    pub(crate) fn flush(&mut self) {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.wire).unwrap();
        }
    }

    /// Takes what the client has sent; what it said.
    pub(crate) fn hear(&mut self, net: &mut Net) -> Vec<u8> {
        let mut heard = Vec::new();
        while !net.output().is_empty() {
            let mut output = net.output();
            let before = output.len();
            self.tls.read_tls(&mut output).unwrap();
            let count = before - output.len();
            net.taken(count);
            self.tls.process_new_packets().unwrap();
            let _ = self.tls.reader().read_to_end(&mut heard);
        }
        self.flush();
        heard
    }

    /// Carries at most `most` bytes to the client; false when there is nothing to carry.
    pub(crate) fn carry(&mut self, net: &mut Net, most: usize) -> bool {
        let count = net.feed(&self.wire[..most.min(self.wire.len())]);
        self.wire.drain(..count);
        count > 0
    }
}

/// A net over memory that its engine has connected.
pub(crate) fn connected() -> Net {
    asked(Net::pumped())
}

/// A net over one end of a socketpair.
pub(crate) fn adopted(socket: UnixStream) -> Net {
    asked(Net::adopt(socket.into()).unwrap())
}

fn asked(mut net: Net) -> Net {
    let ask = Ask::Dial {
        addr: Addr::Given,
        tcp: TcpOptions::default(),
        want_peer: false,
    };
    net.ask(1, ask);
    assert!(matches!(net.answer(), Some((1, Answer::Dialled(_)))));
    net
}

pub(crate) fn options(kind: Kind) -> Arc<Tls> {
    Arc::new(Tls {
        min_version: Some(kind.version),
        max_version: Some(kind.version),
        ..Tls::unverified()
    })
}

pub(crate) fn begin(net: &mut Net, kind: Kind) {
    let ask = Ask::Secure {
        tls: options(kind),
        host: b"localhost".to_vec(),
    };
    net.ask(2, ask);
}

/// Both ends after a handshake whose bytes came in pieces of at most `piece`.
pub(crate) fn secured(kind: Kind, piece: usize) -> (Net, Peer) {
    let (mut net, mut peer) = (connected(), Peer::new(kind));
    begin(&mut net, kind);
    shake_hands(&mut net, &mut peer, piece).unwrap();
    (net, peer)
}

pub(crate) fn shake_hands(
    net: &mut Net,
    peer: &mut Peer,
    piece: usize,
) -> Result<TlsFacts, LinkError> {
    loop {
        match net.answer() {
            Some((2, Answer::Secured(facts))) => {
                net.send_unsent();
                assert!(peer.hear(net).is_empty());
                return Ok(facts);
            }
            Some((2, Answer::Failed(error))) => return Err(error),
            Some(other) => panic!("{other:?}"),
            None => {}
        }
        peer.hear(net);
        assert!(peer.carry(net, piece), "nothing to carry: {net:?}");
    }
}

/// Receives all that is there, into room for `room` bytes at a time.
pub(crate) fn receive_all(net: &mut Net, room: usize) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let mut chunk = Vec::with_capacity(room);
        match net.receive_behind(&mut chunk, room) {
            Received::Bytes(count) => {
                assert_eq!(count, chunk.len());
                assert_ne!(count, 0);
                all.extend(chunk);
            }
            Received::Wait => return all,
            Received::Failed(error) => panic!("{error:?}"),
        }
    }
}

fn config() -> &'static Arc<ServerConfig> {
    static CONFIG: OnceLock<Arc<ServerConfig>> = OnceLock::new();
    CONFIG.get_or_init(|| {
        let (certificate, key) = certificate();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        // Each handshake is a whole one.
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        Arc::new(config)
    })
}

/// A certificate that signs itself, made anew, and its key.
fn certificate() -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let made = Command::new("openssl")
        .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes".split(' '))
        .args("-days 2 -subj /CN=localhost -keyout - -out -".split(' '))
        .output()
        .expect("openssl: `make setup` installs it");
    let pem = String::from_utf8(made.stdout).unwrap();
    let der = |kind: &str| {
        let (begin, end) = (
            format!("-----BEGIN {kind}-----"),
            format!("-----END {kind}-----"),
        );
        let inner = pem
            .split(&begin)
            .nth(1)
            .unwrap()
            .split(&end)
            .next()
            .unwrap();
        let text: String = inner.split_whitespace().collect();
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).unwrap()
    };
    let key = PrivatePkcs8KeyDer::from(der("PRIVATE KEY"));
    (CertificateDer::from(der("CERTIFICATE")), key.into())
}
