//! Names, addresses, servers and a clock in memory, for engines that connect: what is asked takes time, comes late or never.
//! Everything follows from a seed. Knows no plan.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use pgpoll::engine::Engine;
use pgpoll::link::{Addr, Answer, Ask, AskId, LinkError, LinkErrorKind, Peer};

use super::{Nature, OnDial, START, Stranger, closed, no_gss, reset};
use crate::dice::Dice;
use crate::script::Ending;

/// What comes of resolving a name.
#[derive(Debug, Clone)]
pub enum Name {
    /// These addresses.
    Has(Vec<SocketAddr>),
    /// It is not known.
    IsUnknown,
    /// The resolver never answers.
    IsSilent,
}

/// Something that will happen.
#[derive(Debug)]
enum Event {
    /// An answer to an ask; late ones arrive, too.
    Answered(AskId, Answer),
    /// Bytes of the client arrive on this connection.
    ToServer(usize, Vec<u8>),
    /// Bytes for the client arrive on this connection.
    ToClient(usize, Vec<u8>),
    /// This connection has ended.
    Ended(usize, Ending),
    /// The client may send again on this connection.
    Writable(usize),
}

/// An engine and everything around it.
#[derive(Debug)]
pub struct World {
    /// The engine.
    pub engine: Engine,
    /// The clock: monotonic nanoseconds.
    pub now: u64,
    /// How the error about each address that was asked for begins, in order.
    pub tried: Vec<String>,
    /// How often the engine was advanced.
    pub advances: usize,
    /// Bytes that the client has received.
    pub received: usize,
    /// Why it last went on: for the message of a test that fails.
    pub log: Vec<String>,
    names: BTreeMap<Vec<u8>, Name>,
    servers: BTreeMap<String, Nature>,
    dice: Dice,
    events: BTreeMap<(u64, usize), Event>,
    scheduled: usize,
    /// How the resolver's answers are delayed: nanoseconds at most.
    pub slowness: u64,
    connection: usize,
    stranger: Option<Stranger>,
    /// Since when nothing overtakes what was said before.
    last_arrival: u64,
    inbox: VecDeque<u8>,
    end: Option<Ending>,
    blocked: bool,
    /// Pieces that are on their way to the client.
    in_flight: usize,
}

impl World {
    /// Around this engine, with nothing in it yet.
    pub fn new(engine: Engine, seed: u64) -> Self {
        Self {
            engine,
            now: START,
            tried: Vec::new(),
            advances: 0,
            received: 0,
            log: Vec::new(),
            names: BTreeMap::new(),
            servers: BTreeMap::new(),
            dice: Dice::new(seed),
            events: BTreeMap::new(),
            scheduled: 0,
            slowness: 0,
            connection: 0,
            stranger: None,
            last_arrival: START,
            inbox: VecDeque::new(),
            end: None,
            blocked: false,
            in_flight: 0,
        }
    }

    /// Adds a name.
    pub fn name(&mut self, name: &str, means: Name) {
        self.names.insert(name.as_bytes().to_vec(), means);
    }

    /// Adds a server.
    pub fn server(&mut self, addr: &Addr, nature: Nature) {
        self.servers.insert(place(addr), nature);
    }

    /// What the server that the client is connected to is like, and whether the connection is encrypted.
    pub fn with(&self) -> Option<(&Nature, bool)> {
        let stranger = self.stranger.as_ref()?;
        let addr = self.engine.facts().addr()?;
        Some((self.servers.get(&place(addr))?, stranger.is_encrypted()))
    }

    /// Whether the client has dialled this address.
    pub fn has_tried(&self, addr: &Addr) -> bool {
        self.tried.contains(&self.prefix(addr))
    }

    /// Runs until `done` says so or the connection is over. Deadlines are kept to the tick; each advance leaves something
    /// to wait for.
    ///
    /// # Panics
    /// If the engine waits for what will never come.
    pub fn run(&mut self, mut done: impl FnMut(&mut Engine) -> bool) {
        loop {
            self.settle();
            if done(&mut self.engine) || self.engine.error().is_some() {
                return;
            }
            let event = self.events.first_key_value().map(|((at, _), _)| *at);
            let deadline = self.engine.deadline();
            let next = match (event, deadline) {
                (Some(event), Some(deadline)) => event.min(deadline),
                (event, deadline) => event.or(deadline).unwrap_or_else(|| {
                    panic!("nothing will ever happen: {}", self.place());
                }),
            };
            self.now = self.now.max(next);
            self.happen();
        }
    }

