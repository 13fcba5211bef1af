//! Where C enters a group, and how a connection and its group know each other. Knows nothing of what groups do.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

use pgpoll::conn::Connection;
use pgpoll::conn::group::{Group, Key, Member, Turn};

use super::{Handle, Inner, NO_DEADLINE};
use crate::drive::CONN_WANT_READ;
use crate::error;
use crate::group::ConnGroup;
use crate::open::Conn;

/// What a [`ConnGroup`] is: the group behind the flag that lets one caller in, and what everyone may touch at any time.
#[derive(Debug)]
pub(crate) struct Hall {
    /// A caller is inside.
    busy: AtomicBool,
    socket: AtomicI32,
    deadline: AtomicU64,
    bell: Bell,
    inner: UnsafeCell<Room>,
}

#[derive(Debug)]
struct Room {
    members: Group<Joined>,
    /// It panicked: nothing but closing it is possible.
    is_broken: bool,
}

/// Members ring it when they are used, so that the group polls them next time, and no others.
#[derive(Debug, Default)]
struct Bell {
    rung: AtomicBool,
    /// Who rang; there is room for every member, each once.
    keys: Mutex<Vec<Key>>,
    /// Somebody of them must not be kept waiting: who was only asked may be.
    pressing: AtomicBool,
    /// Somebody could not be noted down because the list was being read: it may have been anyone.
    missed: AtomicBool,
}

/// What a connection knows of its group.
#[derive(Debug)]
pub(crate) struct Joining {
    /// Alive while this is there.
    pub group: *const ConnGroup,
    pub key: Key,
}

/// What a group knows of a connection.
#[derive(Debug)]
pub(crate) struct Joined {
    /// Open while it is a member: closing it takes it out.
    conn: *mut Conn,
    data: *mut c_void,
}

impl Joined {
    pub(crate) fn new(conn: *mut Conn, data: *mut c_void) -> Joined {
        Joined { conn, data }
    }

    pub(crate) fn conn(&self) -> *mut Conn {
        self.conn
    }

    pub(crate) fn data(&self) -> *mut c_void {
        self.data
    }

    fn handle(&self) -> &Handle {
        // SAFETY: a member is open, and only ever shared.
        unsafe { &(*self.conn).handle }
    }
}

impl Member for Joined {
    fn turn(&mut self, mut work: impl FnMut(&mut Connection) -> Turn) -> Option<Turn> {
        let handle = self.handle();
        let mut entered = handle.enter()?;
        let inner = entered.inner();
        let turn = match catch_unwind(AssertUnwindSafe(|| work(&mut inner.connection))) {
            Ok(turn) => turn,
            Err(_) => {
                inner.poison();
                work(&mut inner.connection)
            }
        };
        if let Some(ready) = turn.polled() {
            inner.bits = ready.bits();
            inner.refused = None;
            handle.publish(&inner.connection);
        }
        Some(turn)
    }
}

impl Inner {
    /// Whether the connection may join a group; if not, this thread's `conn_error(NULL)` says why.
    pub(crate) fn joins_freely(&self) -> bool {
        if self.joining.is_some() {
            error::refuse_outside(
                "the connection is in a group already: conn_group_remove takes it out",
            );
        }
        self.joining.is_none()
    }

    /// Goes on if it is the owner who drives the connection.
    #[inline]
    pub(crate) fn is_not_in_group(&mut self) -> Option<()> {
        match self.joining {
            None => Some(()),
            Some(_) => self.misuse(
                "the connection is in a group, which drives it: conn_group_poll or conn_group_wait, or take it out with \
                 conn_group_remove",
            ),
        }
    }

    /// Leaves the group, if it is in one, because it is being closed; false when that cannot be now.
    pub(crate) fn leave_group(&mut self) -> bool {
        let Some(joining) = &self.joining else {
            return true;
        };
        let key = joining.key;
        // SAFETY: the group is alive while it has members.
        let left = unsafe {
            within(joining.group, false, |members| {
                members.remove(key);
                Some(true)
            })
        };
        if left {
            self.joining = None;
        }
        left
    }
}

impl Handle {
    /// Tells the group that the connection was used. Called by whoever is inside.
    #[cold]
    pub(super) fn ring(&self, inner: &Inner) {
        let Some(joining) = &inner.joining else {
            return;
        };
        // SAFETY: the group is alive while it has members, and its bell is only ever shared.
        let bell = unsafe { &(*joining.group).hall.bell };
        if !self.rung.swap(true, Ordering::AcqRel) {
            bell.ring(joining.key);
        }
        if inner
            .connection
            .wants_poll(inner.bits & CONN_WANT_READ != 0)
        {
            bell.press();
        }
    }

    pub(crate) fn unring(&self) {
        self.rung.store(false, Ordering::Release);
    }
}

impl Bell {
    fn ring(&self, key: Key) {
        // Never waits: in a forked child the lock may be held by a thread that is not there.
        match self.keys.try_lock() {
            Ok(mut keys) if keys.len() < keys.capacity() => keys.push(key),
            _ => self.missed.store(true, Ordering::Release),
        }
        self.rung.store(true, Ordering::Release);
    }

    fn press(&self) {
        self.pressing.store(true, Ordering::Release);
    }

