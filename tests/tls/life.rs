//! What comes after the handshake: cancelling, deadlines, last words, resetting, and TLS over transports that are given.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use pgpoll::conn::{Cancel, Connection};
use testkit::{ServerTls, certificates};

use crate::relay::{Records, Relay};
use crate::servers::{conninfo, newest, servers};
use crate::session::{FAILED, OK, Session};

const FULL: &str = "host=localhost sslmode=verify-full sslrootcert={root+server_ca.crt}";
const WITH_CERTIFICATE: &str = "dbname=certdb sslcert={client.crt} sslkey={client.key}";
const STOPPED: &str = "error 57014 canceling statement due to user request";

/// The head of a request to cancel after its length.
const CANCEL: [u8; 4] = 80_877_102_u32.to_be_bytes();

fn finds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn until_busy(server: &testkit::Cluster, session: &mut Session) {
    session.conn.poll();
    server.until_busy(session.conn.facts().backend_pid());
}

#[test]
fn a_request_to_cancel_is_encrypted_as_the_connection_is() {
    for server in servers() {
        let server = server.with(&ServerTls::default());
        for more in [
            WITH_CERTIFICATE,
            "user=plainuser dbname=postgres sslmode=prefer",
        ] {
            let relay = Relay::start(server.port(), Records::AsTheyAre);
            let more = format!("{FULL} {more} port={}", relay.port());
            let mut session = Session::open(&conninfo(&server, &more));
            let encrypted = session.conn.facts().tls().is_some();
            let operation = session.conn.start_query("select pg_sleep(600)").unwrap();
            until_busy(&server, &mut session);
            Cancel::of(&session.conn).unwrap().wait().unwrap();
            assert_eq!(session.finish(operation), [STOPPED, FAILED]);
            assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
            assert_eq!(encrypted, more.contains("certdb"));
            assert_eq!(finds(&relay.heard(), &CANCEL), !encrypted);
        }
    }
}

/// Whoever answers in the server's place is told nothing.
#[test]
fn a_request_to_cancel_checks_the_certificate_too() {
    let [first, second] = servers() else {
        eprintln!("SKIPPED: it takes two servers");
        return;
    };
    let (first, second) = (
        first.with(&ServerTls::default()),
        second.with(&ServerTls::new("server-self-signed")),
    );
    let ports = [first.port(), second.port()];
    let relay = Relay::start_to(Records::AsTheyAre, move |number| ports[number.min(1)]);
    let more = format!("{FULL} port={}", relay.port());
    let mut session = Session::open(&conninfo(&first, &more));
    session.conn.start_query("select pg_sleep(600)").unwrap();
    until_busy(&first, &mut session);
    let error = Cancel::of(&session.conn).unwrap().wait().unwrap_err();
    assert!(
        error.message().contains("certificate verify failed"),
        "{error}"
    );
    assert!(!finds(&relay.heard(), &CANCEL));
}

#[test]
fn an_operation_that_takes_too_long_is_stopped() {
    for server in servers() {
        let server = server.with(&ServerTls::default());
        let mut session = Session::open(&conninfo(&server, FULL));
        session.conn.set_timeout(Some(Duration::from_millis(300)));
        let said = session.query("select pg_sleep(600)");
        assert!(said[0].contains("timeout expired"), "{said:?}");
        session.conn.set_timeout(None);
        assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
    }
}

#[test]
fn the_last_words_of_a_server_are_heard() {
    for server in servers() {
        let server = server.with(&ServerTls::default());
        let mut session = Session::open(&conninfo(&server, FULL));
        assert!(server.terminate_backend(session.conn.facts().backend_pid()));
        let error = session.end();
        assert!(
            error
                .message()
                .contains("terminating connection due to administrator command"),
            "{error}"
        );
        session.conn.reset();
        session.come_up().unwrap();
        assert!(session.conn.facts().tls().is_some());
        assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
    }
}

/// A server that goes without a word of TLS is a broken connection, and no end of a result.
#[test]
fn an_end_without_a_goodbye_is_an_error() {
    let server = newest().with(&ServerTls::default());
    for at in [6_000, 20_000, 100_000] {
        let place: &testkit::Cluster = &server;
        let proxy = testkit::proxy::Proxy::start(place, move |_| {
            testkit::proxy::Faults::none().to_client(at, testkit::proxy::Fault::Close)
        });
        let mut session =
            Session::open(&conninfo(&server, &format!("{FULL} port={}", proxy.port())));
        let operation = session
            .conn
            .start_query("select repeat('x', 1000000)")
            .unwrap();
        let said = session.finish(operation);
        assert!(
            said[0].contains("ssl syscall error: eof detected")
                || said[0].contains("ssl connection has been closed unexpectedly"),
            "{said:?}"
        );
        assert!(said[1].contains("Lost"), "{said:?}");
    }
}

#[test]
fn a_socket_that_is_given_is_encrypted() {
    for server in servers() {
        let server = server.with(&ServerTls::default());
        let socket = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
        let root = certificates().path("root+server_ca.crt");
        let text = format!(
            "host=localhost user=ssltestuser dbname=trustdb sslmode=verify-full sslrootcert={root} sslcrl=none sslcert=none"
        );
        let mut session = Session {
            conn: Connection::open_fd(socket.into(), &text),
            notices: Vec::new(),
            notifications: Vec::new(),
        };
        session.come_up().unwrap();
        assert!(session.conn.facts().tls().is_some());
        assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
    }
}

/// The caller carries ciphertext alone, and a byte at a time if he likes.
#[test]
fn bytes_that_the_caller_carries_are_encrypted() {
    for server in servers() {
        let server = server.with(&ServerTls::default());
        for piece in [1, 7, 16_384] {
            let mut socket = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
            socket.set_nodelay(true).unwrap();
            socket
                .set_read_timeout(Some(Duration::from_millis(1)))
                .unwrap();
            let root = certificates().path("root+server_ca.crt");
            let mut connection = Connection::open_stream(format!(
                "host=localhost user=ssltestuser dbname=trustdb sslmode=verify-full sslrootcert={root} sslcrl=none sslcert=none"
            ));
            let (mut sent, mut texts, mut started) = (Vec::new(), Vec::new(), false);
            let mut waiting = Vec::new();
            while texts.last().is_none_or(|text: &String| text != OK) {
                let ready = connection.poll();
                assert!(!ready.is_failed(), "{:?}", connection.error());
                while let Some(item) = connection.take() {
                    texts.push(crate::session::text(&item.reply));
                }
                if ready.is_idle() && !started {
                    connection
                        .start_query("select 'quite secret' as a, length(repeat('x', 20000)) as b")
                        .unwrap();
                    started = true;
                    continue;
                }
                let output = connection.output().to_vec();
                socket.write_all(&output).unwrap();
                connection.taken(output.len());
                sent.extend(output);
                if waiting.is_empty() {
                    let mut buffer = [0; 4096];
                    match socket.read(&mut buffer) {
                        Ok(count) => waiting.extend_from_slice(&buffer[..count]),
                        Err(error) => assert!(matches!(
                            error.kind(),
                            ErrorKind::WouldBlock | ErrorKind::TimedOut
                        )),
                    }
                }
                let count = waiting.len().min(piece);
                let taken = connection.feed(&waiting[..count]);
                waiting.drain(..taken);
            }
            assert_eq!(texts, ["a,b: quite secret|20000", "SELECT 1", OK]);
            assert!(!finds(&sent, b"quite secret") && !finds(&sent, b"ssltestuser"));
            connection.close();
        }
    }
}
