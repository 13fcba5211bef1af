//! A server on a clock of its own: it works on one statement at a time, and can be interrupted while it does. Knows no
//! client.
//!
//! A statement is `#<number>. <verb> <milliseconds> <rows>`; see [`Work::read`].

use pgpoll::wire::Frontend;
use pgpoll::wire::frame::{Header, frontend_header};
use testkit::script::{
    bind_complete, close_complete, columns, complete, copy_both, copy_data, copy_done, copy_in,
    copy_out, error, no_data, oid, parse_complete, ready, returned, row, suspended,
};

pub(crate) const MS: u64 = 1_000_000;

/// What a statement does.
#[derive(Debug, Clone, Default)]
pub(crate) struct Work {
    pub tag: u64,
    pub verb: String,
    pub time: u64,
    pub rows: u64,
}

impl Work {
    fn read(sql: &[u8]) -> Self {
        let sql = std::str::from_utf8(sql).unwrap();
        if let "BEGIN" | "COMMIT" | "ROLLBACK" = sql {
            return Self::of_transfer(sql);
        }
        let mut words = sql.split_whitespace();
        let tag = words.next().unwrap().trim_matches(['#', '.']);
        let verb = words.next().unwrap().to_owned();
        let mut number = || words.next().map_or(0, |word| word.parse().unwrap());
        Self {
            tag: tag.parse().unwrap(),
            verb,
            time: number() * MS,
            rows: number(),
        }
    }
}

impl Work {
    /// A step of an import or export, which is the only operation where there is one: the first.
    fn of_transfer(verb: &str) -> Self {
        Self {
            tag: 1,
            verb: verb.to_owned(),
            time: 3 * MS,
            rows: 0,
        }
    }
}

/// The statement under way.
#[derive(Debug)]
struct Running {
    work: Work,
    simple: bool,
    /// Of a portal.
    limit: u64,
    until: u64,
}

pub(crate) struct Backend {
    /// Received and not yet read.
    pub heard: Vec<u8>,
    said: Vec<u8>,
    /// Sent.
    pub out: Vec<u8>,
    pub closed: bool,
    parsed: Work,
    portal: Work,
    running: Option<Running>,
    /// Reads data; from a simple query or not.
    copying: Option<bool>,
    /// Reads the data of a COPY that was asked for as one, which goes both ways or not.
    taking: Option<bool>,
    /// Such a COPY has failed: what still comes of it is not heeded.
    after_copy: bool,
    skipping: bool,
    pub status: u8,
    /// The functions called.
    pub calls: Vec<u32>,
    /// A transaction of an import or export was.
    pub committed: bool,
}

impl std::fmt::Debug for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backend")
            .field("heard", &self.heard.len())
            .field("portal", &self.portal)
            .field("running", &self.running)
            .field("copying", &self.copying)
            .field("skipping", &self.skipping)
            .field("status", &char::from(self.status))
            .finish_non_exhaustive()
    }
}

impl Default for Backend {
    fn default() -> Self {
        Self {
            heard: Vec::new(),
            said: Vec::new(),
            out: Vec::new(),
            closed: false,
            parsed: Work::default(),
            portal: Work::default(),
            running: None,
            copying: None,
            taking: None,
            after_copy: false,
            skipping: false,
            status: b'I',
            calls: Vec::new(),
            committed: false,
        }
    }
}

impl Backend {
    /// When it goes on without being told anything.
    pub(crate) fn next(&self) -> Option<u64> {
        self.running.as_ref().map(|running| running.until)
    }

    /// The statement under way.
    pub(crate) fn busy_with(&self) -> Option<u64> {
        self.running.as_ref().map(|running| running.work.tag)
    }

    pub(crate) fn step(&mut self, now: u64) {
        loop {
            match &self.running {
                Some(running) if running.until > now => return,
                Some(_) => self.finish(),
                None => {
                    if !self.read(now) {
                        return;
                    }
                }
            }
        }
    }

    /// A signal to stop; what it stops. One that comes while nothing is done does nothing.
    pub(crate) fn interrupt(&mut self) -> Option<u64> {
        let running = self.running.as_ref()?;
        let tag = running.work.tag;
        if running.work.verb != "stuck" {
            let simple = running.simple;
            self.running = None;
            self.fail("57014", simple);
        } else if let Some(running) = &mut self.running {
            running.until = u64::MAX;
        }
        Some(tag)
    }

