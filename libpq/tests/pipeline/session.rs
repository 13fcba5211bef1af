//! A connection through the exported functions, with its results and its trace as texts.

use std::ffi::{CStr, CString, c_char};
use std::ptr;

use pq::accessors::{PQcmdStatus, PQnfields, PQntuples, PQresultErrorMessage, PQresultStatus};
use pq::cells::PQgetvalue;
use pq::conn::{PGconn, PQconnectdb, PQfinish};
use pq::exec::PQexec;
use pq::facts::{PQpipelineStatus, PQsocket, PQstatus};
use pq::library::PQresStatus;
use pq::notice::PQerrorMessage;
use pq::pipeline::PQpipelineSync;
use pq::receive::PQgetResult;
use pq::result::{PGresult, PQclear};
use pq::send::PQsendQueryParams;
use pq::trace::{PQsetTraceFlags, PQtrace};

/// An open connection.
pub(crate) struct Session {
    pub(crate) conn: *mut PGconn,
    file: *mut libc::FILE,
}

impl Session {
    pub(crate) fn open() -> Self {
        let conninfo = CString::new(testkit::shared().conninfo()).unwrap();
        // SAFETY: the strings live through the calls.
        unsafe {
            let conn = PQconnectdb(conninfo.as_ptr());
            let session = Self {
                conn,
                file: libc::tmpfile(),
            };
            assert_eq!(PQstatus(conn), 0, "{}", session.error());
            session
        }
    }

    /// Begins the trace, as the regression tests do.
    pub(crate) fn trace(&self) {
        // SAFETY: the file is open until the session is dropped.
        unsafe {
            PQtrace(self.conn, self.file);
            PQsetTraceFlags(self.conn, 3);
        }
    }

    /// What has been traced so far.
    pub(crate) fn traced(&self) -> String {
        let mut text = Vec::new();
        let mut buffer = [0_u8; 4096];
        // SAFETY: the file is ours; reads stay within the buffer.
        unsafe {
            libc::rewind(self.file);
            loop {
                let count = libc::fread(buffer.as_mut_ptr().cast(), 1, buffer.len(), self.file);
                if count == 0 {
                    break;
                }
                text.extend_from_slice(&buffer[..count]);
            }
            libc::fseek(self.file, 0, libc::SEEK_END);
        }
        String::from_utf8(text).unwrap()
    }

    pub(crate) fn send(&self, sql: &str, values: &[&str]) {
        let sql = CString::new(sql).unwrap();
        let values: Vec<CString> = values.iter().map(|v| CString::new(*v).unwrap()).collect();
        let pointers: Vec<*const c_char> = values.iter().map(|v| v.as_ptr()).collect();
        // SAFETY: strings and arrays live through the call.
        let sent = unsafe {
            PQsendQueryParams(
                self.conn,
                sql.as_ptr(),
                pointers.len() as i32,
                ptr::null(),
                pointers.as_ptr(),
                ptr::null(),
                ptr::null(),
                0,
            )
        };
        assert_eq!(sent, 1, "{}", self.error());
    }

    pub(crate) fn sync(&self) {
        // SAFETY: the connection is open.
        assert_eq!(unsafe { PQpipelineSync(self.conn) }, 1);
    }

    /// Runs a query and waits; the result as [`next`](Self::next) tells it.
    pub(crate) fn run(&self, sql: &str) -> String {
        let sql = CString::new(sql).unwrap();
        // SAFETY: the string lives through the call.
        tell(unsafe { PQexec(self.conn, sql.as_ptr()) })
    }

    /// The next result in words: status, values of the first column, command tag or error message.
    pub(crate) fn next(&self) -> String {
        // SAFETY: the connection is open.
        tell(unsafe { PQgetResult(self.conn) })
    }

    /// Waits until something has arrived.
    pub(crate) fn wait(&self) {
        // SAFETY: the connection is open.
        let socket = unsafe { PQsocket(self.conn) };
        pgpoll::net::wait(Some(socket), true, false, None);
    }

    pub(crate) fn error(&self) -> String {
        // SAFETY: the text lives until the next call.
        text(unsafe { PQerrorMessage(self.conn) })
    }

    pub(crate) fn pipeline_status(&self) -> &'static str {
        // SAFETY: the connection is open.
        match unsafe { PQpipelineStatus(self.conn) } {
            0 => "off",
            1 => "on",
            2 => "aborted",
            _ => "?",
        }
    }

    /// Closes the connection; the whole trace.
    pub(crate) fn close(mut self) -> String {
        // SAFETY: the connection is open, and forgotten here.
        unsafe { PQfinish(self.conn) };
        self.conn = ptr::null_mut();
        self.traced()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: the connection is open or NULL; the file is open.
        unsafe {
            PQfinish(self.conn);
            libc::fclose(self.file);
        }
    }
}

fn tell(result: *mut PGresult) -> String {
    if result.is_null() {
        return "NULL".to_owned();
    }
    // SAFETY: a result that is freed below.
    unsafe {
        let status = PQresultStatus(result);
        let name = text(PQresStatus(status));
        let mut words = vec![name.trim_start_matches("PGRES_").to_owned()];
        for row in 0..PQntuples(result) {
            assert!(PQnfields(result) > 0);
            words.push(text(PQgetvalue(result, row, 0)));
        }
        words.push(text(PQcmdStatus(result)));
        words.push(text(PQresultErrorMessage(result)));
        PQclear(result);
        words.retain(|word| !word.is_empty());
        words.join(" ")
    }
}

fn text(text: *const c_char) -> String {
    // SAFETY: strings of the functions under test end with a NUL.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap().to_owned()
}
