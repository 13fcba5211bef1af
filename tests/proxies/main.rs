//! Connections through PgBouncer, whose answers are not always those of a server. Knows only the Rust API.
#![allow(clippy::unwrap_used, clippy::panic)]

mod cancelling;
mod pooled;
#[path = "../live/session.rs"]
#[allow(dead_code)] // what only the other program needs
mod session;
mod tls;
mod words;

use std::sync::OnceLock;

use session::Session;
use testkit::{Bouncer, BouncerOptions, Cluster, ClusterOptions};

/// The password of `user_scram`.
const PASSWORD: &str = "open \"se'same";
/// The same as a conninfo string has it.
const QUOTED: &str = r#"'open "se\'same'"#;

/// The error of an operation that may take 200 ms.
const LATE: &str =
    "transport: timeout expired: query not done within 200 ms; it is being cancelled";

/// A server and a PgBouncer of each pool mode before it; empty where there is no PgBouncer.
struct World {
    cluster: Cluster,
    bouncers: Vec<(&'static str, Bouncer)>,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let password = PASSWORD.replace('\'', "''");
        let cluster = Cluster::start(
            ClusterOptions::new()
                .method("user_scram", "scram-sha-256")
                .method("all", "trust")
                .setup(&format!(
                    "create role user_scram login password '{password}'"
                )),
        );
        let bouncers = ["session", "transaction"].into_iter().filter_map(|mode| {
            let bouncer = Bouncer::start(&cluster, &options().setting("pool_mode", mode))?;
            Some((mode, bouncer))
        });
        let bouncers = bouncers.collect();
        World { cluster, bouncers }
    })
}

/// Asks for passwords; one can connect as `postgres` and as `user_scram` with [`PASSWORD`].
fn options() -> BouncerOptions {
    let options = BouncerOptions::new()
        .user("postgres", PASSWORD)
        .user("user_scram", PASSWORD)
        .setting("auth_type", "scram-sha-256")
        .setting("default_pool_size", "5");
    match testkit::bouncer::version() {
        Some(version) if version >= (1, 21) => options.setting("max_prepared_statements", "100"),
        _ => options,
    }
}

/// How `postgres` connects through a bouncer.
fn conninfo(bouncer: &Bouncer) -> String {
    format!("{} password={QUOTED}", bouncer.conninfo_as("postgres"))
}

/// Waits until the server is at work on the statement with this mark.
fn until_busy(session: &mut Session, mark: &str) {
    session.conn.poll();
    world().cluster.psql(&format!(
        "do $$ begin while not exists (select from pg_stat_activity where query like '%{mark}' and state = 'active' and pid <> pg_backend_pid()) \
         loop perform pg_sleep(0.01); perform pg_stat_clear_snapshot(); end loop; end $$"
    ));
}