    fn say(&mut self, message: &[u8]) {
        self.said.extend_from_slice(message);
        if self.said.len() > 8192 {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.out.append(&mut self.said);
    }

    fn fail(&mut self, sqlstate: &str, simple: bool) {
        self.say(&error("ERROR", sqlstate, "no"));
        self.flush();
        if self.status == b'T' {
            self.status = b'E';
        }
        if simple {
            self.ready();
        } else {
            self.skipping = true;
        }
    }

    fn ready(&mut self) {
        self.say(&ready(self.status));
        self.flush();
    }

    /// Reads one message; false if there is none, or none that is read now.
    fn read(&mut self, now: u64) -> bool {
        if self.closed {
            return false;
        }
        let Some(head) = frontend_header(&self.heard).unwrap() else {
            return false;
        };
        let length = Header::SIZE + head.len;
        if self.heard.len() < length {
            return false;
        }
        let message: Vec<u8> = self.heard.drain(..length).collect();
        let message = Frontend::decode(head.tag, &message[Header::SIZE..]).unwrap();
        if let Some(simple) = self.copying {
            match message {
                Frontend::CopyFail(_) => {
                    self.copying = None;
                    self.fail("22P04", simple);
                }
                Frontend::Flush(_) | Frontend::Sync(_) => {}
                other => panic!("taken for the data of a COPY: {other:?}"),
            }
            return true;
        }
        if let Some(both) = self.taking {
            self.take(both, &message);
            return true;
        }
        let stale = matches!(
            message,
            Frontend::CopyData(_) | Frontend::CopyDone(_) | Frontend::CopyFail(_)
        );
        if self.after_copy && stale {
            return true;
        }
        if self.skipping && !matches!(message, Frontend::Sync(_) | Frontend::Terminate(_)) {
            return true;
        }
        match message {
            Frontend::Query(query) => self.execute(Work::read(query.sql), true, 0, now),
            Frontend::Parse(parse) => {
                self.parsed = Work::read(parse.sql);
                self.say(&parse_complete());
            }
            Frontend::Bind(_) => {
                self.portal = self.parsed.clone();
                self.say(&bind_complete());
            }
            Frontend::Describe(_) => {
                let has_rows = self.portal.verb == "rows";
                let answer = if has_rows { described() } else { no_data() };
                self.say(&answer);
            }
            Frontend::Execute(execute) => {
                let limit = execute.max_rows as u64;
                self.execute(self.portal.clone(), false, limit, now);
            }
            Frontend::Close(_) => self.say(&close_complete()),
            Frontend::Flush(_) => self.flush(),
            Frontend::Sync(_) => {
                self.skipping = false;
                self.ready();
            }
            Frontend::Terminate(_) => self.closed = true,
            Frontend::FunctionCall(_) if self.status == b'E' => self.fail("25P02", true),
            Frontend::FunctionCall(call) => {
                let function = call.function_oid.to_string();
                self.calls.push(call.function_oid);
                self.execute(Work::of_transfer(&function), true, 0, now);
            }
            other => panic!("{other:?}"),
        }
        true
    }

    /// Heeds a message in a COPY that takes data, which fails with a piece that says so.
    fn take(&mut self, both: bool, message: &Frontend<'_>) {
        match message {
            Frontend::CopyData(piece) if piece.data.windows(3).any(|word| word == b"bad") => {
                self.taking = None;
                self.after_copy = true;
                self.fail("22P02", true);
            }
            Frontend::CopyData(_) => {}
            Frontend::CopyDone(_) => {
                self.taking = None;
                if both {
                    self.say(&copy_done());
                }
                self.say(&complete("COPY 0"));
                self.ready();
            }
            Frontend::CopyFail(_) if !both => {
                self.taking = None;
                self.fail("57014", true);
            }
            other => panic!("in a COPY: {other:?}"),
        }
    }

    fn execute(&mut self, work: Work, simple: bool, limit: u64, now: u64) {
        if simple && work.verb == "rows" {
            self.say(&described());
        }
        let until = now + work.time;
        self.running = Some(Running {
            work,
            simple,
            limit,
            until,
        });
    }

    /// The statement under way has had its time.
    fn finish(&mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        let Running {
            work,
            simple,
            limit,
            ..
        } = running;
        match work.verb.as_str() {
            "rows" => {
                let count = if limit > 0 {
                    limit.min(work.rows)
                } else {
                    work.rows
                };
                let value = "x".repeat(100);
                for _ in 0..count {
                    self.say(&row(&[Some(&value)]));
                }
                self.portal.rows = work.rows - count;
                if limit > 0 && self.portal.rows > 0 {
                    self.say(&suspended());
                } else {
                    self.say(&complete(&format!("SELECT {count}")));
                }
            }
            "fail" => return self.fail("22012", simple),
            "begin" => {
                self.status = b'T';
                self.say(&complete("BEGIN"));
            }
            "rollback" => {
                self.status = b'I';
                self.say(&complete("ROLLBACK"));
            }
            "copyin" => {
                self.say(&copy_in(1));
                self.flush();
                self.copying = Some(simple);
                return;
            }
            "copyfrom" | "copyboth" => {
                let both = work.verb == "copyboth";
                self.say(&if both { copy_both() } else { copy_in(1) });
                for _ in 0..work.rows {
                    self.say(&copy_data(&[b'x'; 100]));
                }
                self.flush();
                self.taking = Some(both);
                return;
            }
            "copyout" => {
                self.say(&copy_out(1));
                for _ in 0..work.rows {
                    self.say(&copy_data(&[b'x'; 100]));
                }
                self.say(&copy_done());
                self.say(&complete("COPY 1"));
            }
            "BEGIN" => {
                self.status = b'T';
                self.say(&complete("BEGIN"));
            }
            "COMMIT" | "ROLLBACK" => {
                self.committed = work.verb == "COMMIT" && self.status == b'T';
                self.status = b'I';
                self.say(&complete(&work.verb));
            }
            // What is read of a large object, a piece and the end; else a number: that of bytes written, or any.
            "954" => {
                let reads = self.calls.iter().filter(|call| **call == 954).count();
                let piece: &[u8] = if reads == 1 { b"a piece" } else { b"" };
                self.say(&returned(Some(piece)));
            }
            function if function.parse::<u32>().is_ok() => {
                self.say(&returned(Some(&[0, 0, 0, 7])));
            }
            _ => self.say(&complete("SELECT 0")),
        }
        if simple {
            self.ready();
        }
    }
}

fn described() -> Vec<u8> {
    columns(&[("x", oid::TEXT)])
}
