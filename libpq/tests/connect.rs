//! Connecting without waiting, with the trace of it; cancelling; what callbacks may do. Through the exported functions, on a
//! real server.
#![allow(clippy::unwrap_used)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;
use std::time::{Duration, Instant};

use pq::accessors::{PQresultErrorField, PQresultErrorMessage, PQresultStatus};
use pq::cancel::{
    PQcancelBlocking, PQcancelCreate, PQcancelErrorMessage, PQcancelFinish, PQcancelPoll,
    PQcancelReset, PQcancelSocket, PQcancelStart, PQcancelStatus,
};
use pq::cells::PQgetvalue;
use pq::conn::{PGconn, PQconnectPoll, PQconnectStart, PQconnectdb, PQfinish, PQreset};
use pq::exec::PQexec;
use pq::facts::{PQbackendPID, PQsocket, PQstatus, PQtransactionStatus};
use pq::free::PQfreemem;
use pq::notice::{PQerrorMessage, PQsetNoticeProcessor};
use pq::notify::PQnotifies;
use pq::receive::{PQconsumeInput, PQgetResult};
use pq::result::PQclear;
use pq::send::PQsendQuery;
use pq::signal::{PQcancel, PQfreeCancel, PQgetCancel, PQrequestCancel};
use pq::trace::{PQsetTraceFlags, PQtrace};
use testkit::PASSWORD;

const OK: c_int = 0;

fn open(conninfo: &str) -> *mut PGconn {
    let conninfo = CString::new(conninfo).unwrap();
    // SAFETY: the string lives through the call.
    unsafe { PQconnectdb(conninfo.as_ptr()) }
}

fn text(text: *const c_char) -> String {
    // SAFETY: strings of the functions under test end with a NUL.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap().to_owned()
}

fn with_password(role: &str) -> String {
    let quoted = PASSWORD.replace('\'', "\\'");
    format!(
        "{} password='{quoted}'",
        testkit::shared().conninfo_tcp_as(role)
    )
}

/// Goes on with `poll` as libpq's manual says, waiting for what it asks for; gives the last answer and how often it asked.
fn poll_until_done(mut poll: impl FnMut() -> (c_int, c_int)) -> (c_int, usize) {
    for turn in 0.. {
        let (wants, socket) = poll();
        let (read, write) = match wants {
            1 => (true, false),
            2 => (false, true),
            _ => return (wants, turn),
        };
        assert!(socket >= 0);
        pgpoll::net::wait(Some(socket), read, write, Some(Duration::from_secs(10)));
        assert!(turn < 1000);
    }
    unreachable!()
}

#[test]
fn connecting_is_polled_and_traced_without_secrets() {
    for (role, steps) in [
        (
            "user_scram",
            &[
                "StartupMessage",
                "AuthenticationSASL\t",
                "SASLInitialResponse",
                "AuthenticationSASLContinue",
                "SASLResponse",
                "AuthenticationSASLFinal",
            ][..],
        ),
        (
            "user_md5",
            &[
                "StartupMessage",
                "AuthenticationMD5Password\n",
                "PasswordMessage",
            ],
        ),
        (
            "user_password",
            &[
                "StartupMessage",
                "AuthenticationCleartextPassword",
                "PasswordMessage\t \"SSSS\"",
            ],
        ),
    ] {
        let conninfo = CString::new(with_password(role)).unwrap();
        // SAFETY: the file is open, and the connection is not used after PQfinish.
        let trace = unsafe {
            let file = libc::tmpfile();
            let conn = PQconnectStart(conninfo.as_ptr());
            assert_eq!(PQstatus(conn), 2, "started");
            PQtrace(conn, file);
            PQsetTraceFlags(conn, 1);
            let (said, turns) = poll_until_done(|| (PQconnectPoll(conn), PQsocket(conn)));
            assert_eq!(said, 3, "{}", text(PQerrorMessage(conn)));
            assert!(turns > 0);
            assert_eq!((PQstatus(conn), PQtransactionStatus(conn)), (OK, 0));
            PQfinish(conn);
            read_whole(file)
        };
        let mut rest = trace.as_str();
        for step in steps.iter().chain(&[
            "AuthenticationOk",
            "BackendKeyData",
            "ReadyForQuery\t I",
            "Terminate",
        ]) {
            let at = rest
                .find(step)
                .unwrap_or_else(|| panic_without(step, &trace));
            rest = &rest[at..];
        }
        assert!(
            !trace.contains(PASSWORD) && !trace.contains(",p="),
            "{trace}"
        );
        assert!(!trace.contains("mismatched"), "{trace}");
    }
}

fn panic_without(step: &str, trace: &str) -> usize {
    unreachable!("{step} is not in the trace, or not at its place:\n{trace}")
}

