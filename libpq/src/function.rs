//! PQfn: a function called by its object ID, which waits for what it returns. Knows no function.

use std::ffi::c_int;
use std::{fmt, ptr};

use pgpoll::engine::{Command, End, Item, Reply, Verdict};
use pgpoll::error::Error;
use pgpoll::rows::Batch;
use pgpoll::wire::Parameters;

use crate::arguments::array;
use crate::conn::PGconn;
use crate::guard::{Step, drive, guard};
use crate::notice::tell;
use crate::result::{COMMAND_OK, FATAL_ERROR, Owned, PGresult};
use crate::state::Async;

/// One argument of C's for [`PQfn`].
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct PQArgBlock {
    /// Its bytes; -1: NULL.
    pub len: c_int,
    /// Whether it is an integer, of 2 or 4 bytes.
    pub isint: c_int,
    /// The value.
    pub u: PQArgValue,
}

/// The value of an argument.
#[repr(C)]
#[derive(Clone, Copy)]
pub union PQArgValue {
    /// In binary, as the server takes it.
    pub ptr: *mut c_int,
    /// An integer of the machine.
    pub integer: c_int,
}

/// Only that it is one: which, the block knows.
impl fmt::Debug for PQArgValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PQArgValue")
    }
}

/// One argument, as it is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Argument<'a> {
    Null,
    Int2([u8; 2]),
    Int4([u8; 4]),
    Int8([u8; 8]),
    Bytes(&'a [u8]),
}

impl From<i32> for Argument<'_> {
    fn from(value: i32) -> Self {
        Self::Int4(value.to_be_bytes())
    }
}

impl From<u32> for Argument<'_> {
    fn from(value: u32) -> Self {
        Self::Int4(value.to_be_bytes())
    }
}

impl From<i64> for Argument<'_> {
    fn from(value: i64) -> Self {
        Self::Int8(value.to_be_bytes())
    }
}

impl Argument<'_> {
    /// # Safety
    /// The block is as libpq's manual says.
    unsafe fn of(block: &PQArgBlock) -> Result<Self, c_int> {
        // SAFETY: the caller's promise: which value it is, and how many bytes there are.
        unsafe {
            Ok(match (block.len, block.isint) {
                (-1, _) => Self::Null,
                (4, isint) if isint != 0 => Self::Int4(block.u.integer.to_be_bytes()),
                (2, isint) if isint != 0 => Self::Int2((block.u.integer as i16).to_be_bytes()),
                (len, isint) if isint != 0 => return Err(len),
                (len, _) => Self::Bytes(array(block.u.ptr.cast(), len)),
            })
        }
    }
}

/// The arguments of a call.
struct Arguments<'a>(&'a [Argument<'a>]);

impl Parameters for Arguments<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn value(&self, index: usize) -> Option<&[u8]> {
        match self.0.get(index)? {
            Argument::Null => None,
            Argument::Int2(bytes) => Some(bytes),
            Argument::Int4(bytes) => Some(bytes),
            Argument::Int8(bytes) => Some(bytes),
            Argument::Bytes(bytes) => Some(bytes),
        }
    }
}

/// What a call has come to.
#[derive(Debug)]
pub(crate) struct Returned {
    pub result: Owned,
    value: Option<Batch>,
}

impl Returned {
    /// What the function returned; `None` is NULL, and what an error returns.
    pub(crate) fn value(&self) -> Option<&[u8]> {
        self.value.as_ref()?.value(0, 0)
    }

    pub(crate) fn is_ok(&self) -> bool {
        self.result.status == COMMAND_OK
    }
}

/// A call under way.
#[derive(Debug, Default)]
struct Calling {
    operation: u64,
    error: Option<Owned>,
    value: Option<Batch>,
}

impl PGconn {
    fn begin_call(&mut self, function: u32, arguments: &Arguments<'_>) -> Option<u64> {
        if self.consumer.queue.is_empty() {
            self.clear_error();
        }
        let why = if self.consumer.is_in_pipeline() {
            "PQfn not allowed in pipeline mode"
        } else if self.link.socket().is_none() || self.consumer.state != Async::Idle {
            "connection in wrong state"
        } else {
            let command = Command::Call {
                function,
                arguments,
            };
            match self.link.engine_mut().start(command, End::Sync) {
                Ok(operation) => {
                    self.consumer.state = Async::Busy;
                    return Some(operation);
                }
                Err(error) => {
                    self.message.line(error.message());
                    return None;
                }
            }
        };
        self.message.line(why);
        None
    }

