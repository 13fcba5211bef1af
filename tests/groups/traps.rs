//! What could go wrong between a group, its members and their owners: joining and leaving at any moment, descriptors that change,
//! forks, edges.

use std::time::Duration;

use pgpoll::conn::group::{Group, WaitFor};
use pgpoll::conn::{Connection, Readiness};
use pgpoll::net::{Many, Wants};
use testkit::process;

use crate::server::CONNINFO;
use crate::{Client, Stage, take_all};

/// Trap 9, a group whose child ends between check and link: members join when their operation is already answered, or their
/// connection already over, and are counted and told all the same.
#[test]
fn trap_9_a_member_that_ended_before_it_was_linked_is_seen() {
    let mut stage = Stage::up(0);
    for ending in ["now 1", "lose"] {
        let mut connection = Connection::open_fd(stage.server.connect(), CONNINFO);
        let number = stage.keys.len();
        while !connection.poll().is_idle() {
            stage.server.step();
        }
        connection.start_query(ending).unwrap();
        connection.poll();
        stage.server.settle();
        // The answer has arrived, or the end: no descriptor will become ready for it once more.
        let key = stage.group.add((connection, number)).unwrap();
        stage.keys.push(key);
        // Counted before it is polled.
        assert_eq!(stage.group.counts().running, stage.keys.len());
    }
    let ready = stage.group.wait(WaitFor::All, None);
    assert!(ready.is_idle() && ready.has_result() && ready.is_failed());
    assert_eq!(stage.group.failure().unwrap().key, stage.keys[1]);
    let told = stage.run();
    assert_eq!(told[&0], ["1", "idle"]);
    assert_eq!(told[&1].last().unwrap(), "over");
}

/// The same with one that has nothing to read any more: the owner has polled it, and the items are there.
#[test]
fn trap_9_a_member_with_finished_items_is_told_of() {
    let mut stage = Stage::up(1);
    stage.start(0, "now 5");
    stage.group.poll();
    stage.server.settle();
    let (mut connection, number) = stage.group.remove(stage.keys[0]).unwrap();
    assert!(connection.poll().has_result());
    stage.keys[0] = stage.group.add((connection, number)).unwrap();
    assert_eq!(stage.run()[&0], ["5", "idle"]);
}

#[test]
fn members_join_and_leave_while_others_are_under_way() {
    let mut stage = Stage::up(100);
    for member in 0..100 {
        stage.start(member, &format!("later {member}"));
    }
    stage.group.poll();
    let mut out = Vec::new();
    for member in (0..100).step_by(3) {
        let old = stage.keys[member];
        let client = stage.group.remove(old).unwrap();
        assert!(stage.group.remove(old).is_none(), "it is out already");
        assert!(stage.group.get_mut(old).is_none());
        out.push((member, old, client));
        stage.server.step();
        stage.group.poll();
    }
    assert_eq!(stage.group.len(), 66);
    let told = stage.run();
    assert_eq!(told.len(), 66);
    for (member, old, client) in out {
        let key = stage.group.add(client).map_err(|(error, _)| error).unwrap();
        assert_ne!(key, old, "no name is given twice");
        stage.keys[member] = key;
    }
    let told = stage.run();
    assert_eq!(told.len(), 34);
    for (member, words) in told {
        assert_eq!(words, [member.to_string(), "idle".into()]);
    }
}

/// Who leaves is told to register the descriptor, and goes on by itself.
#[test]
fn who_leaves_goes_on_alone() {
    let mut stage = Stage::up(2);
    stage.start(1, "later 9");
    stage.group.poll();
    let (mut connection, _) = stage.group.remove(stage.keys[1]).unwrap();
    let ready = connection.poll();
    assert!(ready.has(Readiness::SOCKET_CHANGED) && ready.wants_read());
    stage.server.settle();
    assert!(connection.poll().has_result());
    assert_eq!(take_all(&mut connection), ["9"]);
}

