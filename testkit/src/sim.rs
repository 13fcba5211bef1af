//! An engine, scripted servers and a clock in memory: the same calls as over real sockets, and every run the same. Knows no I/O.
//!
//! [`Bench`] carries bytes and answers at a [`Pace`]; [`Session`] is a client's program, [`Session::replay`] runs it and
//! writes down what the client sees.

mod act;
mod nature;
mod run;
mod session;
mod shown;
mod stranger;
mod world;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use pgpoll::conninfo::{Options, Plan, Secret, Surroundings, Tls};
use pgpoll::engine::{Engine, FileTurn, Need, Random, Room};
use pgpoll::link::{Answer, Ask, AskId, LinkError, LinkErrorKind, Peer};

use crate::script::{Ending, Player, Script};

pub use act::{Act, What};
pub use nature::{FAULTS, Fault, Kind, Login, Nature, OnDial, OnTls};
pub use session::{Session, Transcript};
pub use shown::shown;
pub use stranger::Stranger;
pub use world::{Name, World};

/// Where the simulated clock begins.
pub const START: u64 = 1_000_000_000;

/// The policy of the native face.
pub const ROOM: Room = Room {
    items: 256,
    ahead: 0,
    bytes: 1024 * 1024,
    inbox: 1024 * 1024,
};

/// What a client can send to a server that does not read.
const BUFFERS: usize = 64 * 1024;

/// The file that is imported, …
pub const FILE: &[u8] = b"what is in the file";
/// … so many bytes at a time.
pub const FILE_PIECE: usize = 7;

/// What comes of dialling an address.
#[derive(Debug, Clone)]
pub enum Server {
    /// This script is played.
    Plays(Script),
    /// Nobody listens.
    Refuses,
    /// Nothing comes back at all.
    IsSilent,
}

/// How bytes travel in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunks {
    /// As many as there are and fit.
    All,
    /// The same, but not over this position in the stream in one go.
    SplitAt(usize),
    /// At most so many at once.
    Of(usize),
    /// As many as the seed says.
    Random,
}

/// How everything travels.
#[derive(Debug, Clone)]
pub struct Pace {
    /// From the server.
    pub inbound: Chunks,
    /// To the server.
    pub outbound: Chunks,
    /// The transport is lost once the client has received so many bytes.
    pub cut: Option<usize>,
    /// Nothing more comes from the server once the client has received so many bytes.
    pub hold: Option<usize>,
    /// Names are resolved; else the resolver is silent.
    pub resolves: bool,
    /// The work budget of each advance.
    pub budget: usize,
    /// Items are left until nothing else can be done, and then taken one by one.
    pub lazy: bool,
    /// For what is random.
    pub seed: u64,
    /// What the servers say is kept.
    pub record: bool,
    /// So many advances too many after each one.
    pub spurious: usize,
}

impl Default for Pace {
    /// Everything at once.
    fn default() -> Self {
        Self {
            inbound: Chunks::All,
            outbound: Chunks::All,
            cut: None,
            hold: None,
            resolves: true,
            budget: 512 * 1024,
            lazy: false,
            seed: 0,
            record: false,
            spurious: 0,
        }
    }
}

/// One engine and the world around it.
#[derive(Debug)]
pub struct Bench {
    /// The engine.
    pub engine: Engine,
    /// The clock: monotonic nanoseconds.
    pub now: u64,
    /// How everything travels.
    pub pace: Pace,
    /// Addresses dialled so far.
    pub dialled: usize,
    /// Bytes that the client has received from all servers.
    pub received: usize,
    /// Bytes that the client has sent to all servers.
    pub sent: usize,
    /// What the servers said, where the pace says to keep it.
    pub stream: Vec<u8>,
    /// How TLS was last asked for, and for which host.
    pub secured: Option<(Arc<Tls>, Vec<u8>)>,
    /// What is answered when GSSAPI is asked for; nothing left: there is none here.
    pub gss: VecDeque<Answer>,
    /// What was asked of GSSAPI.
    pub asked_gss: Vec<Ask>,
    servers: VecDeque<Server>,
    player: Option<Player>,
    /// Something has come since the last advance.
    heard: bool,
    /// So much of [`FILE`] was read by the import under way.
    read: usize,
    /// What was exported.
    pub written: Vec<u8>,
    random: u64,
}