/// # Safety
/// `file` is open; it is closed here.
unsafe fn read_whole(file: *mut libc::FILE) -> String {
    let mut all = vec![0_u8; 1 << 20];
    // SAFETY: the caller's promise; reads stay within the buffer.
    unsafe {
        libc::rewind(file);
        let len = libc::fread(all.as_mut_ptr().cast(), 1, all.len(), file);
        libc::fclose(file);
        all.truncate(len);
    }
    String::from_utf8(all).unwrap()
}

#[test]
fn a_trace_begins_its_lines_with_the_time() {
    let conn = open(&testkit::shared().conninfo());
    // SAFETY: the file is open, and the connection is not used after PQfinish.
    let trace = unsafe {
        let file = libc::tmpfile();
        PQtrace(conn, file);
        PQclear(PQexec(conn, c"select 1".as_ptr()));
        PQfinish(conn);
        read_whole(file)
    };
    assert_eq!(trace.lines().count(), 6, "{trace}");
    for line in trace.lines() {
        let time = line.split('\t').next().unwrap();
        let shape: String = time
            .chars()
            .map(|c| if c.is_ascii_digit() { '9' } else { c })
            .collect();
        assert_eq!(shape, "9999-99-99 99:99:99.999999");
    }
}

#[test]
fn a_wrong_password_is_refused_in_the_servers_words() {
    let conninfo = testkit::shared().conninfo_tcp_as("user_scram") + " password=wrong";
    let conn = open(&conninfo);
    // SAFETY: the connection is not used after PQfinish.
    unsafe {
        assert_eq!(PQstatus(conn), 1);
        let error = text(PQerrorMessage(conn));
        assert!(
            error.ends_with("FATAL:  password authentication failed for user \"user_scram\"\n"),
            "{error}"
        );
        assert!(PQexec(conn, c"select 1".as_ptr()).is_null());
        assert_eq!(text(PQerrorMessage(conn)), "no connection to the server\n");
        PQfinish(conn);
    }
}

/// Starts a query that takes long, cancels it with `cancel`, and checks that it was cancelled.
fn cancelled(conn: *mut PGconn, cancel: impl FnOnce()) {
    let monitor = testkit::shared();
    // SAFETY: the connection is open.
    unsafe {
        let pid = PQbackendPID(conn);
        assert_eq!(PQsendQuery(conn, c"select pg_sleep(60)".as_ptr()), 1);
        let sleeping = format!(
            "select count(*) from pg_stat_activity where pid = {pid} and wait_event = 'PgSleep'"
        );
        let begun = Instant::now();
        while monitor.psql(&sleeping) != "1" {
            assert!(begun.elapsed() < Duration::from_secs(20));
        }
        cancel();
        let result = PQgetResult(conn);
        assert_eq!(PQresultStatus(result), 7);
        assert_eq!(text(PQresultErrorField(result, c_int::from(b'C'))), "57014");
        PQclear(result);
        assert!(PQgetResult(conn).is_null());
        assert_eq!(PQstatus(conn), OK);
    }
}

#[test]
fn a_query_is_cancelled_in_each_way() {
    for conninfo in [
        testkit::shared().conninfo(),
        testkit::shared().conninfo_tcp(),
    ] {
        let conn = open(&conninfo);
        let mut buffer = [1 as c_char; 64];
        // SAFETY: the objects are freed once, and not used after.
        unsafe {
            let cancel = PQgetCancel(conn);
            for _ in 0..2 {
                cancelled(conn, || {
                    assert_eq!(PQcancel(cancel, buffer.as_mut_ptr(), 64), 1)
                });
            }
            PQfreeCancel(cancel);
            cancelled(conn, || assert_eq!(PQrequestCancel(conn), 1));
            let cancel = PQcancelCreate(conn);
            assert_eq!(PQcancelStatus(cancel), 14);
            cancelled(conn, || assert_eq!(PQcancelBlocking(cancel), 1));
            assert_eq!(PQcancelStatus(cancel), OK);
            PQcancelReset(cancel);
            cancelled(conn, || {
                assert_eq!(PQcancelStart(cancel), 1);
                let (said, _) = poll_until_done(|| (PQcancelPoll(cancel), PQcancelSocket(cancel)));
                assert_eq!(said, 3);
            });
            assert_eq!(PQcancelStart(cancel), 0, "it is sent already");
            assert_eq!(
                text(PQcancelErrorMessage(cancel)),
                "cancel request is already being sent on this connection\n"
            );
            PQcancelFinish(cancel);
            PQfinish(conn);
        }
    }
}