    /// Where everything stands, for the message of a test that fails.
    pub fn place(&self) -> String {
        format!(
            "{}\nthe last of what happened: {:#?}",
            self.engine.inspect(self.now),
            &self.log[self.log.len().saturating_sub(12)..]
        )
    }

    /// What is due happens.
    fn happen(&mut self) {
        while let Some(entry) = self.events.first_entry()
            && entry.key().0 <= self.now
        {
            let event = entry.remove();
            let at = self.now - START;
            match event {
                Event::Answered(id, answer) => {
                    self.log.push(format!("{at}: answered {id}: {answer:?}"));
                    self.engine.answer(id, answer);
                }
                Event::ToServer(connection, bytes) if connection == self.connection => {
                    if let Some(stranger) = &mut self.stranger {
                        stranger.hear(&bytes);
                    }
                    self.deliver();
                }
                Event::ToClient(connection, bytes) if connection == self.connection => {
                    self.log.push(format!("{at}: said {} bytes", bytes.len()));
                    self.in_flight -= 1;
                    self.inbox.extend(bytes);
                }
                Event::Ended(connection, ending) if connection == self.connection => {
                    self.log.push(format!("{at}: {ending:?}"));
                    self.end = Some(ending);
                }
                Event::Writable(connection) if connection == self.connection => {
                    self.blocked = false;
                }
                _ => {}
            }
        }
    }

    /// Advances until nothing changes: what a poll does.
    fn settle(&mut self) {
        loop {
            let budget = self.dice.pick(&[64, 4096, 512 * 1024]);
            self.advances += 1;
            let need = self.engine.advance(self.now, budget);
            let over = self.engine.error().is_some();
            assert!(
                need.read
                    || need.write
                    || need.runnable
                    || need.answer
                    || self.engine.has_item()
                    || over,
                "nothing to wait for: {}",
                self.place()
            );
            assert!(
                over || need.runnable
                    || self.engine.asks()
                    || self
                        .engine
                        .deadline()
                        .is_none_or(|deadline| deadline > self.now),
                "the deadline is over: {}",
                self.place()
            );
            let mut progress = need.runnable;
            while let Some((id, ask)) = self.engine.ask() {
                self.ask(id, ask);
                progress = true;
            }
            if need.write && !self.blocked {
                progress |= self.send();
            }
            if need.read {
                progress |= self.receive();
            }
            if !progress {
                return;
            }
        }
    }

    fn ask(&mut self, id: AskId, ask: Ask) {
        self.log
            .push(format!("{}: asked {id}: {ask:?}", self.now - START));
        match ask {
            Ask::Resolve { host, .. } => self.resolve(id, &host),
            Ask::Dial { addr, .. } => self.dial(id, &addr),
            Ask::Secure { tls, .. } => {
                let stranger = self.stranger.as_mut();
                let shaken = stranger.and_then(|stranger| stranger.shake_hands(tls.direct));
                if let Some(facts) = shaken {
                    let answer = facts.map_or_else(Answer::Failed, Answer::Secured);
                    let delay = self.delay();
                    self.schedule(delay, Event::Answered(id, answer));
                }
            }
            Ask::FindCredentials | Ask::SecureWithGss { .. } | Ask::GssToken { .. } => {
                let delay = self.delay();
                self.schedule(delay, Event::Answered(id, Answer::Failed(no_gss())));
            }
            Ask::Hangup => self.leave(),
            Ask::Cancel { .. } => panic!("there is nothing to cancel"),
            Ask::Token(_) => panic!("no server here takes a token"),
        }
    }

    fn resolve(&mut self, id: AskId, host: &[u8]) {
        self.leave();
        let shown = String::from_utf8_lossy(host);
        let failed = format!("could not translate host name \"{shown}\" to address: ");
        let delay = self.dice.below(self.slowness + 1);
        match self.names.get(host).cloned() {
            Some(Name::Has(addresses)) => {
                let in_time = self
                    .engine
                    .deadline()
                    .is_none_or(|deadline| self.now + delay <= deadline);
                if !in_time {
                    self.tried.push(failed);
                }
                self.schedule(delay, Event::Answered(id, Answer::Resolved(addresses)));
            }
            Some(Name::IsSilent) => self.tried.push(failed),
            Some(Name::IsUnknown) | None => {
                self.tried.push(failed);
                let error = LinkError {
                    kind: LinkErrorKind::Resolve,
                    errno: 0,
                    text: String::from("Name or service not known"),
                };
                self.schedule(delay, Event::Answered(id, Answer::Failed(error)));
            }
        }
    }

