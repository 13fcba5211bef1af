//! The timeline as trace events of Chrome's format (JSON array), which Perfetto and chrome://tracing show. Knows the format,
//! not what is done with it.
//!
//! A connection is a thread of the process. On it stand slices that nest: a phase of connecting or an operation, a COPY in it,
//! what was awaited in that. Operations that were pipelined follow one another: one begins when the one before it is done. What does
//! not nest (cancels, output that the transport does not take, results that nobody takes) is asynchronous; errors are instants.
//! What is not over is begun and not ended.

use std::fmt::{self, Write};

use super::super::Engine;
use super::super::expect::Expect;
use super::super::facts::Phase;
use super::super::item::Outcome;
use super::super::json::Escaped;
use super::super::state::State;
use super::{Change, Entry, Event, direction, word};

/// Where the events of a connection are shown.
#[derive(Debug, Clone)]
pub struct Track<'a> {
    /// The process.
    pub pid: u32,
    /// The connection's number in it.
    pub number: u32,
    /// What it is called.
    pub name: &'a str,
}

/// What an operation's replies are waited for with from its start on.
const REPLY: &str = "a reply from the server";

impl Engine {
    /// Writes the timeline as trace events, each a line that begins with `,` or, the first one, with `[`.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_timeline(
        &self,
        track: &Track<'_>,
        now: u64,
        first: &mut bool,
        out: &mut dyn Write,
    ) -> fmt::Result {
        self.state().write_timeline(track, now, first, out)
    }
}

/// An operation's place on the time line.
struct Operation {
    id: u64,
    name: &'static str,
    begin: u64,
    queued: u64,
    /// When and how it ended.
    end: Option<(u64, Outcome)>,
}

/// Slices that are open, by how deep they stand.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Depth {
    /// A phase of connecting, or an operation.
    Work,
    Copy,
    Wait,
}

struct Events<'a> {
    track: &'a Track<'a>,
    first: &'a mut bool,
    out: &'a mut dyn Write,
    /// The time of the last event on the thread.
    last: u64,
    /// A slice of each depth may be open: a bit each.
    open: [bool; 3],
}

