//! One connection in three runtimes: the examples for tokio, async-io and mio run as they say, and what a runtime must not get
//! wrong goes well in each. Knows the runtimes by their [`Reactor`] alone.
#![allow(clippy::unwrap_used, clippy::panic)]

mod counted;
mod scenario;
#[path = "../../examples/with_async_io.rs"]
mod with_async_io;
#[path = "../../examples/with_mio.rs"]
mod with_mio;
#[path = "../../examples/with_tokio.rs"]
mod with_tokio;

use testkit::built::cargo;
use testkit::shared;

use counted::Counted;
use with_async_io::AsyncIo;
use with_mio::Mio;
use with_tokio::Tokio;

/// Every part of the scenario in each runtime.
macro_rules! in_each_runtime {
    ($($part:ident),*) => {
        mod in_tokio {
            $(#[test] fn $part() {
                let runtime = super::with_tokio::runtime().unwrap();
                runtime.block_on(super::scenario::$part(super::Counted::new(super::Tokio)));
            })*
        }
        mod in_async_io {
            $(#[test] fn $part() {
                async_io::block_on(super::scenario::$part(super::Counted::new(super::AsyncIo)));
            })*
        }
        mod in_mio {
            $(#[test] fn $part() {
                let mio = super::Mio::new().unwrap();
                let part = super::scenario::$part(super::Counted::new(mio.clone()));
                mio.block_on(part).unwrap();
            })*
        }
    };
}

in_each_runtime!(
    a_pipeline_is_finished_in_its_order,
    a_deadline_ends_an_operation_and_nothing_else,
    an_early_deadline_is_not_forgotten,
    a_future_may_be_dropped_at_any_await,
    waiting_is_no_work,
    rows_come_in_batches,
    notifications_are_awaited,
    what_is_lost_is_said,
    what_cannot_be_awaited_is_refused
);

/// As a user runs them.
#[test]
fn the_examples_print_what_they_say() {
    for (name, expected) in [
        (
            "with_tokio",
            "1 I\n2 II\n3 III\nerror 22012: division by zero\ntwo connections: 4 and 9\n",
        ),
        (
            "with_async_io",
            "1, 4, 9\nno answer in time\nthe connection is as good as before\n",
        ),
        (
            "with_mio",
            "20 connections in one loop; the sum of their answers is 210\n",
        ),
    ] {
        let said = cargo()
            .args(["run", "--quiet", "--example", name, "--"])
            .arg(shared().conninfo())
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success(), "{name}: {error}");
        assert_eq!(String::from_utf8(said.stdout).unwrap(), expected, "{name}");
    }
}

/// A connection moves between tokio's threads with the task that awaits it.
#[test]
fn what_awaits_a_connection_may_be_sent_to_another_thread() {
    fn is_send<T: Send>(_: &T) {}
    let awaited = scenario::a_pipeline_is_finished_in_its_order(Counted::new(Tokio));
    is_send(&awaited);
}
