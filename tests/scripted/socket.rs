//! The same sessions over real sockets: the connection with its net gives what the engine gives in memory.

use std::time::Duration;

use pgpoll::conn::Connection;
use pgpoll::engine::{End, Item, Reply};
use testkit::script::{Scripted, sessions};
use testkit::sim::{Act, Server, Session, shown};

use super::whole;

/// Waits, takes what is there; false once the connection is over.
fn take(connection: &mut Connection, items: &mut Vec<Item>) -> bool {
    let ready = connection.wait(Some(Duration::from_secs(30)));
    assert!(ready.is_something(), "asleep: {}", connection.inspect());
    items.extend(std::iter::from_fn(|| connection.take()));
    while connection.copy_get(3).next().is_some() {}
    while connection.take_notice().is_some() {}
    while connection.take_notification().is_some() {}
    !ready.is_failed()
}

fn run(session: &Session, conninfo: &str) -> Vec<String> {
    let mut connection = Connection::open(conninfo);
    let mut items = Vec::new();
    let (mut suspended, mut up) = (0, true);
    while up && !connection.facts().is_ready() {
        up = take(&mut connection, &mut items);
    }
    for act in &session.acts {
        if !up {
            break;
        }
        let engine = connection.engine_mut();
        match act {
            Act::Start(what) => drop(what.start(engine, End::Sync).unwrap()),
            Act::More(what) => drop(what.start(engine, End::More).unwrap()),
            Act::Limits(limits) => engine.set_limits(*limits),
            Act::Put(data) => {
                while up
                    && !connection.engine().takes_copy_data()
                    && connection.engine().queued() > 0
                {
                    up = take(&mut connection, &mut items);
                }
                if connection.engine().takes_copy_data() {
                    connection.copy_put(data).unwrap();
                }
            }
            Act::End(error) => {
                while up
                    && !connection.engine().takes_copy_data()
                    && connection.engine().queued() > 0
                {
                    up = take(&mut connection, &mut items);
                }
                if connection.engine().takes_copy_data() {
                    let error = error.as_ref().map(String::as_bytes);
                    connection.copy_end(error).unwrap();
                }
            }
            Act::Got(_) => {}
            Act::Wait => {
                while up && (connection.engine().queued() > 0 || connection.engine().has_item()) {
                    up = take(&mut connection, &mut items);
                }
            }
            Act::Continue(rows) => {
                let is_suspended = |item: &&Item| matches!(item.reply, Reply::Suspended);
                while up && items.iter().filter(is_suspended).count() <= suspended {
                    up = take(&mut connection, &mut items);
                }
                suspended += 1;
                connection.engine_mut().continue_portal(*rows).unwrap();
            }
        }
    }
    items.iter().map(shown).collect()
}

/// The sessions of one server that is found at the given address.
fn replay(start: impl Fn(&testkit::script::Script) -> Scripted) -> usize {
    let mut cases = 0;
    for session in sessions::all() {
        let [Server::Plays(script)] = &session.servers[..] else {
            continue;
        };
        // Of a real file larger pieces are read than of the one in memory.
        if session.acts.iter().any(Act::moves_file) {
            continue;
        }
        let server = start(script);
        let more = session.conninfo.split_whitespace();
        let more: Vec<&str> = more
            .filter(|option| option.starts_with("max_protocol"))
            .collect();
        let seen = run(
            &session,
            &format!("{} {}", server.conninfo(), more.join(" ")),
        );
        server.finish();
        assert_eq!(seen, whole(&session).items, "{}", session.name);
        cases += 1;
    }
    cases
}

#[test]
fn every_session_over_tcp() {
    let cases = replay(|script| Scripted::tcp(std::slice::from_ref(script)));
    println!("over TCP: {cases} cases");
}

#[test]
fn every_session_over_a_unix_socket() {
    let cases = replay(|script| Scripted::unix(std::slice::from_ref(script)));
    println!("over a Unix socket: {cases} cases");
}
