//! Runs a client's program on a bench, and checks what holds for every session, however it ends.

use pgpoll::engine::{Done, End, Item, Outcome, Reply, Verdict};
use pgpoll::error::{Error, Family};

use super::{Act, Bench, Transcript, What, shown};

/// A session under way.
pub(super) struct Run {
    bench: Bench,
    items: Vec<Item>,
    transcript: Transcript,
    started: Vec<u64>,
    suspended: usize,
}

impl Run {
    pub(super) fn new(bench: Bench) -> Self {
        Self {
            bench,
            items: Vec::new(),
            transcript: Transcript::default(),
            started: Vec::new(),
            suspended: 0,
        }
    }

    pub(super) fn run(mut self, acts: &[Act]) -> Transcript {
        let mut acts = acts.iter();
        let mut next = acts.next();
        self.poll();
        loop {
            let engine = &mut self.bench.engine;
            if engine.error().is_some() || !engine.facts().is_ready() {
                break;
            }
            self.transcript
                .received_until_ready
                .get_or_insert(self.bench.received);
            let Some(act) = next else {
                self.transcript.finished = true;
                break;
            };
            if self.act(act) {
                next = acts.next();
            } else {
                let before = (self.items.len(), self.bench.received, self.bench.sent);
                self.poll();
                if before == (self.items.len(), self.bench.received, self.bench.sent)
                    && !self.act(act)
                {
                    break; // it waits for what never comes
                }
            }
        }
        self.finish()
    }

    /// Does one thing; false while it has to wait.
    fn act(&mut self, act: &Act) -> bool {
        let engine = &mut self.bench.engine;
        let started = match act {
            Act::Start(what) => what.start(engine, End::Sync),
            Act::More(what) => what.start(engine, End::More),
            Act::Limits(limits) => {
                engine.set_limits(*limits);
                return true;
            }
            Act::Wait => return engine.queued() == 0 && !engine.has_item(),
            Act::Put(data) => {
                if engine.takes_copy_data() {
                    engine.copy_put(data).unwrap();
                }
                return engine.takes_copy_data() || engine.queued() == 0;
            }
            Act::End(error) => {
                if !engine.takes_copy_data() {
                    return engine.queued() == 0;
                }
                let error = error.as_ref().map(String::as_bytes);
                engine.copy_end(error).unwrap();
                return true;
            }
            Act::Got(messages) => return self.transcript.copied.len() >= *messages,
            Act::Continue(rows) => {
                if self.suspended == 0 {
                    return false;
                }
                self.suspended -= 1;
                engine.continue_portal(*rows).unwrap();
                return true;
            }
        };
        self.started.push(started.unwrap());
        true
    }

    fn poll(&mut self) {
        self.bench.engine.flush_open_group().unwrap_or_default();
        loop {
            let (_, progress) = self.bench.turn();
            let taken = (!self.bench.pace.lazy || !progress) && self.take();
            if !progress && !taken {
                return;
            }
        }
    }

    /// Takes everything, or (lazy) one item.
    fn take(&mut self) -> bool {
        let mut some = false;
        let engine = &mut self.bench.engine;
        while let Some(item) = engine.take() {
            some = true;
            self.suspended += usize::from(matches!(item.reply, Reply::Suspended));
            self.items.push(item);
            if self.bench.pace.lazy {
                return true;
            }
        }
        let most = if self.bench.pace.lazy { 1 } else { 7 };
        while engine.has_copy_data() {
            some = true;
            let messages = engine.copy_get(most).map(<[u8]>::to_vec);
            self.transcript.copied.extend(messages);
            if self.bench.pace.lazy {
                return true;
            }
        }
        while let Some(notice) = engine.notice() {
            some = true;
            let text = String::from_utf8_lossy(notice.message());
            self.transcript.notices.push(text.into_owned());
        }
        while let Some(notification) = engine.notification() {
            some = true;
            let (channel, payload) = (notification.channel(), notification.payload());
            self.transcript.notifications.push(format!(
                "{} {} {}",
                notification.pid,
                String::from_utf8_lossy(channel),
                String::from_utf8_lossy(payload)
            ));
        }
        some
    }

    /// Checks what holds for every session, however it ended.
    fn finish(mut self) -> Transcript {
        self.check_operations();
        self.check_sticky();
        let bench = &self.bench;
        let mut transcript = self.transcript;
        transcript.items = self.items.iter().map(shown).collect();
        transcript.error = bench.engine.error().cloned();
        transcript.place = bench.place();
        transcript.written = bench.written.clone();
        transcript.received = bench.received;
        transcript.dialled = bench.dialled;
        transcript.stream = bench.stream.clone();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let parameters = bench.engine.facts().parameters();
        transcript.parameters = parameters
            .map(|(name, value)| (text(name), text(value)))
            .collect();
        transcript
    }

    /// Each operation that ended did so with exactly one done, as its last item; at most one error is the reason.
    fn check_operations(&self) {
        let over = self.bench.engine.error().is_some();
        let mut order = 0;
        let mut lost = 0;
        let mut ended = false;
        for &operation in &self.started {
            let own: Vec<&Item> = self
                .items
                .iter()
                .filter(|item| item.operation == operation)
                .collect();
            let place = || format!("operation {operation}: {own:?} {}", self.bench.place());
            let done: Vec<&Done> = own.iter().filter_map(|item| done(item)).collect();
            let errors: Vec<&Error> = own.iter().filter_map(|item| error(item)).collect();
            // A reply that cannot be true costs its operation alone.
            let ends_it = done.iter().all(|done| done.verdict == Verdict::Lost);
            lost += errors
                .iter()
                .filter(|error| ends_it && error.family() == Family::Transport)
                .count();
            if !over && done.is_empty() {
                continue; // it is under way
            }
            assert_eq!(done.len(), 1, "{}", place());
            assert!(done_is_last(&own), "{}", place());
            // Of the operations that a loss ends, the first tells why.
            let failed = done[0].outcome == Outcome::Failed && !ended;
            assert_eq!(errors.len(), usize::from(failed), "{}", place());
            ended |= done[0].verdict == Verdict::Lost;
        }
        assert!(
            lost <= 1,
            "one loss is reported once: {}",
            self.bench.place()
        );
        for item in &self.items {
            assert!(item.operation >= order, "out of order: {:?}", self.items);
            order = item.operation;
        }
    }

    /// Once over, everything says the same at once, and nothing can be started.
    fn check_sticky(&mut self) {
        let Some(error) = self.bench.engine.error().cloned() else {
            return;
        };
        for _ in 0..3 {
            self.bench.poll();
            assert!(!self.bench.engine.has_item(), "{}", self.bench.place());
            assert_eq!(self.bench.engine.error(), Some(&error));
            let what = What::Query(String::from("SELECT 1"));
            let refused = what.start(&mut self.bench.engine, End::Sync).unwrap_err();
            assert_eq!(refused.family(), Family::Misuse);
            assert!(refused.message().contains("the connection is over"));
            self.bench.now += 3_600_000_000_000;
        }
    }
}

fn done(item: &Item) -> Option<&Done> {
    match &item.reply {
        Reply::Done(done) => Some(done),
        _ => None,
    }
}

fn error(item: &Item) -> Option<&Error> {
    match &item.reply {
        Reply::Error(error) => Some(error),
        _ => None,
    }
}

fn done_is_last(items: &[&Item]) -> bool {
    items.last().is_some_and(|item| done(item).is_some())
}
