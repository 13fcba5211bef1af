//! A server for thousands of connections in one thread, which answers whom it likes when it likes. Knows a handful of statements and
//! turns, no time.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use pgpoll::net::{Many, Wants};
use pgpoll::wire::Frontend;
use pgpoll::wire::frame::{Header, frontend_header};
use testkit::dice::Dice;
use testkit::script::{
    auth_ok, backend_key, columns, complete, error, notice, notification, parameter, ready, row,
};

/// What all connections here are opened with.
pub(crate) const CONNINFO: &str = "user=tester dbname=groups sslmode=disable";

/// The server's ends of all connections.
///
/// Statements: `now N` and `later N` answer with the number N, at once or some turns later, `fail` and `fail later` with an error, `never`
/// with nothing, `flood` with rows without end, `lose` closes the connection, `rows N` gives N rows of a kilobyte, `hello` sends a notice
/// first.
pub(crate) struct Server {
    many: Many,
    backends: Vec<Backend>,
    turn: u64,
    dice: Dice,
    /// Answers to be given in a later turn.
    later: BTreeMap<u64, Vec<(usize, Vec<u8>)>>,
    /// Statements answered.
    pub(crate) answered: usize,
}

struct Backend {
    /// `None` once it has ended the connection.
    stream: Option<UnixStream>,
    is_up: bool,
    is_flooding: bool,
    heard: Vec<u8>,
    unsent: Vec<u8>,
    sent: usize,
    wants: Wants,
}

const READ: Wants = Wants {
    read: true,
    write: false,
};

/// Turns that an answer takes at most.
const LATER: u64 = 200;

impl Server {
    pub(crate) fn new(seed: u64) -> Server {
        Server {
            many: Many::new().unwrap(),
            backends: Vec::new(),
            turn: 0,
            dice: Dice::new(seed),
            later: BTreeMap::new(),
            answered: 0,
        }
    }

    /// The client's end of a new connection.
    pub(crate) fn connect(&mut self) -> OwnedFd {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let key = self.backends.len() as u64;
        let fd = ours.as_raw_fd();
        self.many.change(fd, Wants::NOTHING, READ, key).unwrap();
        self.backends.push(Backend {
            stream: Some(ours),
            is_up: false,
            is_flooding: false,
            heard: Vec::new(),
            unsent: Vec::new(),
            sent: 0,
            wants: READ,
        });
        theirs.into()
    }

    /// Hears what there is to hear and says what is to be said now. False if there was nothing to do.
    pub(crate) fn step(&mut self) -> bool {
        let more = self.many.look();
        let keys: Vec<_> = self.many.ready().map(|key| key as usize).collect();
        let mut busy = !keys.is_empty();
        for number in keys {
            self.hear(number);
            self.send(number);
        }
        // Time is what turns are for: if nothing else happens the next answers are due.
        if !busy && let Some(&next) = self.later.keys().next() {
            self.turn = self.turn.max(next);
        }
        self.turn += 1;
        while let Some(entry) = self.later.first_entry()
            && *entry.key() < self.turn
        {
            for (number, answer) in entry.remove() {
                self.say(number, &answer);
                self.answered += 1;
            }
            busy = true;
        }
        busy || more
    }

    /// Steps until there is nothing to do.
    pub(crate) fn settle(&mut self) {
        while self.step() {}
    }

    /// Says something of its own accord.
    pub(crate) fn say(&mut self, number: usize, bytes: &[u8]) {
        let backend = &mut self.backends[number];
        backend.unsent.extend_from_slice(bytes);
        self.send(number);
    }

    pub(crate) fn notify(&mut self, number: usize, payload: &str) {
        self.say(number, &notification(7, "news", payload));
    }

