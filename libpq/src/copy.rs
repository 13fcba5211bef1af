//! COPY: its data put and taken, row by row. Knows the states that it goes through, nothing of messages.

use std::ffi::{c_char, c_int};
use std::{ptr, slice};

use pgpoll::engine::{CopyWay, Copying};

use crate::arguments::{array, text};
use crate::columns::Attributes;
use crate::conn::{OK, PGconn};
use crate::free;
use crate::guard::{Step, drive, guard};
use crate::notice::{Hooks, tell};
use crate::receive::next_result;
use crate::result::{
    COMMAND_OK, COPY_BOTH, COPY_IN, COPY_OUT, FATAL_ERROR, Owned, PGresult, clear,
};
use crate::state::Async;

const EOF: c_int = -1;

/// Data that is put is sent when there is this much of it.
const FULL: usize = 32 * 1024;

/// So much of it may wait for a server that does not read; then a nonblocking program is told to come again.
const MOST: usize = 256 * 1024 * 1024;

/// What the old functions say in the place of a length when there is trouble, of which the end of the data is none.
const TROUBLE: c_int = -2;

/// Bytes of a notice of ours.
const MOST_OF_NOTICE: usize = 1023;

/// What asking for data has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Data<T> {
    /// A message of it.
    Message(T),
    /// It has come to its end.
    End,
    /// None has arrived.
    None,
    /// The connection is over.
    Lost,
}

impl PGconn {
    /// A command has begun a COPY.
    pub(crate) fn copy_began(&mut self, copying: Copying) {
        let (status, state) = match copying.way {
            CopyWay::In => (COPY_IN, Async::CopyIn),
            CopyWay::Out => (COPY_OUT, Async::CopyOut),
            CopyWay::Both => (COPY_BOTH, Async::CopyBoth),
        };
        self.consumer.copy_is_binary = copying.format != 0;
        self.consumer.line = None;
        let columns = Attributes::Copied(copying);
        let result = PGresult::described(status, &self.origin, Box::default(), columns);
        self.consumer.give(result, state);
    }

    /// What is given as a result while a COPY is under way, again and again.
    pub(crate) fn copy_result(&mut self) -> Owned {
        if self.status() != OK {
            self.tell_loss();
            self.consumer.clear();
            self.consumer.queue.clear();
            self.consumer.state = Async::Idle;
            let text = self.message.from(self.reported).to_vec();
            self.reported = self.message.len();
            return PGresult::error(FATAL_ERROR, &self.origin, &text);
        }
        let status = match self.consumer.state {
            Async::CopyIn => COPY_IN,
            Async::CopyOut => COPY_OUT,
            _ => COPY_BOTH,
        };
        let result = self.consumer.result.take();
        let result = result.filter(|result| result.status == status);
        result.unwrap_or_else(|| PGresult::empty(status, &self.origin))
    }

    /// Drops the data that is still to come.
    pub(crate) fn discard_copy(&mut self) -> bool {
        self.link.engine_mut().discard_copy_data();
        self.leave_copy(Async::Busy);
        true
    }

    fn leave_copy(&mut self, state: Async) {
        self.consumer.line = None;
        self.consumer.state = state;
    }

    fn takes_copy_data(&mut self) -> bool {
        let takes = self.consumer.state.takes();
        if !takes {
            self.message.line("no COPY in progress");
        }
        takes
    }

    /// Puts data, unless there is no need to: what a server that has failed gets, it would not read.
    fn put(&mut self, data: &[u8]) -> bool {
        let engine = self.link.engine_mut();
        if !engine.takes_copy_data() || self.link.is_send_broken() {
            return true;
        }
        if self.link.engine_mut().copy_put(data).is_ok() {
            return true;
        }
        if !self.nonblocking {
            self.message
                .line("cannot allocate memory for output buffer");
        }
        false
    }

    /// Puts data as most data is put; `None` where there is more to it, else whether it is to be sent now.
    #[inline]
    fn append(&mut self, data: &[u8]) -> Option<bool> {
        let engine = self.link.engine_mut();
        if !self.consumer.state.takes() || data.is_empty() || engine.unsent() >= MOST {
            return None;
        }
        if !engine.copy_append(data) {
            return None;
        }
        Some(engine.output().len() >= FULL)
    }

    /// Takes a row as most rows are taken; `None` where there is more to it.
    #[inline]
    fn next_row(&mut self, buffer: &mut *mut c_char) -> Option<c_int> {
        if !self.consumer.state.gives() || self.consumer.line.is_some() {
            return None;
        }
        let row = self.link.engine_mut().copy_next()?;
        if row.is_empty() {
            return None;
        }
        let (copy, len) = (free::string(row), row.len());
        match self.given(copy, len, buffer) {
            Step::Done(len) => Some(len),
            _ => None,
        }
    }

