//! Seeing inside: what has happened lately on connections, as a file that a trace viewer shows. Knows no event.

use std::fmt::{self, Write};
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU32, Ordering};

use super::Connection;
use crate::engine::Track;
use crate::error::Error;
use crate::net::{Sink, clock};

/// Text that is written in one piece.
const PIECE: usize = 64 * 1024;

/// The number of the next connection of this process.
pub(super) fn number() -> u32 {
    static LAST: AtomicU32 = AtomicU32::new(0);
    LAST.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
}

/// The timelines of connections on their way into one file.
///
/// Trace events of Chrome's format: a JSON array, to be opened in Perfetto (ui.perfetto.dev) or chrome://tracing. The process is the
/// process, each connection is a thread of it, with its phases, operations and awaits as slices, errors, cancels, and
/// counters of the bytes received and sent; what is not over is begun and not ended. Times are those of CLOCK_MONOTONIC, so that
/// arrays of several processes of a machine can be put together. No SQL, no values, no secrets.
#[derive(Debug)]
pub struct Timelines {
    out: Pieces,
    first: bool,
}

impl Timelines {
    /// A file that begins at `fd`, which is duplicated. Writing never waits for a reader: have a pipe emptied meanwhile, or pass a file.
    ///
    /// # Errors
    /// When the descriptor is not open, or not for writing.
    pub fn new(fd: RawFd) -> Result<Self, Error> {
        Ok(Self {
            out: Pieces {
                sink: Sink::new(fd).map_err(|error| super::trace::not_written(fd, &error))?,
                text: String::new(),
                error: None,
            },
            first: true,
        })
    }

    /// Writes the timeline of a connection.
    ///
    /// # Errors
    /// When the descriptor does not take it.
    pub fn add(&mut self, connection: &Connection) -> Result<(), Error> {
        let name = connection.name();
        let track = Track {
            pid: std::process::id(),
            number: connection.number,
            name: &name,
        };
        let now = clock::now_ns();
        let (first, out) = (&mut self.first, &mut self.out);
        let written = connection.engine.write_timeline(&track, now, first, out);
        written.map_err(|_| self.out.why())
    }

    /// Ends the array.
    ///
    /// # Errors
    /// As for [`add`](Timelines::add).
    pub fn finish(mut self) -> Result<(), Error> {
        let end = if self.first { "[]\n" } else { "\n]\n" };
        let written = self.out.write_str(end).and_then(|()| self.out.flush());
        written.map_err(|_| self.out.why())
    }
}

impl Connection {
    /// How many of its last changes of state a connection remembers: 16 (also for 0, and always so many), at most 1,048,576.
    /// Each takes 48 bytes. [`reset`](Connection::reset) keeps them.
    ///
    /// # Errors
    /// When there is no memory for so many.
    pub fn set_timeline(&mut self, entries: usize) -> Result<(), Error> {
        self.engine.set_timeline(entries)
    }

    /// Writes what the connection remembers as a file for a trace viewer; [`Timelines`] does so for several.
    ///
    /// # Errors
    /// When the descriptor does not take it.
    pub fn trace_timeline(&self, fd: RawFd) -> Result<(), Error> {
        let mut file = Timelines::new(fd)?;
        file.add(self)?;
        file.finish()
    }

    /// What a person calls it.
    fn name(&self) -> String {
        let text = |part: Option<&[u8]>| String::from_utf8_lossy(part.unwrap_or(b"?")).into_owned();
        let (database, host) = (text(self.database()), text(self.host().or(Some(b"local"))));
        let (number, port, pid) = (self.number, text(self.port()), self.facts().backend_pid());
        format!("{number}: {database} at {host} port {port}, backend {pid}")
    }
}

/// Text that is written piece by piece.
#[derive(Debug)]
struct Pieces {
    sink: Sink,
    text: String,
    error: Option<io::Error>,
}

impl Pieces {
    fn flush(&mut self) -> fmt::Result {
        let written = self.sink.write(self.text.as_bytes());
        let all = self.text.len();
        self.text.clear();
        match written {
            Ok(count) if count == all => Ok(()),
            Ok(_) => {
                self.error = Some(io::ErrorKind::WouldBlock.into());
                Err(fmt::Error)
            }
            Err(error) => {
                self.error = Some(error);
                Err(fmt::Error)
            }
        }
    }

    fn why(&mut self) -> Error {
        Error::transport(match self.error.take() {
            Some(error) if error.kind() == io::ErrorKind::WouldBlock => {
                "the timeline is not complete: its descriptor takes no more now, and is not waited for; pass that of a file".to_owned()
            }
            Some(error) => format!("the timeline is not complete: could not write it: {error}"),
            None => "the timeline is not complete".to_owned(),
        })
    }
}

impl Write for Pieces {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.text.push_str(text);
        if self.text.len() >= PIECE {
            return self.flush();
        }
        Ok(())
    }
}
