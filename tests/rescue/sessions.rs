//! The recorded sessions, given up at every place where they wait: for a deadline, and because they are abandoned. Whatever
//! becomes of the request to cancel, every operation has its one done, and the connection is usable or lost.

use std::collections::BTreeSet;
use std::time::Duration;

use pgpoll::engine::{Item, Outcome, Reply, Verdict};
use pgpoll::link::{Answer, LinkError, LinkErrorKind};
use testkit::script::sessions;
use testkit::sim::{Act, Bench, Pace, Session, What};

const TIMEOUT: Duration = Duration::from_secs(3);
const SECOND: u64 = 1_000_000_000;

/// What becomes of requests to cancel while the session stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cancel {
    Done,
    Refused,
    Unanswered,
}

struct Run {
    bench: Bench,
    items: Vec<Item>,
    started: Vec<u64>,
    cancel: Cancel,
    asked: usize,
}

impl Run {
    /// Starts what the session's program starts up to its first wait, once it is up.
    fn new(
        session: &Session,
        pace: Pace,
        cancel: Cancel,
        timeout: Option<Duration>,
    ) -> Option<Self> {
        let mut bench = session.bench(pace);
        bench.poll();
        if !bench.engine.facts().is_ready() {
            return None;
        }
        bench.engine.set_timeout(timeout);
        let mut run = Self {
            bench,
            items: Vec::new(),
            started: Vec::new(),
            cancel,
            asked: 0,
        };
        for act in &session.acts {
            let engine = &mut run.bench.engine;
            let started = match act {
                Act::Start(what) => what.start(engine, pgpoll::engine::End::Sync),
                Act::More(what) => what.start(engine, pgpoll::engine::End::More),
                Act::Limits(limits) => {
                    engine.set_limits(*limits);
                    continue;
                }
                Act::Wait | Act::Continue(_) | Act::Put(_) | Act::End(_) | Act::Got(_) => break,
            };
            run.started.push(started.unwrap());
        }
        run.poll();
        Some(run)
    }

    fn poll(&mut self) {
        self.bench.engine.flush_open_group().unwrap_or_default();
        loop {
            let (_, progress) = self.bench.turn_with(|_| {
                self.asked += 1;
                match self.cancel {
                    Cancel::Done => Some(Answer::Cancelled),
                    Cancel::Refused => Some(Answer::Failed(LinkError {
                        kind: LinkErrorKind::Dial,
                        errno: 111,
                        text: String::from("Connection refused"),
                    })),
                    Cancel::Unanswered => None,
                }
            });
            let before = self.items.len();
            self.items
                .extend(std::iter::from_fn(|| self.bench.engine.take()));
            while self.bench.engine.copy_get(3).next().is_some() {}
            while self.bench.engine.notice().is_some() {}
            while self.bench.engine.notification().is_some() {}
            if !progress && self.items.len() == before {
                return;
            }
        }
    }

    /// The time passes up to the next deadline.
    fn sleep(&mut self) -> bool {
        let Some(deadline) = self.bench.engine.deadline() else {
            return false;
        };
        self.bench.now = self.bench.now.max(deadline);
        self.poll();
        true
    }

    fn replies(&self, operation: u64) -> Vec<&Reply> {
        let own = self.items.iter().filter(|item| item.operation == operation);
        own.map(|item| &item.reply).collect()
    }

    /// One done, the last; one error of the kind that tells of a deadline, if it came to that.
    fn check(&self, name: &str) {
        let over = self.bench.engine.error().is_some();
        for &operation in &self.started {
            let replies = self.replies(operation);
            let place = || format!("{name}: {operation} {replies:?} {}", self.bench.place());
            let dones: Vec<_> = replies
                .iter()
                .filter_map(|reply| match reply {
                    Reply::Done(done) => Some(done),
                    _ => None,
                })
                .collect();
            assert!(dones.len() <= 1, "{}", place());
            let Some(done) = dones.first() else {
                assert!(!over, "{}", place());
                continue;
            };
            assert!(
                matches!(replies.last(), Some(Reply::Done(_))),
                "{}",
                place()
            );
            assert!(!over || done.verdict == Verdict::Lost || self.bench.engine.queued() == 0);
            let mut errors = replies.iter().filter_map(|reply| match reply {
                Reply::Error(error) => Some(error),
                _ => None,
            });
            let late = errors.any(|error| error.is_timeout());
            assert!(errors.next().is_none(), "a second error: {}", place());
            if late {
                assert_ne!(done.outcome, Outcome::Ok, "{}", place());
                let after = replies
                    .iter()
                    .skip_while(|reply| !matches!(reply, Reply::Error(_)));
                assert_eq!(
                    after.count(),
                    2,
                    "after the deadline comes the done: {}",
                    place()
                );
            }
        }
    }
}