    /// Puts data once (`put` tells), then sends it as far as libpq would.
    fn put_step(&mut self, data: &[u8], put: &mut bool) -> Step<c_int> {
        if !*put {
            if !self.takes_copy_data() {
                return Step::Done(-1);
            }
            self.parse();
            if data.is_empty() {
                return Step::Done(1);
            }
            // A server that does not read is not to fill the memory.
            if self.nonblocking && self.link.engine().unsent() >= MOST {
                if let Step::Done(..0) = self.flush_step() {
                    return Step::Done(-1);
                }
                if self.link.engine().unsent() >= MOST {
                    return Step::Done(0);
                }
            }
            if !self.put(data) {
                return Step::Done(if self.nonblocking { 0 } else { -1 });
            }
            *put = true;
        }
        if self.link.engine().output().len() < FULL && !self.link.is_send_broken() {
            return Step::Done(1);
        }
        match self.flush_step() {
            Step::Done(sent) if sent < 0 => Step::Done(-1),
            Step::Done(_) => Step::Done(1),
            step => step,
        }
    }

    /// Says once (`said` tells) that no more data is put, then sends that.
    fn end_step(&mut self, error: Option<&[u8]>, said: &mut bool) -> Step<c_int> {
        if !*said {
            if !self.takes_copy_data() {
                return Step::Done(-1);
            }
            let engine = self.link.engine_mut();
            if engine.takes_copy_data()
                && let Err(error) = engine.copy_end(error)
                && self.link.error().is_none()
            {
                self.message.line(error.message());
                return Step::Done(-1);
            }
            *said = true;
            let rest = match self.consumer.state {
                Async::CopyBoth => Async::CopyOut,
                _ => Async::Busy,
            };
            self.consumer.state = rest;
        }
        match self.flush_step() {
            Step::Done(sent) if sent < 0 => Step::Done(-1),
            Step::Done(_) => Step::Done(1),
            step => step,
        }
    }

    /// Lets `take` have the next message that is not empty, where it lies.
    fn next_data<T>(&mut self, take: impl FnOnce(&[u8]) -> T) -> Data<T> {
        loop {
            while let Some(data) = self.link.engine_mut().copy_get(1).next() {
                if !data.is_empty() {
                    return Data::Message(take(data));
                }
            }
            if let Some(end) = self.copy_end() {
                return end;
            }
            self.link.advance();
            if let Some(end) = self.copy_end() {
                return end;
            }
            if !self.link.engine().has_copy_data() {
                return Data::None;
            }
        }
    }

    /// How the data has ended, if it has: what comes behind it is waited for next.
    fn copy_end<T>(&mut self) -> Option<Data<T>> {
        if self.link.error().is_some() {
            self.lost();
            return Some(Data::Lost);
        }
        let engine = self.link.engine();
        if !engine.has_item() && engine.gives_copy_data() {
            return None;
        }
        let takes = !engine.has_item() && engine.takes_copy_data();
        self.leave_copy(if takes { Async::CopyIn } else { Async::Busy });
        Some(Data::End)
    }

    /// The same, received first if it has to be.
    fn await_data<T>(
        &mut self,
        waits: bool,
        take: impl FnOnce(&[u8]) -> T,
    ) -> Result<Data<T>, Step<c_int>> {
        match self.next_data(take) {
            Data::None if waits => {}
            data => return Ok(data),
        }
        if self.link.receive_once() > 0 || !self.link.engine().is_linked() {
            return Err(Step::Again);
        }
        Err(Step::Wait {
            read: true,
            write: false,
        })
    }

    fn get_step(&mut self, buffer: &mut *mut c_char, waits: bool) -> Step<c_int> {
        if !self.consumer.state.gives() {
            self.message.line("no COPY in progress");
            return Step::Done(-2);
        }
        if let Some(line) = self.consumer.line.take() {
            return self.given(free::string(&line.row), line.row.len(), buffer);
        }
        match self.await_data(waits, |data| (free::string(data), data.len())) {
            Ok(Data::Message((copy, len))) => self.given(copy, len, buffer),
            Ok(Data::End) => Step::Done(-1),
            Ok(Data::None) => Step::Done(0),
            Ok(Data::Lost) => Step::Done(-2),
            Err(step) => step,
        }
    }

