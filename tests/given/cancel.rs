//! Requests to cancel whose bytes the program carries, over a transport of their own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use pgpoll::conn::{Cancel, CancelPoll, Connection, Readiness};
use pgpoll::engine::Outcome;
use pgpoll::error::{Error, Family};
use testkit::{Cluster, ClusterOptions, ServerTls};

use crate::carrier::Carrier;
use crate::{conninfo, server};

const AT: &str = "connection to server over the given transport failed: ";

const CLOSED: &str = "server closed the connection unexpectedly\n\
    \tThis probably means the server terminated abnormally\n\
    \tbefore or while processing the request.";

/// Carries a request to a server, at most `piece` bytes at a time.
fn carry(cancel: &mut Cancel, port: u16, piece: usize) -> Result<(), Error> {
    carry_until(cancel, port, piece, usize::MAX).1
}

/// The same until so many bytes of the server's have come: how many it were.
fn carry_until(
    cancel: &mut Cancel,
    port: u16,
    piece: usize,
    end_after: usize,
) -> (usize, Result<(), Error>) {
    let mut fed = 0;
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_nodelay(true).unwrap();
    let mut room = vec![0; piece.min(4096)];
    loop {
        match cancel.poll() {
            CancelPoll::Done => return (fed, Ok(())),
            CancelPoll::Failed => return (fed, Err(cancel.error().unwrap().clone())),
            CancelPoll::WantWrite => {
                let output = cancel.output();
                let count = output.len().min(piece);
                socket.write_all(&output[..count]).unwrap();
                cancel.taken(count);
            }
            CancelPoll::WantRead => {
                assert!(cancel.output().is_empty());
                let most = room.len().min(end_after - fed);
                match socket.read(&mut room[..most]).unwrap() {
                    0 => cancel.feed_eof(),
                    count => {
                        assert_eq!(cancel.feed(&room[..count]), count);
                        fed += count;
                    }
                }
            }
        }
        assert_eq!(cancel.socket(), None);
    }
}

/// One that is asleep in the server.
fn asleep(tls: bool) -> Carrier {
    let mut carrier = Carrier::up(tls, usize::MAX);
    sleep(&mut carrier);
    carrier
}

fn sleep(carrier: &mut Carrier) {
    let sql = "select pg_sleep(600)";
    carrier.connection.start_query(sql).unwrap();
    while !carrier.connection.output().is_empty() || carrier.connection.poll().wants_write() {
        carrier.until(Readiness::WANT_READ);
        assert!(carrier.carry_out());
    }
    // A request that overtakes its statement would find nothing to cancel.
    server().until_busy(carrier.connection.facts().backend_pid());
}

/// A request about a connection that is up, and its error when `feed` has had its turn.
fn fails(conninfo: &str, feed: impl FnOnce(&mut Cancel)) -> (Cancel, String) {
    let mut carrier = Carrier::of(conninfo, usize::MAX);
    let ready = carrier.until(Readiness::IDLE | Readiness::FAILED);
    assert!(ready.is_idle(), "{:?}", carrier.connection.error());
    let mut cancel = Cancel::of(&carrier.connection).unwrap();
    assert!(cancel.is_stream());
    feed(&mut cancel);
    assert_eq!(cancel.poll(), CancelPoll::Failed);
    assert_eq!(cancel.poll(), CancelPoll::Failed, "and it stays so");
    assert_eq!(cancel.feed(b"late"), 0);
    assert_eq!(take(&mut cancel), 0, "the key is not given away after all");
    let error = cancel.error().unwrap();
    assert_eq!(error.family(), Family::Transport);
    let text = error.message().strip_prefix(AT);
    let text = text.unwrap_or_else(|| panic!("{error}")).to_owned();
    (cancel, text)
}

/// Takes what there is; how much it was.
fn take(cancel: &mut Cancel) -> usize {
    let count = cancel.output().len();
    cancel.taken(count);
    count
}

#[test]
fn a_statement_is_cancelled_whatever_the_pieces_are() {
    for tls in [false, true] {
        let mut carrier = asleep(tls);
        for (round, piece) in [1, 7, usize::MAX].into_iter().enumerate() {
            if round > 0 {
                sleep(&mut carrier);
            }
            let begun = Instant::now();
            let mut cancel = Cancel::of(&carrier.connection).unwrap();
            assert_eq!(cancel.deadline_ns(), None);
            carry(&mut cancel, server().port(), piece).unwrap();
            assert_eq!((cancel.deadline_ns(), cancel.feed(b"late")), (None, 0));
            assert_eq!(carrier.finish().2, Outcome::Failed);
            assert!(begun.elapsed() < Duration::from_secs(30));
            carrier.connection.start_query("select 1").unwrap();
            assert_eq!(carrier.finish(), (1, 1, Outcome::Ok));
        }
    }
}