/// A plan from a connection string alone: no environment, no files, no TLS or GSSAPI unless it is asked for. Made once: thousands of
/// replays ask for the same.
pub fn plan(conninfo: &str) -> Plan {
    thread_local! {
        static PLANS: RefCell<BTreeMap<String, Plan>> = const { RefCell::new(BTreeMap::new()) };
    }
    let make = || {
        let from = Surroundings::empty().with_account("tester", "/home/tester");
        let mut options = Options::parse(conninfo.as_bytes()).unwrap();
        for option in ["sslmode", "gssencmode"] {
            if options.get(option).is_none() {
                options.set(option, b"disable").unwrap();
            }
        }
        options.fill_defaults(&from).unwrap();
        options.plan(&from).unwrap().0
    };
    PLANS.with_borrow_mut(|plans| {
        plans
            .entry(conninfo.to_owned())
            .or_insert_with(make)
            .clone()
    })
}

/// How TLS is done where nothing is checked: the handshakes of scripts are played.
pub fn tls() -> Tls {
    Tls::unverified()
}

/// The loss of a transport in good order, as the net words it.
pub fn closed() -> LinkError {
    LinkError {
        kind: LinkErrorKind::Closed,
        errno: 0,
        text: String::from("server closed the connection unexpectedly"),
    }
}

/// There is no GSSAPI, as the net words it.
pub fn no_gss() -> LinkError {
    LinkError {
        kind: LinkErrorKind::GssMissing,
        errno: 0,
        text: String::from("there is no library"),
    }
}

/// The loss of a transport by a reset, as the net words it.
pub fn reset() -> LinkError {
    LinkError {
        kind: LinkErrorKind::Receive,
        errno: libc::ECONNRESET,
        text: String::from("Connection reset by peer"),
    }
}

impl Bench {
    /// A client that connects as `conninfo` says, to one server.
    pub fn new(conninfo: &str, script: &Script) -> Self {
        Self::with(conninfo, [Server::Plays(script.clone())], Pace::default())
    }

    /// The same with a pace; the servers are met in the order of dialling.
    pub fn with(conninfo: &str, servers: impl Into<VecDeque<Server>>, pace: Pace) -> Self {
        Self::with_room(conninfo, servers, pace, ROOM)
    }

    /// The same with a policy of what may be left untaken.
    pub fn with_room(
        conninfo: &str,
        servers: impl Into<VecDeque<Server>>,
        pace: Pace,
        room: Room,
    ) -> Self {
        let engine = Engine::new(plan(conninfo), Random::new([7; 32]), room);
        Self::around(engine, servers, pace)
    }

    /// The same around an engine that was made otherwise.
    pub fn around(engine: Engine, servers: impl Into<VecDeque<Server>>, pace: Pace) -> Self {
        let random = pace.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Self {
            engine,
            now: START,
            pace,
            dialled: 0,
            received: 0,
            sent: 0,
            stream: Vec::new(),
            secured: None,
            gss: VecDeque::new(),
            asked_gss: Vec::new(),
            servers: servers.into(),
            player: None,
            heard: true,
            read: 0,
            written: Vec::new(),
            random,
        }
    }

    /// A bench that is connected: everything up to ReadyForQuery has happened.
    pub fn connected(script: &Script) -> Self {
        let mut bench = Self::new("host=127.0.0.1 user=tester password=secret", script);
        bench.poll();
        assert!(bench.engine.facts().is_ready(), "{}", bench.place());
        bench
    }

