//! A caller that does anything in any order, and a server that says anything: no panic, no endless loop, no item without an
//! operation, and exactly one done for each operation when the connection has ended.
#![no_main]

#[path = "../../tests/memory/mod.rs"]
mod memory;
#[path = "engine/server.rs"]
mod server;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;

use pgpoll::conninfo::{Secret, TcpOptions};
use pgpoll::engine::{CancelPlan, Command, End, Engine, Item, Phase, Reply, Room, Trace};
use pgpoll::error::Error;
use pgpoll::link::{Addr, Answer, Ask, LinkError, LinkErrorKind, Peer, TlsFacts};
use pgpoll::rows::Limits;
use server::Server;

fuzz_target!(|data: &[u8]| {
    let mut run = Run::new(Bytes(data));
    while !run.bytes.0.is_empty() {
        run.step();
        run.collect_garbage();
    }
    run.end();
});

/// What is left of the input; zeroes behind its end.
struct Bytes<'d>(&'d [u8]);

impl<'d> Bytes<'d> {
    fn next(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        first
    }

    fn take(&mut self, len: usize) -> &'d [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn short(&mut self) -> &'d [u8] {
        let len = self.next();
        self.take(usize::from(len % 32))
    }
}

struct Run<'d> {
    bytes: Bytes<'d>,
    engine: Engine,
    now: u64,
    /// Operations without a done, in order.
    open: VecDeque<u64>,
    /// Those of them whose deadline has passed, or that were abandoned.
    given_up: BTreeSet<u64>,
    /// The operation that ends the connection, if it was started.
    shutdown: u64,
    server: Server,
    /// What it said and the engine had no room for.
    unheard: Vec<u8>,
    /// The last batches, which must outlive all that follows.
    kept: VecDeque<Item>,
}

impl<'d> Run<'d> {
    fn new(mut bytes: Bytes<'d>) -> Self {
        let how = bytes.next();
        let small = Room {
            items: 1 + usize::from(bytes.next() % 8),
            ahead: usize::from(bytes.next() % 16),
            bytes: 1 + usize::from(bytes.next()) * 8,
            inbox: 1 + usize::from(bytes.next()),
        };
        let room = if how & 1 == 0 { memory::VAST } else { small };
        let mut engine = match (how >> 5, how >> 1 & 3) {
            (1, mode) => {
                let modes = [
                    "allow",
                    "prefer",
                    "require",
                    "require sslnegotiation=direct",
                ];
                memory::encrypting(room, modes[usize::from(mode)])
            }
            (2, encrypted) => Engine::cancel(cancelling(encrypted > 0)),
            (_, 0) => memory::fresh(room),
            (_, 1) => memory::dialled(room),
            _ => memory::up(room),
        };
        if how & 8 != 0 {
            engine.set_trace(Some(Trace::new(0, |line| line.push(b'0'))));
        }
        if how & 16 != 0 {
            engine.behave_like_libpq();
        }
        Self {
            bytes,
            engine,
            now: 10,
            open: VecDeque::new(),
            given_up: BTreeSet::new(),
            shutdown: 0,
            server: Server::default(),
            unheard: Vec::new(),
            kept: VecDeque::new(),
        }
    }

    fn step(&mut self) {
        match self.bytes.next() % 26 {
            0 => {
                let raw = self.bytes.short();
                self.receive(raw);
            }
            1 | 2 => self.message(),
            3..10 => self.converse(),
            10..16 => self.start(),
            16 => self.advance(),
            17 => {
                self.take();
            }
            18 => while self.take() {},
            19 => self.mail(),
            20 => self.output(),
            21 => self.settings(),
            22 => self.answer(),
            23 | 24 => self.copy(),
            _ => self.rare(),
        }
    }