    fn call_step(&mut self, calling: &mut Calling) -> Step<()> {
        loop {
            while let Some(item) = self.link.engine_mut().take() {
                if self.apply_to_call(item, calling) {
                    self.consumer.state = Async::Idle;
                    return Step::Done(());
                }
            }
            if self.link.error().is_some() {
                self.consumer.state = Async::Idle;
                calling.error = Some(self.loss_result());
                return Step::Done(());
            }
            self.link.advance();
            if !self.link.engine().has_item() && self.link.error().is_none() {
                break;
            }
        }
        self.link.flush();
        if self.link.consume_input() > 0 || !self.link.engine().is_linked() {
            return Step::Again;
        }
        Step::Wait {
            read: true,
            write: !self.link.engine().output().is_empty(),
        }
    }

    /// One item of the call; true when it was the last.
    fn apply_to_call(&mut self, item: Item, calling: &mut Calling) -> bool {
        match item.reply {
            Reply::Called(batch) => calling.value = Some(batch),
            // The end of the connection has a result of its own.
            Reply::Error(error)
                if self.link.error().is_none() || error.server_error().is_some() =>
            {
                calling.error = Some(self.error_result(&error));
            }
            Reply::Done(done) if item.operation == calling.operation => {
                return done.verdict != Verdict::Lost;
            }
            _ => {}
        }
        false
    }

    fn returned(&mut self, calling: Calling) -> Returned {
        let (result, value) = match calling.error {
            Some(error) => {
                self.reported = self.message.len();
                (error, None)
            }
            None => (PGresult::empty(COMMAND_OK, &self.origin), calling.value),
        };
        Returned { result, value }
    }

    /// What came back is not what such a function returns: nothing is sure about this server any more.
    pub(crate) fn too_much(&mut self) {
        let error = Error::transport("server returned too much data");
        self.message.line(error.message());
        self.loss_told = true;
        self.link.engine_mut().end(error);
        self.link.converse();
    }
}

/// Calls a function and waits; `None` when nothing was sent.
///
/// # Safety
/// `conn` is NULL or a connection that nobody else uses now.
pub(crate) unsafe fn call(
    conn: *mut PGconn,
    function: u32,
    arguments: &[Argument<'_>],
) -> Option<Returned> {
    let arguments = Arguments(arguments);
    let mut calling = Calling::default();
    // SAFETY: the caller's promise.
    unsafe {
        calling.operation = drive(conn, None, |conn| {
            Step::Done(conn.begin_call(function, &arguments))
        })?;
        drive(conn, (), |conn| conn.call_step(&mut calling));
        guard(|| (*conn).returned(calling))
    }
}

/// Calls a function by its object ID, and waits; its value is put where the caller has room for it. `len`: how many bytes it
/// has, -1 for NULL. As a result there is no more than how it went; NULL when nothing was sent. Free it with
/// [`PQclear`](crate::result::PQclear).
///
/// # Safety
/// `conn` is NULL or a connection that nobody else uses now; there are `count` arguments as libpq's manual says, and at `value`
/// room for an integer (`is_int`) or for as many bytes as the function returns.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQfn(
    conn: *mut PGconn,
    function: c_int,
    value: *mut c_int,
    len: *mut c_int,
    is_int: c_int,
    arguments: *const PQArgBlock,
    count: c_int,
) -> *mut PGresult {
    // SAFETY: the caller's promise; results come from boxes.
    unsafe {
        *len = 0;
        if conn.is_null() {
            return ptr::null_mut();
        }
        let blocks = array(arguments, count);
        let sent = guard(|| blocks.iter().map(|block| Argument::of(block)).collect());
        let sent: Vec<Argument<'_>> = match sent {
            Some(Ok(sent)) => sent,
            Some(Err(size)) => {
                refuse_integer(conn, size as usize, "pqPutInt");
                return ptr::null_mut();
            }
            None => return ptr::null_mut(),
        };
        let Some(mut returned) = call(conn, function as u32, &sent) else {
            return ptr::null_mut();
        };
        if let Some(bytes) = returned.value() {
            *len = bytes.len() as c_int;
            match (is_int != 0, bytes) {
                (false, bytes) => {
                    let room = value.cast::<u8>();
                    room.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
                }
                (true, &[a, b]) => *value = u16::from_be_bytes([a, b]).into(),
                (true, &[a, b, c, d]) => *value = i32::from_be_bytes([a, b, c, d]),
                (true, bytes) => {
                    refuse_integer(conn, bytes.len(), "pqGetInt");
                    let text = b"protocol error: no function result\n";
                    (*conn).message.push(text);
                    let origin = &(*conn).origin;
                    returned.result = PGresult::error(FATAL_ERROR, origin, text);
                }
            }
        } else if returned.is_ok() {
            *len = -1;
        }
        returned.result.into_raw()
    }
}

/// Tells of an integer of a size that there is none of, in libpq's words.
///
/// # Safety
/// `conn` is a connection.
unsafe fn refuse_integer(conn: *mut PGconn, size: usize, place: &str) {
    // SAFETY: the caller's promise.
    unsafe {
        let hooks = (*conn).origin.hooks;
        tell(
            hooks,
            format_args!("integer of size {size} not supported by {place}"),
        );
    }
}
