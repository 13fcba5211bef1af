//! Groups of connections: thousands behind one descriptor, against a server in the same process and against real ones. One program, because
//! it takes more descriptors than others.
#![allow(clippy::unwrap_used, clippy::panic)]

mod crowd;
mod fair;
mod live;
mod server;
mod traps;
mod waits;

use std::collections::BTreeMap;

use pgpoll::conn::group::{Group, Key};
use pgpoll::conn::{Connection, Readiness};
use pgpoll::engine::{Outcome, Reply};

use server::{CONNINFO, Server};

#[global_allocator]
static COUNTING: testkit::Counting = testkit::Counting;

/// A connection and its number at the server.
pub(crate) type Client = (Connection, usize);

/// Both ends in one thread: whoever is asked for a step makes one, and nothing waits.
pub(crate) struct Stage {
    pub(crate) group: Group<Client>,
    pub(crate) server: Server,
    pub(crate) keys: Vec<Key>,
}

impl Stage {
    /// So many members, connected, and nothing to be told of them.
    pub(crate) fn up(members: usize) -> Stage {
        let mut stage = Stage::begun(members);
        stage.run();
        assert!(stage.group.poll().is_idle());
        stage
    }

    /// So many members that have not begun to connect.
    pub(crate) fn begun(members: usize) -> Stage {
        let mut stage = Stage {
            group: Group::new().unwrap(),
            server: Server::new(7),
            keys: Vec::new(),
        };
        for _ in 0..members {
            stage.join();
        }
        stage
    }

    pub(crate) fn join(&mut self) -> Key {
        let number = self.keys.len();
        let connection = Connection::open_fd(self.server.connect(), CONNINFO);
        let key = self
            .group
            .add((connection, number))
            .map_err(|(error, _)| error);
        let key = key.unwrap();
        self.keys.push(key);
        key
    }

    pub(crate) fn start(&mut self, member: usize, sql: &str) -> u64 {
        let (connection, _) = self.group.get_mut(self.keys[member]).unwrap();
        connection.start_query(sql).unwrap()
    }

    /// Polls and serves until nothing is under way and nothing is to be told; what was told of whom, in words.
    pub(crate) fn run(&mut self) -> BTreeMap<usize, Vec<String>> {
        let mut told: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        loop {
            let ready = self.group.poll();
            while let Some((number, words)) = self.take() {
                told.entry(number).or_default().extend(words);
            }
            let served = self.server.step();
            let more = ready.has(Readiness::RUNNABLE | Readiness::RESULT);
            if !served && !more && self.group.deadline_ns().is_none() {
                return told;
            }
        }
    }

    /// What there is of the next ready member.
    pub(crate) fn take(&mut self) -> Option<(usize, Vec<String>)> {
        let found = self.group.ready()?;
        let (connection, number) = self.group.get_mut(found.key).unwrap();
        let mut words = take_all(connection);
        if found.ready.is_idle() {
            words.push("idle".into());
        }
        if found.ready.is_failed() {
            words.push("over".into());
        }
        Some((*number, words))
    }
}

/// All that a connection has, in words: values, errors, the outcome of each operation, notifications.
pub(crate) fn take_all(connection: &mut Connection) -> Vec<String> {
    let mut words = Vec::new();
    while let Some(item) = connection.take() {
        match item.reply {
            Reply::Rows(batch) => words.push(match batch.value(0, 0) {
                Some(value) if value.len() < 100 => String::from_utf8_lossy(value).into_owned(),
                _ => format!("{} rows", batch.rows()),
            }),
            Reply::Error(error) => words.push(error.message().to_owned()),
            Reply::Done(done) if done.outcome != Outcome::Ok => {
                words.push(format!("{:?}", done.outcome));
            }
            _ => {}
        }
    }
    while let Some(notification) = connection.take_notification() {
        words.push(format!(
            "notified of {}",
            String::from_utf8_lossy(notification.payload())
        ));
    }
    words
}

/// As many descriptors as the system allows; how many members there can be, each with two ends.
pub(crate) fn allow_members(wanted: usize) -> usize {
    // SAFETY: all zeroes is a value of rlimit; the calls read and write it alone.
    let allowed = unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit), 0);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit), 0);
        usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
    };
    let possible = allowed.saturating_sub(500) / 2;
    if possible < wanted {
        testkit::say!(
            "only {possible} of {wanted} members: this system allows {allowed} descriptors"
        );
    }
    wanted.min(possible)
}
