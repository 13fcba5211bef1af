//! A server process from its start to its end. Knows the lock file and signals, not what is configured.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server, ready for connections.
#[derive(Debug)]
pub(crate) struct Postmaster(Child);

impl Postmaster {
    /// Runs the command and waits until the lock file is this process' and says `ready` (or `standby`, where a
    /// standby lets nobody in) on line 8, as `pg_ctl -w` does.
    /// The error is what the log says.
    pub(crate) fn start(mut command: Command, data: &Path, log: &Path) -> Result<Self, String> {
        let file = File::create(log).map_err(|error| error.to_string())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().map_err(|error| error.to_string())?)
            .stderr(file)
            // Ctrl-C is for the test alone: it stops its servers in its own way.
            .process_group(0)
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut postmaster = Postmaster(child);
        let begun = Instant::now();
        while !postmaster.is_ready(&data.join("postmaster.pid")) {
            let problem = if postmaster.has_ended() {
                "the server ended while it started"
            } else if begun.elapsed() > PATIENCE {
                postmaster.kill();
                "the server does not start"
            } else {
                sleep(Duration::from_millis(5));
                continue;
            };
            let log = fs::read_to_string(log).unwrap_or_default();
            return Err(format!("{problem}:\n{log}"));
        }
        Ok(postmaster)
    }

    /// Sends a signal (`INT`: fast, `QUIT`: immediate) and waits for the end.
    pub(crate) fn stop(mut self, signal: &str) {
        let command = format!("kill -{signal} {}", self.0.id());
        let _ = Command::new("/bin/sh").args(["-c", &command]).status();
        let begun = Instant::now();
        while !self.has_ended() {
            if begun.elapsed() > PATIENCE {
                return self.kill();
            }
            sleep(Duration::from_millis(5));
        }
    }

    fn is_ready(&self, lock: &Path) -> bool {
        let text = fs::read_to_string(lock).unwrap_or_default();
        let mut lines = text.lines().map(str::trim);
        lines.next() == Some(self.0.id().to_string().as_str())
            && matches!(lines.nth(6), Some("ready" | "standby"))
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }

    fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
