//! COPY, function calls and large objects through the exported functions, on a real server of any version.
#![allow(clippy::unwrap_used)]

use std::ffi::{CStr, CString, c_char, c_int};
use std::{env, fs, ptr};

use pq::accessors::{PQbinaryTuples, PQcmdStatus, PQnfields, PQresultErrorField, PQresultStatus};
use pq::cells::PQgetvalue;
use pq::columns::{PQfformat, PQfname};
use pq::conn::{PGconn, PQconnectdb, PQfinish};
use pq::copy::{
    PQendcopy, PQgetCopyData, PQgetline, PQgetlineAsync, PQputCopyData, PQputCopyEnd, PQputline,
};
use pq::exec::{PQexec, PQexecParams};
use pq::facts::PQtransactionStatus;
use pq::free::PQfreemem;
use pq::function::{PQArgBlock, PQArgValue, PQfn};
use pq::large_object::{lo_close, lo_export, lo_import, lo_lseek64, lo_open, lo_read, lo_unlink};
use pq::notice::PQerrorMessage;
use pq::receive::PQgetResult;
use pq::result::{PGresult, PQclear};

const COMMAND_OK: c_int = 1;
const TUPLES_OK: c_int = 2;
const COPY_OUT: c_int = 3;
const COPY_IN: c_int = 4;
const FATAL_ERROR: c_int = 7;

struct Session(*mut PGconn);

impl Session {
    fn open() -> Self {
        let conninfo = CString::new(testkit::shared().conninfo()).unwrap();
        // SAFETY: the string lives through the call.
        Self(unsafe { PQconnectdb(conninfo.as_ptr()) })
    }

    /// The status of what a query yields, and its first value or its tag.
    fn run(&self, sql: &str) -> (c_int, String) {
        let sql = CString::new(sql).unwrap();
        // SAFETY: the connection is open until the session is dropped; so below.
        said(unsafe { PQexec(self.0, sql.as_ptr()) })
    }

    fn run_extended(&self, sql: &str) -> (c_int, String) {
        let sql = CString::new(sql).unwrap();
        let none = ptr::null();
        // SAFETY: as above; there are no parameters.
        said(unsafe {
            PQexecParams(
                self.0,
                sql.as_ptr(),
                0,
                ptr::null(),
                ptr::null(),
                none,
                none,
                0,
            )
        })
    }

    fn next(&self) -> (c_int, String) {
        // SAFETY: as above.
        said(unsafe { PQgetResult(self.0) })
    }

    fn put(&self, data: &str) -> c_int {
        let len = c_int::try_from(data.len()).unwrap();
        // SAFETY: as above; the data has that many bytes.
        unsafe { PQputCopyData(self.0, data.as_ptr().cast(), len) }
    }

    fn end(&self, error: Option<&CStr>) -> c_int {
        // SAFETY: as above.
        unsafe { PQputCopyEnd(self.0, error.map_or(ptr::null(), CStr::as_ptr)) }
    }

    fn row(&self) -> Option<String> {
        let mut row = ptr::null_mut();
        // SAFETY: as above; a row that is given ends with a NUL.
        unsafe {
            let len = PQgetCopyData(self.0, &mut row, 0);
            if len < 0 {
                assert_eq!((len, row.is_null()), (-1, true));
                return None;
            }
            let copy = text(row);
            PQfreemem(row.cast());
            assert_eq!(copy.len(), usize::try_from(len).unwrap());
            Some(copy)
        }
    }

    fn error(&self) -> String {
        // SAFETY: as above.
        unsafe { text(PQerrorMessage(self.0)) }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: it was open, and is not used any more.
        unsafe { PQfinish(self.0) };
    }
}

fn said(result: *mut PGresult) -> (c_int, String) {
    if result.is_null() {
        return (-1, String::new());
    }
    // SAFETY: a result that was just given, and is not used any more.
    unsafe {
        let status = PQresultStatus(result);
        let words = match status {
            TUPLES_OK => PQgetvalue(result, 0, 0),
            FATAL_ERROR => PQresultErrorField(result, c_int::from(b'C')),
            _ => PQcmdStatus(result),
        };
        let words = if words.is_null() {
            String::new()
        } else {
            text(words)
        };
        PQclear(result);
        (status, words)
    }
}

/// # Safety
/// It is a string.
unsafe fn text(text: *const c_char) -> String {
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap().to_owned()
}

#[test]
fn rows_go_in_and_come_out_by_either_protocol() {
    let session = Session::open();
    session.run("create temp table t (i int, t text)");
    for run in [Session::run, Session::run_extended] {
        session.run("truncate t");
        assert_eq!(run(&session, "copy t from stdin").0, COPY_IN);
        assert_eq!(session.next().0, COPY_IN);
        assert_eq!(session.row_is_refused(), -2);
        for i in 0..20_000 {
            assert_eq!(session.put(&format!("{i}\tvalue ")), 1);
            assert_eq!(session.put("of it\n"), 1);
        }
        assert_eq!(session.end(None), 1);
        assert_eq!(session.next(), (COMMAND_OK, "COPY 20000".into()));
        assert_eq!(session.next().0, -1);
        assert_eq!(run(&session, "copy t to stdout").0, COPY_OUT);
        for i in 0..20_000 {
            assert_eq!(session.row().unwrap(), format!("{i}\tvalue of it\n"));
        }
        assert_eq!(session.row(), None);
        assert_eq!(session.next(), (COMMAND_OK, "COPY 20000".into()));
        assert_eq!(session.next().0, -1);
    }
}

