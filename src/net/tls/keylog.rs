//! `sslkeylogfile`: the secrets of connections, for programs that look into what they carry. Knows the file's form (NSS key log).

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use rustls::KeyLog;
use zeroize::Zeroizing;

/// Appends to the file. It is made readable by its owner alone, and opened anew for each line, as libpq does.
#[derive(Debug)]
pub(super) struct KeyLogFile(PathBuf);

impl KeyLogFile {
    pub(super) fn new(path: &[u8]) -> KeyLogFile {
        KeyLogFile(PathBuf::from(OsStr::from_bytes(path)))
    }

    fn append(&self, line: &[u8]) -> Result<(), (&'static str, io::Error)> {
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.0)
            .map_err(|error| ("open", error))?
            .write_all(line)
            .map_err(|error| ("write to", error))
    }
}

impl KeyLog for KeyLogFile {
    /// That it cannot be written is no reason not to connect: libpq warns on standard error.
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        if let Err((what, error)) = self.append(&line(label, client_random, secret)) {
            let _ = writeln!(
                io::stderr(),
                "WARNING: could not {what} SSL key logging file \"{}\": {}",
                self.0.display(),
                nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or(0)).desc()
            );
        }
    }
}

fn line(label: &str, client_random: &[u8], secret: &[u8]) -> Zeroizing<Vec<u8>> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";

    let room = label.len() + 2 * (client_random.len() + secret.len()) + 3;
    let mut line = Zeroizing::new(Vec::with_capacity(room));
    line.extend_from_slice(label.as_bytes());
    for bytes in [client_random, secret] {
        line.push(b' ');
        for byte in bytes {
            let [high, low] = [byte >> 4, byte & 15].map(usize::from);
            line.extend(DIGITS.get(high).into_iter().chain(DIGITS.get(low)));
        }
    }
    line.push(b'\n');
    line
}
