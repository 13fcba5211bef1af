//! A replication stream: the messages inside its CopyData, and standby status updates. Knows one connection (manual, "Streaming
//! Replication Protocol").

use pgpoll::conn::Readiness;
use pgpoll::engine::{CopyWay, Reply};
use testkit::Cluster;

use crate::session::{PATIENCE, Session, is_done, texts};

/// What the server sends in a stream.
#[derive(PartialEq, Eq)]
pub(crate) enum Message {
    /// XLogData: where the data begins in the WAL, and the data.
    Wal { start: u64, data: Vec<u8> },
    /// How far the server has come, and whether it wants to be answered.
    Keepalive { end: u64, reply: bool },
}

/// Short: the data may be much.
impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Wal { start, data } => write!(f, "{} bytes at {}", data.len(), lsn(*start)),
            Self::Keepalive { end, reply } => write!(f, "keepalive at {}, {reply}", lsn(*end)),
        }
    }
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Event {
    Message(Message),
    /// The stream itself is over.
    Item(Reply),
}

pub(crate) struct Stream {
    pub(crate) session: Session,
    pub(crate) operation: u64,
}

/// A connection for logical replication, or for both kinds.
#[track_caller]
pub(crate) fn replicating(server: &Cluster) -> Session {
    Session::open(&format!("{} replication=database", server.conninfo_tcp()))
}

impl Stream {
    /// Streams as `sql` says.
    #[track_caller]
    pub(crate) fn start(session: Session, sql: &str) -> Stream {
        let mut stream = Stream::begin(session, sql);
        match stream.event() {
            Event::Item(Reply::Copy(copying)) if copying.way == CopyWay::Both => {
                assert!(copying.columns.is_empty(), "{copying:?}");
            }
            other => panic!("{sql}: {other:?}"),
        }
        stream
    }

    /// The same, whatever comes of it.
    #[track_caller]
    pub(crate) fn begin(mut session: Session, sql: &str) -> Stream {
        let operation = session.conn.start_copy(sql).unwrap();
        Stream { session, operation }
    }

    /// Waits for what comes next.
    #[track_caller]
    pub(crate) fn event(&mut self) -> Event {
        loop {
            let conn = &mut self.session.conn;
            if let Some(item) = conn.take() {
                assert_eq!(item.operation, self.operation);
                return Event::Item(item.reply);
            }
            if let Some(message) = conn.copy_get(1).next() {
                return Event::Message(understood(message));
            }
            let bits = Readiness::COPY | Readiness::RESULT | Readiness::FAILED;
            let ready = conn.wait_for(bits, Some(PATIENCE));
            assert!(ready.has(bits), "a hang: {}", conn.inspect());
            assert!(!ready.is_failed(), "{:?}", conn.error());
        }
    }

    /// Waits for the next message.
    #[track_caller]
    pub(crate) fn message(&mut self) -> Message {
        match self.event() {
            Event::Message(message) => message,
            Event::Item(reply) => panic!("{reply:?}"),
        }
    }

    /// Waits for WAL; answers keepalives that want to be answered.
    #[track_caller]
    pub(crate) fn wal(&mut self) -> (u64, Vec<u8>) {
        loop {
            match self.message() {
                Message::Wal { start, data } => return (start, data),
                Message::Keepalive { end, reply } => {
                    if reply {
                        self.confirm(end, false);
                    }
                }
            }
        }
    }

    /// Tells the server that all before this position is safe; it answers if it is asked to.
    #[track_caller]
    pub(crate) fn confirm(&mut self, position: u64, ask: bool) {
        let update = status_update(position, ask);
        self.session.conn.copy_put(&update).unwrap();
        while self.session.conn.poll().wants_write() {
            self.session.sleep();
        }
    }

    /// Ends the stream from this side; what remains of it up to the done, without the messages that were under way.
    #[track_caller]
    pub(crate) fn end(&mut self) -> Vec<String> {
        self.session.conn.copy_end(None).unwrap();
        self.rest()
    }

    /// The items up to the done; messages before them are dropped.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> Vec<String> {
        let mut replies = Vec::new();
        while !replies.last().is_some_and(is_done) {
            if let Event::Item(reply) = self.event() {
                replies.push(reply);
            }
        }
        texts(&replies)
    }
}

/// What a message says.
fn understood(message: &[u8]) -> Message {
    let number = |at: usize| u64::from_be_bytes(message[at..at + 8].try_into().unwrap());
    match message[0] {
        b'w' => Message::Wal {
            start: number(1),
            data: message[25..].to_vec(),
        },
        b'k' => {
            assert_eq!(message.len(), 18);
            Message::Keepalive {
                end: number(1),
                reply: message[17] == 1,
            }
        }
        other => panic!("{:?}", char::from(other)),
    }
}

/// Written, flushed and applied up to `position`.
fn status_update(position: u64, ask: bool) -> Vec<u8> {
    let mut message = vec![b'r'];
    for number in [position, position, position, 0] {
        message.extend(number.to_be_bytes());
    }
    message.push(u8::from(ask));
    message
}

/// A position as the server writes it, such as 0/16B3748.
pub(crate) fn position(text: &str) -> u64 {
    let (high, low) = text.split_once('/').unwrap();
    let half = |text| u64::from_str_radix(text, 16).unwrap();
    half(high) << 32 | half(low)
}

/// And the other way round.
pub(crate) fn lsn(position: u64) -> String {
    format!("{:X}/{:X}", position >> 32, position & 0xffff_ffff)
}
