//! Random sequences of operations against a model, on a server in memory: what is carried between them is split anywhere.
#![allow(clippy::unwrap_used, clippy::panic)]

mod driver;
mod expect;
mod language;
mod server;

use driver::Driver;

/// So many steps in all; a step starts something, carries something or takes something.
const STEPS: u64 = 100_000;

/// With `PGPOLL_SEED` in the environment one sequence alone is run, and told.
#[test]
fn random_sequences_yield_what_the_model_says() {
    let one = std::env::var("PGPOLL_SEED").ok();
    if let Some(seed) = one {
        Driver::new(seed.parse().unwrap(), true).run(500);
        return;
    }
    let (mut steps, mut operations, mut seed) = (0, 0, 0);
    while steps < STEPS {
        let mut driver = Driver::new(seed, false);
        steps += driver.run(500);
        operations += driver.operations;
        seed += 1;
    }
    testkit::say!("{steps} steps in {seed} sequences, {operations} operations");
}