#[test]
fn it_is_encrypted_without_a_request_where_the_connection_is() {
    if server().server().major < 17 {
        return testkit::say!("SKIPPED: sslnegotiation=direct is of PostgreSQL 17");
    }
    let conninfo = format!("{} sslnegotiation=direct", conninfo(true));
    let mut carrier = Carrier::of(&conninfo, usize::MAX);
    let ready = carrier.until(Readiness::IDLE | Readiness::FAILED);
    assert!(ready.is_idle(), "{:?}", carrier.connection.error());
    sleep(&mut carrier);
    let mut cancel = Cancel::of(&carrier.connection).unwrap();
    assert_eq!(cancel.poll(), CancelPoll::WantWrite);
    assert_eq!(cancel.output()[0], 22, "a handshake record comes first");
    carry(&mut cancel, server().port(), usize::MAX).unwrap();
    assert_eq!(carrier.finish().2, Outcome::Failed);
}

/// What was a fall-back for the connection is none for the request: it is as the connection came to be.
#[test]
fn it_is_encrypted_only_where_the_connection_is() {
    let plain = Cluster::start(ClusterOptions::new());
    let mut carrier = Carrier::to(plain.port(), "user=postgres sslmode=prefer", usize::MAX);
    let ready = carrier.until(Readiness::IDLE | Readiness::FAILED);
    assert!(ready.is_idle(), "{:?}", carrier.connection.error());
    let mut cancel = Cancel::of(&carrier.connection).unwrap();
    assert_eq!(cancel.poll(), CancelPoll::WantWrite);
    assert_eq!(cancel.output(), cancel.packet());
    carry(&mut cancel, plain.port(), usize::MAX).unwrap();
    let prefer = "user=postgres password='a secret' sslmode=prefer";
    let (mut cancel, said) = fails(prefer, |cancel| {
        assert_eq!(cancel.poll(), CancelPoll::WantWrite);
        assert_eq!(take(cancel), 8);
        assert_eq!(cancel.poll(), CancelPoll::WantRead);
        assert_eq!(cancel.feed(b"N"), 1);
    });
    assert_eq!(said, "server does not support SSL, but SSL was required");
    assert_eq!(take(&mut cancel), 0, "the key is not given away");
}

/// The program has reached somebody else, or somebody is in between: the key is not given to them.
#[test]
fn a_server_without_the_certificate_gets_no_key() {
    let options = ClusterOptions::new().tls(ServerTls::new("server-cn-only"));
    let other = Cluster::start(options);
    let carrier = Carrier::up(true, usize::MAX);
    let mut cancel = Cancel::of(&carrier.connection).unwrap();
    let error = carry(&mut cancel, other.port(), usize::MAX).unwrap_err();
    let text = error.message();
    assert!(text.starts_with(AT), "{text}");
    let name = "does not match host name \"localhost\"";
    assert!(text.contains(name), "{text}");
}

#[test]
fn answers_of_a_server_that_is_none() {
    let junk = [b'x'; 300];
    let words: [(&[u8], &str); 6] = [
        (b"N", "server does not support SSL, but SSL was required"),
        (b"E", "server sent an error response during SSL exchange"),
        (b"!", "received invalid response to SSL negotiation: !"),
        // Whoever is in between cannot put anything before the handshake.
        (
            b"S\x16\x03\x03",
            "received unencrypted data after SSL response",
        ),
        (b"", CLOSED),
        (&junk, "received invalid response to SSL negotiation: x"),
    ];
    for (answer, expected) in words {
        let (mut cancel, said) = fails(&conninfo(true), |cancel| {
            assert_eq!(cancel.poll(), CancelPoll::WantWrite);
            assert_eq!(take(cancel), 8);
            assert_eq!(cancel.poll(), CancelPoll::WantRead);
            assert_eq!(cancel.feed(answer), answer.len());
            cancel.feed_eof();
        });
        assert_eq!(said, expected);
        assert_eq!(take(&mut cancel), 0);
    }
    let (_, said) = fails(&conninfo(true), |cancel| {
        cancel.poll();
        take(cancel);
        cancel.feed(b"S");
        assert_eq!(cancel.poll(), CancelPoll::WantWrite);
        assert_eq!(take(cancel).min(100), 100, "a handshake");
        cancel.poll();
        assert_eq!(cancel.feed(&junk), junk.len());
    });
    assert!(said.starts_with("SSL error: "), "{said}");
    let (_, said) = fails(&conninfo(true), |cancel| {
        cancel.poll();
        take(cancel);
        cancel.feed(b"S");
        cancel.poll();
        take(cancel);
        cancel.feed_eof();
    });
    assert_eq!(said, "SSL SYSCALL error: EOF detected");
}

