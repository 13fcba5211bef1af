//! Descriptors that are adopted.

use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use pgpoll::conn::Connection;
use pgpoll::engine::Reply;

use crate::{conninfo, server};

fn value(connection: &mut Connection, sql: &str) -> String {
    connection.start_query(sql).unwrap();
    let mut value = String::new();
    loop {
        let ready = connection.wait(Some(Duration::from_secs(30)));
        assert!(ready.has_result(), "{:?}", connection.error());
        while let Some(item) = connection.take() {
            match item.reply {
                Reply::Rows(batch) => {
                    value = String::from_utf8_lossy(batch.value(0, 0).unwrap()).into_owned();
                }
                Reply::Done(_) => return value,
                _ => {}
            }
        }
    }
}

fn up(mut connection: Connection) -> Connection {
    while !connection.wait(Some(Duration::from_secs(30))).is_idle() {
        assert!(connection.error().is_none(), "{:?}", connection.error());
    }
    connection
}

fn failure(mut connection: Connection) -> String {
    let mut ready = connection.wait(Some(Duration::from_secs(30)));
    while !ready.is_failed() {
        assert!(!ready.is_idle(), "it is up");
        ready = connection.wait(Some(Duration::from_secs(30)));
    }
    connection.error().unwrap().message().to_owned()
}

#[test]
fn a_blocking_socket_is_used_without_blocking() {
    for tls in [false, true] {
        let socket = TcpStream::connect(("127.0.0.1", server().port())).unwrap();
        let fd = socket.as_raw_fd();
        let mut connection = up(Connection::open_fd(socket.into(), conninfo(tls)));
        assert_eq!(connection.socket(), Some(fd));
        assert!(!connection.is_stream());
        let sql = "select ssl::text from pg_stat_ssl where pid = pg_backend_pid()";
        assert_eq!(value(&mut connection, sql), tls.to_string());
        let mode = flags(fd);
        assert_eq!(mode & libc::O_NONBLOCK, 0, "its mode was changed");
    }
}

fn flags(fd: i32) -> i32 {
    // SAFETY: takes integers alone.
    unsafe { libc::fcntl(fd, libc::F_GETFL) }
}

#[test]
fn the_name_in_the_certificate_is_that_of_the_one_host() {
    let open = |host: &str| {
        let socket = TcpStream::connect(("127.0.0.1", server().port())).unwrap();
        let conninfo = conninfo(true).replace("host=localhost", host);
        Connection::open_fd(socket.into(), conninfo)
    };
    up(open("host=localhost"));
    let error = failure(open("host=elsewhere.test"));
    assert!(
        error.contains("does not match host name \"elsewhere.test\""),
        "{error}"
    );
    let error = failure(open(""));
    let unnamed = "host name must be specified for a verified SSL connection";
    assert!(error.contains(unnamed), "{error}");
}

#[test]
fn requirepeer_looks_at_a_unix_socket_that_is_given() {
    let path = server()
        .socket_dir()
        .join(format!(".s.PGSQL.{}", server().port()));
    let open = |peer: &str| {
        let socket = UnixStream::connect(&path).unwrap();
        Connection::open_fd(
            socket.into(),
            format!("{} requirepeer={peer}", conninfo(false)),
        )
    };
    let error = failure(open("nobody-of-that-name"));
    assert!(
        error.contains("requirepeer specifies \"nobody-of-that-name\""),
        "{error}"
    );
    let us = error.split('"').nth(3).unwrap();
    up(open(us));
}

#[test]
fn a_given_transport_serves_once() {
    // Nobody answers: what `prefer` would try next is another transport.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let connection = Connection::open_fd(socket.into(), "user=x sslmode=prefer");
    drop(listener.accept().unwrap());
    let error = failure(connection);
    let start = "connection to server over the given transport failed: server closed";
    assert!(error.starts_with(start), "{error}");
    assert_eq!(error.matches("connection to server").count(), 1, "{error}");
}

#[test]
fn a_descriptor_of_no_use_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let error = failure(Connection::open_fd(listener.into(), "user=x"));
    assert!(
        error.starts_with("the descriptor is of no use: "),
        "{error}"
    );
    let file = std::fs::File::open("/dev/null").unwrap();
    let error = failure(Connection::open_fd(file.into(), "user=x"));
    assert!(
        error.ends_with("it has to be a stream socket that is connected"),
        "{error}"
    );
}
