//! Servers that break the protocol in the middle of a COPY or a function call, through the exported functions: each gives an error
//! at once, never a hang, and never more bytes than there is room for. One that does not read does not fill the memory.
#![allow(clippy::unwrap_used)]

use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;
use std::time::Duration;

use pq::accessors::{PQresultErrorMessage, PQresultStatus};
use pq::conn::{PGconn, PQconnectdb, PQfinish};
use pq::copy::{PQendcopy, PQgetCopyData, PQgetline, PQputCopyData, PQputCopyEnd};
use pq::exec::PQexec;
use pq::facts::{PQsocket, PQstatus};
use pq::free::PQfreemem;
use pq::function::PQfn;
use pq::large_object::{lo_open, lo_read, lo_tell64};
use pq::notice::{PQerrorMessage, PQsetNoticeProcessor};
use pq::receive::{PQflush, PQgetResult, PQsetnonblocking};
use pq::result::PQclear;
use testkit::script::{Script, Scripted, complete, ready};

const OUT: &[u8] = b"H\0\0\0\x09\0\0\x01\0\0";
const IN: &[u8] = b"G\0\0\0\x09\0\0\x01\0\0";
const BOTH: &[u8] = b"W\0\0\0\x07\0\0\0";

/// A connection to a server that answers the first message of a query or call so, and then stands still.
struct Session {
    conn: *mut PGconn,
    server: Scripted,
}

impl Session {
    fn with(answer: impl Into<Vec<u8>>) -> Self {
        Self::of(Script::trusting().expect_any().send(answer))
    }

    fn of(script: Script) -> Self {
        // SAFETY: what hangs is ended by the signal, which kills the process.
        unsafe { libc::alarm(300) };
        let server = Scripted::unix(&[script]);
        let conninfo = CString::new(server.conninfo()).unwrap();
        // SAFETY: the string lives through the call.
        let conn = unsafe { PQconnectdb(conninfo.as_ptr()) };
        let session = Self { conn, server };
        assert_eq!(session.status(), 0, "{}", session.error());
        session
    }

    fn status(&self) -> c_int {
        // SAFETY: the connection is open until the session is dropped; so below.
        unsafe { PQstatus(self.conn) }
    }

    fn error(&self) -> String {
        // SAFETY: as above.
        text(unsafe { PQerrorMessage(self.conn) })
    }

    fn run(&self) -> (c_int, String) {
        // SAFETY: as above.
        unsafe {
            let result = PQexec(self.conn, c"whatever".as_ptr());
            let said = (PQresultStatus(result), text(PQresultErrorMessage(result)));
            PQclear(result);
            said
        }
    }

    fn row(&self) -> c_int {
        let mut row = ptr::null_mut();
        // SAFETY: as above.
        unsafe {
            let len = PQgetCopyData(self.conn, &mut row, 0);
            assert_eq!(row.is_null(), len <= 0);
            PQfreemem(row.cast());
            len
        }
    }

