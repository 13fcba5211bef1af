//! Seeing inside: the trace of messages on its way to the caller's descriptor. Knows no message.

use std::os::fd::RawFd;

use super::Connection;
use crate::engine::Trace;
use crate::error::Error;
use crate::net::{Sink, clock};

/// So many bytes of lines that nobody takes are kept; then messages get no line.
const MOST_KEPT: usize = 1024 * 1024;

/// Where the lines of a trace go.
#[derive(Debug)]
pub(super) struct Tracing {
    sink: Sink,
    /// Why nothing is traced any more.
    ended: Option<Error>,
}

impl Connection {
    /// Begins to trace the messages of the protocol, both directions, in the format of libpq's `PQtrace`: a line each.
    /// `flags`: [`Trace::SUPPRESS_TIMESTAMPS`], [`Trace::REGRESS_MODE`]. Passwords and keys are never shown; the texts of
    /// statements and all values are. It goes on after a [`reset`](Connection::reset), and takes the place of an earlier one.
    ///
    /// The lines of a call are written before it returns. The descriptor is duplicated: close it when you like. If it is a pipe or
    /// a socket that nobody reads fast enough, lines are kept up to 1 MB, then messages are left out, and a line says how
    /// many (`!`, their number, a text, between tabs). No call waits for its reader, but a file takes the time that its disk takes.
    /// When it takes no more at all, the trace ends, and [`warnings`](Connection::warnings) says why.
    ///
    /// # Errors
    /// When the descriptor is not open, or not for writing; or for unknown flags.
    pub fn trace(&mut self, fd: RawFd, flags: u32) -> Result<(), Error> {
        if flags & !(Trace::SUPPRESS_TIMESTAMPS | Trace::REGRESS_MODE) != 0 {
            return Err(Error::misuse(
                "unknown flags: pass those of a trace, or 0 for none",
            ));
        }
        let sink = Sink::new(fd).map_err(|error| not_written(fd, &error))?;
        self.tracing = Some(Box::new(Tracing { sink, ended: None }));
        self.engine
            .set_trace(Some(Trace::new(flags, clock::local_time)));
        Ok(())
    }

    /// Ends the trace of messages; without one nothing happens.
    ///
    /// # Errors
    /// When it is not complete: the descriptor did not take all of it.
    pub fn untrace(&mut self) -> Result<(), Error> {
        self.write_trace();
        let left = self.engine.trace().map_or(0, |trace| trace.lines().len());
        self.engine.set_trace(None);
        match self.tracing.take() {
            None => Ok(()),
            Some(tracing) => match tracing.ended {
                Some(ended) => Err(ended),
                None if left > 0 => Err(Error::transport(format!(
                    "the trace is not complete: its descriptor has not taken the last {left} bytes"
                ))),
                None => Ok(()),
            },
        }
    }

    /// Writes the lines there are, as far as they are taken.
    #[inline]
    pub(super) fn trace_step(&mut self) {
        if self.tracing.is_some() {
            self.write_trace();
        }
    }

    #[cold]
    fn write_trace(&mut self) {
        let (Some(tracing), Some(trace)) = (&mut self.tracing, self.engine.trace()) else {
            return;
        };
        // Twice: a line that says that messages are missing comes when there is room again.
        for _ in 0..2 {
            match tracing.sink.write(trace.lines()) {
                Ok(count) => {
                    trace.wrote(count);
                    trace.set_full(trace.lines().len() >= MOST_KEPT);
                }
                Err(error) => {
                    let ended =
                        format!("the trace has ended: could not write to its descriptor: {error}");
                    self.warnings.push(ended.clone());
                    tracing.ended = Some(Error::transport(ended));
                    self.engine.set_trace(None);
                    return;
                }
            }
        }
    }

    /// The trace goes on in a connection that is begun anew.
    pub(super) fn take_over_trace(&mut self, old: &mut Self) {
        self.tracing = old.tracing.take();
        self.engine.set_trace(old.engine.replace_trace(None));
    }
}

pub(super) fn not_written(fd: RawFd, error: &std::io::Error) -> Error {
    Error::misuse(format!(
        "cannot write to descriptor {fd}: {error}; pass one that is open for writing"
    ))
}