    /// Tells the group who rang.
    #[inline]
    fn answer(&self, members: &mut Group<Joined>) {
        if self.rung.swap(false, Ordering::AcqRel) {
            self.tell(members);
        }
        if self.pressing.load(Ordering::Acquire) {
            self.pressing.store(false, Ordering::Release);
            members.press();
        }
    }

    fn tell(&self, members: &mut Group<Joined>) {
        let touch = |members: &mut Group<Joined>, key| {
            if let Some(member) = members.get(key) {
                member.handle().unring();
                members.touch(key);
            }
        };
        match self.keys.try_lock() {
            Ok(mut keys) => keys.drain(..).for_each(|key| touch(members, key)),
            Err(_) => self.rung.store(true, Ordering::Release),
        }
        if self.missed.swap(false, Ordering::AcqRel) {
            let mut next = members.first_key();
            while let Some(key) = next {
                touch(members, key);
                next = members.key_after(key);
            }
        }
    }
}

impl Hall {
    pub(crate) fn new(members: Group<Joined>) -> Hall {
        Hall {
            busy: AtomicBool::new(false),
            socket: AtomicI32::new(members.socket()),
            deadline: AtomicU64::new(NO_DEADLINE),
            bell: Bell::default(),
            inner: UnsafeCell::new(Room {
                members,
                is_broken: false,
            }),
        }
    }

    pub(crate) fn socket(&self) -> c_int {
        self.socket.load(Ordering::Relaxed)
    }

    /// Nanoseconds of CLOCK_MONOTONIC: 0 when a member has to be polled because it was used.
    pub(crate) fn deadline(&self) -> u64 {
        if self.bell.pressing.load(Ordering::Acquire) {
            return 0;
        }
        self.deadline.load(Ordering::Relaxed)
    }

    /// Sees to it that ringing needs no memory; false if there is none.
    pub(crate) fn make_room(&self, members: usize) -> bool {
        let Ok(mut keys) = self.bell.keys.try_lock() else {
            return true; // being rung now: then it is missed at worst
        };
        let more = members.saturating_sub(keys.len());
        let has_room = keys.try_reserve(more).is_ok();
        if !has_room {
            error::refuse_outside("out of memory: the group has no room for another connection");
        }
        has_room
    }

    /// Lets all members go; false when somebody is inside the group or a member.
    pub(crate) fn release_all(&self) -> bool {
        let Some(room) = self.enter() else {
            return false;
        };
        let released = catch_unwind(AssertUnwindSafe(|| {
            let mut next = room.members.first_key();
            while let Some(key) = next {
                next = room.members.key_after(key);
                let Some(member) = room.members.get(key) else {
                    continue;
                };
                let conn = member.conn;
                // SAFETY: a member is open.
                let handle = unsafe { &(*conn).handle };
                let Some(mut entered) = handle.enter() else {
                    error::refuse_outside(
                        "another call is inside a connection of this group: close the group when it has returned",
                    );
                    return false;
                };
                let inner = entered.inner();
                room.members.remove(key);
                inner.joining = None;
                inner.connection.forget_told();
                handle.unring();
            }
            true
        }));
        self.busy.store(false, Ordering::Release);
        released.unwrap_or(false)
    }

    #[allow(clippy::mut_from_ref)] // the flag sees to it that there is one at a time
    fn enter(&self) -> Option<&mut Room> {
        if self.busy.swap(true, Ordering::Acquire) {
            error::refuse_outside(
                "another call is inside this group: one call at a time, from whichever thread",
            );
            return None;
        }
        // SAFETY: `busy` was false and is true now, so nobody else is here.
        Some(unsafe { &mut *self.inner.get() })
    }
}

/// Works on a group: as [`inside`](super::inside) does on a connection.
///
/// # Safety
/// `group` is NULL, or was returned by `conn_group_open` and not closed.
pub(crate) unsafe fn within<T>(
    group: *const ConnGroup,
    fallback: T,
    work: impl FnOnce(&mut Group<Joined>) -> Option<T>,
) -> T {
    // SAFETY: the caller's promise; a group is only ever shared.
    let Some(group) = (unsafe { group.as_ref() }) else {
        error::refuse_outside("the group is NULL: pass what conn_group_open returned");
        return fallback;
    };
    let hall = &group.hall;
    let Some(room) = hall.enter() else {
        return fallback;
    };
    let result = if room.is_broken {
        error::refuse_outside("internal error: the library panicked in this group; close it");
        None
    } else {
        work_in(room, hall, work)
    };
    hall.busy.store(false, Ordering::Release);
    result.unwrap_or(fallback)
}

fn work_in<T>(
    room: &mut Room,
    hall: &Hall,
    work: impl FnOnce(&mut Group<Joined>) -> Option<T>,
) -> Option<T> {
    let members = &mut room.members;
    let result = catch_unwind(AssertUnwindSafe(|| {
        hall.bell.answer(members);
        let result = work(members);
        let deadline = members.deadline_ns().unwrap_or(NO_DEADLINE);
        hall.deadline.store(deadline, Ordering::Relaxed);
        result
    }));
    room.is_broken = result.is_err();
    result.unwrap_or(None)
}