    /// What a connection's poll does: moves bytes and runs the engine until nothing changes.
    ///
    /// # Panics
    /// If it never ends.
    pub fn poll(&mut self) -> Need {
        self.engine.flush_open_group().unwrap();
        for _ in 0..10_000_000 {
            let (need, progress) = self.turn();
            if !progress {
                return need;
            }
        }
        panic!("no end: {}", self.place());
    }

    /// One advance, and what it asks for. Whether anything happened.
    pub fn turn(&mut self) -> (Need, bool) {
        self.turn_with(|_| None)
    }

    /// The same; `cancel` answers the requests to cancel.
    pub fn turn_with(&mut self, mut cancel: impl FnMut(&Ask) -> Option<Answer>) -> (Need, bool) {
        let heard = std::mem::take(&mut self.heard) || self.engine.loss().is_some();
        let news = heard || self.engine.has_news(self.now);
        let before = self.standing();
        let mut need = self.engine.advance(self.now, self.pace.budget);
        assert!(
            news || self.standing() == before,
            "there was news after all: {}",
            self.place()
        );
        for _ in 0..self.pace.spurious {
            need = self.engine.advance(self.now, self.pace.budget);
        }
        self.check(need);
        let mut progress = need.runnable;
        while let Some((id, ask)) = self.engine.ask() {
            progress = true;
            if !matches!(ask, Ask::Cancel { .. }) {
                self.answer(id, ask);
            } else if let Some(answer) = cancel(&ask) {
                self.engine.answer(id, answer);
            }
        }
        progress |= need.write && self.send();
        self.heard = need.read && self.receive();
        self.heard |= self.move_file();
        (need, progress || self.heard)
    }

    /// The server that the client is connected to.
    pub fn player(&self) -> Option<&Player> {
        self.player.as_ref()
    }

    /// The server says something that its script does not know of.
    pub fn inject(&mut self, bytes: &[u8]) {
        self.heard = true;
        assert_eq!(self.engine.feed(bytes), bytes.len());
    }

    /// Where everything stands, for the message of a test that fails.
    pub fn place(&self) -> String {
        let server = self.player.as_ref().map(Player::place);
        format!("{} server: {server:?}", self.engine.inspect(self.now))
    }

    /// A number below `end`.
    pub fn random(&mut self, end: usize) -> usize {
        // xorshift64*: good enough to choose, and the same everywhere.
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        let high = self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        high as usize % end.max(1)
    }

    /// What an advance without news must not change.
    fn standing(&self) -> (usize, bool, (bool, bool), usize, bool) {
        let engine = &self.engine;
        (
            engine.queued(),
            engine.has_item(),
            engine.has_mail(),
            engine.output().len(),
            engine.error().is_some(),
        )
    }

    /// Holds after every advance: there is always something to wait for, to do or to take.
    fn check(&self, need: Need) {
        let (notice, notification) = self.engine.has_mail();
        let file = self.engine.file_turn();
        let moves = matches!(file, FileTurn::Read | FileTurn::Write(_));
        let waits = need.read || need.write || need.runnable || need.answer || moves;
        let has = self.engine.has_item() || notice || notification || self.engine.has_copy_data();
        assert!(
            waits || has || self.engine.error().is_some() || self.engine.is_done(),
            "nothing to wait for: {}",
            self.place()
        );
        assert!(
            !need.write || !self.engine.output().is_empty(),
            "WRITE without output"
        );
    }

    /// Reads or writes a piece of the file that is imported or exported.
    fn move_file(&mut self) -> bool {
        match self.engine.file_turn() {
            FileTurn::Over => self.read = 0,
            FileTurn::Wait => {}
            FileTurn::Read => {
                let rest = &FILE[self.read..];
                let piece = &rest[..rest.len().min(FILE_PIECE)];
                self.read += piece.len();
                self.engine.file_read(Ok(piece));
                return true;
            }
            FileTurn::Write(piece) => {
                self.written.extend_from_slice(piece);
                self.engine.file_written(Ok(()));
                return true;
            }
        }
        false
    }

