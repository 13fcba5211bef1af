//! The end in good order (manual, "Termination"), as an operation: goodbye is said when everything before it is done, and
//! the server's closing of the connection is waited for.

use std::convert::Infallible;
use std::ops::ControlFlow::Continue;
use std::time::Duration;

use super::Engine;
use super::command::Command;
use super::expect::{Expect, Steps};
use super::item::{Outcome, Verdict};
use super::large_object::Call;
use super::rescue::nanoseconds;
use super::state::State;
use super::unwanted::Standing;
use super::wait::{Stop, replies, with};
use crate::error::Error;
use crate::rows::Limits;
use crate::wire::Terminate;

/// Says goodbye and waits for the end of the transport; why the connection is over.
pub(super) async fn shut_down() -> Stop {
    with(State::say_goodbye);
    // Whatever the server still says: it has nothing to answer.
    let end = replies(|state, _| {
        state.consume()?;
        Ok::<_, Stop>(Continue::<Infallible>(()))
    });
    let _ = end.await;
    with(|state| state.done(Outcome::Ok, Verdict::Lost));
    Stop::broken(Error::misuse("the connection was closed"))
}

impl Engine {
    /// Starts the end: when everything queued is done the server is told goodbye, and once it has closed the connection the
    /// operation is done. When `timeout` is over the connection ends anyhow.
    pub fn start_shutdown(&mut self, timeout: Option<Duration>) -> Result<u64, Error> {
        self.state_mut().start_shutdown(timeout)
    }
}

impl State {
    fn start_shutdown(&mut self, timeout: Option<Duration>) -> Result<u64, Error> {
        self.check_may_start(&Command::Sync)?;
        if self.queue.try_reserve(1).is_err() {
            return Err(Error::misuse(
                "out of memory: too many operations are queued",
            ));
        }
        self.output.let_go();
        self.last_operation += 1;
        self.closing = true;
        self.portal_open = false;
        self.unstamped = true;
        // There may be nothing to wait for before it.
        self.alarm = 0;
        self.queue.push_back(Expect {
            operation: self.last_operation,
            steps: Steps::SHUTDOWN,
            left: Steps::SHUTDOWN,
            limits: Limits::NONE,
            format: None,
            columns: None,
            call: Call::Any,
            subject: None,
            standing: Standing::Wanted,
            begins_group: true,
            withdrawn: false,
            from: self.output.end(),
            since: 0,
            deadline: timeout.map_or(u64::MAX, nanoseconds),
        });
        Ok(self.last_operation)
    }

    /// Queues the message that says goodbye.
    pub(super) fn say_goodbye(&mut self) {
        let before = self.output.buffer().len();
        if (Terminate {}).encode(self.output.buffer()).is_ok() {
            self.trace_frontend(before);
        }
    }
}
