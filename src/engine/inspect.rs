//! What the engine is doing, as one line of JSON: for people, debuggers and logs. Shows no values and no secrets.

use super::facts::Phase;
use super::json::{close, fraction, number, text};
use super::state::State;
use super::timeline::{Change, Entry, Event, direction, word};
use crate::link::Addr;
use crate::wire::TransactionStatus;

impl State {
    /// Phase, operation, what is awaited, where and since when, bytes, queue, transaction. `now`: monotonic nanoseconds.
    pub(super) fn inspect(&self, now: u64) -> String {
        let mut line = String::with_capacity(320);
        let milliseconds = |since: u64| now.saturating_sub(since) as f64 / 1e6;
        line.push('{');
        text(&mut line, "phase", self.facts.phase.name());
        if let Some(addr) = &self.facts.addr {
            let shown = match addr {
                Addr::Tcp(addr) => addr.to_string(),
                Addr::Given => "given transport".to_owned(),
                Addr::Unix(path) => String::from_utf8_lossy(path).into_owned(),
            };
            text(&mut line, "server", &shown);
        }
        if let Some(tls) = &self.facts.tls {
            text(&mut line, "tls", tls.version);
        }
        if self.facts.gss_used {
            let what = match self.facts.gss_encrypted {
                true => "encrypted",
                false => "authenticated",
            };
            text(&mut line, "gssapi", what);
        }
        if let Some(head) = self.queue.front() {
            number(&mut line, "operation", head.operation);
            text(&mut line, "kind", head.what());
            fraction(&mut line, "operation_ms", milliseconds(head.since));
        }
        if self.facts.phase != Phase::Over {
            let what = match self.copy_awaits() {
                Some(what) if self.items.is_empty() && self.mail.has_room() => what,
                _ if !self.starved => self.awaiting.what,
                _ if !self.mail.has_room() => "notifications to be taken",
                _ => "results to be taken",
            };
            text(&mut line, "awaiting", what);
            let at = format!("{}:{}", self.awaiting.at.file(), self.awaiting.at.line());
            text(&mut line, "at", &at);
            fraction(&mut line, "awaiting_ms", milliseconds(self.awaiting.since));
        }
        if let Some(rescue) = &self.rescue {
            text(&mut line, "rescue", rescue.what);
            fraction(&mut line, "rescue_ms", milliseconds(rescue.since));
        }
        if let Some(deadline) = self.deadline {
            fraction(
                &mut line,
                "deadline_in_ms",
                deadline.saturating_sub(now) as f64 / 1e6,
            );
        }
        number(&mut line, "queued_operations", self.queue.len() as u64);
        number(&mut line, "finished_items", self.items.len() as u64);
        number(&mut line, "rows_gathered", self.gather.rows() as u64);
        number(&mut line, "bytes_received", self.input.received);
        number(&mut line, "bytes_unread", self.input.unread() as u64);
        number(&mut line, "bytes_sent", self.output.total);
        number(
            &mut line,
            "bytes_to_send",
            self.output.end() - self.output.total,
        );
        let transaction = match self.facts.transaction {
            None => "unknown",
            Some(TransactionStatus::Idle) => "idle",
            Some(TransactionStatus::InTransaction) => "in transaction",
            Some(TransactionStatus::Failed) => "failed",
        };
        text(&mut line, "transaction", transaction);
        number(&mut line, "backend_pid", u64::from(self.facts.pid));
        if let Some(over) = &self.over {
            text(&mut line, "error", over.message());
        }
        self.recent(&mut line, now);
        close(&mut line);
        line
    }

    /// The last entries of the timeline, the newest last, each with its age.
    fn recent(&self, line: &mut String, now: u64) {
        line.push_str("\"recent\":[");
        let entries = self.timeline.entries().rev();
        let mut newest: Vec<&Entry> = entries.take(RECENT + 1).collect();
        // Of the oldest one that is there it is not known how many bytes came with it.
        let mut before = newest.last().map(|oldest| (oldest.received, oldest.sent));
        newest.truncate(RECENT);
        for entry in newest.into_iter().rev() {
            line.push('{');
            fraction(line, "ms_ago", now.saturating_sub(entry.at) as f64 / 1e6);
            entry.event.show(line, entry.at);
            let (received, sent) = before
                .replace((entry.received, entry.sent))
                .unwrap_or_default();
            let received = entry.received.wrapping_sub(received);
            let sent = entry.sent.wrapping_sub(sent);
            for (name, bytes) in [("received", received), ("sent", sent)] {
                if bytes > 0 {
                    number(line, name, bytes);
                }
            }
            close(line);
            line.push(',');
        }
        if line.ends_with(',') {
            line.pop();
        }
        line.push_str("],");
    }
}

impl Event {
    fn show(self, line: &mut String, now: u64) {
        let milliseconds = |since: u64| now.saturating_sub(since) as f64 / 1e6;
        let change = match self {
            Self::Waits { what, at } => {
                text(line, "event", "waits");
                text(line, "for", what);
                return text(line, "at", &format!("{}:{}", at.file(), at.line()));
            }
            Self::Changed(change) => change,
        };
        text(line, "event", change.name());
        match change {
            Change::Phase(phase) => text(line, "phase", phase.name()),
            Change::Replied { operation }
            | Change::Late { operation }
            | Change::Unwanted { operation } => {
                number(line, "operation", operation.into());
            }
            Change::Done {
                operation,
                since,
                steps,
                outcome,
            } => {
                number(line, "operation", operation.into());
                text(line, "kind", steps.what());
                text(line, "outcome", word(outcome));
                fraction(line, "ms", milliseconds(since));
            }
            Change::Starved { since } => fraction(line, "ms", milliseconds(since)),
            Change::CopyBegan(way) => text(line, "way", direction(way)),
            Change::CancelEnded { told } => {
                text(line, "outcome", if told { "told" } else { "not told" });
            }
            Change::Socket(socket) => number(line, "socket", socket.into()),
            Change::Refused(sqlstate) => {
                text(line, "sqlstate", &String::from_utf8_lossy(&sqlstate));
            }
            _ => {}
        }
    }
}

/// So many entries of the timeline are shown, however many it has.
const RECENT: usize = 16;
