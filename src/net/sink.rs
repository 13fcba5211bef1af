//! A descriptor of the caller's that text is written to: a file, a pipe, a socket, a terminal. Knows no text.
#![forbid(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use crate::net::{fork, sys};

/// What a pipe with a place for anything takes without waiting (`PIPE_BUF`).
const PIECE: usize = libc::PIPE_BUF;

/// The writing end of something.
///
/// It is a duplicate: the caller may close the descriptor that it was made from. Writing never waits for whoever reads, also where
/// the descriptor is a blocking one, and never raises SIGPIPE; a file takes the time that its disk takes. After a fork the child writes
/// nothing: what the parent has not written yet is the parent's.
#[derive(Debug)]
pub struct Sink {
    fd: OwnedFd,
    kind: Kind,
    forks: u64,
}

#[derive(Debug)]
enum Kind {
    Socket,
    File,
    /// A pipe, a terminal, ….
    Other,
}

impl Sink {
    /// A sink for what `fd` leads to.
    ///
    /// # Errors
    /// When it is not open, or not for writing.
    pub fn new(fd: RawFd) -> io::Result<Self> {
        let fd = sys::duplicate(fd).map_err(io::Error::from_raw_os_error)?;
        let inspect = || {
            let writable = sys::is_writable(fd.as_fd())?;
            Ok((writable, sys::kind(fd.as_fd())?))
        };
        let (writable, kind) = inspect().map_err(io::Error::from_raw_os_error)?;
        if !writable {
            let text = "it is not open for writing";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        fork::watch();
        Ok(Self {
            fd,
            kind: match kind {
                libc::S_IFSOCK => Kind::Socket,
                libc::S_IFREG => Kind::File,
                _ => Kind::Other,
            },
            forks: fork::generation(),
        })
    }

    /// Writes as much as is taken without waiting: how many bytes.
    ///
    /// # Errors
    /// When it takes nothing any more.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = 0;
        if self.forks != fork::generation() {
            return Ok(bytes.len());
        }
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match self.write_some(rest) {
                Ok(0) => break,
                Ok(count) => written += count,
                Err(libc::EINTR) => {}
                Err(error) if error == libc::EAGAIN || error == libc::EWOULDBLOCK => break,
                Err(error) => return Err(io::Error::from_raw_os_error(error)),
            }
        }
        Ok(written)
    }

    fn write_some(&self, bytes: &[u8]) -> Result<usize, sys::Errno> {
        let fd = self.fd.as_fd();
        match self.kind {
            Kind::Socket => sys::send(fd, bytes),
            Kind::File => sys::write(fd, bytes),
            Kind::Other => match sys::poll(fd.as_raw_fd(), false, true, 0) {
                0 => Ok(0),
                _ => sys::write_quietly(fd, bytes.get(..PIECE).unwrap_or(bytes)),
            },
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::{ErrorKind, Read};
    use std::os::unix::net::UnixStream;

    use super::*;

    /// Far more than any of them takes at once.
    const MUCH: usize = 8 * 1024 * 1024;

    fn broken_pipe(written: io::Result<usize>) -> bool {
        written.is_err_and(|error| error.kind() == ErrorKind::BrokenPipe)
    }

    #[test]
    fn a_blocking_pipe_that_is_full_is_not_waited_for() {
        let (mut reader, writer) = io::pipe().unwrap();
        let sink = Sink::new(writer.as_raw_fd()).unwrap();
        drop(writer);
        let bytes = vec![7; MUCH];
        let taken = sink.write(&bytes).unwrap();
        assert!(taken > 0 && taken < MUCH);
        assert_eq!(sink.write(&bytes).unwrap(), 0);
        let mut read = vec![0; taken];
        reader.read_exact(&mut read).unwrap();
        assert_eq!(sink.write(&bytes).unwrap(), taken);
    }

    #[test]
    fn a_blocking_socket_that_is_full_is_not_waited_for() {
        let (reader, writer) = UnixStream::pair().unwrap();
        let sink = Sink::new(writer.as_raw_fd()).unwrap();
        drop(writer);
        let taken = sink.write(&vec![7; MUCH]).unwrap();
        assert!(taken > 0 && taken < MUCH);
        drop(reader);
        assert!(broken_pipe(sink.write(b"x")));
    }

    #[test]
    fn a_pipe_without_a_reader_raises_no_signal() {
        // Rust programs ignore SIGPIPE: here it is what it is in a C program.
        sys::with_default_sigpipe(|| {
            let (reader, writer) = io::pipe().unwrap();
            let sink = Sink::new(writer.as_raw_fd()).unwrap();
            drop(reader);
            for _ in 0..3 {
                assert!(broken_pipe(sink.write(b"x")));
            }
        });
    }

    #[test]
    fn what_cannot_be_written_to_is_refused() {
        let (reader, writer) = io::pipe().unwrap();
        let refused = Sink::new(reader.as_raw_fd()).unwrap_err();
        assert_eq!(refused.to_string(), "it is not open for writing");
        let folder = std::fs::File::open("/").unwrap();
        assert!(Sink::new(folder.as_raw_fd()).is_err());
        assert_eq!(Sink::new(-1).unwrap_err().raw_os_error(), Some(libc::EBADF));
        drop(writer);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told() {
        let full = std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let sink = Sink::new(full.as_raw_fd()).unwrap();
        let error = sink.write(b"x").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
    }
}