/// A reset by its owner gives a member other descriptors; the group follows, and the old one leaves the set before it is closed.
#[test]
fn a_reset_member_is_followed() {
    let cluster = testkit::shared();
    let mut group = Group::new().unwrap();
    let key = group.add(Connection::open(cluster.conninfo())).unwrap();
    for round in 0..3 {
        let ready = group.wait(WaitFor::All, Some(Duration::from_secs(60)));
        assert!(ready.is_idle());
        let connection = group.get_mut(key).unwrap();
        assert!(connection.facts().is_ready(), "{:?}", connection.error());
        connection.start_query("select 1").unwrap();
        group.wait(WaitFor::All, Some(Duration::from_secs(60)));
        let connection = group.get_mut(key).unwrap();
        assert_eq!(take_all(connection), ["1"], "round {round}");
        connection.reset();
    }
}

/// Notifications come when nothing else does; each arrival is told once, also when earlier ones were left.
#[test]
fn notifications_are_told_when_they_come() {
    let mut stage = Stage::up(10);
    stage.server.notify(4, "one");
    assert_eq!(stage.run()[&4], ["notified of one", "idle"]);
    stage.server.notify(4, "two");
    stage.group.poll();
    let found = stage.group.ready().unwrap();
    assert!(found.ready.has(Readiness::NOTIFY));
    // Left, it is no news, neither for the group nor for a wait.
    for _ in 0..3 {
        assert!(!stage.group.poll().has_result());
    }
    let (connection, _) = stage.group.get_mut(found.key).unwrap();
    assert_eq!(take_all(connection), ["notified of two"]);
    // It was taken, and the next comes before anybody has looked.
    stage.server.notify(4, "three");
    assert_eq!(stage.run()[&4], ["notified of three", "idle"]);
}

/// A group that is itself in an edge-triggered set, and in a level-triggered one: whatever becomes ready between polls is shown by
/// both, and nothing is shown for ever.
#[test]
fn level_and_edge_triggered_loops_see_the_same() {
    let mut stage = Stage::up(20);
    let mut level = Many::new().unwrap();
    let read = Wants {
        read: true,
        write: false,
    };
    let group = stage.group.socket();
    level.change(group, Wants::NOTHING, read, 1).unwrap();
    let mut edge = Edge::new(group);
    let mut is_shown = || {
        level.look();
        let levels = level.ready().count() > 0;
        (levels, edge.is_shown())
    };
    assert!(!is_shown().0);
    for round in 0..50 {
        stage.start(round % 20, "now 1");
        stage.start(7, "now 2");
        stage.group.poll();
        stage.server.settle();
        assert_eq!(is_shown(), (true, true), "round {round}");
        // As a loop does: until it says neither RUNNABLE nor RESULT.
        while stage
            .group
            .poll()
            .has(Readiness::RUNNABLE | Readiness::RESULT)
        {
            while stage.take().is_some() {}
        }
        assert!(!is_shown().0, "round {round}");
    }
    // What is wanted by nobody is not shown: its member's room is full.
    let (connection, _) = stage.group.get_mut(stage.keys[3]).unwrap();
    connection.set_batch(10, 0);
    stage.start(3, "flood");
    let mut shown = 0;
    for _ in 0..200 {
        stage.group.poll();
        stage.server.step();
        shown = if is_shown().0 { shown + 1 } else { 0 };
    }
    assert_eq!(shown, 0, "the descriptor is readable for nothing");
    let counts = stage.group.counts();
    assert_eq!((counts.running, counts.waiting), (0, 1));
    // Its peer goes: still nobody is woken, and when there is room it is seen.
    stage.server.lose(3);
    stage.group.poll();
    assert!(!is_shown().0);
    let told = stage.run();
    assert_eq!(told[&3].last().unwrap(), "over");
}