    /// The server hears what was sent, and answers.
    fn converse(&mut self) {
        let output = self.engine.output().to_vec();
        self.engine.sent(output.len());
        if self.engine.facts().phase() == Phase::Negotiating {
            let answer = b"SSSNNEX"[usize::from(self.bytes.next() % 7)];
            self.receive(&[answer]);
            return;
        }
        if !self.engine.facts().is_ready() {
            return self.message();
        }
        self.server.hear(&output);
        let answer = self.server.answer(&mut self.bytes);
        self.unheard.extend_from_slice(&answer);
        let said = std::mem::take(&mut self.unheard);
        let left = self.receive(&said);
        self.unheard = said[said.len() - left..].to_vec();
    }

    /// A message with a true length, and as body whatever is there.
    fn message(&mut self) {
        const TAGS: &[u8] = b"RSKZTDDDCEN12n3tsIAGHWdcvVz";
        let tag = TAGS[usize::from(self.bytes.next()) % TAGS.len()];
        let mut out = vec![tag, 0, 0, 0, 0];
        match (tag, self.bytes.next() & 7) {
            (b'1' | b'2' | b'3' | b'n' | b's' | b'I' | b'c', 1..) => {}
            (b'Z', 1..) => out.push(b"ITE"[usize::from(self.bytes.next() % 3)]),
            (b'R', 1..4) => out.extend_from_slice(&[0; 4]),
            (b'R', 4..) => {
                out.extend_from_slice(&[0, 0, 0, self.bytes.next() % 14]);
                out.extend_from_slice(self.bytes.short());
            }
            (b'C', 1..) => {
                let tags: &[&[u8]] = &[b"SELECT 1\0", b"DISCARD ALL\0", b"COPY 3\0", b"BEGIN\0"];
                out.extend_from_slice(tags[usize::from(self.bytes.next() % 4)]);
            }
            (b'E' | b'N', 1..) => {
                let codes: &[&[u8]] = &[
                    b"SERROR\0C22012\0Mno\0\0",
                    b"SERROR\0C26000\0\0",
                    b"SFATAL\0VFATAL\0C57P01\0Mbye\0\0",
                    b"SWARNING\0\0",
                ];
                out.extend_from_slice(codes[usize::from(self.bytes.next() % 4)]);
            }
            (b'T', 1..) => {
                let columns = self.bytes.next() % 4;
                out.extend_from_slice(&[0, columns]);
                for _ in 0..columns {
                    out.extend_from_slice(b"c\0");
                    out.extend_from_slice(&[0; 18]);
                }
            }
            (b'D', 1..) => {
                let columns = self.bytes.next() % 4;
                out.extend_from_slice(&[0, columns]);
                for _ in 0..columns {
                    let value = self.bytes.short();
                    if value.len() == 31 {
                        out.extend_from_slice(&[0xFF; 4]);
                        continue;
                    }
                    let times = if value.len() == 30 { 700 } else { 1 };
                    let value = value.repeat(times);
                    out.extend_from_slice(&(value.len() as u32).to_be_bytes());
                    out.extend_from_slice(&value);
                }
            }
            (b'G' | b'H' | b'W', 1..) => out.extend_from_slice(&[0, 0, 0]),
            (b't', 1..) => out.extend_from_slice(&[0, 1, 0, 0, 0, 23]),
            (b'A', 1..) => out.extend_from_slice(b"\0\0\0\x01channel\0payload\0"),
            (b'S', 1..) => out.extend_from_slice(b"TimeZone\0UTC\0"),
            _ => out.extend_from_slice(self.bytes.short()),
        }
        let len = (out.len() - 1) as u32;
        out[1..5].copy_from_slice(&len.to_be_bytes());
        self.receive(&out);
    }

    /// As much of it as there is room for; how much is left.
    fn receive(&mut self, mut bytes: &[u8]) -> usize {
        while !bytes.is_empty() && self.engine.need().read {
            let count = self.engine.feed(bytes);
            assert!(count > 0, "room is never empty");
            bytes = &bytes[count..];
            self.advance_by(usize::MAX);
        }
        bytes.len()
    }

