//! Where the program carries the bytes there is nothing to dial: what is late is drained, or the program carries the
//! request to cancel, too.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use pgpoll::conn::{Cancel, Connection};
use pgpoll::engine::{Done, Item, Outcome, Reply, Verdict};
use testkit::shared;

struct Carried {
    conn: Connection,
    socket: TcpStream,
    items: Vec<Item>,
}

fn dial() -> TcpStream {
    TcpStream::connect(("127.0.0.1", shared().port())).unwrap()
}

impl Carried {
    fn new() -> Self {
        let conn = Connection::open_stream("user=postgres dbname=postgres sslmode=disable");
        let socket = dial();
        let timeout = Some(Duration::from_millis(20));
        socket.set_read_timeout(timeout).unwrap();
        let items = Vec::new();
        let mut carried = Self {
            conn,
            socket,
            items,
        };
        carried.until(|carried| carried.conn.facts().is_ready());
        carried
    }

    /// Carries bytes both ways until `end`.
    fn until(&mut self, end: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        let mut buffer = [0; 4096];
        loop {
            self.conn.poll();
            self.items.extend(std::iter::from_fn(|| self.conn.take()));
            let output = self.conn.output().to_vec();
            self.socket.write_all(&output).unwrap();
            self.conn.taken(output.len());
            if end(self) {
                return;
            }
            assert!(self.conn.error().is_none(), "{:?}", self.conn.error());
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "{}",
                self.conn.inspect()
            );
            match self.socket.read(&mut buffer) {
                Ok(count) => assert_eq!(self.conn.feed(&buffer[..count]), count),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn done(&mut self) -> Done {
        self.items.clear();
        let is_done = |item: &Item| matches!(item.reply, Reply::Done(_));
        self.until(|carried| carried.items.iter().any(is_done));
        match self.items.last().map(|item| &item.reply) {
            Some(Reply::Done(done)) => *done,
            other => panic!("{other:?}"),
        }
    }

    fn check_usable(&mut self) {
        self.conn.set_timeout(None);
        self.conn.start_query("select 1").unwrap();
        let done = self.done();
        assert_eq!((done.outcome, done.verdict), (Outcome::Ok, Verdict::Clean));
    }
}

#[test]
fn what_is_late_is_drained() {
    let mut carried = Carried::new();
    carried.conn.set_timeout(Some(Duration::from_millis(50)));
    carried.conn.start_query("select pg_sleep(0.8)").unwrap();
    let done = carried.done();
    assert_eq!(
        (done.outcome, done.verdict),
        (Outcome::Discarded, Verdict::Clean)
    );
    carried.check_usable();
}

#[test]
fn the_program_carries_the_request_to_cancel() {
    let mut carried = Carried::new();
    carried.conn.set_timeout(Some(Duration::from_millis(300)));
    carried.conn.start_query("select pg_sleep(600)").unwrap();
    carried.until(|carried| !carried.items.is_empty());
    let cancel = Cancel::of(&carried.conn).unwrap();
    let mut second = dial();
    second.write_all(cancel.packet()).unwrap();
    assert_eq!(second.read(&mut [0]).unwrap(), 0);
    let done = carried.done();
    assert_eq!(
        (done.outcome, done.verdict),
        (Outcome::Failed, Verdict::Clean)
    );
    carried.check_usable();
}
