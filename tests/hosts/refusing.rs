//! Servers that are there and let nobody in: starting up, shutting down. The next host is asked.

use std::process::Command;

use testkit::{Cluster, ClusterOptions};

use crate::session::{OK, Session};
use crate::{at, on_ports};

fn refused(primary: &Cluster, other: &Cluster, said: &str) {
    let Err(error) = Session::try_open(&primary.conninfo_tcp()) else {
        panic!("it lets us in");
    };
    assert_eq!(error.sqlstate(), Some(&b"57P03"[..]), "{error}");
    assert!(error.is_safe_to_retry());
    assert!(
        error
            .message()
            .starts_with(&format!("{}FATAL:  {said}", at(primary.port()))),
        "{error}"
    );
    let mut session = Session::open(&on_ports(&[primary.port(), other.port()]));
    assert_eq!(session.conn.facts().host(), 1);
    assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
}

#[test]
fn a_server_that_shuts_down_or_recovers_is_passed_by() {
    let server = Cluster::start(ClusterOptions::new());
    let cold = ClusterOptions::new().setting("hot_standby", "off");
    if let Some(standby) = server.standby(&cold) {
        let says = match server.server().major {
            14.. => "the database system is not accepting connections",
            _ => "the database system is starting up",
        };
        refused(&standby, &server, says);
    }
    let other = Cluster::start(ClusterOptions::new());
    let mut session = Session::open(&server.conninfo());
    // Smart: whoever is inside may stay.
    let lock = std::fs::read_to_string(server.data_dir().join("postmaster.pid")).unwrap();
    let kill = format!("kill -TERM {}", lock.lines().next().unwrap());
    assert!(
        Command::new("/bin/sh")
            .args(["-c", &kill])
            .status()
            .unwrap()
            .success()
    );
    while Session::try_open(&server.conninfo_tcp()).is_ok() {
        session.sleep();
    }
    refused(&server, &other, "the database system is shutting down");
    assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
}