/// The sessions with operations, and where each is made to stand still: everywhere at first, later at every 17th byte.
fn recorded() -> impl Iterator<Item = (Session, Vec<usize>)> {
    let copies = |act: &Act| matches!(act, Act::Start(What::Copy(_)));
    // A server that is told that a COPY or an import is given up leaves its script: `copies` and `transfers` have one that
    // knows what to say then.
    let sessions = sessions::all().into_iter();
    let sessions = sessions.filter(move |session| !session.acts.iter().any(copies));
    let sessions = sessions.filter(|session| !session.acts.iter().any(Act::moves_file));
    sessions.filter_map(|session| {
        let whole = session.replay(Pace::default());
        let from = whole.received_until_ready?;
        let (near, far) = (from + 150, from + 3000);
        let positions = (from..near).chain((near..far).step_by(17));
        let positions = positions.filter(|position| *position < whole.received);
        (whole.finished && whole.dialled == 1).then(|| (session, positions.collect()))
    })
}

fn held(position: usize) -> Pace {
    Pace {
        hold: Some(position),
        ..Pace::default()
    }
}

#[test]
fn a_deadline_at_every_await_of_every_operation() {
    let (mut cases, mut lost, mut awaits) = (0, 0, BTreeSet::new());
    for (session, positions) in recorded() {
        for position in positions {
            for cancel in [Cancel::Done, Cancel::Refused, Cancel::Unanswered] {
                let Some(mut run) = Run::new(&session, held(position), cancel, Some(TIMEOUT))
                else {
                    continue;
                };
                let begun = run.bench.now;
                let stands = run.bench.engine.queued() > 0;
                let awaiting = run.bench.engine.awaiting();
                if stands && run.bench.engine.error().is_none() {
                    run.sleep();
                    assert_eq!(run.bench.now, begun + 3 * SECOND, "{}", run.bench.place());
                    awaits.insert((awaiting.at.file(), awaiting.at.line()));
                }
                run.check(&session.name);
                if position % 2 == 0 {
                    // The server goes on after all.
                    run.bench.pace.hold = None;
                    run.poll();
                }
                for _ in 0..20 {
                    run.sleep();
                }
                run.check(&session.name);
                let limit = begun + 8 * SECOND;
                let engine = &run.bench.engine;
                assert!(
                    engine.queued() == 0 && run.bench.now <= limit,
                    "{}",
                    run.bench.place()
                );
                assert!(engine.error().is_some() || !engine.is_rescuing());
                lost += usize::from(engine.error().is_some());
                cases += 1;
            }
        }
    }
    println!(
        "a deadline at every await: {cases} cases, {lost} lost, at {} places",
        awaits.len()
    );
    assert!(cases > 1000 && awaits.len() >= 6, "{cases} {awaits:?}");
}

/// Trap 12, a future dropped in the middle of a message: what is given up is drained, whatever it waits for.
#[test]
fn abandoned_at_every_await_of_every_operation() {
    let mut cases = 0;
    for (session, positions) in recorded() {
        for position in positions {
            for cancel in [Cancel::Done, Cancel::Unanswered] {
                let Some(mut run) = Run::new(&session, held(position), cancel, None) else {
                    continue;
                };
                let before = run.items.len();
                run.bench.engine.abandon(0);
                run.poll();
                if position % 2 == 0 {
                    run.bench.pace.hold = None;
                    run.poll();
                }
                for _ in 0..30 {
                    run.sleep();
                }
                run.check(&session.name);
                let dones = |item: &Item| matches!(item.reply, Reply::Done(_));
                assert!(
                    run.items[before..].iter().all(dones) || run.bench.engine.error().is_some(),
                    "{}: {:?}",
                    session.name,
                    &run.items[before..]
                );
                assert_eq!(run.bench.engine.queued(), 0, "{}", run.bench.place());
                cases += 1;
            }
        }
    }
    println!("abandoned at every await: {cases} cases");
    assert!(cases > 1000);
}
