//! Function calls and large objects: the safe Rust spelling of the engine's commands, and the files of imports and exports.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Read, SeekFrom, Write};
use std::os::fd::RawFd;
use std::os::unix::fs::FileTypeExt;

use super::Connection;
use crate::engine::{Command, End, FileTurn, LargeObject, PIECE};
use crate::error::Error;
use crate::net::file;
use crate::wire::Parameters;

/// So many pieces of a file are read or written in one poll at most.
const MOST: usize = 2;

/// The file of the import or export that is under way.
#[derive(Debug)]
pub(super) struct Moving {
    file: File,
    /// What was read of it.
    buffer: Vec<u8>,
}

/// Function calls, and large objects (manual, chapter "Large Objects"). A descriptor of a large object lives until the end of the
/// transaction: outside of a transaction block that is the end of the call that opened it, so that it is of no use. What the
/// functions return is one item, [`Reply::Called`](crate::engine::Reply::Called).
impl Connection {
    /// Starts the call of a function by its object ID; arguments and result are in binary. PostgreSQL keeps this for large
    /// objects: for other functions a query is as good.
    pub fn start_call(&mut self, function: u32, arguments: &dyn Parameters) -> Result<u64, Error> {
        self.start(
            Command::Call {
                function,
                arguments,
            },
            End::Sync,
        )
    }

    /// Starts to create an empty large object. `oid`: its object ID; 0 for any that is free. Gives the object ID.
    pub fn start_lo_create(&mut self, oid: u32) -> Result<u64, Error> {
        self.start_lo(LargeObject::Create { oid })
    }

    /// Starts to open a large object. `mode`: [`LO_READ`](crate::engine::LO_READ), [`LO_WRITE`](crate::engine::LO_WRITE) or both.
    /// Gives a descriptor.
    pub fn start_lo_open(&mut self, oid: u32, mode: i32) -> Result<u64, Error> {
        self.start_lo(LargeObject::Open { oid, mode })
    }

    /// Starts to close a descriptor.
    pub fn start_lo_close(&mut self, fd: i32) -> Result<u64, Error> {
        self.start_lo(LargeObject::Close { fd })
    }

    /// Starts to read at most `length` bytes at the descriptor's position. Gives the bytes: fewer only at the end.
    pub fn start_lo_read(&mut self, fd: i32, length: usize) -> Result<u64, Error> {
        self.start_lo(LargeObject::Read { fd, length })
    }

    /// Starts to write at the descriptor's position. Gives the number of bytes written.
    pub fn start_lo_write(&mut self, fd: i32, data: impl AsRef<[u8]>) -> Result<u64, Error> {
        let data = data.as_ref();
        self.start_lo(LargeObject::Write { fd, data })
    }

    /// Starts to move the descriptor's position. Gives the new one.
    pub fn start_lo_seek(&mut self, fd: i32, to: SeekFrom) -> Result<u64, Error> {
        let (offset, whence) = match to {
            SeekFrom::Start(offset) => (i64::try_from(offset).unwrap_or(i64::MAX), 0),
            SeekFrom::Current(offset) => (offset, 1),
            SeekFrom::End(offset) => (offset, 2),
        };
        self.start_lo(LargeObject::Seek { fd, offset, whence })
    }

    /// Starts to ask for the descriptor's position.
    pub fn start_lo_tell(&mut self, fd: i32) -> Result<u64, Error> {
        self.start_lo(LargeObject::Tell { fd })
    }

    /// Starts to make a large object `length` bytes long; what is added is zeroes.
    pub fn start_lo_truncate(&mut self, fd: i32, length: u64) -> Result<u64, Error> {
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        self.start_lo(LargeObject::Truncate { fd, length })
    }

    /// Starts to remove a large object.
    pub fn start_lo_unlink(&mut self, oid: u32) -> Result<u64, Error> {
        self.start_lo(LargeObject::Unlink { oid })
    }

