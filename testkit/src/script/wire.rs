//! One connection of a scripted server: a socket of either kind, in clear or under TLS. Knows rustls, not messages.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};
use socket2::SockRef;

/// How long a read waits for the client before it looks whether there is something else to do.
const TURN: Duration = Duration::from_millis(50);

/// Both kinds of sockets alike.
#[derive(Debug)]
pub(super) enum Raw {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Raw {
    fn socket(&self) -> SockRef<'_> {
        match self {
            Raw::Tcp(stream) => SockRef::from(stream),
            Raw::Unix(stream) => SockRef::from(stream),
        }
    }
}

impl Read for Raw {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Raw::Tcp(stream) => stream.read(into),
            Raw::Unix(stream) => stream.read(into),
        }
    }
}

impl Write for Raw {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Raw::Tcp(stream) => stream.write(bytes),
            Raw::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The connection.
#[derive(Debug)]
pub(super) struct Wire {
    raw: Raw,
    tls: Option<ServerConnection>,
    /// Of the first flight of the handshake, what has been held back.
    rest: Vec<u8>,
}

/// Nothing has come for a while.
pub(super) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

impl Wire {
    pub(super) fn new(raw: Raw) -> Wire {
        raw.socket().set_read_timeout(Some(TURN)).unwrap();
        Wire {
            raw,
            tls: None,
            rest: Vec::new(),
        }
    }

    /// Waits for the ClientHello and answers it with the first `part` bytes of what there is to say.
    pub(super) fn begin_handshake(&mut self, part: usize) -> io::Result<()> {
        let mut tls = ServerConnection::new(config()).map_err(io::Error::other)?;
        while !tls.wants_write() {
            match tls.read_tls(&mut self.raw) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Err(error) if !is_timeout(&error) => return Err(error),
                _ => {
                    tls.process_new_packets().map_err(io::Error::other)?;
                }
            }
        }
        while tls.wants_write() {
            tls.write_tls(&mut self.rest)?;
        }
        self.tls = Some(tls);
        let first: Vec<u8> = self.rest.drain(..part.min(self.rest.len())).collect();
        self.raw.write_all(&first)
    }

    /// Goes through the handshake, or the rest of it.
    pub(super) fn finish_handshake(&mut self) -> io::Result<()> {
        if self.tls.is_none() {
            self.begin_handshake(0)?;
        }
        self.raw.write_all(&std::mem::take(&mut self.rest))?;
        while let Some(tls) = self.tls.as_mut().filter(|tls| tls.is_handshaking()) {
            match tls.complete_io(&mut self.raw) {
                Err(error) if is_timeout(&error) => {}
                done => drop(done?),
            }
        }
        Ok(())
    }

    /// The client sees the end of the connection.
    pub(super) fn end(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            let _ = tls.write_tls(&mut self.raw);
        }
        let _ = self.raw.socket().shutdown(Shutdown::Both);
    }

    /// Makes the close that follows a reset (TCP).
    pub(super) fn reset(&self) {
        let _ = self.raw.socket().set_linger(Some(Duration::ZERO));
    }
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.raw.read(into),
            Some(tls) => rustls::Stream::new(tls, &mut self.raw).read(into),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.raw.write(bytes),
            Some(tls) => rustls::Stream::new(tls, &mut self.raw).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            None => Ok(()),
            Some(tls) => rustls::Stream::new(tls, &mut self.raw).flush(),
        }
    }
}

/// A server whose certificate, made anew in each process, nobody knows: clients that check it refuse it.
fn config() -> Arc<ServerConfig> {
    static CONFIG: OnceLock<Arc<ServerConfig>> = OnceLock::new();
    let config = CONFIG.get_or_init(|| {
        // Through a file: a pipe would stay open in children that tests fork meanwhile, and its end never come.
        let file = std::env::temp_dir().join(format!("pgpoll-scripted-{}.pem", std::process::id()));
        let made = Command::new("openssl")
            .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes".split(' '))
            .args("-days 2 -subj /CN=scripted -out".split(' '))
            .arg(&file)
            .arg("-keyout")
            .arg(file.with_extension("key"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("openssl: `make setup` installs it");
        assert!(made.success(), "openssl made no certificate");
        let certificate = CertificateDer::from_pem_file(&file).unwrap();
        let key = PrivateKeyDer::from_pem_file(file.with_extension("key")).unwrap();
        let _ = std::fs::remove_file(file.with_extension("key"));
        let _ = std::fs::remove_file(&file);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key);
        let mut config = config.unwrap();
        // As PostgreSQL: no session is resumed, so that each handshake is a whole one.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Arc::new(config)
    });
    Arc::clone(config)
}