    /// The results that are left, by their status; there is an end of them.
    fn rest(&self) -> Vec<c_int> {
        let mut all = Vec::new();
        loop {
            // SAFETY: as above.
            let status = unsafe {
                let result = PQgetResult(self.conn);
                let status = (!result.is_null()).then(|| PQresultStatus(result));
                PQclear(result);
                status
            };
            let Some(status) = status else { return all };
            all.push(status);
            assert!(all.len() < 10, "{all:?}");
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: it was open, and is not used any more.
        unsafe { PQfinish(self.conn) };
    }
}

fn text(text: *const c_char) -> String {
    // SAFETY: strings of the functions under test end with a NUL.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

fn data(row: &[u8]) -> Vec<u8> {
    let len = (row.len() as u32 + 4).to_be_bytes();
    [b"d", &len[..], row].concat()
}

/// Connections that no copy out can survive: what follows its first row, and the error.
#[test]
fn a_copy_out_that_turns_into_nonsense() {
    for (nonsense, error) in [
        (
            &b"d\0\0\0\x03"[..],
            "lost synchronization with server: got message type \"d\", length 3\n",
        ),
        (
            b"d\xff\xff\xff\xff",
            "lost synchronization with server: got message type \"d\", length -1\n",
        ),
        (
            b"C\x7f\xff\xff\xff",
            "lost synchronization with server: got message type \"C\", length 2147483647\n",
        ),
        (
            b"\0\0\0\0\x08abcd",
            "lost synchronization with server: got message type",
        ),
        (
            b"T\0\0\0\x06\0\0",
            "unexpected message of type \"T\" in COPY TO STDOUT",
        ),
        (b"c\0\0\0\x05x", "CopyDone"),
    ] {
        let session = Session::with([OUT, &data(b"row\n"), nonsense].concat());
        assert_eq!(session.run(), (3, String::new()));
        assert_eq!(session.row(), 4);
        let end = session.row();
        assert!(end == -1 || end == -2, "{end}");
        assert_eq!(session.rest(), [7]);
        assert!(session.error().contains(error), "{}", session.error());
        assert_eq!((session.row(), session.status()), (-2, 1));
    }
}

#[test]
fn a_response_that_is_none() {
    for response in [
        &b"H\0\0\0\x04"[..],
        b"H\0\0\0\x07\x02\0\0",
        b"G\0\0\0\x07\0\0\x01",
        b"G\0\0\0\x09\0\xff\xff\0\0",
        b"W\0\0\0\x08\0\0\0\0",
        b"H\0\0\0\x0a\0\0\x01\0\0\0",
    ] {
        let session = Session::with(response);
        let (status, error) = session.run();
        assert_eq!(status, 7, "{response:?}");
        assert!(!error.is_empty());
        assert_eq!((session.rest(), session.status()), (vec![], 1));
    }
}

/// The end of file in the middle of a row, whose length claims a gigabyte.
#[test]
fn a_row_that_never_comes() {
    let script = Script::trusting()
        .expect_any()
        .send([OUT, b"d\x3f\xff\xff\xffx"].concat())
        .close();
    let session = Session::of(script);
    assert_eq!(session.run().0, 3);
    assert_eq!(session.row(), -2);
    assert!(
        session
            .error()
            .starts_with("server closed the connection unexpectedly\n")
    );
    assert_eq!((session.rest(), session.status()), (vec![7], 1));
    let mut line = [1; 8];
    // SAFETY: there is room for as many bytes as is said.
    let said = unsafe { PQgetline(session.conn, line.as_mut_ptr(), 8) };
    assert_eq!((said, line[0]), (-1, 0));
}

/// What comes instead of an end of COPY IN is seen when the client has ended its data.
#[test]
fn a_copy_in_that_turns_into_nonsense() {
    for nonsense in [
        &b"d\0\0\0\x03"[..],
        b"T\0\0\0\x06\0\0",
        b"Z\0\0\0\x05I",
        b"?\0\0\0\x04",
    ] {
        let session = Session::with([IN, nonsense].concat());
        assert_eq!(session.run().0, 4);
        // SAFETY: the data is as long as is said.
        unsafe {
            assert_eq!(PQputCopyData(session.conn, c"1\n".as_ptr(), 2), 1);
            assert_eq!(PQputCopyEnd(session.conn, ptr::null()), 1);
        }
        assert_eq!(session.rest(), [7], "{nonsense:?}");
        assert_eq!(session.status(), 1);
        // SAFETY: as above.
        unsafe { assert_eq!(PQendcopy(session.conn), 1) };
    }
}

#[test]
fn a_copy_in_both_directions_that_turns_into_nonsense() {
    let session = Session::with([BOTH, &data(b"k"), b"D\0\0\0\x06\0\0"].concat());
    assert_eq!(session.run().0, 8);
    assert_eq!(session.row(), 1);
    let end = session.row();
    assert!(end == -1 || end == -2, "{end}");
    assert_eq!((session.rest(), session.status()), (vec![7], 1));
}

/// What a nonblocking program puts is taken up to 256 MiB (manual, `PQputCopyData`: 0, come again when it can be written), and again
/// when the server has read it.
#[test]
fn a_copy_in_that_nobody_reads() {
    const MIB: usize = 1024 * 1024;
    let server = Script::trusting().expect_any().send(IN).halt();
    let server = server.copy_over().expect_any();
    let session = Session::of(server);
    assert_eq!(session.run().0, 4);
    let row = vec![b'x'; 8 * MIB];
    // SAFETY: the connection is open; the row is as long as is said.
    unsafe {
        assert_eq!(PQsetnonblocking(session.conn, 1), 0);
        let put = || PQputCopyData(session.conn, row.as_ptr().cast(), row.len() as c_int);
        let taken = (0..1000).take_while(|_| put() == 1).count();
        // The kernel holds a little of it, and a row is taken whole.
        assert!((32..=33).contains(&taken), "{taken}");
        // It says so again, and nothing is wrong.
        assert_eq!((put(), PQflush(session.conn)), (0, 1));
        assert_eq!((session.status(), session.error().as_str()), (0, ""));
        session.server.go_on();
        while put() == 0 {
            pgpoll::net::wait(
                Some(PQsocket(session.conn)),
                true,
                true,
                Some(Duration::from_secs(60)),
            );
        }
        assert_eq!(session.status(), 0);
    }
}

fn returned(value: Option<&[u8]>) -> Vec<u8> {
    let Some(value) = value else {
        return b"V\0\0\0\x08\xff\xff\xff\xff".to_vec();
    };
    let len = value.len() as u32;
    let head = [(len + 8).to_be_bytes(), len.to_be_bytes()].concat();
    [b"V", &head[..], value, &ready(b'I')].concat()
}

/// No more is written than the caller has room for.
#[test]
fn a_large_object_that_is_too_large() {
    let session = Session::with(returned(Some(&[b'x'; 100])));
    let mut room = [0_u8; 16];
    // SAFETY: there is room for as many bytes as is said.
    let said = unsafe { lo_read(session.conn, 0, room.as_mut_ptr().cast(), 8) };
    assert_eq!((said, room), (-1, [0; 16]));
    assert_eq!(session.error(), "server returned too much data\n");
    assert_eq!((session.rest(), session.status()), (vec![], 1));
    for value in [&b"xxxxxxxx"[..], b"x", b""] {
        let session = Session::with(returned(Some(value)));
        // SAFETY: as above.
        assert_eq!(unsafe { lo_open(session.conn, 1, 0) }, -1);
        assert_eq!(session.error(), "server returned too much data\n");
    }
    for value in [Some(&b"xxxx"[..]), Some(b"xxxxxxxxx"), None] {
        let answer = match value {
            None => [returned(None), ready(b'I').to_vec()].concat(),
            value => returned(value),
        };
        let session = Session::with(answer);
        // SAFETY: as above.
        assert_eq!(unsafe { lo_tell64(session.conn, 1) }, -1);
    }
}

#[test]
fn a_call_that_returns_nonsense() {
    for answer in [
        ready(b'I').to_vec(),
        b"V\0\0\0\x08\0\0\0\x04".to_vec(),
        b"V\0\0\0\x06\0\0".to_vec(),
        b"V\0\0\0\x08\xff\xff\xff\xfe".to_vec(),
        complete("SELECT 1").to_vec(),
        b"V\0\0\0\x03".to_vec(),
        returned(Some(b"xxx")),
    ] {
        let session = Session::with(answer);
        let (mut value, mut len) = (7, 7);
        // SAFETY: there is room for an integer and a length.
        unsafe {
            PQsetNoticeProcessor(session.conn, Some(nobody), ptr::null_mut());
            let result = PQfn(session.conn, 1, &mut value, &mut len, 1, ptr::null(), 0);
            assert_eq!(PQresultStatus(result), 7);
            assert!(!text(PQresultErrorMessage(result)).is_empty());
            PQclear(result);
        }
        assert_eq!((value, session.rest()), (7, vec![]));
    }
}

unsafe extern "C-unwind" fn nobody(_: *mut std::ffi::c_void, _: *const c_char) {}