    /// Starts to make a large object of what `file` holds from its position on. `oid`: its object ID; 0 for any that is free.
    /// Gives the object ID.
    ///
    /// Inside a transaction block it is part of that; outside it has a transaction of its own, which is rolled back when it
    /// fails. Until its done nothing else can be started. The file is read by [`poll`](Connection::poll), a piece at a time:
    /// one that could make it wait (a pipe, a socket, a terminal) is refused.
    pub fn start_lo_import(&mut self, file: File, oid: u32) -> Result<u64, Error> {
        self.start_moving(file, Command::Import { oid })
    }

    /// Starts to write the content of a large object to `file`, at its position. Gives the object ID. The rest is as in
    /// [`start_lo_import`](Connection::start_lo_import); what was written before a failure stays written.
    pub fn start_lo_export(&mut self, oid: u32, file: File) -> Result<u64, Error> {
        self.start_moving(file, Command::Export { oid })
    }

    /// Another descriptor of the file that `fd` is one of, for an import or export: the position is shared.
    pub fn file_of(fd: RawFd) -> Result<File, Error> {
        file::duplicate(fd).map_err(|error| failed("could not use the file descriptor", &error))
    }

    fn start_lo(&mut self, what: LargeObject<'_>) -> Result<u64, Error> {
        self.start(Command::LargeObject(what), End::Sync)
    }

    fn start_moving(&mut self, file: File, command: Command<'_>) -> Result<u64, Error> {
        check(&file)?;
        let operation = self.start(command, End::Sync)?;
        self.moving = Some(Box::new(Moving {
            file,
            buffer: Vec::new(),
        }));
        Ok(operation)
    }

    /// Reads or writes the next piece of the file, if it is its turn; whether it was.
    #[cold]
    pub(super) fn move_file(&mut self, moved: &mut usize) -> bool {
        let Some(moving) = &mut self.moving else {
            return false;
        };
        match self.engine.file_turn() {
            FileTurn::Over => {
                self.moving = None;
                return false;
            }
            FileTurn::Wait => return false,
            _ if *moved >= MOST => return false,
            FileTurn::Read => {
                let read = moving.read();
                self.engine.file_read(read);
            }
            FileTurn::Write(piece) => {
                let written = moving.file.write_all(piece);
                let written =
                    written.map_err(|error| failed("could not write to the file", &error));
                self.engine.file_written(written);
            }
        }
        *moved += 1;
        true
    }

    /// Whether a piece of the file is to be moved in the next poll.
    #[cold]
    pub(super) fn is_file_due(&self) -> bool {
        matches!(self.engine.file_turn(), FileTurn::Read | FileTurn::Write(_))
    }
}

impl Moving {
    fn read(&mut self) -> Result<&[u8], Error> {
        if self.buffer.is_empty() {
            let room = self.buffer.try_reserve_exact(PIECE);
            room.map_err(|_| Error::out_of_memory("a piece of the file"))?;
            self.buffer.resize(PIECE, 0);
        }
        loop {
            match self.file.read(&mut self.buffer) {
                Ok(count) => return Ok(self.buffer.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(failed("could not read from the file", &error)),
            }
        }
    }
}

/// Whether reading and writing cannot wait for somebody.
fn check(file: &File) -> Result<(), Error> {
    let metadata = file.metadata();
    let kind = metadata.map_err(|error| failed("could not use the file", &error))?;
    let kind = kind.file_type();
    let may_wait = kind.is_fifo() || kind.is_socket() || file.is_terminal();
    if !may_wait && (kind.is_file() || kind.is_block_device() || kind.is_char_device()) {
        return Ok(());
    }
    Err(Error::misuse(if kind.is_dir() {
        "the file is a directory: pass one with content"
    } else {
        "the file is a pipe, a socket or a terminal, which could be waited for without end: pass a file, or read or write the large object piece by piece"
    }))
}

fn failed(what: &str, error: &io::Error) -> Error {
    let errno = error.raw_os_error().unwrap_or(0);
    Error::misuse(format!("{what}: {}", file::words(error))).with_errno(errno)
}
