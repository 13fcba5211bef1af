//! On the simulated clock: nothing a nanosecond too early, everything in the one poll at the deadline.

use testkit::sim::{Bench, Pace, Server};

use crate::standstill::{Where, connecting};

const TIMEOUT: u64 = 7_000_000_000;
const CONNINFO: &str = "user=tester dbname=scripted password=secret connect_timeout=7";

#[test]
fn connecting_ends_in_the_poll_at_its_deadline_and_not_before() {
    let mut cases = 0;
    for point in connecting() {
        let server = match point.place {
            Where::Dialling => Server::IsSilent,
            _ => Server::Plays(point.script()),
        };
        let host = match point.place {
            Where::Resolving => "host=db.example",
            _ => "host=127.0.0.1",
        };
        let pace = Pace {
            resolves: point.place != Where::Resolving,
            ..Pace::default()
        };
        let conninfo = format!("{host} {CONNINFO} {}", point.options);
        let mut bench = Bench::with(&conninfo, [server], pace);
        bench.poll();
        let name = point.name;
        assert_eq!(bench.engine.facts().phase(), point.phase, "{name}");
        let deadline = bench.engine.deadline();
        assert_eq!(deadline, Some(bench.now + TIMEOUT), "{name}");
        bench.now += TIMEOUT - 1;
        bench.poll();
        assert!(bench.engine.error().is_none(), "{name}: too early");
        assert_eq!(bench.engine.deadline(), deadline, "{name}");
        bench.now += 1;
        bench.poll();
        let error = bench.engine.error().unwrap_or_else(|| panic!("{name}"));
        assert!(error.message().ends_with(": timeout expired"), "{error}");
        assert_eq!(bench.engine.deadline(), None, "{name}");
        cases += 1;
    }
    println!("black hole while connecting, on the simulated clock: {cases} points");
}
