//! Programs of clients, networks and servers chosen by seeds: whatever happens, every operation ends, in its time, and no
//! cancel reaches the server where it can hit what is wanted (the world watches that). A failing seed replays exactly.

use pgpoll::engine::{Command, End, Outcome, Verdict};
use pgpoll::wire::TransactionStatus;

use crate::backend::MS;
use crate::world::{Cancels, Op, World};

const SEEDS: u64 = 20_000;
const CANCEL_TIMEOUT: u64 = 5000 * MS;

struct Random(u64);

impl Random {
    /// A number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }

    fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize].clone()
    }

    fn time(&mut self, most: u64) -> u64 {
        let size = 1 + self.below(u64::from(most.ilog2()));
        1 + self.below(1 << size)
    }
}

/// What may go wrong besides what the client does itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    Refused,
    Unanswered,
    Hole,
    Stuck,
}

struct Run {
    random: Random,
    world: World,
    trouble: Trouble,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut world = World::new();
        let trouble = random.one_of(&[
            Trouble::None,
            Trouble::None,
            Trouble::None,
            Trouble::Refused,
            Trouble::Unanswered,
            Trouble::Hole,
            Trouble::Stuck,
        ]);
        world.latency = random.time(32) * MS / 2;
        world.window = random.one_of(&[20, 200, usize::MAX, usize::MAX]);
        let (there, back) = (random.time(64) * MS, random.time(512) * MS);
        world.cancels = match trouble {
            Trouble::Refused => Cancels::Refused(there),
            Trouble::Unanswered => random.one_of(&[Cancels::Lost, Cancels::NeverEnd(there)]),
            _ => Cancels::Arrive(there, back),
        };
        if trouble == Trouble::Hole {
            world.hole = world.now + random.time(1024) * MS;
        }
        Self {
            random,
            world,
            trouble,
        }
    }

    fn act(&mut self) {
        let (random, world) = (&mut self.random, &mut self.world);
        match random.below(16) {
            0..=2 => world.run_for(random.time(512)),
            3 | 4 => {
                let timeout = random.time(512);
                world.set_timeout((random.below(3) > 0).then_some(timeout));
            }
            5 | 6 => {
                let operation = random.below(world.next());
                if operation > 0 && world.ops[&operation].done.is_some() {
                    return;
                }
                world.abandon(operation);
            }
            7 => {
                let _ = world.engine.continue_portal(random.below(3) as u32);
                world.poll();
            }
            8 | 9 => drop(world.start(Command::Sync, End::Sync)),
            _ => self.start(),
        }
    }

    fn start(&mut self) {
        let (random, world) = (&mut self.random, &mut self.world);
        let verbs = [
            "sleep", "rows", "rows", "fail", "copyin", "copyout", "begin", "rollback",
        ];
        let mut verb = random.one_of(&verbs);
        let simple = random.below(2) == 0;
        if verb == "sleep" && self.trouble == Trouble::Stuck && random.below(2) == 0 {
            verb = "stuck";
        }
        // The server takes what follows for data: the library ends the connection, as it should.
        if verb == "copyin"
            && (world.engine.queued() > 0 || world.engine.has_open_group() || !simple)
        {
            verb = "rows";
        }
        let padding = random.one_of(&[0, 0, 300]);
        let (number, time, rows) = (world.next(), random.time(1024), random.below(200));
        let sql = format!("#{number}. {verb} {time} {rows} {:padding$}", "");
        let sql = sql.as_bytes();
        let more = random.below(3) == 0;
        let end = if more { End::More } else { End::Sync };
        let command = if simple && !world.engine.has_open_group() {
            Command::Query { sql }
        } else {
            Command::Params {
                sql,
                types: &[],
                params: &&[][..] as &&[Option<&[u8]>],
                format: 0,
                max_rows: if random.below(4) == 0 { 10 } else { 0 },
            }
        };
        let _ = world.start(command, end);
        if verb == "copyin" {
            world.run();
        }
    }

    fn finish(&mut self) {
        let world = &mut self.world;
        world.run();
        if world.engine.has_open_group() && world.engine.error().is_none() {
            world.set_timeout(None);
            world.sync();
            world.run();
        }
        self.check_ends();
        self.check_wanted();
        self.check_time();
        self.check_usable();
    }

    /// Each operation has one done, and an error item where it must have one.
    fn check_ends(&self) {
        let world = &self.world;
        for (operation, op) in &world.ops {
            let Some((done, _)) = op.done else {
                // Waiting for ever is what was asked for.
                let patient = world.ops.values().any(|op| op.deadline.is_none());
                let trouble = matches!(self.trouble, Trouble::Hole | Trouble::Stuck);
                assert!(patient && trouble, "{operation}: {}", world.place());
                continue;
            };
            let place = || format!("{operation}: {}", world.place());
            let gone = done.verdict == Verdict::Lost;
            match done.outcome {
                Outcome::Ok => assert!(op.errors.is_empty() && !op.late && !op.abandoned),
                Outcome::Failed if gone || op.abandoned => assert!(op.errors.len() <= 1),
                Outcome::Failed => assert_eq!(op.errors.len(), 1, "{}", place()),
                Outcome::Discarded => assert!(op.late || op.abandoned, "{}", place()),
                Outcome::Skipped => assert!(op.errors.len() <= 1, "{}", place()),
            }
        }
    }

    /// What nothing was wrong with has been done, whatever became of others.
    fn check_wanted(&self) {
        let world = &self.world;
        if world.engine.error().is_some() {
            assert_ne!(self.trouble, Trouble::None, "{}", world.place());
            return;
        }
        let given_up = |op: &Op| op.late || op.abandoned;
        for (operation, op) in &world.ops {
            let Some((done, _)) = op.done else { continue };
            let mut group = world.ops.values().filter(|other| other.group == op.group);
            let spoilt = group.any(|op| given_up(op) || !op.errors.is_empty());
            if !spoilt {
                assert_eq!(done.outcome, Outcome::Ok, "{operation}: {}", world.place());
            }
            // One that the server did not like did so of its own accord.
            for error in &op.errors {
                let stopped =
                    error.server_error().and_then(|error| error.sqlstate()) == Some(b"57014");
                assert!(!stopped, "{operation} was hit: {}", world.place());
            }
        }
    }

    /// Where every operation has a deadline, none outlives it by more than a cancel may take. Those that were wanted when
    /// it came may have been sent behind it: then theirs count.
    fn check_time(&self) {
        let deadlines: Option<Vec<u64>> = self.world.ops.values().map(|op| op.deadline).collect();
        let Some(last) = deadlines.and_then(|all| all.into_iter().max()) else {
            return;
        };
        for (operation, op) in &self.world.ops {
            let (_, at) = op.done.unwrap();
            let late = at.saturating_sub(last + CANCEL_TIMEOUT);
            assert!(
                late == 0,
                "{operation} is late by {late}: {}",
                self.world.place()
            );
        }
    }

    /// The connection is as good as before, or it is lost.
    fn check_usable(&mut self) {
        let world = &mut self.world;
        if world.engine.error().is_some() {
            assert_eq!(world.engine.queued(), 0);
            return;
        }
        if world.engine.queued() > 0 {
            return; // it waits for ever, as it was told to
        }
        world.set_timeout(None);
        world.hole = u64::MAX;
        if world.engine.facts().transaction() != Some(TransactionStatus::Idle) {
            world.query("rollback 1");
        }
        let last = world.query("rows 1 1");
        world.run();
        let (done, _) = world.ops[&last]
            .done
            .unwrap_or_else(|| panic!("{}", world.place()));
        assert_eq!((done.outcome, done.verdict), (Outcome::Ok, Verdict::Clean));
        assert_eq!(world.ops[&last].items, 2);
    }
}

/// Trap 13, a cancel hits the next query, or is lost: the world checks what each one can hit, and lets some get lost.
#[test]
fn whatever_is_given_up_and_whatever_goes_wrong() {
    let first = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seeds = first.map_or(0..SEEDS, |seed: u64| seed..seed + 1);
    let (mut operations, mut asked, mut hits, mut lost) = (0, 0, 0, 0);
    for seed in seeds.clone() {
        let result = std::panic::catch_unwind(|| {
            let mut run = Run::new(seed);
            for _ in 0..1 + run.random.below(14) {
                if run.world.engine.error().is_none() {
                    run.act();
                }
            }
            run.finish();
            run.world
        });
        let world = result.unwrap_or_else(|_| panic!("SEED={seed} fails"));
        operations += world.ops.len();
        asked += world.asked;
        hits += world.hits.len();
        lost += usize::from(world.engine.error().is_some());
    }
    testkit::say!(
        "seeds {seeds:?}: {operations} operations, {asked} requests to cancel reached the server, {hits} hit a statement, \
         {lost} connections were lost"
    );
    assert!(seeds.end - seeds.start < SEEDS || (asked > 1000 && hits > 1000 && lost > 100));
}
