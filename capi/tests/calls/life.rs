//! Opening, driving by one's own loop, asking, resetting, closing.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::ptr;

use pgpoll_capi::*;
use testkit::{PASSWORD, shared};

use crate::session::{Session, c, text};

/// One turn of a caller's loop, as the header tells: waits for what the bits name.
unsafe fn turn(conn: *mut Conn) -> ConnState {
    let mut state = MaybeUninit::<ConnState>::uninit();
    // SAFETY: an open connection, and room for a state, which is filled.
    let state = unsafe {
        let bits = conn_poll_state(conn, state.as_mut_ptr());
        let state = state.assume_init();
        assert_eq!(state.bits, bits);
        assert_eq!(state.socket, conn_socket(conn));
        state
    };
    let ready = CONN_RUNNABLE | CONN_RESULT | CONN_IDLE | CONN_FAILED;
    if state.bits & ready == 0 {
        // SAFETY: as above.
        let left = unsafe { conn_deadline_ms(conn) };
        wait(
            &state,
            if left < 0 {
                10_000
            } else {
                left.min(10_000) as c_int
            },
        );
    }
    state
}

fn wait(state: &ConnState, milliseconds: c_int) {
    let mut events = 0;
    if state.bits & CONN_WANT_READ != 0 {
        events |= libc::POLLIN;
    }
    if state.bits & CONN_WANT_WRITE != 0 {
        events |= libc::POLLOUT;
    }
    assert!(
        state.socket >= 0 && events != 0,
        "something to wait for: {state:?}"
    );
    let mut socket = libc::pollfd {
        fd: state.socket,
        events,
        revents: 0,
    };
    // SAFETY: one descriptor.
    let ready = unsafe { libc::poll(&mut socket, 1, milliseconds) };
    assert_eq!(ready, 1, "{state:?}");
}

#[test]
fn a_loop_of_ones_own_connects_and_queries() {
    let session = Session::begin(&shared().conninfo_tcp());
    // SAFETY: an open connection.
    unsafe {
        assert_eq!(conn_status(session.0), CONN_STATUS_START);
        let mut generation = 0;
        loop {
            let state = turn(session.0);
            assert_eq!(
                state.bits & CONN_SOCKET_CHANGED != 0,
                state.generation != generation
            );
            generation = state.generation;
            if state.bits & CONN_IDLE != 0 {
                break;
            }
        }
        assert_eq!(conn_status(session.0), CONN_STATUS_READY);
        let operation = session.start("select repeat('x', 3000000) as x, pg_sleep(0.01)");
        loop {
            let state = turn(session.0);
            let mut known = MaybeUninit::<ConnState>::uninit();
            assert_eq!(conn_state(session.0, known.as_mut_ptr()), 1);
            assert_eq!(known.assume_init().bits, state.bits);
            if state.bits & CONN_RESULT != 0 {
                break;
            }
        }
        let items = session.finish(operation);
        assert_eq!(items[0].cell(0, 0).unwrap().len(), 3_000_000);
    }
}

#[test]
fn options_can_be_given_one_by_one() {
    let server = shared();
    let port = c(&server.port().to_string());
    let host = c(&server.socket_dir().display().to_string());
    let password = c(PASSWORD);
    let keywords = [
        c"host",
        c"port",
        c"user",
        c"password",
        c"dbname",
        c"application_name",
    ];
    let values = [&*host, &*port, c"user_scram", &*password, c"postgres", c""];
    let mut keywords: Vec<_> = keywords.iter().map(|keyword| keyword.as_ptr()).collect();
    let values: Vec<_> = values.iter().map(|value| value.as_ptr()).collect();
    keywords.push(ptr::null());
    // SAFETY: C strings, and a NULL at the end of the keywords.
    let session = Session(unsafe { conn_open_params(keywords.as_ptr(), values.as_ptr(), 0) });
    session.wait_until_idle();
    assert_eq!(
        session.query("select current_user as u")[0],
        "u: user_scram"
    );

    let all = c(&server.conninfo());
    let (keywords, values) = ([c"dbname".as_ptr(), ptr::null()], [all.as_ptr()]);
    // SAFETY: as above.
    let session = Session(unsafe { conn_open_params(keywords.as_ptr(), values.as_ptr(), 1) });
    session.wait_until_idle();
    assert_eq!(session.query("select current_user as u")[0], "u: postgres");
}

#[test]
fn a_connection_knows_whom_it_talks_to() {
    let server = shared();
    let session = Session::open();
    // SAFETY: an open connection.
    unsafe {
        let shown = |text_of: unsafe extern "C" fn(*const Conn) -> *const std::ffi::c_char| {
            text(text_of(session.0)).unwrap()
        };
        assert_eq!(shown(conn_host), server.socket_dir().display().to_string());
        assert_eq!(shown(conn_port), server.port().to_string());
        assert_eq!(shown(conn_user), "postgres");
        assert_eq!(shown(conn_database), "postgres");
        let (host, user) = (conn_host(session.0), conn_user(session.0));
        assert_eq!(text(user).unwrap(), "postgres");
        assert_eq!(host, conn_host(session.0), "a text stays where it is");
        assert_eq!(text(host).unwrap(), shown(conn_host));
        let number =
            session.start("select current_setting('server_version_num'), pg_backend_pid()");
        let items = session.finish(number);
        assert_eq!(
            items[0].cell(0, 0).unwrap(),
            conn_server_version(session.0).to_string()
        );
        assert_eq!(
            items[0].cell(0, 1).unwrap(),
            conn_backend_pid(session.0).to_string()
        );
        let protocol = conn_protocol_version(session.0);
        assert!([30_000, 30_002].contains(&protocol), "{protocol}");
        let zone = conn_parameter(session.0, c"TimeZone".as_ptr());
        assert_eq!(text(zone).unwrap(), "UTC");
        assert!(conn_parameter(session.0, c"timezone".as_ptr()).is_null());
        assert_eq!(conn_transaction_status(session.0), CONN_TRANSACTION_IDLE);
        session.query("begin");
        assert_eq!(
            conn_transaction_status(session.0),
            CONN_TRANSACTION_IN_BLOCK
        );
        let line = conn_inspect(session.0);
        let shown = text(line).unwrap();
        assert!(shown.starts_with("{\"phase\":\"ready\""), "{shown}");
        conn_free_string(line);
        assert!(conn_warnings(session.0).is_null());
        assert_eq!(
            text(conn_library_version()).unwrap(),
            env!("CARGO_PKG_VERSION")
        );
    }
}