    fn answer(&mut self, id: AskId, ask: Ask) {
        let answer = match ask {
            Ask::Resolve { port, .. } if self.pace.resolves => {
                Answer::Resolved(vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)])
            }
            Ask::Resolve { .. } => return,
            Ask::Dial { .. } => {
                self.player = None;
                self.dialled += 1;
                match self.servers.pop_front() {
                    Some(Server::Plays(script)) => {
                        self.player = Some(Player::new(&script));
                        Answer::Dialled(Peer::default())
                    }
                    Some(Server::Refuses) => Answer::Failed(LinkError {
                        kind: LinkErrorKind::Dial,
                        errno: libc::ECONNREFUSED,
                        text: String::from("Connection refused"),
                    }),
                    Some(Server::IsSilent) => return,
                    None => panic!("no server is left to dial: {}", self.place()),
                }
            }
            Ask::Secure { tls, host } => {
                self.secured = Some((tls, host));
                match self.player.as_mut().and_then(Player::handshake) {
                    None => return,
                    Some(Ok(facts)) => Answer::Secured(facts),
                    Some(Err(error)) => Answer::Failed(error),
                }
            }
            ask @ (Ask::FindCredentials | Ask::SecureWithGss { .. } | Ask::GssToken { .. }) => {
                self.asked_gss.push(ask);
                let answer = self.gss.pop_front();
                answer.unwrap_or_else(|| Answer::Failed(no_gss()))
            }
            // The program has a token at hand, unless it is for what it has to fetch one for.
            Ask::Token(ask) if ask.scope.as_deref() == Some("slow") && !ask.again => {
                Answer::TokenLater
            }
            Ask::Token(_) => Answer::Token(Secret::new(b"token of the test".to_vec())),
            Ask::Cancel { .. } => return,
            Ask::Hangup => {
                self.player = None;
                return;
            }
        };
        self.engine.answer(id, answer);
    }

    fn send(&mut self) -> bool {
        let len = self.engine.output().len();
        let count = self.chunk(self.pace.outbound, self.sent, len);
        let Some(player) = &mut self.player else {
            return false;
        };
        // A server that stands still does not read: what is sent lies in the buffers between.
        let count = match player.is_halted() {
            true => count.min(BUFFERS.saturating_sub(player.unread())),
            false => count,
        };
        if player.ending().is_none() {
            player.hear(&self.engine.output()[..count]);
        }
        self.engine.sent(count);
        self.sent += count;
        count > 0
    }

    fn receive(&mut self) -> bool {
        if self.pace.cut == Some(self.received) {
            self.pace.cut = None;
            self.player = None;
            self.engine.lost(closed());
            return true;
        }
        let Some(player) = &self.player else {
            return false;
        };
        let said = player.said().len();
        let mut count = self.chunk(self.pace.inbound, self.received, said);
        for limit in [self.pace.cut, self.pace.hold].into_iter().flatten() {
            count = count.min(limit.saturating_sub(self.received));
        }
        if count == 0 {
            return self.lose();
        }
        let Some(player) = &mut self.player else {
            return false;
        };
        count = self.engine.feed(&player.said()[..count]);
        if self.pace.record {
            self.stream.extend_from_slice(&player.said()[..count]);
        }
        player.took(count);
        self.received += count;
        true
    }

    /// Tells the engine of the end of the connection, if the script has come to it.
    fn lose(&mut self) -> bool {
        match self.player.as_ref().and_then(Player::ending) {
            None => return false,
            Some(Ending::Close) => self.engine.lost(closed()),
            Some(Ending::Reset) => self.engine.lost(reset()),
        }
        self.player = None;
        true
    }

    /// How many of `len` bytes travel now, `at` bytes after the beginning of the stream.
    fn chunk(&mut self, chunks: Chunks, at: usize, len: usize) -> usize {
        match chunks {
            Chunks::All => len,
            Chunks::SplitAt(position) if at < position => len.min(position - at),
            Chunks::SplitAt(_) => len,
            Chunks::Of(most) => len.min(most),
            Chunks::Random => len.min(1 + self.random(1 << (1 + at % 11))),
        }
    }
}
