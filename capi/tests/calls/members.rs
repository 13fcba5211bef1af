//! Groups as C has them: who drives, what is refused, who may leave when.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;

use pgpoll_capi::*;

use crate::session::{Session, said};

/// A group that is closed at the end.
struct Members(*mut ConnGroup);

impl Members {
    fn open() -> Members {
        // SAFETY: takes nothing.
        let group = unsafe { conn_group_open() };
        assert!(!group.is_null());
        Members(group)
    }

    fn add(&self, session: &Session, data: usize) -> i32 {
        let data = ptr::without_provenance_mut::<c_void>(data);
        // SAFETY: both are open.
        unsafe { conn_group_add(self.0, session.0, data) }
    }

    fn poll(&self) -> u32 {
        // SAFETY: the group is open.
        unsafe { conn_group_poll(self.0) }
    }

    fn wait(&self, what: i32) -> u32 {
        // SAFETY: the group is open.
        unsafe { conn_group_wait(self.0, what, 60_000) }
    }

    fn pending(&self) -> usize {
        // SAFETY: the group is open.
        unsafe { conn_group_pending(self.0) }
    }

    /// The next ready member: its data and bits.
    fn ready(&self) -> Option<(usize, u32)> {
        let mut ready = MaybeUninit::<ConnReady>::uninit();
        // SAFETY: the group is open, and `ready` is filled when the call returns 1.
        unsafe {
            match conn_group_get_ready(self.0, ready.as_mut_ptr()) {
                0 => None,
                _ => Some((ready.assume_init().data.addr(), ready.assume_init().bits)),
            }
        }
    }

    /// The next failure: its data and operation.
    fn failed(&self) -> Option<(usize, u64)> {
        let mut ready = MaybeUninit::<ConnReady>::uninit();
        // SAFETY: as above.
        unsafe {
            match conn_group_get_failed(self.0, ready.as_mut_ptr()) {
                0 => None,
                _ => Some((
                    ready.assume_init().data.addr(),
                    ready.assume_init().operation,
                )),
            }
        }
    }

    fn state(&self) -> ConnGroupState {
        let mut state = MaybeUninit::uninit();
        // SAFETY: the group is open, and `state` is filled when the call returns 1.
        unsafe {
            assert_eq!(conn_group_state(self.0, state.as_mut_ptr()), 1);
            state.assume_init()
        }
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        // SAFETY: the last use.
        unsafe { conn_group_close(self.0) };
    }
}

/// This thread's last refusal begins with these words.
#[track_caller]
fn refused(words: &str) {
    let (kind, message) = said(ptr::null()).unwrap();
    assert_eq!(kind, CONN_ERROR_MISUSE);
    assert!(message.starts_with(words), "{message}");
}

#[test]
fn a_group_drives_its_members() {
    let group = Members::open();
    let sessions: Vec<_> = (0..10)
        .map(|_| Session::begin(&testkit::shared().conninfo_tcp()))
        .collect();
    for (number, session) in sessions.iter().enumerate() {
        assert_eq!(group.add(session, number), 1);
    }
    assert_eq!(group.pending(), 10);
    // SAFETY: the group is open.
    assert_eq!(unsafe { conn_group_deadline_ms(group.0) }, 0, "poll first");
    assert_ne!(group.wait(CONN_WAIT_ALL) & CONN_IDLE, 0);
    let mut told: Vec<_> = std::iter::from_fn(|| group.ready()).collect();
    told.sort_unstable();
    let all: Vec<_> = (0..10).map(|number| (number, CONN_IDLE)).collect();
    assert_eq!(told, all);
    group.poll();
    // SAFETY: the group and its members are open.
    unsafe {
        assert_eq!(conn_group_deadline_ms(group.0), -1);
        let operation = sessions[3].start("select 3 as n");
        assert_eq!(conn_group_deadline_ms(group.0), 0, "a member was used");
        assert_eq!(group.pending(), 1);
        assert_eq!(group.wait(CONN_WAIT_ANY) & CONN_FAILED, 0);
        assert_eq!(conn_group_deadline_ms(group.0), -1);
        assert_eq!(group.ready(), Some((3, CONN_RESULT)));
        assert_eq!(group.ready(), None);
        assert_eq!(sessions[3].try_next().unwrap().words(), "n: 3");
        assert_eq!(sessions[3].try_next().unwrap().operation, operation);
        // What is left there is told again.
        assert_ne!(group.poll() & CONN_RESULT, 0);
        assert_eq!(group.ready(), Some((3, CONN_RESULT)));
        while sessions[3].try_next().is_some() {}
        assert_ne!(group.poll() & CONN_RESULT, 0);
        assert_eq!(group.ready(), Some((3, CONN_IDLE)));
        assert_eq!(group.poll(), CONN_WANT_READ | CONN_IDLE);
        assert_eq!(conn_status(sessions[3].0), CONN_STATUS_READY);
        assert_ne!(conn_socket(sessions[3].0), -1);
    }
    let state = group.state();
    // SAFETY: the group is open.
    assert_eq!(state.socket, unsafe { conn_group_socket(group.0) });
    let counts = (state.members, state.running, state.waiting, state.over);
    assert_eq!((counts, state.deadline_ns), ((10, 0, 0, 0), i64::MAX));
}