impl Session {
    fn row_is_refused(&self) -> c_int {
        let mut row = ptr::null_mut();
        // SAFETY: the connection is open.
        unsafe { PQgetCopyData(self.0, &mut row, 0) }
    }
}

#[test]
fn an_error_is_seen_behind_the_end_of_the_data() {
    let session = Session::open();
    session.run("create temp table t (i int)");
    for run in [Session::run, Session::run_extended] {
        assert_eq!(run(&session, "copy t from stdin").0, COPY_IN);
        for _ in 0..10_000 {
            assert_eq!(session.put("no number\n"), 1);
        }
        assert_eq!(session.next().0, COPY_IN);
        assert_eq!(session.end(None), 1);
        assert_eq!(session.next(), (FATAL_ERROR, "22P02".into()));
        assert_eq!(session.next().0, -1);
        assert_eq!(run(&session, "copy t from stdin").0, COPY_IN);
        assert_eq!(session.end(Some(c"not today")), 1);
        assert_eq!(session.next(), (FATAL_ERROR, "57014".into()));
        assert!(session.error().contains("not today"));
        assert_eq!(run(&session, "copy t from stdin").0, COPY_IN);
        assert_eq!(session.put("1\n"), 1);
        assert_eq!(
            session.run("select count(*) from t"),
            (TUPLES_OK, "0".into())
        );
    }
    // SAFETY: the connection is open.
    assert_eq!(unsafe { PQtransactionStatus(session.0) }, 0);
    assert_eq!((session.put("1\n"), session.end(None)), (-1, -1));
    assert_eq!(session.error(), "no COPY in progress\n".repeat(2));
}

#[test]
fn a_result_tells_the_formats_of_a_copy() {
    let session = Session::open();
    // SAFETY: the connection is open; results are freed once.
    unsafe {
        let sql = c"copy (select 1, 'x') to stdout (format binary)";
        let result = PQexec(session.0, sql.as_ptr());
        assert_eq!((PQnfields(result), PQbinaryTuples(result)), (2, 1));
        assert_eq!(
            (PQfformat(result, 1), PQfname(result, 1)),
            (1, ptr::null_mut())
        );
        PQclear(result);
    }
    assert_eq!(session.run("select 'left'"), (TUPLES_OK, "left".into()));
}

#[test]
fn the_old_functions_go_by_lines() {
    let session = Session::open();
    session.run("create temp table t (i int, t text)");
    assert_eq!(session.run("copy t from stdin").0, COPY_IN);
    let mut line: [c_char; 6] = [0; 6];
    let line_at = line.as_mut_ptr();
    // SAFETY: the connection is open; there is room for as many bytes as is said.
    unsafe {
        assert_eq!(PQputline(session.0, c"1\tlonger\n".as_ptr()), 0);
        assert_eq!(PQputline(session.0, c"2\t\n".as_ptr()), 0);
        assert_eq!(PQendcopy(session.0), 0);
        assert_eq!(session.run("copy t to stdout").0, COPY_OUT);
        assert_eq!(
            (PQgetline(session.0, line_at, 6), text(line_at)),
            (1, "1\tlon".into())
        );
        assert_eq!(
            (PQgetline(session.0, line_at, 6), text(line_at)),
            (0, "ger".into())
        );
        assert_eq!(PQgetlineAsync(session.0, line_at, 6), 3);
        assert_eq!(
            (PQgetline(session.0, line_at, 6), text(line_at)),
            (0, "\\.".into())
        );
        assert_eq!(PQgetlineAsync(session.0, line_at, 6), -1);
    }
    assert_eq!(session.next(), (COMMAND_OK, "COPY 2".into()));
}

#[test]
fn functions_and_large_objects() {
    let session = Session::open();
    let argument = |integer| PQArgBlock {
        len: 4,
        isint: 1,
        u: PQArgValue { integer },
    };
    let folder = env::temp_dir().join(format!("pgpoll-large-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let path = |name: &str| CString::new(folder.join(name).to_str().unwrap()).unwrap();
    let content: Vec<u8> = (0..50_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(folder.join("from"), &content).unwrap();
    // SAFETY: the connection is open; what is pointed to lives through the calls and has room for what is said.
    unsafe {
        let (mut sum, mut len) = (0, 0);
        let arguments = [argument(40), argument(2)];
        let result = PQfn(session.0, 177, &mut sum, &mut len, 1, arguments.as_ptr(), 2);
        assert_eq!((PQresultStatus(result), sum, len), (COMMAND_OK, 42, 4));
        PQclear(result);
        session.run("begin");
        let oid = lo_import(session.0, path("from").as_ptr());
        assert_ne!(oid, 0, "{}", session.error());
        assert_eq!(lo_export(session.0, oid, path("to").as_ptr()), 1);
        assert!(fs::read(folder.join("to")).unwrap() == content);
        let fd = lo_open(session.0, oid, 0x40000);
        assert_eq!(lo_lseek64(session.0, fd, -4, 2), 199_996);
        let mut end = [0; 8];
        assert_eq!(lo_read(session.0, fd, end.as_mut_ptr(), 8), 4);
        assert_eq!(lo_close(session.0, fd), 0);
        assert_eq!(lo_unlink(session.0, oid), 1);
        assert_eq!(lo_unlink(session.0, oid), -1);
        assert!(session.error().contains("does not exist"));
        assert_eq!(lo_import(session.0, path("nowhere").as_ptr()), 0);
        assert!(session.error().starts_with("could not open file \""));
    }
    fs::remove_dir_all(folder).unwrap();
}