    fn given(&mut self, copy: *mut c_char, len: usize, buffer: &mut *mut c_char) -> Step<c_int> {
        if copy.is_null() {
            self.message.line("out of memory");
            return Step::Done(-2);
        }
        *buffer = copy;
        Step::Done(c_int::try_from(len).unwrap_or(c_int::MAX))
    }

    /// Part of a row into the caller's buffer: how many bytes, 0 for none yet, -1 behind the last.
    fn line_step(&mut self, buffer: &mut [u8], waits: bool) -> Step<c_int> {
        if !self.consumer.state.gives() {
            return Step::Done(-1);
        }
        if let Some(line) = &mut self.consumer.line {
            let len = line.give(buffer);
            if line.is_given() {
                self.consumer.line = None;
            }
            return Step::Done(len as c_int);
        }
        let taken = self.await_data(waits, |data| match buffer.get_mut(..data.len()) {
            Some(whole) => {
                whole.copy_from_slice(data);
                Ok(data.len())
            }
            None => Err(Line::new(data)),
        });
        match taken {
            Ok(Data::Message(Ok(len))) => Step::Done(len as c_int),
            Ok(Data::Message(Err(Some(mut line)))) => {
                let len = line.give(buffer);
                self.consumer.line = Some(line);
                Step::Done(len as c_int)
            }
            Ok(Data::Message(Err(None))) => {
                self.message.line("out of memory");
                Step::Done(-1)
            }
            Ok(Data::None) => Step::Done(0),
            Ok(Data::Lost) if waits => Step::Done(TROUBLE),
            Ok(Data::End | Data::Lost) => Step::Done(-1),
            Err(step) => step,
        }
    }

    /// Ends the data that is put, if any can be; goes on to the result, and drops what still comes.
    fn finish_step(&mut self, said: &mut bool) -> Step<c_int> {
        if !*said {
            if !self.consumer.state.is_copy() {
                self.message.line("no COPY in progress");
                return Step::Done(1);
            }
            *said = true;
            // The server may have ended it.
            let _ = self.link.engine_mut().copy_end(None);
        }
        match self.flush_step() {
            Step::Done(left) if left != 0 && self.nonblocking => Step::Done(1),
            Step::Done(_) => {
                self.discard_copy();
                let busy = self.nonblocking && self.is_busy();
                Step::Done(c_int::from(busy))
            }
            step => step,
        }
    }

    /// The error that the old functions tell as a notice besides, and who gets it.
    fn shown_error(&self) -> Option<(Hooks, String)> {
        let text = self.message.from(0);
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let shown = &text[..text.len().min(MOST_OF_NOTICE)];
        let text = String::from_utf8_lossy(shown).into_owned();
        (!text.is_empty()).then_some((self.origin.hooks, text))
    }
}

/// A row of a COPY that has not fitted into the caller's buffer.
#[derive(Debug)]
pub(crate) struct Line {
    row: Vec<u8>,
    given: usize,
}

impl Line {
    fn new(data: &[u8]) -> Option<Self> {
        let mut row = Vec::new();
        row.try_reserve_exact(data.len()).ok()?;
        row.extend_from_slice(data);
        Some(Self { row, given: 0 })
    }

    /// Gives as much of the rest as fits.
    fn give(&mut self, buffer: &mut [u8]) -> usize {
        let rest = self.row.get(self.given..).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        self.given += len;
        len
    }

    fn is_given(&self) -> bool {
        self.given == self.row.len()
    }
}

/// Ends the data that is put, with an error if there is one.
///
/// # Safety
/// As for [`drive`].
pub(crate) unsafe fn end_copy(conn: *mut PGconn, error: Option<&[u8]>) -> c_int {
    let mut said = false;
    // SAFETY: the caller's promise.
    unsafe { drive(conn, -1, |conn| conn.end_step(error, &mut said)) }
}

/// Puts data.
///
/// # Safety
/// As for [`drive`]; `buffer` has `size` bytes.
unsafe fn put(conn: *mut PGconn, buffer: *const c_char, size: c_int) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        let data = array(buffer.cast(), size);
        let mut put = false;
        if let Some(conn) = conn.as_mut() {
            match guard(|| conn.append(data)).flatten() {
                Some(false) => return 1,
                full => put = full.is_some(),
            }
        }
        drive(conn, -1, |conn| conn.put_step(data, &mut put))
    }
}

/// Puts data of a COPY, in pieces of any size; `size` bytes of `buffer`. 1, or 0 when there is no room now (nonblocking only), or
/// -1 when there is trouble.
///
/// # Safety
/// `conn` is NULL or a connection that nobody else uses now; `buffer` has that many bytes. So for all functions here.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQputCopyData(
    conn: *mut PGconn,
    buffer: *const c_char,
    size: c_int,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { put(conn, buffer, size) }
}