    /// Ends a connection without a word.
    pub(crate) fn lose(&mut self, number: usize) {
        let backend = &mut self.backends[number];
        if let Some(stream) = backend.stream.take() {
            let fd = stream.as_raw_fd();
            self.many
                .change(fd, backend.wants, Wants::NOTHING, number as u64)
                .unwrap();
            // A child that another test has forked may have a copy.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn hear(&mut self, number: usize) {
        let mut buffer = [0; 16 * 1024];
        while let Some(stream) = &mut self.backends[number].stream {
            match stream.read(&mut buffer) {
                Ok(0) => return self.lose(number),
                Ok(count) => self.backends[number]
                    .heard
                    .extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return self.lose(number),
            }
        }
        while let Some(message) = self.backends[number].message() {
            self.heed(number, &message);
        }
    }

    fn heed(&mut self, number: usize, message: &[u8]) {
        let backend = &mut self.backends[number];
        if !backend.is_up {
            backend.is_up = true;
            let version = parameter("server_version", "18.6");
            let encoding = parameter("client_encoding", "UTF8");
            let key = backend_key(4711, b"KEY!");
            let up = [auth_ok(), encoding, version, key, ready(b'I')].concat();
            return self.say(number, &up);
        }
        let sql = match Frontend::decode(message[0], &message[Header::SIZE..]).unwrap() {
            Frontend::Query(query) => String::from_utf8(query.sql.to_vec()).unwrap(),
            Frontend::Terminate(_) => return self.lose(number),
            other => panic!("a Query was expected, not {other:?}"),
        };
        let (verb, rest) = sql.split_once(' ').unwrap_or((&sql, ""));
        let one = |value: &str| {
            let columns = columns(&[("n", 25)]);
            [columns, row(&[Some(value)]), complete("SELECT 1")].concat()
        };
        let answer = match verb {
            "now" | "later" => one(rest),
            "fail" => error("ERROR", "22012", "division by zero"),
            "hello" => [notice("careful"), one(rest)].concat(),
            "rows" => {
                let count: usize = rest.parse().unwrap();
                let rows = row(&[Some(&"x".repeat(1000))]).repeat(count);
                [columns(&[("n", 25)]), rows, complete("SELECT")].concat()
            }
            "flood" => {
                self.backends[number].is_flooding = true;
                return self.say(number, &columns(&[("n", 25)]));
            }
            "lose" => return self.lose(number),
            "never" => return,
            other => panic!("what is {other:?}?"),
        };
        let answer = [answer, ready(b'I')].concat();
        if verb == "later" || rest == "later" {
            let due = self.turn + self.dice.below(LATER);
            self.later.entry(due).or_default().push((number, answer));
        } else {
            self.answered += 1;
            self.say(number, &answer);
        }
    }

    /// Sends what the kernel takes, and watches for room if that was not all.
    fn send(&mut self, number: usize) {
        let backend = &mut self.backends[number];
        let wants = backend.send();
        let Some(stream) = &backend.stream else {
            return;
        };
        if wants != backend.wants {
            let fd = stream.as_raw_fd();
            let before = std::mem::replace(&mut backend.wants, wants);
            self.many.change(fd, before, wants, number as u64).unwrap();
        }
    }

    /// Serves in a thread of its own until it is dropped.
    pub(crate) fn serve(mut self) -> Serving {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::Acquire) {
                if !self.step() {
                    let nap = Some(Duration::from_millis(20));
                    pgpoll::net::wait(Some(self.many.fd()), true, false, nap);
                }
            }
        });
        Serving {
            stop,
            thread: Some(thread),
        }
    }
}

impl Backend {
    /// The next message, once it is whole.
    fn message(&mut self) -> Option<Vec<u8>> {
        let length = if self.is_up {
            Header::SIZE + frontend_header(&self.heard).unwrap()?.len
        } else {
            u32::from_be_bytes(*self.heard.first_chunk()?) as usize
        };
        (self.heard.len() >= length).then(|| self.heard.drain(..length).collect())
    }

    fn send(&mut self) -> Wants {
        let Some(stream) = &mut self.stream else {
            return Wants::NOTHING;
        };
        loop {
            if self.sent == self.unsent.len() {
                self.unsent.clear();
                self.sent = 0;
                if !self.is_flooding {
                    return READ;
                }
                let rows = row(&[Some(&"x".repeat(1000))]).repeat(64);
                self.unsent.extend_from_slice(&rows);
            }
            match stream.write(&self.unsent[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Wants {
                        read: true,
                        write: true,
                    };
                }
                // That the client has gone is heard.
                Err(_) => return READ,
            }
        }
    }
}

/// A server at work.
pub(crate) struct Serving {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let served = thread.join();
            assert!(
                served.is_ok() || std::thread::panicking(),
                "the server panicked"
            );
        }
    }
}