    fn start(&mut self) {
        let name = [&b"s"[..], b"t", b"", b"a\0b"][usize::from(self.bytes.next() % 4)];
        let flags = self.bytes.next();
        let value = self.bytes.short();
        let params: [Option<&[u8]>; 1] = [Some(value)];
        let max_rows = if flags & 1 == 0 {
            0
        } else {
            u32::from(flags >> 4)
        };
        let end = if flags & 2 == 0 { End::Sync } else { End::More };
        let format = i16::from(flags & 4 != 0);
        let describe = flags & 8 != 0;
        let (sql, types) = (value, &[23, 25][..]);
        let command = match self.bytes.next() % 12 {
            0 | 1 => Command::Query { sql },
            2 => Command::Params {
                sql,
                types,
                params: &params,
                format,
                max_rows,
            },
            3 => Command::Prepare {
                name,
                sql,
                types,
                describe,
            },
            4 | 5 => Command::Prepared {
                name,
                params: &params,
                format,
                max_rows,
                describe,
            },
            6 => Command::DescribeStatement { name },
            7 => Command::DescribePortal { name },
            8 if flags & 16 == 0 => Command::CloseStatement { name },
            8 => Command::ClosePortal { name },
            9 | 10 => Command::Copy { sql },
            _ => Command::Sync,
        };
        let before = self.engine.output().len();
        match self.engine.start(command, end) {
            Ok(operation) => {
                assert!(self.open.back().is_none_or(|last| *last < operation));
                self.open.push_back(operation);
            }
            Err(_) => assert_eq!(self.engine.output().len(), before, "nothing has changed"),
        }
    }

    /// Data of a COPY, or what would be if there were one.
    fn copy(&mut self) {
        let how = self.bytes.next();
        let piece = self.bytes.short().repeat(1 << (how >> 4));
        let before = (self.engine.unsent(), self.engine.takes_copy_data());
        let refused = match how & 3 {
            0 => self.engine.copy_end(None).is_err(),
            1 => self.engine.copy_end(Some(&piece)).is_err(),
            2 => self.engine.copy_put(&piece).is_err(),
            _ => {
                let most = usize::from(how >> 2);
                let there = self.engine.has_copy_data();
                let taken = self.engine.copy_get(most).map(<[u8]>::len);
                assert!(taken.count() <= if there { most } else { 0 });
                false
            }
        };
        let after = (self.engine.unsent(), self.engine.takes_copy_data());
        assert!(!refused || before == after, "nothing has changed");
        assert!(before.1 || refused || how & 3 == 3);
    }

    fn advance(&mut self) {
        let budget = usize::from(self.bytes.next()) * 4;
        self.now += u64::from(self.bytes.next()) << 24;
        self.advance_by(budget);
    }

    fn advance_by(&mut self, budget: usize) {
        // What is said to be no news must not be any.
        let news = self.engine.has_news(self.now) || self.engine.need() == Default::default();
        let seen = |engine: &Engine| {
            (
                engine.queued(),
                engine.output().len(),
                engine.error().is_some(),
                engine.has_item(),
            )
        };
        let quiet = !news && self.engine.queued() == 0 && unread(&self.engine, self.now) == 0;
        let before = seen(&self.engine);
        self.engine.advance(self.now, budget);
        if quiet {
            assert_eq!(seen(&self.engine), before);
        }
        let _ = self.engine.awaiting();
    }

    fn take(&mut self) -> bool {
        let Some(item) = self.engine.take() else {
            return false;
        };
        // What is late is said at once, whatever comes before it; nothing but the done comes after that.
        let late = matches!(&item.reply, Reply::Error(error) if error.is_timeout());
        if !late {
            assert_eq!(Some(&item.operation), self.open.front(), "{:?}", item.reply);
        }
        let done = matches!(item.reply, Reply::Done(_));
        assert!(done || !self.given_up.contains(&item.operation));
        match &item.reply {
            Reply::Done(_) => {
                self.open.pop_front();
                self.given_up.remove(&item.operation);
            }
            Reply::Error(_) if late => {
                assert!(self.open.contains(&item.operation));
                self.given_up.insert(item.operation);
            }
            Reply::Rows(batch) => read_all(batch),
            _ => {}
        }
        self.kept.push_back(item);
        true
    }

