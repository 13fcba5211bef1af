//! Not getting connected: who said no, and in which words.

use std::net::TcpListener;
use std::time::Instant;

use pgpoll::error::{Error, Family};

use crate::servers;
use crate::session::Session;

#[track_caller]
fn refused(conninfo: &str) -> Error {
    match Session::try_open(conninfo) {
        Ok(_) => panic!("{conninfo}: connected"),
        Err(error) => error,
    }
}

#[test]
fn a_wrong_password() {
    for server in servers() {
        let port = server.port();
        for role in ["user_scram", "user_md5", "user_password"] {
            let error = refused(&format!("{} password=wrong", server.conninfo_tcp_as(role)));
            assert_eq!(error.family(), Family::Server);
            assert_eq!(error.sqlstate(), Some(&b"28P01"[..]));
            assert_eq!(
                error.message(),
                format!(
                    "connection to server at \"127.0.0.1\", port {port} failed: FATAL:  password authentication failed for user \"{role}\""
                )
            );
        }
    }
}

#[test]
fn no_password() {
    for server in servers() {
        for role in ["user_scram", "user_md5", "user_password"] {
            let error = refused(&server.conninfo_as(role));
            assert_eq!(error.family(), Family::Transport);
            assert_eq!(
                error.message(),
                format!(
                    "connection to server on socket \"{}/.s.PGSQL.{}\" failed: fe_sendauth: no password supplied",
                    server.socket_dir().display(),
                    server.port()
                )
            );
        }
    }
}

#[test]
fn the_server_says_no() {
    for server in servers() {
        let error = refused(&server.conninfo_as("user_reject"));
        assert_eq!(error.sqlstate(), Some(&b"28000"[..]));
        assert!(
            error.message().contains("pg_hba.conf rejects connection"),
            "{error}"
        );
        let error = refused(&format!("{} dbname=nowhere", server.conninfo()));
        assert_eq!(error.sqlstate(), Some(&b"3D000"[..]));
        assert!(
            error
                .message()
                .ends_with("failed: FATAL:  database \"nowhere\" does not exist"),
            "{error}"
        );
        let error = refused(&server.conninfo_as("nobody_here"));
        assert_eq!(error.sqlstate(), Some(&b"28000"[..]));
        assert!(
            error
                .message()
                .ends_with("FATAL:  role \"nobody_here\" does not exist"),
            "{error}"
        );
        let error = refused(&format!("{} options='-c nonsense=1'", server.conninfo()));
        assert_eq!(error.sqlstate(), Some(&b"42704"[..]));
        // The server has spoken: no other host is asked.
        let error = refused(&format!(
            "host=127.0.0.1,localhost port={} user=user_scram dbname=postgres password=wrong",
            server.port()
        ));
        assert_eq!(error.message().matches("FATAL").count(), 1, "{error}");
    }
}

#[test]
fn nobody_listens() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let error = refused(&format!(
        "host=127.0.0.1 port={port} user=x sslmode=disable"
    ));
    assert_eq!(
        (error.family(), error.errno()),
        (Family::Transport, libc::ECONNREFUSED)
    );
    assert_eq!(
        error.message(),
        format!(
            "connection to server at \"127.0.0.1\", port {port} failed: Connection refused\n\
             \tIs the server running on that host and accepting TCP/IP connections?"
        )
    );
    assert!(error.is_safe_to_retry());
    let error = refused(&format!("host=localhost port={port} user=x"));
    let first = error.message().lines().next().unwrap();
    assert!(
        first.starts_with("connection to server at \"localhost\" ("),
        "{error}"
    );
}

#[test]
fn nobody_has_the_name() {
    let error = refused("host=no-such-name.invalid user=x");
    let start = "could not translate host name \"no-such-name.invalid\" to address: ";
    assert!(error.message().starts_with(start), "{error}");
    assert!(error.message().len() > start.len());
    assert_eq!(error.family(), Family::Transport);
}

#[test]
fn nobody_answers() {
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = mute.local_addr().unwrap().port();
    let begun = Instant::now();
    let error = refused(&format!(
        "host=127.0.0.1 port={port} user=x connect_timeout=2"
    ));
    assert_eq!(
        error.message(),
        format!("connection to server at \"127.0.0.1\", port {port} failed: timeout expired")
    );
    let took = begun.elapsed().as_millis();
    assert!((2000..20_000).contains(&took), "{took} ms");
}

/// A listener whose queue is full: the connection is not even made.
#[test]
fn nobody_takes_the_connection() {
    let full = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = full.local_addr().unwrap();
    // SAFETY: the call changes the length of the queue, and nothing else.
    unsafe { libc::listen(std::os::fd::AsRawFd::as_raw_fd(&full), 0) };
    let wait = std::time::Duration::from_millis(300);
    let mut queued = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&addr, wait) {
        queued.push(stream);
        if queued.len() > 600 {
            testkit::say!("SKIPPED: this machine's queues have no end");
            return;
        }
    }
    let begun = Instant::now();
    let port = addr.port();
    let error = refused(&format!(
        "host=127.0.0.1 port={port} user=x connect_timeout=2"
    ));
    assert_eq!(
        error.message(),
        format!("connection to server at \"127.0.0.1\", port {port} failed: timeout expired")
    );
    let took = begun.elapsed().as_millis();
    assert!((2000..20_000).contains(&took), "{took} ms");
}

#[test]
fn somebody_else_answers() {
    for (answer, text) in [
        (&b""[..], "server closed the connection unexpectedly"),
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            "expected authentication request from server, but received H",
        ),
        (b"Efatal: too many clients\n\0", "fatal: too many clients"),
        (
            b"R\0\0\xff\xff\0\0\0\0",
            "received invalid authentication request",
        ),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            use std::io::{Read, Write};
            let (mut stream, _) = listener.accept().unwrap();
            let mut hello = [0; 256];
            assert!(stream.read(&mut hello).unwrap() > 8);
            stream.write_all(answer).unwrap();
        });
        let error = refused(&format!(
            "host=127.0.0.1 port={port} user=x sslmode=disable"
        ));
        assert!(
            error.message().contains(&format!("failed: {text}")),
            "{error}"
        );
        server.join().unwrap();
    }
}

#[test]
fn a_string_that_makes_no_sense() {
    for (conninfo, text) in [
        (
            "host",
            "missing \"=\" after \"host\" in connection info string",
        ),
        ("nonsense=1", "invalid connection option \"nonsense\""),
        (
            "host=localhost port=99999999 user=x",
            "invalid port number: \"99999999\"",
        ),
    ] {
        let error = refused(conninfo);
        assert_eq!((error.family(), error.message()), (Family::Misuse, text));
    }
}