#[test]
fn the_first_failure_is_told_with_its_operation() {
    let group = Members::open();
    let sessions: Vec<_> = (0..5).map(|_| Session::open()).collect();
    for (number, session) in sessions.iter().enumerate() {
        group.add(session, number);
        session.start("select pg_sleep(600)");
    }
    // Behind what is never done nothing fails; over another member it does.
    assert_eq!(group.poll() & CONN_FAILED, 0);
    let sixth = Session::open();
    group.add(&sixth, 5);
    let operation = sixth.start("select 1 / 0");
    let bits = group.wait(CONN_WAIT_FIRST_ERROR);
    assert_eq!(bits & (CONN_FAILED | CONN_IDLE), CONN_FAILED);
    assert_eq!(group.failed(), Some((5, operation)));
    assert_eq!(group.failed(), None);
    // A backend that ends is the next one.
    // SAFETY: an open connection.
    let pid = unsafe { conn_backend_pid(sessions[2].0) };
    testkit::shared().psql(&format!("select pg_terminate_backend({pid})"));
    assert_ne!(group.wait(CONN_WAIT_FIRST_ERROR) & CONN_FAILED, 0);
    assert_eq!(group.failed(), Some((2, 1)));
    for session in &sessions {
        // SAFETY: an open connection.
        unsafe { conn_abandon(session.0, 0) };
    }
    assert_ne!(group.wait(CONN_WAIT_ALL) & CONN_IDLE, 0);
    assert_eq!((group.pending(), group.state().over), (0, 1));
}

/// A loop that asks its members in each turn sleeps all the same: only what has to be sent, or read now, keeps it awake.
#[test]
fn asking_is_no_reason_to_poll() {
    let group = Members::open();
    let session = Session::open();
    group.add(&session, 1);
    group.wait(CONN_WAIT_ALL);
    while group.ready().is_some() {}
    group.poll();
    // SAFETY: the group and its member are open.
    unsafe {
        let deadline = || conn_group_deadline_ms(group.0);
        assert_eq!(conn_status(session.0), CONN_STATUS_READY);
        assert!(session.try_next().is_none());
        assert_eq!((group.pending(), deadline()), (0, -1));
        session.start("select 1");
        assert_eq!(deadline(), 0);
        assert_eq!((group.pending(), deadline()), (1, 0));
        group.poll();
        assert_eq!(deadline(), -1);
        conn_abandon(session.0, 0);
        assert_eq!(deadline(), 0);
        group.poll();
        assert!(deadline() != 0, "it has some time to end by itself");
        assert_ne!(group.wait(CONN_WAIT_ALL) & CONN_IDLE, 0);
    }
}

