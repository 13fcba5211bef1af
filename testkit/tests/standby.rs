//! A standby follows, can be read, and is a primary once it is promoted; a PgBouncer lets in whom it should.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use testkit::{Bouncer, BouncerOptions, Cluster, ClusterOptions};

#[test]
fn a_standby_follows_and_is_promoted() {
    let primary = Cluster::start(ClusterOptions::new().setting("work_mem", "1234kB"));
    let Some(standby) = primary.standby(&ClusterOptions::new()) else {
        return;
    };
    assert_ne!(standby.port(), primary.port());
    assert_eq!(standby.psql("show work_mem"), "1234kB");
    primary.psql("create table t as select 42 as x");
    standby.catch_up(&primary);
    assert_eq!(standby.psql("select x, pg_is_in_recovery() from t"), "42|t");
    assert!(standby.try_psql("insert into t values (1)").is_err());
    primary.crash();
    standby.promote();
    standby.psql("insert into t values (43)");
    assert_eq!(standby.psql("select sum(x) from t"), "85");
    standby.restart();
    assert_eq!(standby.psql("select sum(x) from t"), "85");
}

#[test]
fn a_standby_that_lets_nobody_in() {
    let primary = Cluster::start(ClusterOptions::new());
    let cold = ClusterOptions::new().setting("hot_standby", "off");
    let Some(standby) = primary.standby(&cold) else {
        return;
    };
    let error = standby.try_psql("select 1").unwrap_err();
    assert!(error.contains("Hot standby mode is disabled"), "{error}");
}

#[test]
fn a_bouncer_asks_for_passwords_and_vanishes() {
    let cluster = Cluster::start(
        ClusterOptions::new()
            .method("all", "scram-sha-256")
            .superuser_password("it's \"secret\""),
    );
    let options = BouncerOptions::new()
        .user("postgres", "it's \"secret\"")
        .setting("auth_type", "scram-sha-256")
        .setting("pool_mode", "transaction");
    let Some(bouncer) = Bouncer::start(&cluster, &options) else {
        return;
    };
    assert!(bouncer.version() > (1, 0));
    let says = |place: &str, password: &str| {
        let conninfo = format!(
            "{place} port={} user=postgres dbname=postgres",
            bouncer.port()
        );
        let said = Command::new(cluster.server().program("psql"))
            .args(["-X", "-A", "-t", "-w", "-c", "select 42", &conninfo])
            .env("PGPASSWORD", password)
            .output()
            .unwrap();
        String::from_utf8(said.stdout).unwrap()
    };
    let socket = format!("host={}", bouncer.socket_dir().display());
    for place in ["host=127.0.0.1", &socket] {
        assert_eq!(says(place, "it's \"secret\""), "42\n", "{}", bouncer.log());
        assert_eq!(says(place, "wrong"), "");
    }
    let folder = bouncer.socket_dir().to_owned();
    drop(bouncer);
    assert!(!folder.exists());
}
