//! Much WAL, and a client that stops reading: memory stays bounded, the server is held back, and nothing is missing.

use testkit::Cluster;
use testkit::process::resident;

use crate::logical::streaming;
use crate::servers;
use crate::session::OK;

/// Megabytes of changes: enough to fill every buffer on the way; `PGPOLL_WAL_MB=200` is a real load.
fn megabytes() -> usize {
    let chosen = std::env::var("PGPOLL_WAL_MB").ok();
    chosen.map_or(12, |number| number.parse().unwrap())
}

/// Waits until the server cannot send any more.
fn until_held_back(server: &Cluster, pid: u32) {
    server.until(&format!(
        "exists (select from pg_stat_activity where pid = {pid} and wait_event = 'WalSenderWriteData')"
    ));
}

#[test]
fn a_client_that_stops_reading_holds_the_server_back() {
    for server in servers().iter().filter(|server| server.decodes()) {
        let mut stream = streaming(server, "volume");
        let rows = megabytes() * 100;
        // One transaction for every megabyte.
        server.psql(&format!(
            "do $$ begin for at in 0..{rows} - 1 by 100 loop \
             insert into volume select n, repeat(n::text || ' ', 10000 / length(n::text || ' ')) \
             from generate_series(at, at + 99) n; commit; end loop; end $$"
        ));
        let pid = stream.session.conn.facts().backend_pid();
        // Polls, and takes nothing: no more than a chunk is received.
        while stream.session.conn.poll().wants_read() {
            stream.session.sleep();
        }
        until_held_back(server, pid);
        let before = resident();
        let unread = stream.session.conn.inspect();
        let (_, unread) = unread.split_once("\"bytes_unread\":").unwrap();
        let unread: usize = unread.split([',', '}']).next().unwrap().parse().unwrap();
        assert!(unread <= 512 * 1024, "{unread}");
        let (mut inserts, mut bytes) = (0, 0);
        while inserts < rows {
            let (_, data) = stream.wal();
            bytes += data.len();
            inserts += usize::from(data[0] == b'I');
        }
        assert!(bytes > megabytes() * 900_000, "{bytes}");
        let grown = resident().saturating_sub(before);
        assert!(grown < 32 * 1024 * 1024, "{grown}");
        assert_eq!(stream.end().last().unwrap(), OK);
    }
}