impl Events<'_> {
    /// An event up to its arguments. Times are microseconds.
    fn event(&mut self, phase: &str, name: &str, category: &str, at: u64) -> fmt::Result {
        self.nameless(phase, at)?;
        let name = Escaped(name);
        write!(self.out, ",\"name\":\"{name}\",\"cat\":\"{category}\"")
    }

    fn nameless(&mut self, phase: &str, at: u64) -> fmt::Result {
        self.out.write_str(if *self.first { "[" } else { "\n," })?;
        *self.first = false;
        let (pid, tid) = (self.track.pid, self.track.number);
        let (us, ns) = (at / 1000, at % 1000);
        write!(
            self.out,
            "{{\"ph\":\"{phase}\",\"pid\":{pid},\"tid\":{tid},\"ts\":{us}.{ns:03}"
        )
    }

    fn end_event(&mut self) -> fmt::Result {
        self.out.write_char('}')
    }

    fn name(&mut self, what: &str, name: &str) -> fmt::Result {
        self.event("M", what, "__metadata", 0)?;
        write!(self.out, ",\"args\":{{\"name\":\"{}\"}}}}", Escaped(name))
    }

    /// Time on a thread never goes back.
    fn at(&mut self, at: u64) -> u64 {
        self.last = self.last.max(at);
        self.last
    }

    /// Ends the slices that are as deep or deeper.
    fn close(&mut self, depth: Depth, at: u64) -> fmt::Result {
        let at = self.at(at);
        for deeper in (depth as usize..=Depth::Wait as usize).rev() {
            let open = self.open.get_mut(deeper);
            if open.is_some_and(std::mem::take) {
                self.nameless("E", at)?;
                self.end_event()?;
            }
        }
        Ok(())
    }

    /// Begins a slice of this depth.
    fn open(&mut self, depth: Depth, name: &str, category: &str, at: u64) -> fmt::Result {
        self.close(depth, at)?;
        let at = self.at(at);
        if let Some(open) = self.open.get_mut(depth as usize) {
            *open = true;
        }
        self.event("B", name, category, at)
    }

    fn wait(&mut self, what: &str, place: Option<String>, at: u64) -> fmt::Result {
        self.open(Depth::Wait, what, "wait", at)?;
        if let Some(place) = place {
            write!(self.out, ",\"args\":{{\"at\":\"{}\"}}", Escaped(&place))?;
        }
        self.end_event()
    }

    fn operation(&mut self, operation: &Operation) -> fmt::Result {
        self.open(Depth::Work, operation.name, "operation", operation.begin)?;
        let Operation { id, queued, .. } = operation;
        write!(
            self.out,
            ",\"args\":{{\"id\":{id},\"queued_us\":{}",
            queued / 1000
        )?;
        if let Some((_, outcome)) = operation.end {
            write!(self.out, ",\"outcome\":\"{}\"", word(outcome))?;
        }
        self.out.write_str("}")?;
        self.end_event()?;
        match operation.end {
            Some((end, _)) if end == operation.begin => Ok(()),
            _ => self.wait(REPLY, None, operation.begin),
        }
    }

    fn instant(&mut self, name: &str, category: &str, at: u64) -> fmt::Result {
        let at = self.at(at);
        self.event("i", name, category, at)?;
        self.out.write_str(",\"s\":\"t\"")?;
        self.end_event()
    }

    /// The beginning ("b") or the end ("e") of what goes on beside the slices.
    fn beside(&mut self, phase: &str, name: &str, at: u64) -> fmt::Result {
        self.event(phase, name, "beside", at)?;
        let number = self.track.number;
        write!(self.out, ",\"id\":\"{number}: {name}\"")?;
        self.end_event()
    }

    fn bytes(&mut self, at: u64, received: u64, sent: u64) -> fmt::Result {
        let at = self.at(at);
        let name = format!("connection {} bytes", self.track.number);
        self.event("C", &name, "bytes", at)?;
        write!(
            self.out,
            ",\"args\":{{\"received\":{received},\"sent\":{sent}}}"
        )?;
        self.end_event()
    }
}

/// What goes on beside the slices.
const CANCEL: &str = "cancel";
const STALLED: &str = "output that the transport does not take";
const STARVED: &str = "results that are not taken";
const UNWANTED: &str = "getting rid of what nobody wants";

impl State {
    fn write_timeline(
        &self,
        track: &Track<'_>,
        now: u64,
        first: &mut bool,
        out: &mut dyn Write,
    ) -> fmt::Result {
        let mut events = Events {
            track,
            first,
            out,
            last: 0,
            open: [false; 3],
        };
        events.name("process_name", "pgpoll")?;
        events.name("thread_name", track.name)?;
        let mut bytes = (0, 0);
        let mut operations = self.operations().into_iter().peekable();
        // What was begun before the first entry there is was begun at some time before.
        let mut beside: Vec<&str> = Vec::new();
        let mut busy = false;
        for entry in self.timeline.entries() {
            if !busy && let Some(operation) = operations.next_if(|next| next.begin <= entry.at) {
                events.operation(&operation)?;
                busy = true;
            }
            let totals = self.timeline.totals(entry);
            if totals != bytes {
                bytes = totals;
                events.bytes(entry.at, totals.0, totals.1)?;
            }
            events.entry(entry, &mut beside)?;
            busy &= !matches!(
                entry.event,
                Event::Changed(Change::Done { .. } | Change::Phase(_) | Change::Reset)
            );
        }
        for operation in operations {
            events.operation(&operation)?;
        }
        if self.timeline.starved != 0 {
            events.beside("b", STARVED, self.timeline.starved)?;
        }
        events.bytes(
            now,
            self.timeline.earlier.0 + self.input.received,
            self.timeline.earlier.1 + self.output.total,
        )
    }

