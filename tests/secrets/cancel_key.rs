//! The key of cancel requests: where it lies in memory, and that it does not stay. The process looks through its own.

use std::fs;
use std::os::unix::fs::FileExt;

use pgpoll::conn::Connection;
use testkit::{Cluster, ClusterOptions, Server};

/// How often the bytes, of which every bit is turned over here, are in private writable memory.
fn count(turned: &[u8]) -> usize {
    let memory = fs::File::open("/proc/self/mem").unwrap();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mut found = 0;
    for line in maps.lines().filter(|line| line.contains(" rw-p ")) {
        let (from, rest) = line.split_once('-').unwrap();
        let to = rest.split(' ').next().unwrap();
        let address = |hex| u64::from_str_radix(hex, 16).unwrap();
        let (mut at, to) = (address(from), address(to));
        // Turned over at once, so that what is read here is not found later.
        let mut page = [0; 4096 + 64];
        while at < to {
            let most = page.len().min((to - at) as usize);
            let got = memory.read_at(&mut page[..most], at).unwrap_or(0);
            page[..got].iter_mut().for_each(|byte| *byte = !*byte);
            let windows = page[..got].windows(turned.len()).take(4096);
            found += windows.filter(|window| *window == turned).count();
            at += 4096;
        }
    }
    found
}

fn connect(conninfo: &str) -> Connection {
    let mut connection = Connection::open(format!("{conninfo} max_protocol_version=latest"));
    loop {
        let ready = connection.wait(None);
        assert!(!ready.is_failed(), "{:?}", connection.error());
        if ready.is_idle() {
            return connection;
        }
    }
}

/// Only protocol 3.2 has keys long enough to be found. With TLS there are copies besides, of rustls's own, of all that a server sends:
/// they are freed as they are, and not ours to wipe.
#[test]
fn a_cancel_key_is_known_once_and_goes_with_the_connection() {
    if Server::of(18).is_none() {
        println!("SKIPPED: there is no PostgreSQL 18");
        return;
    }
    let cluster = Cluster::start(ClusterOptions::new().version(18));
    for conninfo in [cluster.conninfo(), cluster.conninfo_tcp()] {
        let connection = connect(&conninfo);
        let key = connection.facts().cancel_key().unwrap().expose();
        assert_eq!(key.len(), 32, "protocol 3.2");
        let turned: Vec<u8> = key.iter().map(|byte| !byte).collect();
        assert_eq!(count(&turned), 1, "{conninfo}");
        drop(connection);
        assert_eq!(count(&turned), 0, "{conninfo}");
    }
}
