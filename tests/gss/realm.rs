//! A KDC, a server that trusts it, and the tickets of the moment. The library reads them where the environment says, so that one test
//! has them at a time.

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use testkit::kerberos::HOST;
use testkit::{Cluster, ClusterOptions, Kerberos, Server, ServerTls, say};

/// The tickets of the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tickets {
    /// There is no cache.
    None,
    /// Those of `tester`.
    Good,
    /// The same, and they may be forwarded.
    Forwardable,
    /// They were those of `tester`.
    Expired,
}

/// Where everything takes place, as long as one test has it.
pub(crate) struct Realm {
    _turn: MutexGuard<'static, ()>,
    pub(crate) kerberos: &'static Kerberos,
    pub(crate) cluster: &'static Cluster,
}

struct World {
    kerberos: Kerberos,
    cluster: Cluster,
    cache: PathBuf,
    turn: Mutex<()>,
}

impl Realm {
    /// The realm with these tickets; `None`, said loudly, where there can be none.
    pub(crate) fn with(tickets: Tickets) -> Option<Realm> {
        static WORLD: OnceLock<Option<World>> = OnceLock::new();
        let world = WORLD.get_or_init(World::new).as_ref()?;
        let turn = world.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = fs::remove_file(&world.cache);
        if tickets != Tickets::None {
            let from = world.kerberos.cache(&format!("{tickets:?}"));
            fs::copy(from, &world.cache).unwrap();
        }
        Some(Realm {
            _turn: turn,
            kerberos: &world.kerberos,
            cluster: &world.cluster,
        })
    }

    /// How a role connects to the principal's host.
    pub(crate) fn conninfo(&self, role: &str, more: &str) -> String {
        let port = self.cluster.port();
        format!(
            "host={HOST} hostaddr=127.0.0.1 port={port} user={role} dbname=postgres sslmode=disable {more}"
        )
    }
}

impl World {
    fn new() -> Option<World> {
        let Some(server) = Server::installed().into_iter().find(Server::has_gssapi) else {
            say!("SKIPPED: no server here was built with GSSAPI: apt-get install postgresql");
            return None;
        };
        let kerberos = Kerberos::start()?;
        kerberos.add_user("tester", "secret");
        let get = |name: &str, options: &[&str]| {
            let cache = kerberos.cache(name);
            kerberos.get_ticket("tester", "secret", &cache, options);
        };
        get("Expired", &["-l", "1s"]);
        get("Good", &[]);
        get("Forwardable", &["-f"]);
        let cache = kerberos.cache("now");
        // SAFETY: all other tests of this process wait for this one to be done.
        unsafe {
            std::env::set_var("KRB5_CONFIG", kerberos.configuration());
            std::env::set_var("KRB5CCNAME", &cache);
        }
        let mut options = ClusterOptions::new();
        if server.major >= 16 {
            options = options.setting("gss_accept_delegation", "on");
        }
        let cluster = Cluster::start(
            options
                .version(server.major)
                .variable("KRB5_CONFIG", kerberos.configuration().to_str().unwrap())
                .setting("krb_server_keyfile", kerberos.keytab().to_str().unwrap())
                .tls(ServerTls::default())
                .setup("create role tester login; create role plain_only login; create role encrypted_only login")
                .hba("local all all trust")
                .hba("host all tester all gss include_realm=0")
                .hba("hostnogssenc all plain_only all gss map=any")
                .hba("hostgssenc all encrypted_only all gss map=any")
                .ident("any /^(.*)@EXAMPLE.COM$ plain_only")
                .ident("any /^(.*)@EXAMPLE.COM$ encrypted_only")
                .hba("host all postgres all trust"),
        );
        // The shortest life of a ticket is a second.
        sleep(Duration::from_millis(1500));
        Some(World {
            kerberos,
            cluster,
            cache,
            turn: Mutex::new(()),
        })
    }
}
