//! Hosts, ports and addresses: in which order they are tried, for how long, and what is said when none will do.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use pgpoll::engine::{Engine, Random};
use pgpoll::link::{Addr, Answer, Ask};
use testkit::crowd::Crowd;
use testkit::proxy::{Faults, Proxy};
use testkit::sim::{ROOM, plan};

use crate::session::Session;
use crate::{REFUSED, at, dead_port, hosts, on_ports, pairs};

fn refusal(conninfo: &str) -> String {
    let Err(error) = Session::try_open(conninfo) else {
        panic!("{conninfo}: connected");
    };
    error.message().to_owned()
}

#[test]
fn the_error_names_every_address_in_order() {
    let Some((primary, standby)) = pairs().first() else {
        return;
    };
    let (first, last) = (dead_port(), dead_port());
    let ports = format!(
        "{first},{},{first},{},{last}",
        primary.port(),
        standby.port()
    );
    let said = refusal(&format!(
        "host=127.0.0.1,127.0.0.1,/no/such/folder,127.0.0.1,no-such-name.invalid hostaddr=,,,,127.0.0.9 port={ports} \
         user=reader dbname=postgres target_session_attrs=read-write"
    ));
    let expected = [
        format!("{}{REFUSED}", at(first)),
        format!("{}session is read-only", at(primary.port())),
        format!(
            "connection to server on socket \"/no/such/folder/.s.PGSQL.{first}\" failed: No such file or directory\n\
             \tIs the server running locally and accepting connections on that socket?"
        ),
        format!("{}session is read-only", at(standby.port())),
        // Where an address was given, that is what libpq shows.
        format!("connection to server at \"127.0.0.9\", port {last} failed: {REFUSED}"),
    ];
    assert_eq!(said, expected.join("\n"));
}

#[test]
fn lists_that_do_not_fit_each_other() {
    for (conninfo, text) in [
        (
            "host=a,b hostaddr=127.0.0.1",
            "could not match 2 host names to 1 hostaddr values",
        ),
        (
            "host=a,b,c port=1,2",
            "could not match 2 port numbers to 3 hosts",
        ),
    ] {
        assert_eq!(refusal(conninfo), text);
    }
}

#[test]
fn an_address_is_used_and_the_name_only_shown() {
    for (primary, _) in pairs() {
        let port = primary.port();
        let session = Session::open(&format!(
            "host=no-such-name.invalid,also.invalid hostaddr=127.0.0.9,127.0.0.1 port={port} user=postgres dbname=postgres"
        ));
        assert_eq!(session.conn.facts().host(), 1);
        let expected = SocketAddr::from(([127, 0, 0, 1], port));
        let addr = session.conn.facts().addr().unwrap();
        assert!(matches!(addr, Addr::Tcp(addr) if *addr == expected));
        Session::open(&format!(
            "hostaddr=127.0.0.1 port={port} user=postgres dbname=postgres"
        ));
    }
}

/// An authentication that fails is the end: the same password would be sent to the next one.
#[test]
fn a_server_that_has_spoken_ends_the_search() {
    let Some((primary, standby)) = pairs().first() else {
        return;
    };
    let conninfo = hosts(&[primary, standby]).replace("dbname=postgres", "dbname=missing");
    assert_eq!(
        refusal(&conninfo),
        format!(
            "{}FATAL:  database \"missing\" does not exist",
            at(primary.port())
        )
    );
}

#[test]
fn each_address_has_its_own_time() {
    let Some((primary, _)) = pairs().first() else {
        return;
    };
    let silent = Proxy::start(primary, |_| Faults::silent());
    let deaf = Crowd::new();
    let begun = Instant::now();
    let ports = [deaf.port(), silent.port(), primary.port()];
    let session = Session::open(&format!("{} connect_timeout=2", on_ports(&ports)));
    assert_eq!(session.conn.facts().host(), 2);
    assert_eq!(session.conn.deadline_ns(), None);
    let took = begun.elapsed().as_millis();
    assert!((4000..20_000).contains(&took), "{took} ms");

    let begun = Instant::now();
    let said = refusal(&format!("{} connect_timeout=2", on_ports(&ports[..2])));
    let took = begun.elapsed().as_millis();
    assert!((4000..20_000).contains(&took), "{took} ms");
    let expected = ports[..2].iter().map(|port| at(*port) + "timeout expired");
    assert_eq!(said, expected.collect::<Vec<_>>().join("\n"));
}

/// The limits are more than five standard deviations away.
#[test]
fn load_balancing_takes_each_host_as_often() {
    let Some((primary, _)) = pairs().first() else {
        return;
    };
    let dead = dead_port();
    let ports = on_ports(&[primary.port(), dead, primary.port(), primary.port()]);
    let mut taken = [0; 4];
    for _ in 0..150 {
        let session = Session::open(&format!("{ports} load_balance_hosts=random"));
        taken[session.conn.facts().host()] += 1;
    }
    assert_eq!(taken[1], 0);
    for host in [0, 2, 3] {
        assert!((20..=80).contains(&taken[host]), "{taken:?}");
    }
    let session = Session::open(&format!("{ports} load_balance_hosts=disable"));
    assert_eq!(session.conn.facts().host(), 0);
}

/// The addresses of one name too: all orders of three come.
#[test]
fn load_balancing_takes_each_address_of_a_name_as_often() {
    let address = |last| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), 1);
    let order = |conninfo: &str, seed: u8| {
        let mut engine = Engine::new(plan(conninfo), Random::new([seed; 32]), ROOM);
        let mut dialled = Vec::new();
        engine.advance(1, usize::MAX);
        while let Some((id, ask)) = engine.ask() {
            match ask {
                Ask::Resolve { .. } => {
                    let all = vec![address(1), address(2), address(3)];
                    engine.answer(id, Answer::Resolved(all));
                }
                Ask::Dial { addr, .. } => {
                    let Addr::Tcp(addr) = addr else {
                        panic!("{addr:?}")
                    };
                    dialled.push(addr.ip());
                    let error = pgpoll::link::LinkError {
                        kind: pgpoll::link::LinkErrorKind::Dial,
                        errno: libc::ECONNREFUSED,
                        text: "Connection refused".to_owned(),
                    };
                    engine.answer(id, Answer::Failed(error));
                }
                Ask::Hangup => {}
                other => panic!("{other:?}"),
            }
            engine.advance(1, usize::MAX);
        }
        dialled
    };
    let all = [1, 2, 3].map(|last| address(last).ip());
    assert_eq!(order("host=name user=x", 1), all);
    let mut orders = std::collections::BTreeMap::new();
    for seed in 0..240 {
        let order = order("host=name user=x load_balance_hosts=random", seed);
        *orders.entry(order).or_insert(0) += 1;
    }
    assert_eq!(orders.len(), 6, "{orders:?}");
    assert!(
        orders.values().all(|count| (12..=75).contains(count)),
        "{orders:?}"
    );
}
