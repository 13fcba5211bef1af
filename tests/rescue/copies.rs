//! COPYs that nobody wants any more, at every moment: the connection is as good as before, and nothing that was put takes effect.

use pgpoll::engine::{Outcome, Verdict};

use crate::backend::MS;
use crate::units::check_usable;
use crate::world::{Cancels, World};

/// What the client does until it gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Puts {
    Nothing,
    Data,
    Much,
    /// With its end.
    All,
    Failing,
}

fn put(world: &mut World, puts: Puts) {
    if !world.engine.takes_copy_data() || puts == Puts::Nothing {
        return;
    }
    let piece: &[u8] = match puts {
        Puts::Failing => b"bad",
        Puts::Much => &[b'x'; 300_000],
        _ => b"good",
    };
    world.engine.copy_put(piece).unwrap();
    if puts == Puts::All {
        world.engine.copy_end(None).unwrap();
    }
    world.poll();
}

#[test]
fn given_up_at_every_byte_of_what_the_server_says() {
    let mut cases = 0;
    let kinds = [
        "copyfrom 5",
        "copyboth 5 2",
        "copyout 5 3",
        "sleep 5",
        "fail 5",
    ];
    let puts = [
        Puts::Nothing,
        Puts::Data,
        Puts::Much,
        Puts::All,
        Puts::Failing,
    ];
    for (verb, puts) in kinds
        .iter()
        .flat_map(|verb| puts.map(|puts| (*verb, puts)))
        .filter(|(verb, puts)| {
            verb.contains("from") || verb.contains("both") || *puts == Puts::Nothing
        })
    {
        for cancels in [Cancels::Arrive(MS, MS), Cancels::Lost] {
            for abandon in [false, true] {
                for moment in (1..12).chain((12..500).step_by(7)) {
                    let mut world = World::new();
                    (world.cancels, world.trickle) = (cancels, MS);
                    world.set_timeout((!abandon).then_some(moment));
                    let operation = world.copy(verb);
                    world.run_for(moment / 2);
                    put(&mut world, puts);
                    world.run_for(moment - moment / 2);
                    let ended = world.ops[&operation].done.is_some();
                    if abandon && !ended {
                        world.abandon(operation);
                    }
                    world.run();
                    // Where the server does not end what is given up, and no cancel reaches it, the client does not wait for ever.
                    let (done, _) = world.ops[&operation]
                        .done
                        .unwrap_or_else(|| panic!("{}", world.place()));
                    if world.engine.error().is_none() {
                        assert_ne!(done.verdict, Verdict::Lost);
                        world.trickle = 0;
                        check_usable(&mut world);
                    } else {
                        assert_ne!(
                            cancels,
                            Cancels::Arrive(MS, MS),
                            "{verb} {puts:?} {}",
                            world.place()
                        );
                    }
                    if !ended && verb.contains("from") && puts != Puts::All {
                        assert_ne!(done.outcome, Outcome::Ok);
                    }
                    cases += 1;
                    if ended {
                        break;
                    }
                }
            }
        }
    }
    println!("given up at every byte: {cases} cases");
    assert!(cases > 1000);
}

/// The server is told at once, and a COPY that waits for data ends with that.
#[test]
fn what_is_given_up_is_ended_by_the_client() {
    for (verb, outcome) in [
        ("copyfrom 5", Outcome::Failed),
        ("copyboth 5 2", Outcome::Discarded),
    ] {
        for late in [false, true] {
            let mut world = World::new();
            world.set_timeout(late.then_some(100));
            let operation = world.copy(verb);
            world.run_for(50);
            put(&mut world, Puts::Data);
            if !late {
                world.abandon(operation);
            }
            world.run();
            assert_eq!(world.outcome(operation), Some(outcome), "{}", world.place());
            // What is late is cancelled besides: it may be at work on something else than the data.
            assert_eq!(world.asked, usize::from(late), "{}", world.place());
            check_usable(&mut world);
        }
    }
}

/// Nobody reads what is put: the piece that was begun cannot be ended, and a request to cancel has to do it.
#[test]
fn a_server_that_does_not_read() {
    let mut world = World::new();
    let operation = world.copy("copyfrom 5");
    world.run_for(20);
    world.window = 0;
    put(&mut world, Puts::Much);
    world.abandon(operation);
    world.run_for(200);
    world.window = usize::MAX;
    world.run();
    assert_eq!(
        world.outcome(operation),
        Some(Outcome::Failed),
        "{}",
        world.place()
    );
    check_usable(&mut world);
}

/// What was put before the error and not sent is sent all the same: the server does not heed it.
#[test]
fn the_rest_behind_an_error_is_not_heeded() {
    let mut world = World::new();
    let operation = world.copy("copyfrom 5");
    world.run_for(20);
    put(&mut world, Puts::Failing);
    put(&mut world, Puts::Much);
    put(&mut world, Puts::All);
    world.run();
    assert_eq!(
        world.outcome(operation),
        Some(Outcome::Failed),
        "{}",
        world.place()
    );
    assert_eq!(world.ops[&operation].errors.len(), 1);
    check_usable(&mut world);
}
