//! Connecting, simulated: thousands of worlds, each from a seed, with hosts that refuse, hang, answer late, are of the wrong
//! kind, speak nonsense, break off at some byte, or are fine. Every run ends in a connection that can be used, or in one
//! error that names every address that was tried; in time, and without a stall.
//!
//! `PGPOLL_SEED=n` runs that one world and prints it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod checks;
mod scene;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use scene::Scene;

const SEEDS: u64 = 10_000;

/// What must have been said in all these worlds together.
const REASONS: &[&str] = &[
    "timeout expired",
    "Connection refused",
    "Name or service not known",
    "server closed the connection unexpectedly",
    "server does not support SSL, but SSL was required",
    "received unencrypted data after SSL response",
    "server sent an error response during SSL exchange",
    "received invalid response to SSL negotiation: H",
    "SSL error: certificate verify failed",
    "SSL SYSCALL error: EOF detected",
    "FATAL:  no pg_hba.conf entry for host",
    "FATAL:  password authentication failed",
    "FATAL:  the database system is starting up",
    "incorrect server signature",
    "server authenticated the client without completing the SCRAM exchange",
    "invalid SCRAM response (nonce mismatch)",
    "authentication method 99 not supported",
    "the server sends messages without end instead of getting ready",
    "server asks for the password again and again, and lets nobody in",
    "session is read-only",
    "session is not read-only",
    "server is in hot standby mode",
    "server is not in hot standby mode",
    "channel binding required, but SSL not in use",
    "channel binding required, but server authenticated client without channel binding",
    "expected authentication request from server, but received 0x15",
];

/// What a world came to.
#[derive(Debug)]
struct Ran {
    error: Option<String>,
    tried: usize,
    advances: usize,
}

/// Runs a world, and checks everything that holds for all of them.
fn run(scene: &Scene) -> Ran {
    let plan = scene.plan();
    let mut world = scene.world(plan.clone());
    world.run(|engine| engine.facts().is_ready());
    checks::effort(scene, &plan, &world);
    let error = world.engine.error().map(|error| error.message().to_owned());
    match &error {
        None => {
            checks::server(scene, &plan, &world);
            checks::usable(&mut world);
        }
        Some(error) => {
            checks::words(&world, error);
            checks::hope(scene, &plan, &world);
        }
    }
    Ran {
        error,
        tried: world.tried.len(),
        advances: world.advances,
    }
}

/// Runs the world of a seed; a failure says which one it was.
fn run_seed(seed: u64) -> Ran {
    let scene = Scene::new(seed);
    match catch_unwind(AssertUnwindSafe(|| run(&scene))) {
        Ok(ran) => ran,
        Err(panic) => {
            eprintln!("{scene:#?}\nthis world fails: run it again with PGPOLL_SEED={seed}");
            resume_unwind(panic)
        }
    }
}

#[test]
fn every_world_ends_well_or_with_good_words() {
    if let Ok(seed) = std::env::var("PGPOLL_SEED") {
        let seed = seed.parse().unwrap();
        println!("{:#?}\n{:#?}", Scene::new(seed), run_seed(seed));
        return;
    }
    let mut outcomes: BTreeMap<&str, u64> = BTreeMap::new();
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    let (mut addresses, mut advances) = (0, 0);
    for seed in 0..SEEDS {
        let ran = run_seed(seed);
        addresses += ran.tried;
        advances += ran.advances;
        let outcome = match ran.error {
            None => "connected",
            Some(text) => {
                for said in text.lines() {
                    let reason = said.split(" failed: ").last().unwrap_or_default();
                    let reason = reason.split(" to address: ").last().unwrap_or_default();
                    *reasons.entry(reason.to_owned()).or_default() += 1;
                }
                "refused"
            }
        };
        *outcomes.entry(outcome).or_default() += 1;
    }
    testkit::say!(
        "{SEEDS} simulated worlds to connect in (seeds 0 to {}): {outcomes:?}, {addresses} names and addresses tried, \
         {advances} advances; what was said: {reasons:#?}",
        SEEDS - 1
    );
    assert!(outcomes.values().all(|&count| count > SEEDS / 10));
    for reason in REASONS {
        let count = reasons.get(*reason).copied().unwrap_or_default();
        assert!(count >= SEEDS / 1000, "{reason}: only {count} times");
    }
}

/// The same seed is the same world, to the byte.
#[test]
fn a_seed_is_a_world() {
    for seed in 0..50 {
        let [one, other] = [(); 2].map(|()| {
            let scene = Scene::new(seed);
            let mut world = scene.world(scene.plan());
            world.run(|engine| engine.facts().is_ready());
            (world.log, world.now, world.advances)
        });
        assert_eq!(one, other);
    }
}