/// The child of a fork may only free; the parent's set is not changed by that.
#[test]
fn after_a_fork_the_child_frees_and_the_parent_goes_on() {
    let mut stage = Stage::up(30);
    for member in 0..30 {
        stage.start(member, &format!("later {member}"));
    }
    stage.group.poll();
    let Stage {
        group,
        server,
        keys,
    } = stage;
    let mut group = group;
    let status = process::in_child(|| {
        let refused = group.poll().bits() == Readiness::FAILED
            && group.wait(WaitFor::Any, None).bits() == Readiness::FAILED;
        let out = group.remove(keys[3]).is_some();
        let connection = Connection::open_fd(
            std::os::unix::net::UnixStream::pair().unwrap().0.into(),
            CONNINFO,
        );
        let added = group.add((connection, 30)).is_ok();
        drop(std::mem::replace(
            &mut group,
            Group::<Client>::new().unwrap(),
        ));
        refused && out && !added
    });
    assert_eq!(status, 0);
    let mut stage = Stage {
        group,
        server,
        keys,
    };
    let told = stage.run();
    assert_eq!(told.len(), 30);
    for (member, words) in told {
        assert_eq!(words, [member.to_string(), "idle".into()]);
    }
}

/// While a child has copies of all descriptors, what the parent closes leaves the set all the same.
#[test]
fn what_is_closed_while_a_child_has_copies_leaves_the_set() {
    let mut stage = Stage::up(3);
    let pid = {
        // SAFETY: the child sleeps and leaves, nothing else.
        unsafe {
            let pid = libc::fork();
            assert!(pid >= 0);
            if pid == 0 {
                libc::sleep(60);
                libc::_exit(0);
            }
            pid
        }
    };
    drop(stage.group.remove(stage.keys[0]).unwrap());
    stage.server.lose(1);
    stage.run();
    stage.server.settle();
    let mut many = Many::new().unwrap();
    let read = Wants {
        read: true,
        write: false,
    };
    let fd = stage.group.socket();
    many.change(fd, Wants::NOTHING, read, 1).unwrap();
    many.look();
    let shown = many.ready().count();
    // SAFETY: takes integers alone, and a status that is there.
    unsafe {
        libc::kill(pid, libc::SIGKILL);
        libc::waitpid(pid, std::ptr::null_mut(), 0);
    }
    assert_eq!(shown, 0, "it is readable for nothing");
    stage.start(2, "now 2");
    assert_eq!(stage.run()[&2], ["2", "idle"]);
}

#[test]
fn a_connection_without_a_descriptor_is_refused() {
    let mut group = Group::new().unwrap();
    let (error, connection) = group.add(Connection::open_stream(CONNINFO)).unwrap_err();
    assert!(
        error
            .message()
            .starts_with("the connection has no descriptor")
    );
    assert!(connection.is_stream() && group.is_empty());
}

/// An edge-triggered watch of one descriptor, which is what Linux's epoll has and our own does not use.
struct Edge {
    #[cfg(target_os = "linux")]
    set: std::os::fd::OwnedFd,
}

#[cfg(target_os = "linux")]
impl Edge {
    fn new(fd: i32) -> Edge {
        use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
        let mut event = libc::epoll_event {
            events: (libc::EPOLLIN | libc::EPOLLET) as u32,
            u64: 1,
        };
        // SAFETY: the descriptor is new and nobody else's; the call reads the one event.
        let set = unsafe {
            let set = OwnedFd::from_raw_fd(libc::epoll_create1(libc::EPOLL_CLOEXEC));
            let raw = set.as_raw_fd();
            assert_eq!(
                libc::epoll_ctl(raw, libc::EPOLL_CTL_ADD, fd, &raw mut event),
                0
            );
            set
        };
        Edge { set }
    }

    /// Whether there was an edge since it was last asked.
    fn is_shown(&mut self) -> bool {
        use std::os::fd::AsRawFd;
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: at most one event is written, to the one there.
        unsafe { libc::epoll_wait(self.set.as_raw_fd(), &raw mut event, 1, 0) > 0 }
    }
}

#[cfg(not(target_os = "linux"))]
impl Edge {
    fn new(_: i32) -> Edge {
        Edge {}
    }

    fn is_shown(&mut self) -> bool {
        true
    }
}