#[test]
fn hosts_are_tried_in_order_and_the_one_in_use_is_told() {
    let server = shared();
    let (folder, port) = (server.socket_dir().display(), server.port());
    let session = Session::begin(&format!("host=/nowhere,{folder} port={port} user=postgres"));
    session.wait_until_idle();
    // SAFETY: an open connection.
    unsafe {
        assert_eq!(text(conn_host(session.0)).unwrap(), folder.to_string());
        assert_eq!(text(conn_port(session.0)).unwrap(), port.to_string());
        assert!(conn_hostaddr(session.0).is_null(), "a local socket");
    }
}

#[test]
fn an_address_and_whether_a_password_was_asked_for_are_told() {
    let server = shared();
    let port = server.port();
    let over_tcp = format!("host=localhost port={port} dbname=postgres user=user_scram");
    let password = PASSWORD.replace('\'', "\\'");
    let session = Session::begin(&format!("{over_tcp} password='{password}' sslmode=disable"));
    session.wait_until_idle();
    // SAFETY: an open connection.
    unsafe {
        let address = text(conn_hostaddr(session.0)).unwrap();
        assert!(["127.0.0.1", "::1"].contains(&&*address), "{address}");
        assert_eq!(text(conn_host(session.0)).unwrap(), "localhost");
        assert_eq!(conn_password_used(session.0), 1);
        assert_eq!(conn_password_needed(session.0), 0);
        assert_eq!(conn_is_encrypted(session.0), 0);
        assert!(conn_tls_attribute(session.0, c"library".as_ptr()).is_null());
        assert!(session.error().is_none(), "asking is no misuse");
        assert!(conn_tls_attribute(session.0, ptr::null()).is_null());
        assert_eq!(session.error().unwrap().0, CONN_ERROR_MISUSE);
    }
    let session = Session::begin(&format!("{over_tcp} passfile=/dev/null sslmode=disable"));
    // SAFETY: an open connection.
    unsafe {
        while conn_wait(session.0, 10_000) & CONN_FAILED == 0 {}
        assert_eq!(conn_password_used(session.0), 0);
        assert_eq!(conn_password_needed(session.0), 1);
    }
}

#[test]
fn a_reset_connects_anew_with_the_same_options() {
    let session = Session::open();
    session.query("create temp table gone (n int)");
    let abandoned = session.start("select pg_sleep(100)");
    // SAFETY: an open connection.
    unsafe {
        conn_poll(session.0);
        let before = conn_backend_pid(session.0);
        conn_reset(session.0);
        assert_eq!(conn_status(session.0), CONN_STATUS_START);
        session.wait_until_idle();
        assert_ne!(conn_backend_pid(session.0), before);
    }
    assert_ne!(abandoned, 0);
    assert_eq!(
        session.query("select to_regclass('gone') as t")[0],
        "t: NULL"
    );
}

#[test]
fn a_check_sees_what_a_pool_must_know() {
    let (session, killer) = (Session::open(), Session::open());
    // SAFETY: open connections.
    unsafe {
        assert_eq!(conn_check(session.0), 1);
        session.query("begin");
        assert_eq!(conn_check(session.0), 0, "in a transaction block");
        session.query("rollback");
        assert_eq!(conn_check(session.0), 1);
        let running = session.start("select 1");
        assert_eq!(conn_check(session.0), 0, "something is outstanding");
        session.finish(running);
        let open = session.start_params("select 1", &[], 0, 0, CONN_MORE);
        session.finish(open);
        assert_eq!(conn_check(session.0), 0, "a group is open");
        session.finish(conn_sync(session.0));
        assert_eq!(conn_check(session.0), 1);
        let pid = conn_backend_pid(session.0);
        killer.query(&format!("select pg_terminate_backend({pid}, 5000)"));
        assert_eq!(conn_check(session.0), 0);
        assert!(
            session
                .error()
                .unwrap()
                .1
                .contains("terminating connection")
        );
        assert_eq!(conn_check(ptr::null_mut()), 0);
    }
    // It accepts connections and answers nothing: a server may have answered everything within one poll.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let connecting = Session::begin(&format!("host=127.0.0.1 port={port}"));
    // SAFETY: an open connection.
    assert_eq!(unsafe { conn_check(connecting.0) }, 0);
}

#[test]
fn a_backend_is_gone_soon_after_the_close() {
    let session = Session::open();
    // SAFETY: an open connection.
    let pid = unsafe { conn_backend_pid(session.0) };
    drop(session);
    let watcher = Session::open();
    for _ in 0..500 {
        let gone = format!("select count(*) as n from pg_stat_activity where pid = {pid}");
        if watcher.query(&gone)[0] == "n: 0" {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("the backend is still there");
}
