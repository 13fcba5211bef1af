//! What polls say in a COPY, over real sockets: nothing that is there is waited for, and nothing is said that is not there.

use std::time::{Duration, Instant};

use pgpoll::conn::{Connection, Readiness};
use pgpoll::engine::Reply;
use testkit::script::{
    Script, Scripted, complete, copy_both, copy_data, copy_in, copy_out, error, ready,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// A connection to a server of that script, with a COPY that has begun.
fn begun(script: &Script) -> (Connection, Scripted) {
    let server = Scripted::unix(std::slice::from_ref(script));
    let mut conn = Connection::open(server.conninfo());
    while !conn.wait(Some(PATIENCE)).is_idle() {
        assert!(conn.error().is_none(), "{:?}", conn.error());
    }
    conn.start_copy("COPY t").unwrap();
    loop {
        if let Some(item) = conn.take() {
            assert!(matches!(item.reply, Reply::Copy(_)), "{:?}", item.reply);
            return (conn, server);
        }
        conn.wait(Some(PATIENCE));
    }
}

fn script(begins: Vec<u8>) -> Script {
    Script::trusting().query("COPY t").send(begins)
}

fn until(conn: &mut Connection, bits: u32) -> Readiness {
    let ready = conn.wait_for(bits, Some(PATIENCE));
    assert!(ready.has(bits), "{}", conn.inspect());
    ready
}

/// The poll that sees data says so; when the last of it is taken, the next one looks at the socket, and waits.
#[test]
fn data_is_said_to_be_there_while_it_is() {
    let script = script(copy_out(1))
        .send(copy_data(b"1\n"))
        .send(copy_data(b"2\n"))
        .halt()
        .send(copy_data(b"3\n"))
        .halt();
    let (mut conn, server) = begun(&script);
    let ready = until(&mut conn, Readiness::COPY);
    assert!(!ready.wants_read() && !ready.is_idle());
    assert_eq!(conn.copy_get(1).count(), 1);
    assert!(conn.poll().has(Readiness::COPY), "there is more");
    // In one call or in two: what has arrived is given.
    let mut more = 1;
    while more < 2 {
        until(&mut conn, Readiness::COPY);
        more += conn.copy_get(9).count();
    }
    let ready = conn.poll();
    assert!(
        ready.wants_read() && !ready.has(Readiness::SOMETHING),
        "{ready:?}"
    );
    while !server.is_halted() {
        std::thread::yield_now();
    }
    server.go_on();
    until(&mut conn, Readiness::COPY);
    assert_eq!(conn.copy_get(9).next(), Some(&b"3\n"[..]));
    assert!(conn.copy_get(9).next().is_none());
}

/// One who never waits, and only puts and polls, hears of the server's error all the same.
#[test]
fn an_error_is_heard_while_data_is_put() {
    for begins in [copy_in(1), copy_both()] {
        let script = script(begins)
            .expect_tag(b'd')
            .copy_over()
            .send(error("ERROR", "22P02", "no number"))
            .send(ready(b'I'));
        let (mut conn, _server) = begun(&script);
        let begun = Instant::now();
        while conn.copy_put(b"one\n").is_ok() {
            conn.poll();
            assert!(begun.elapsed() < PATIENCE, "{}", conn.inspect());
        }
        let refused = conn.copy_put(b"two\n").unwrap_err();
        assert!(!refused.is_would_block(), "{refused}");
        assert!(conn.poll().has_result());
        assert!(matches!(conn.take().unwrap().reply, Reply::Error(_)));
    }
}

/// A queue that is full refuses; there is room again when half of it is gone, and that is said once.
#[test]
fn room_is_said_once_there_is_some() {
    for limit in [0, 10_000] {
        let script = script(copy_in(1)).halt().expect_tag(b'd').copy_over();
        let (mut conn, server) = begun(&script);
        conn.set_send_queue(limit);
        let most = if limit == 0 { 128 * 1024 } else { limit };
        let piece = [b'x'; 1000];
        // The way to a server that does not read fills, then the queue does.
        let refused = loop {
            if let Err(error) = conn.copy_put(&piece) {
                let unsent = conn.engine().unsent();
                assert!((most..most + 2000).contains(&unsent), "{unsent}");
                let ready = conn.poll();
                if !ready.has(Readiness::ROOM) {
                    assert!(ready.wants_write() && ready.wants_read());
                    break error;
                }
            }
        };
        assert!(refused.is_would_block());
        assert!(
            conn.inspect()
                .contains("\"awaiting\":\"data of the COPY to be sent\"")
        );
        server.go_on();
        until(&mut conn, Readiness::ROOM);
        assert!(conn.engine().unsent() <= most / 2);
        assert!(!conn.poll().has(Readiness::ROOM));
        conn.copy_put(&piece).unwrap();
        // The end is never refused.
        while conn.copy_put(&piece).is_ok() {}
        conn.copy_end(None).unwrap();
    }
}

/// What was begun is ended by a reset, and what was put is not there any more.
#[test]
fn a_reset_forgets_the_copy() {
    let first = script(copy_in(1)).halt();
    let second = Script::trusting()
        .query("SELECT 1")
        .send(complete("SELECT 0"))
        .send(ready(b'I'));
    let server = Scripted::unix(&[first, second]);
    let mut conn = Connection::open(server.conninfo());
    until(&mut conn, Readiness::IDLE);
    conn.start_copy("COPY t").unwrap();
    until(&mut conn, Readiness::RESULT);
    while conn.copy_put(b"1\n").is_ok() {}
    conn.reset();
    server.go_on();
    assert_eq!(conn.engine().unsent(), 0);
    assert!(!conn.copy_put(b"1\n").unwrap_err().is_would_block());
    until(&mut conn, Readiness::IDLE);
    conn.start_query("SELECT 1").unwrap();
    until(&mut conn, Readiness::RESULT);
}