#[test]
fn a_transport_that_ends_at_any_byte_is_one_clear_error() {
    let carrier = Carrier::up(true, usize::MAX);
    let run = |end_after| {
        let mut cancel = Cancel::of(&carrier.connection).unwrap();
        carry_until(&mut cancel, server().port(), usize::MAX, end_after)
    };
    let (whole, done) = run(usize::MAX);
    done.unwrap();
    // Before the last record, which says that nothing follows; lengths differ a little, as signatures do.
    for end_after in (0..whole - 40).step_by(37) {
        let (fed, ended) = run(end_after);
        assert_eq!(fed, end_after);
        let error = ended.expect_err("the server has not said that it has dealt with it");
        let text = error.message().strip_prefix(AT);
        let known = [CLOSED, "SSL SYSCALL error: EOF detected"];
        assert!(text.is_some_and(|text| known.contains(&text)), "{error}");
    }
}

/// The end is the server's answer only if it can have read the request.
#[test]
fn an_end_before_the_request_is_on_its_way_is_no_answer() {
    let (_, said) = fails(&conninfo(false), Cancel::feed_eof);
    assert_eq!(said, CLOSED);
    for taken in [0, 15] {
        let (_, said) = fails(&conninfo(false), |cancel| {
            assert_eq!(cancel.poll(), CancelPoll::WantWrite);
            assert!(cancel.output().len() >= 16);
            cancel.taken(taken);
            cancel.feed_eof();
        });
        assert_eq!(said, CLOSED);
    }
    let (_, said) = fails(&conninfo(false), |cancel| {
        cancel.poll();
        take(cancel);
        cancel.feed(b"x");
    });
    assert_eq!(said, "unexpected response from server");
}

#[test]
fn a_request_has_its_time_and_its_memory() {
    for tls in [false, true] {
        let conninfo = format!("{} connect_timeout=1", conninfo(tls));
        let begun = Instant::now();
        let (_, said) = fails(&conninfo, |cancel| {
            cancel.poll();
            assert!(cancel.deadline_ns().is_some());
            take(cancel);
            assert_eq!(cancel.poll(), CancelPoll::WantRead);
            std::thread::sleep(Duration::from_millis(1020));
        });
        assert_eq!(said, "timeout expired");
        assert!(begun.elapsed() >= Duration::from_secs(1));
        let (_, said) = fails(&conninfo, |cancel| {
            assert_eq!(cancel.poll(), CancelPoll::WantWrite);
            std::thread::sleep(Duration::from_millis(1020));
        });
        assert_eq!(said, "timeout expired");
        let flood = vec![0; 10 << 20];
        fails(&conninfo, |cancel| {
            let kept = cancel.feed(&flood);
            assert!(kept < 1 << 20, "{kept}");
            cancel.poll();
            take(cancel);
        });
    }
}

#[test]
fn it_can_be_carried_again_and_is_not_waited_for() {
    let mut carrier = asleep(true);
    let mut cancel = Cancel::of(&carrier.connection).unwrap();
    let error = cancel.wait().unwrap_err();
    assert_eq!(error.family(), Family::Misuse);
    cancel.poll();
    cancel.feed_eof();
    assert_eq!(cancel.poll(), CancelPoll::Failed);
    cancel.reset();
    assert!(!cancel.is_begun() && cancel.error().is_none());
    carry(&mut cancel, server().port(), usize::MAX).unwrap();
    assert_eq!(carrier.finish().2, Outcome::Failed);
}

/// What a descriptor of the program's leads to the library cannot dial either.
#[test]
fn a_request_about_a_given_descriptor_is_carried() {
    for tls in [false, true] {
        let socket = TcpStream::connect(("127.0.0.1", server().port())).unwrap();
        let mut connection = Connection::open_fd(socket.into(), conninfo(tls));
        while !connection.wait(None).is_idle() {
            assert!(connection.error().is_none(), "{:?}", connection.error());
        }
        connection.start_query("select pg_sleep(600)").unwrap();
        connection.poll();
        server().until_busy(connection.facts().backend_pid());
        let mut cancel = Cancel::of(&connection).unwrap();
        carry(&mut cancel, server().port(), usize::MAX).unwrap();
        while !connection.wait(None).has_result() {}
        let item = connection.take().unwrap();
        let shown = format!("{item:?}");
        assert!(shown.contains("57014"), "{shown}");
    }
}