#[test]
fn what_cannot_be_cancelled_is_said() {
    let mut buffer = [1 as c_char; 12];
    // SAFETY: NULL is allowed; the buffer's size is given.
    unsafe {
        assert_eq!(PQcancel(ptr::null_mut(), buffer.as_mut_ptr(), 12), 0);
        assert_eq!(text(buffer.as_ptr()), "PQcancel() ");
        assert_eq!(PQcancel(ptr::null_mut(), ptr::null_mut(), 0), 0);
        assert!(PQgetCancel(ptr::null_mut()).is_null());
        assert_eq!(PQrequestCancel(ptr::null_mut()), 0);
        let conn = open("host=/nonexistent");
        assert!(PQgetCancel(conn).is_null());
        let cancel = PQcancelCreate(conn);
        assert_eq!(PQcancelStatus(cancel), 1);
        assert_eq!(text(PQcancelErrorMessage(cancel)), "connection not open\n");
        assert_eq!(
            (
                PQcancelStart(cancel),
                PQcancelPoll(cancel),
                PQcancelSocket(cancel)
            ),
            (0, 0, -1)
        );
        PQcancelFinish(cancel);
        PQcancelFinish(ptr::null_mut());
        PQfinish(conn);
    }
}

/// What the processor below has to do with.
struct Called {
    conn: *mut PGconn,
    messages: Vec<String>,
    at: Vec<Instant>,
}

unsafe extern "C-unwind" fn processor(argument: *mut c_void, message: *const c_char) {
    // SAFETY: the argument that the test gave.
    let called = unsafe { &mut *argument.cast::<Called>() };
    called.messages.push(text(message));
    called.at.push(Instant::now());
    // SAFETY: the connection is open; calling in again is allowed.
    unsafe {
        assert_eq!(PQstatus(called.conn), OK);
        assert!(PQbackendPID(called.conn) > 0);
    }
}

/// Trap 11, a user's callback re-enters.
#[test]
fn notices_come_while_a_call_waits_and_may_call_in_again() {
    let conn = open(&testkit::shared().conninfo());
    let mut called = Called {
        conn,
        messages: Vec::new(),
        at: Vec::new(),
    };
    let sql = c"do $$ begin raise notice 'one'; perform pg_sleep(0.5); raise notice 'two'; end $$";
    // SAFETY: the argument outlives the connection.
    unsafe {
        PQsetNoticeProcessor(conn, Some(processor), (&raw mut called).cast());
        PQclear(PQexec(conn, sql.as_ptr()));
        PQfinish(conn);
    }
    assert_eq!(called.messages, ["NOTICE:  one\n", "NOTICE:  two\n"]);
    assert!(called.at[1] - called.at[0] > Duration::from_millis(300));
}

#[test]
fn notifications_are_seen_in_every_state() {
    let conn = open(&testkit::shared().conninfo());
    // SAFETY: the connection is not used after PQfinish; each notification is freed once.
    unsafe {
        PQclear(PQexec(conn, c"listen \"a b\"".as_ptr()));
        assert!(PQnotifies(conn).is_null());
        testkit::shared().psql("notify \"a b\", 'idle'");
        pgpoll::net::wait(
            Some(PQsocket(conn)),
            true,
            false,
            Some(Duration::from_secs(10)),
        );
        assert_eq!(PQconsumeInput(conn), 1);
        let idle = PQnotifies(conn);
        assert_eq!(
            (text((*idle).relname), text((*idle).extra)),
            ("a b".into(), "idle".into())
        );
        assert_ne!((*idle).be_pid, PQbackendPID(conn));
        PQfreemem(idle.cast());
        PQclear(PQexec(conn, c"notify \"a b\"".as_ptr()));
        let own = PQnotifies(conn);
        assert_eq!(
            (text((*own).extra), (*own).be_pid),
            (String::new(), PQbackendPID(conn))
        );
        PQfreemem(own.cast());
        assert!(PQnotifies(conn).is_null());
        PQfinish(conn);
    }
}

#[test]
fn a_lost_connection_is_said_once_and_reset_makes_it_anew() {
    let conn = open(&testkit::shared().conninfo());
    // SAFETY: the connection is not used after PQfinish.
    unsafe {
        assert!(testkit::shared().terminate_backend(PQbackendPID(conn) as u32));
        let result = PQexec(conn, c"select 1".as_ptr());
        assert_eq!(PQresultStatus(result), 7);
        assert!(
            text(PQresultErrorMessage(result))
                .starts_with("server closed the connection unexpectedly\n")
        );
        PQclear(result);
        assert_eq!((PQstatus(conn), PQsocket(conn)), (1, -1));
        let error = text(PQerrorMessage(conn));
        assert!(
            error.starts_with(
                "FATAL:  terminating connection due to administrator command\nserver closed"
            ),
            "{error}"
        );
        assert!(PQgetResult(conn).is_null());
        PQreset(conn);
        assert_eq!(PQstatus(conn), OK, "{}", text(PQerrorMessage(conn)));
        let result = PQexec(conn, c"select 2".as_ptr());
        assert_eq!(text(PQgetvalue(result, 0, 0)), "2");
        PQclear(result);
        PQfinish(conn);
    }
}