    /// The operations that the entries end, and the one at the head of the queue, in the order of their ends.
    fn operations(&self) -> Vec<Operation> {
        let mut all = Vec::new();
        let mut before = 0;
        for entry in self.timeline.entries() {
            match entry.event {
                Event::Changed(Change::Done {
                    operation,
                    since,
                    steps,
                    outcome,
                }) => {
                    let begin = since.max(before);
                    all.push(Operation {
                        id: u64::from(operation),
                        name: steps.what(),
                        begin,
                        queued: begin - since,
                        end: Some((entry.at, outcome)),
                    });
                    before = entry.at;
                }
                Event::Changed(Change::Phase(_)) => before = entry.at,
                _ => {}
            }
        }
        let open = |head: &Expect| Operation {
            id: head.operation,
            name: head.what(),
            begin: head.since.max(before),
            queued: before.saturating_sub(head.since),
            end: None,
        };
        // Its time is not taken before the caller turns to it.
        all.extend(self.queue.front().filter(|head| head.since > 0).map(open));
        all
    }
}

impl Events<'_> {
    /// `beside`: what goes on beside the slices.
    fn entry(&mut self, entry: &Entry, beside: &mut Vec<&'static str>) -> fmt::Result {
        let at = entry.at;
        let change = match entry.event {
            Event::Waits { what, at: place } => {
                let place = format!("{}:{}", place.file(), place.line());
                return self.wait(what, Some(place), at);
            }
            Event::Changed(change) => change,
        };
        let mut set = |events: &mut Self, name: &'static str, on: bool| {
            let was = beside.contains(&name);
            match (was, on) {
                (false, true) => {
                    beside.push(name);
                    events.beside("b", name, at)
                }
                (true, false) => {
                    beside.retain(|other| *other != name);
                    events.beside("e", name, at)
                }
                _ => Ok(()),
            }
        };
        match change {
            Change::Phase(phase @ (Phase::Ready | Phase::Over)) => {
                self.close(Depth::Work, at)?;
                for name in [STALLED, CANCEL, UNWANTED] {
                    set(self, name, false)?;
                }
                self.instant(phase.name(), "phase", at)
            }
            Change::Phase(phase) => {
                self.open(Depth::Work, phase.name(), "phase", at)?;
                self.end_event()
            }
            Change::Replied { .. } => self.instant("first reply", "reply", at),
            Change::Done { .. } => self.close(Depth::Work, at),
            Change::Starved { since } => {
                self.beside("b", STARVED, since)?;
                self.beside("e", STARVED, at)
            }
            Change::Stalled => set(self, STALLED, true),
            Change::Sent => set(self, STALLED, false),
            Change::CopyBegan(way) => {
                self.open(Depth::Copy, direction(way), "copy", at)?;
                self.end_event()
            }
            Change::CopyEnded => self.close(Depth::Copy, at),
            Change::Heals => self.instant("statement prepared again", "reply", at),
            Change::Late { operation } => {
                self.instant(&format!("deadline of operation {operation}"), "error", at)
            }
            Change::Unwanted { .. } => set(self, UNWANTED, true),
            Change::Rescued => set(self, UNWANTED, false),
            Change::CancelBegan => set(self, CANCEL, true),
            Change::CancelEnded { .. } => set(self, CANCEL, false),
            Change::Socket(socket) => self.instant(&format!("socket {socket}"), "socket", at),
            Change::NoSocket => self.instant(change.name(), "socket", at),
            Change::Refused(sqlstate) => {
                let state = String::from_utf8_lossy(&sqlstate);
                self.instant(&format!("error {state}"), "error", at)
            }
            Change::Failed => self.instant("error", "error", at),
            Change::Lost => self.instant("transport lost", "error", at),
            Change::Reset => {
                self.close(Depth::Work, at)?;
                for name in [STALLED, CANCEL, UNWANTED] {
                    set(self, name, false)?;
                }
                self.instant("reset", "phase", at)
            }
        }
    }
}