/// Says that no more data is put; with an error the COPY fails with it. Take the result then
/// ([`PQgetResult`](crate::receive::PQgetResult)). 1, or -1 when there is trouble.
///
/// # Safety
/// As above; `error` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQputCopyEnd(conn: *mut PGconn, error: *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { end_copy(conn, text(error)) }
}

/// Takes a row of data of a COPY: its length, and in `buffer` a copy that the caller frees with
/// [`PQfreemem`](crate::free::PQfreemem). 0 when none has arrived (`no_wait` only), -1 when there is none any more: take the
/// result; -2 when there is trouble.
///
/// # Safety
/// As above; `buffer` has room for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQgetCopyData(
    conn: *mut PGconn,
    buffer: *mut *mut c_char,
    no_wait: c_int,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        *buffer = ptr::null_mut();
        if let Some(conn) = conn.as_mut()
            && let Some(len) = guard(|| conn.next_row(&mut *buffer)).flatten()
        {
            return len;
        }
        drive(conn, -2, |conn| conn.get_step(&mut *buffer, no_wait == 0))
    }
}

/// The old way to take a line of a COPY in text, without its newline: 0, or 1 when it has not fitted and more of it comes. Behind
/// the last there is a line `\.`. -1 when there is trouble.
///
/// # Safety
/// As above; `buffer` has `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQgetline(
    conn: *mut PGconn,
    buffer: *mut c_char,
    length: c_int,
) -> c_int {
    if buffer.is_null() || length <= 0 {
        return EOF;
    }
    // SAFETY: the caller's promise; from three bytes on there is room for all that is written.
    unsafe {
        *buffer = 0;
        if length < 3 {
            return EOF;
        }
        let line = slice::from_raw_parts_mut(buffer.cast(), length as usize - 1);
        let given = drive(conn, TROUBLE, |conn| {
            if conn.consumer.state.gives() && !conn.consumer.copy_is_binary {
                return conn.line_step(line, true);
            }
            conn.message.line("PQgetline: not doing text COPY OUT");
            Step::Done(TROUBLE)
        });
        match usize::try_from(given) {
            Ok(len) if len > 0 && line[len - 1] == b'\n' => {
                *buffer.add(len - 1) = 0;
                0
            }
            Ok(len) => {
                *buffer.add(len) = 0;
                1
            }
            Err(_) if given == -1 => {
                buffer.copy_from_nonoverlapping(c"\\.".as_ptr(), 3);
                0
            }
            Err(_) => EOF,
        }
    }
}

/// The old way to take a row of a COPY without waiting: so many bytes of it, as many as fit; 0 when none has arrived, -1 behind
/// the last.
///
/// # Safety
/// As above; `buffer` has `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQgetlineAsync(
    conn: *mut PGconn,
    buffer: *mut c_char,
    size: c_int,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        let line: &mut [u8] = match usize::try_from(size) {
            Ok(size) if !buffer.is_null() => slice::from_raw_parts_mut(buffer.cast(), size),
            _ => &mut [],
        };
        drive(conn, -1, |conn| conn.line_step(line, false))
    }
}

/// The old way to put a string. 0, or -1 when there is trouble.
///
/// # Safety
/// As above; `string` is a string.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQputline(conn: *mut PGconn, string: *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        let size = text(string).unwrap_or_default().len();
        let size = c_int::try_from(size).unwrap_or(c_int::MAX);
        if put(conn, string, size) > 0 { 0 } else { EOF }
    }
}

/// The old way to put bytes. 0, or -1 when there is trouble.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQputnbytes(
    conn: *mut PGconn,
    buffer: *const c_char,
    size: c_int,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { if put(conn, buffer, size) > 0 { 0 } else { EOF } }
}

/// The old way to end a COPY and take its result. 0 when it has done what it should; else 1, and the error is a notice besides.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQendcopy(conn: *mut PGconn) -> c_int {
    let mut said = false;
    // SAFETY: the caller's promise; results come from boxes.
    unsafe {
        if drive(conn, 0, |conn| conn.finish_step(&mut said)) != 0 {
            return 1;
        }
        if conn.is_null() {
            return 0;
        }
        let result = next_result(conn);
        let is_done = !result.is_null() && (*result).status == COMMAND_OK;
        clear(result);
        if is_done {
            return 0;
        }
        let shown = guard(|| (*conn).shown_error()).flatten();
        if let Some((hooks, text)) = shown {
            tell(hooks, format_args!("{text}"));
        }
        1
    }
}
