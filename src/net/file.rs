//! Files of the caller's: what is moved between them and large objects. Knows no large object.

use std::fs::File;
use std::io;
use std::os::fd::RawFd;

use super::sys;

/// A second descriptor of the open file that `fd` is one of: the position is shared. Of a number that is no descriptor EBADF.
pub fn duplicate(fd: RawFd) -> io::Result<File> {
    let duplicate = sys::duplicate(fd).map_err(io::Error::from_raw_os_error)?;
    Ok(File::from(duplicate))
}

/// What the system says of an error.
pub fn words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(errno) => sys::strerror(errno),
        None => error.to_string(),
    }
}