    fn collect_garbage(&mut self) {
        while self.kept.len() > 20 {
            if let Some(Item {
                reply: Reply::Rows(batch),
                ..
            }) = self.kept.pop_front()
            {
                read_all(&batch);
            }
        }
    }

    fn mail(&mut self) {
        self.engine.sort_mail();
        while let Some(notice) = self.engine.notice() {
            let _ = notice.message();
        }
        while let Some(notification) = self.engine.notification() {
            assert_eq!(notification.channel_with_nul().last(), Some(&0));
            assert_eq!(notification.payload_with_nul().last(), Some(&0));
        }
    }

    fn output(&mut self) {
        let count = usize::from(self.bytes.next()).min(self.engine.output().len());
        let output = self.engine.output()[..count].to_vec();
        self.server.hear(&output);
        self.engine.sent(count);
        if let Some(trace) = self.engine.trace() {
            trace.wrote(trace.lines().len());
        }
    }

    fn settings(&mut self) {
        let limits = Limits {
            rows: 1 + usize::from(self.bytes.next() % 8),
            bytes: 1 + usize::from(self.bytes.next()),
        };
        let time = Duration::from_millis(16 << (self.bytes.next() % 16));
        match self.bytes.next() % 6 {
            0 => self.engine.set_timeout(None),
            1 => self.engine.set_timeout(Some(time)),
            2 => self.engine.set_cancel_timeout(time),
            3 | 4 => self.engine.set_limits(limits),
            _ => {
                let operation = self.bytes.next().into();
                self.engine.set_head_limits(operation, limits);
            }
        }
    }

    fn answer(&mut self) {
        let what = self.bytes.next();
        if let Some((id, ask)) = self.engine.ask() {
            let late = u64::from(what & 1);
            let answer = match (ask, what >> 1 & 7) {
                (Ask::Hangup, _) => return,
                (Ask::Cancel { .. }, 0..3) => Answer::Cancelled,
                (Ask::FindCredentials, 0..5) => Answer::CredentialsFound,
                (Ask::FindCredentials, _) => Answer::Failed(lost(LinkErrorKind::GssMissing)),
                (Ask::SecureWithGss { .. } | Ask::GssToken { .. }, 0..2) => {
                    Answer::Failed(lost(LinkErrorKind::Gss))
                }
                (Ask::SecureWithGss { .. }, _) => Answer::GssSecured,
                (Ask::GssToken { .. }, number) => Answer::GssToken {
                    token: vec![number; usize::from(number % 3)],
                    complete: number % 2 == 0,
                },
                (Ask::Secure { .. }, 0) => Answer::Failed(lost(LinkErrorKind::Tls)),
                (Ask::Secure { .. }, 1) => Answer::Failed(lost(LinkErrorKind::TlsSetup)),
                (Ask::Secure { .. }, 2..7) | (_, 7) => Answer::Secured(self.shaken()),
                (_, 0) => Answer::Failed(lost(LinkErrorKind::Dial)),
                (_, 1) => Answer::Resolved(vec![([127, 0, 0, 1], 5432).into()]),
                _ => Answer::Dialled(Peer::default()),
            };
            self.engine.answer(id - late, answer.clone());
            self.engine.answer(id, answer);
        }
        self.advance_by(usize::MAX);
    }

    /// What a handshake came to.
    fn shaken(&mut self) -> TlsFacts {
        let how = self.bytes.next();
        TlsFacts {
            version: "TLSv1.3",
            alpn: match how & 3 {
                0 => None,
                1 => Some(self.bytes.short().to_vec()),
                _ => Some(b"postgresql".to_vec()),
            },
            end_point: match how >> 2 & 3 {
                0 => None,
                1 => Some(Err(String::from("no hash"))),
                _ => Some(Ok(vec![7; 32])),
            },
            certificate_requested: how & 16 != 0,
            certificate_sent: how & 32 != 0,
            ..TlsFacts::default()
        }
    }