/// Either the group drives a connection or its owner: the other's attempt is refused and says so.
#[test]
fn a_member_is_not_driven_by_its_owner() {
    let group = Members::open();
    let session = Session::open();
    group.add(&session, 1);
    // SAFETY: an open connection.
    unsafe {
        let mut state = MaybeUninit::<ConnState>::uninit();
        for call in 0..4 {
            let refused = match call {
                0 => conn_poll(session.0) == CONN_MISUSE,
                1 => conn_wait(session.0, -1) == CONN_MISUSE,
                2 => conn_poll_state(session.0, state.as_mut_ptr()) == CONN_MISUSE,
                _ => conn_check(session.0) == 0,
            };
            assert!(refused, "{call}");
            let (kind, message) = session.error().unwrap();
            assert_eq!(kind, CONN_ERROR_MISUSE);
            assert!(message.starts_with("the connection is in a group, which drives it"));
        }
        assert_eq!(
            conn_state(session.0, state.as_mut_ptr()),
            1,
            "asking is free"
        );
        group.poll();
        assert_eq!(session.error(), None);
        session.start("select 1");
        assert_ne!(group.wait(CONN_WAIT_ALL) & CONN_IDLE, 0);
        assert_eq!(session.try_next().unwrap().kind, CONN_ITEM_ROWS);

        assert_eq!(conn_group_remove(group.0, session.0), 1);
        assert_ne!(conn_poll(session.0) & CONN_SOCKET_CHANGED, 0);
        while session.try_next().is_some() {}
        assert_eq!(session.query("select 2 as n")[0], "n: 2");
        assert_eq!(conn_check(session.0), 1);
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (group, other) = (Members::open(), Members::open());
    let session = Session::open();
    let null: *mut ConnGroup = ptr::null_mut();
    let mut state = MaybeUninit::<ConnGroupState>::uninit();
    // SAFETY: what is not NULL is open.
    unsafe {
        let all: [(&str, bool); 9] = [
            ("poll", conn_group_poll(null) == CONN_MISUSE),
            (
                "wait",
                conn_group_wait(null, CONN_WAIT_ANY, -1) == CONN_MISUSE,
            ),
            ("add", conn_group_add(null, session.0, ptr::null_mut()) == 0),
            ("remove", conn_group_remove(null, session.0) == 0),
            ("ready", conn_group_get_ready(null, ptr::null_mut()) == 0),
            ("failed", conn_group_get_failed(null, ptr::null_mut()) == 0),
            ("pending", conn_group_pending(null) == 0),
            ("state", conn_group_state(null, state.as_mut_ptr()) == 0),
            (
                "asking",
                conn_group_socket(null) == -1 && conn_group_deadline_ms(null) == -1,
            ),
        ];
        for (call, is_refused) in all {
            assert!(is_refused, "{call}");
        }
        refused("the group is NULL: pass what conn_group_open returned");
        conn_group_close(null);

        assert_eq!(conn_group_get_ready(group.0, ptr::null_mut()), 0);
        refused("ready is NULL");
        assert_eq!(conn_group_get_failed(group.0, ptr::null_mut()), 0);
        refused("ready is NULL");
        assert_eq!(conn_group_state(group.0, ptr::null_mut()), 0);
        refused("state is NULL");
        assert_eq!(conn_group_wait(group.0, 0, -1), CONN_MISUSE);
        refused("what is none of CONN_WAIT_ANY");
        assert_eq!(conn_group_add(group.0, ptr::null_mut(), ptr::null_mut()), 0);
        refused("the connection is NULL");
        assert_eq!(conn_group_remove(group.0, ptr::null_mut()), 0);
        refused("the connection is NULL");

        assert_eq!(conn_group_remove(group.0, session.0), 0);
        refused("the connection is no member of this group");
        assert_eq!(group.add(&session, 1), 1);
        for again in [&group, &other] {
            assert_eq!(again.add(&session, 2), 0);
            refused("the connection is in a group already");
        }
        assert_eq!(conn_group_remove(other.0, session.0), 0);
        refused("the connection is no member of this group");
        assert_eq!((group.state().members, other.state().members), (1, 0));

        let stream = Session(conn_open_stream(c"user=x sslmode=disable".as_ptr()));
        assert_eq!(group.add(&stream, 3), 0);
        refused("the connection has no descriptor");
        assert_eq!(group.state().members, 1);
        assert_eq!(group.wait(CONN_WAIT_ALL) & CONN_MISUSE, 0, "it lives");
    }
}

/// Whoever is closed leaves: a member its group, the group its members.
#[test]
fn closing_either_leaves_the_other_whole() {
    let group = Members::open();
    let mut sessions: Vec<_> = (0..6).map(|_| Session::open()).collect();
    for (number, session) in sessions.iter().enumerate() {
        group.add(session, number);
        session.start("select 1");
    }
    group.poll();
    // In the middle of its operation, and while it is told of.
    drop(sessions.remove(1));
    assert_eq!(group.state().members, 5);
    assert_ne!(group.wait(CONN_WAIT_ALL) & CONN_RESULT, 0);
    drop(sessions.remove(0));
    let mut told: Vec<_> = std::iter::from_fn(|| group.ready()).collect();
    told.sort_unstable();
    let rest: Vec<_> = (2..6).map(|number| (number, CONN_RESULT)).collect();
    assert_eq!(told, rest);
    drop(sessions.remove(0));
    group.poll();
    assert_eq!(group.state().members, 3);
    drop(group);
    for session in &sessions {
        // SAFETY: an open connection.
        let bits = unsafe { conn_poll(session.0) };
        assert_ne!(bits & CONN_SOCKET_CHANGED, 0);
        while session.try_next().is_some() {}
        assert_eq!(session.query("select 2 as n")[0], "n: 2");
    }
}

/// A member that is reset by its owner goes on in its group, with another descriptor.
#[test]
fn a_member_may_be_reset() {
    let group = Members::open();
    let session = Session::open();
    group.add(&session, 1);
    group.poll();
    for _ in 0..3 {
        // SAFETY: an open connection.
        unsafe { conn_reset(session.0) };
        assert_eq!(group.pending(), 1, "it connects");
        assert_ne!(group.wait(CONN_WAIT_ALL) & CONN_IDLE, 0);
        session.start("select 1");
        assert_ne!(group.wait(CONN_WAIT_ALL) & CONN_IDLE, 0);
        assert_eq!(session.try_next().unwrap().kind, CONN_ITEM_ROWS);
        while session.try_next().is_some() {}
    }
}

#[test]
fn a_member_costs_its_group_few_bytes() {
    const MEMBERS: usize = 200;
    let sessions: Vec<_> = (0..MEMBERS)
        .map(|_| Session::begin("host=/nowhere"))
        .collect();
    let before = testkit::alloc::thread().held;
    let group = Members::open();
    for (number, session) in sessions.iter().enumerate() {
        assert_eq!(group.add(session, number), 1);
    }
    let each = (testkit::alloc::thread().held - before) as usize / MEMBERS;
    assert!(each <= 400, "{each} bytes");
    drop(group);
    assert_eq!(testkit::alloc::thread().held, before);
}

/// A COPY waits for its owner: `CONN_WAIT_ALL` does not wait for itself.
#[test]
fn a_copy_goes_on_when_its_owner_does() {
    let group = Members::open();
    let session = Session::open();
    session.query("create temp table copied (n int)");
    group.add(&session, 1);
    // SAFETY: an open connection, and data that is there.
    unsafe {
        let sql = c"copy copied from stdin";
        assert_ne!(conn_start_copy(session.0, sql.as_ptr()), 0);
        assert_ne!(group.wait(CONN_WAIT_ALL) & CONN_IDLE, 0);
        assert_eq!(session.try_next().unwrap().kind, CONN_ITEM_COPY);
        assert_eq!(group.state().waiting, 1);
        assert_eq!(conn_copy_put(session.0, c"7\n".as_ptr().cast(), 2), 1);
        assert_ne!(group.wait(CONN_WAIT_ALL) & CONN_IDLE, 0);
        assert_eq!(group.pending(), 1, "more may be put");
        assert_eq!(conn_copy_end(session.0, ptr::null()), 1);
        assert_ne!(group.wait(CONN_WAIT_ALL) & CONN_IDLE, 0);
        assert_eq!(group.pending(), 0);
        assert_eq!(session.try_next().unwrap().words(), "COPY 1 1");
    }
}

/// Room in a send queue that was full is told once, whatever happens to be looked at before it is told.
#[test]
fn room_is_told_of() {
    let group = Members::open();
    let session = Session::open();
    session.query("create temp table copied (n text)");
    group.add(&session, 1);
    // SAFETY: an open connection, and data that is there.
    unsafe {
        conn_start_copy(session.0, c"copy copied from stdin".as_ptr());
        group.wait(CONN_WAIT_ALL);
        while session.try_next().is_some() {}
        let row = [vec![b'x'; 100_000], vec![b'\n']].concat();
        let put = || conn_copy_put(session.0, row.as_ptr().cast(), row.len());
        while put() == 1 {}
        assert_eq!(group.state().waiting, 0, "it waits for the server now");
        assert_ne!(group.wait(CONN_WAIT_ALL) & CONN_IDLE, 0);
        group.pending();
        let told: Vec<_> = std::iter::from_fn(|| group.ready()).collect();
        assert_eq!(told.len(), 1);
        assert_ne!(told[0].1 & CONN_ROOM, 0);
        group.poll();
        assert_eq!(group.ready(), None);
        assert_eq!(put(), 1);
        conn_copy_end(session.0, ptr::null());
        assert_ne!(group.wait(CONN_WAIT_ALL) & CONN_IDLE, 0);
    }
}