    fn dial(&mut self, id: AskId, addr: &Addr) {
        self.leave();
        self.tried.push(self.prefix(addr));
        let nature = self.servers.get(&place(addr)).unwrap().clone();
        let delay = self.dice.below(nature.latency + 1);
        let answer = match nature.dial {
            OnDial::IsSilent => return,
            OnDial::Accepts => {
                self.stranger = Some(Stranger::new(&nature));
                Answer::Dialled(Peer::default())
            }
            OnDial::Refuses => Answer::Failed(LinkError {
                kind: LinkErrorKind::Dial,
                errno: libc::ECONNREFUSED,
                text: String::from("Connection refused"),
            }),
        };
        self.schedule(delay, Event::Answered(id, answer));
    }

    /// How an error about this address begins.
    fn prefix(&self, addr: &Addr) -> String {
        let at = match addr {
            Addr::Tcp(at) => at,
            Addr::Unix(path) => {
                let path = String::from_utf8_lossy(path);
                return format!("connection to server on socket \"{path}\" failed: ");
            }
            Addr::Given => panic!("nothing was given"),
        };
        let (ip, port) = (at.ip(), at.port());
        let name = self.names.iter().find(|(_, means)| match means {
            Name::Has(addresses) => addresses.contains(at),
            _ => false,
        });
        let shown = match name {
            Some((name, _)) => format!("\"{}\" ({ip})", String::from_utf8_lossy(name)),
            None => format!("\"{ip}\""),
        };
        format!("connection to server at {shown}, port {port} failed: ")
    }

    /// The transport is replaced or closed.
    fn leave(&mut self) {
        self.connection += 1;
        self.stranger = None;
        self.inbox.clear();
        self.end = None;
        self.blocked = false;
        self.in_flight = 0;
        self.last_arrival = self.now;
    }

    fn schedule(&mut self, delay: u64, event: Event) {
        self.scheduled += 1;
        self.events
            .insert((self.now + delay, self.scheduled), event);
    }

    fn delay(&mut self) -> u64 {
        let latency = self.with().map_or(0, |(nature, _)| nature.latency);
        self.dice.below(latency + 1)
    }

    /// Sends some of the output; what is left has to wait.
    fn send(&mut self) -> bool {
        let output = self.engine.output();
        let count = match self.dice.percent(70) {
            true => output.len(),
            false => self.dice.between(1, output.len() as u64) as usize,
        };
        let bytes = output[..count].to_vec();
        self.blocked = count < output.len();
        self.engine.sent(count);
        let delay = self.delay();
        // Nothing overtakes what was sent before.
        let at = self.last_arrival.max(self.now + delay);
        self.last_arrival = at;
        self.schedule(at - self.now, Event::ToServer(self.connection, bytes));
        if self.blocked {
            self.schedule(delay, Event::Writable(self.connection));
        }
        true
    }

    /// What the server has said sets out, in pieces.
    fn deliver(&mut self) {
        let Some(stranger) = &mut self.stranger else {
            return;
        };
        let bytes = stranger.take();
        let ending = stranger.ending();
        let piece = self.with().map_or(1, |(nature, _)| nature.piece);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let count = (self.dice.between(1, piece) as usize).min(rest.len());
            let (piece, more) = rest.split_at(count);
            rest = more;
            let at = self.arrival();
            self.in_flight += 1;
            self.schedule(at, Event::ToClient(self.connection, piece.to_vec()));
        }
        if let Some(ending) = ending {
            let at = self.arrival();
            self.schedule(at, Event::Ended(self.connection, ending));
        }
    }

    /// How long from now the next piece takes: nothing overtakes what was said before.
    fn arrival(&mut self) -> u64 {
        let delay = self.delay();
        self.last_arrival = self.last_arrival.max(self.now + delay);
        self.last_arrival - self.now
    }

    /// Receives what has arrived.
    fn receive(&mut self) -> bool {
        if self.inbox.is_empty() {
            return self.lose();
        }
        let (bytes, _) = self.inbox.as_slices();
        let count = self.engine.feed(bytes);
        self.inbox.drain(..count);
        self.received += count;
        // One that never ends goes on when there is room for more.
        let floods = self.stranger.as_ref().is_some_and(Stranger::floods);
        if self.inbox.is_empty() && self.in_flight == 0 && floods {
            self.deliver();
        }
        true
    }

    fn lose(&mut self) -> bool {
        let Some(ending) = self.end.take() else {
            return false;
        };
        self.stranger = None;
        self.engine.lost(match ending {
            Ending::Close => closed(),
            Ending::Reset => reset(),
        });
        true
    }
}

/// How a server is looked up.
fn place(addr: &Addr) -> String {
    format!("{addr:?}")
}