    fn rare(&mut self) {
        match self.bytes.next() % 11 {
            8 | 9 => self.abandon(),
            10 => {
                let timeout = Duration::from_secs(u64::from(self.bytes.next()));
                if let Ok(operation) = self.engine.start_shutdown(Some(timeout)) {
                    self.open.push_back(operation);
                    self.shutdown = operation;
                }
            }
            0 => self.engine.lost(lost(LinkErrorKind::Closed)),
            1 => self.engine.lost(lost(LinkErrorKind::Send)),
            2 => self.engine.terminate(),
            3 | 4 => {
                let _ = self
                    .engine
                    .continue_portal(u32::from(self.bytes.next() % 4));
            }
            5 => {
                let _ = self.engine.flush_open_group();
            }
            6 => {
                let _ = self.engine.flush_request();
            }
            _ => self.now += 1 << 40,
        }
    }

    /// Of what is given up nothing but the done comes.
    fn abandon(&mut self) {
        let which = usize::from(self.bytes.next());
        let operation = self.open.get(which).copied().unwrap_or(0);
        let found = self.engine.abandon(operation);
        assert!(found || operation == self.shutdown || !self.open.contains(&operation));
        // A shutdown is not given up: nothing else ends the connection.
        let given_up = |open: &&u64| operation == 0 || **open == operation;
        let open = self.open.iter().filter(given_up);
        let shutdown = self.shutdown;
        self.given_up.extend(open.filter(|open| **open != shutdown));
    }

    /// The transport ends, and with it the connection: soon, and with a done for each operation.
    fn end(mut self) {
        for turn in 0.. {
            assert!(turn < 10_000, "no end: {}", self.engine.inspect(self.now));
            self.engine.lost(lost(LinkErrorKind::Closed));
            if let Some((id, ask)) = self.engine.ask()
                && ask != Ask::Hangup
            {
                self.engine
                    .answer(id, Answer::Failed(lost(LinkErrorKind::Dial)));
            }
            self.mail();
            while self.take() {}
            while self.engine.copy_get(9).next().is_some() {}
            if self.engine.error().is_some() || self.engine.is_done() {
                break;
            }
            self.engine.advance(self.now, 100_000);
        }
        assert!(!self.engine.is_rescuing());
        while self.take() {}
        assert!(
            self.open.is_empty(),
            "operations without a done: {:?}",
            self.open
        );
        assert_eq!(self.engine.queued(), 0);
        assert!(self.engine.start(Command::Sync, End::Sync).is_err());
        assert_eq!(self.engine.need(), Default::default());
        let said = self.engine.error().map_or("", Error::message);
        assert!(!said.contains("internal error"), "{said}");
        while let Some(Item { reply, .. }) = self.kept.pop_front() {
            if let Reply::Rows(batch) = reply {
                read_all(&batch);
            }
        }
    }
}

/// A request to cancel, encrypted or not.
fn cancelling(encrypted: bool) -> CancelPlan {
    CancelPlan {
        packet: Secret::new(vec![0; 16]),
        addr: Addr::Tcp(([127, 0, 0, 1], 5432).into()),
        tcp: TcpOptions::default(),
        requirepeer: None,
        tls: encrypted.then(memory::tls),
        gss: None,
        host: b"localhost".to_vec(),
        hostaddr: None,
        timeout: std::time::Duration::from_secs(5),
    }
}

fn unread(engine: &Engine, now: u64) -> usize {
    let line = engine.inspect(now);
    let after = line.split("\"bytes_unread\":").nth(1).unwrap_or("0");
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

fn read_all(batch: &pgpoll::rows::Batch) {
    for row in 0..=batch.rows() {
        for column in 0..=batch.columns().len() {
            let value = batch.value(row, column);
            let with_nul = batch.value_with_nul(row, column);
            assert_eq!(
                with_nul.map(|value| value.split_last()),
                value.map(|value| Some((&0, value)))
            );
        }
    }
}

fn lost(kind: LinkErrorKind) -> LinkError {
    LinkError {
        kind,
        errno: 0,
        text: String::from("gone"),
    }
}
