//! A relay between client and server on loopback. It passes on what it gets, or speaks TLS to the client itself in records of a given
//! size; and it keeps what the client has sent. Knows PostgreSQL's SSLRequest and nothing more.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};
use testkit::certificates;

/// What the relay does to records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Records {
    /// Nothing: they are the server's, and so is TLS.
    AsTheyAre,
    /// Speaks TLS itself, as `server-localhost`, with at most so many bytes in a record; to the server it speaks in clear.
    Of(usize),
}

/// The relay, for as long as the process lives. Each connection has threads of its own.
pub(crate) struct Relay {
    port: u16,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Relay {
    pub(crate) fn start(to: u16, records: Records) -> Self {
        Self::start_to(records, move |_| to)
    }

    /// Each connection, counted from 0, goes to a port of its own.
    pub(crate) fn start_to(records: Records, to: impl Fn(usize) -> u16 + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let keep = heard.clone();
        std::thread::spawn(move || {
            for (number, client) in listener.incoming().enumerate() {
                let (client, keep, to) = (client.unwrap(), keep.clone(), to(number));
                std::thread::spawn(move || {
                    let server = TcpStream::connect(("127.0.0.1", to)).unwrap();
                    for stream in [&client, &server] {
                        stream.set_nodelay(true).unwrap();
                    }
                    match records {
                        Records::AsTheyAre => pass_on(&client, &server, &keep),
                        Records::Of(size) => translate(client, server, size),
                    }
                });
            }
        });
        Self { port, heard }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What clients have sent so far.
    pub(crate) fn heard(&self) -> Vec<u8> {
        self.heard.lock().unwrap().clone()
    }
}

fn pass_on(client: &TcpStream, server: &TcpStream, heard: &Mutex<Vec<u8>>) {
    let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
    let (mut from, mut to) = (client, server);
    let mut buffer = [0; 16384];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        heard.lock().unwrap().extend_from_slice(&buffer[..count]);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

fn translate(mut client: TcpStream, mut server: TcpStream, size: usize) {
    let mut request = [0; 8];
    client.read_exact(&mut request).unwrap();
    client.write_all(b"S").unwrap();
    let mut tls = ServerConnection::new(config(size)).unwrap();
    while tls.is_handshaking() {
        if tls.complete_io(&mut client).is_err() {
            return;
        }
    }
    let mut plain = Vec::new();
    // The client may have said something right behind its last message of the handshake.
    hear(&mut tls, &mut plain);
    let tls = Arc::new(Mutex::new(tls));
    let (from_server, to_client, their_tls) = (
        server.try_clone().unwrap(),
        client.try_clone().unwrap(),
        tls.clone(),
    );
    std::thread::spawn(move || {
        let _ = encrypt(from_server, to_client, &their_tls, size);
    });
    let mut ciphertext = [0; 16384];
    while server.write_all(&plain).is_ok() {
        plain.clear();
        let Ok(count @ 1..) = client.read(&mut ciphertext) else {
            break;
        };
        let mut tls = tls.lock().unwrap();
        let mut rest = &ciphertext[..count];
        while !rest.is_empty() {
            if tls.read_tls(&mut rest).is_err() || tls.process_new_packets().is_err() {
                return;
            }
            hear(&mut tls, &mut plain);
        }
    }
    let _ = server.shutdown(Shutdown::Both);
}

/// What the client has said.
fn hear(tls: &mut ServerConnection, plain: &mut Vec<u8>) {
    if let Err(error) = tls.reader().read_to_end(plain) {
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    }
}

/// What the server says, in records of `size` bytes at most.
fn encrypt(
    mut from: TcpStream,
    mut to: TcpStream,
    tls: &Mutex<ServerConnection>,
    size: usize,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        // Records can only be as large as what is there to be put into them.
        let mut count = from.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        from.set_read_timeout(Some(Duration::from_millis(2)))?;
        while count < buffer.len() {
            match from.read(&mut buffer[count..]) {
                Ok(0) => break,
                Ok(more) => count += more,
                Err(_) => break,
            }
        }
        from.set_read_timeout(None)?;
        let mut out = Vec::new();
        let mut tls = tls.lock().unwrap();
        for record in buffer[..count].chunks(size) {
            tls.writer().write_all(record)?;
            while tls.wants_write() {
                tls.write_tls(&mut out)?;
            }
        }
        drop(tls);
        to.write_all(&out)?;
    }
    to.shutdown(Shutdown::Both)
}

fn config(size: usize) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_file_iter(certificates().path("server-localhost.crt")).unwrap();
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(certificates().path("server-localhost.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let mut config = config
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    // A record's five bytes of head count; below 32 it is `encrypt` alone that makes records small.
    config.max_fragment_size = (size >= 32).then_some(size + 5);
    Arc::new(config)
}
