//! Physical replication: what is received is what the server has in its files, also across timelines.

use std::fs;

use testkit::{Cluster, ClusterOptions, each_version};

use crate::logical::until_confirmed;
use crate::session::{OK, Session};
use crate::stream::{Stream, lsn, position};
use crate::{options, servers};

const SEGMENT: u64 = 1024 * 1024;

/// A connection for physical replication alone.
fn physical(server: &Cluster) -> Session {
    Session::open(&format!("{} replication=true", server.conninfo()))
}

/// The cell of one row's column.
fn cell(session: &mut Session, command: &str, column: usize) -> String {
    let rows = session.rows(command);
    let value = rows.value(0, column).unwrap();
    String::from_utf8_lossy(value).into_owned()
}

#[test]
fn received_wal_is_the_servers_own_byte_for_byte() {
    for server in servers() {
        let mut session = physical(server);
        assert_eq!(
            session.query("CREATE_REPLICATION_SLOT bytes PHYSICAL RESERVE_WAL")[1..],
            ["CREATE_REPLICATION_SLOT", OK]
        );
        let now = position(&cell(&mut session, "IDENTIFY_SYSTEM", 2));
        let start = now - now % SEGMENT;
        let sql = format!("START_REPLICATION SLOT bytes PHYSICAL {}", lsn(start));
        let mut stream = Stream::start(session, &sql);
        server.psql("create table bytes as select n, repeat('x', 500) from generate_series(1, 1000) n; select pg_switch_wal()");
        let file = std::env::temp_dir().join(format!("pgpoll-wal-{}", server.port()));
        let mut received = Vec::new();
        while received.len() < SEGMENT as usize {
            let (at, data) = stream.wal();
            assert_eq!(at, start + received.len() as u64);
            received.extend(data);
        }
        received.truncate(SEGMENT as usize);
        fs::write(&file, &received).unwrap();
        let number = start / SEGMENT;
        let name = format!("{:08X}{:08X}{:08X}", 1, number >> 12, number & 0xfff);
        let own = fs::read(server.data_dir().join("pg_wal").join(name)).unwrap();
        assert!(fs::read(&file).unwrap() == own, "{}", file.display());
        fs::remove_file(file).unwrap();
        // What is confirmed is not kept for us any longer.
        stream.confirm(start + SEGMENT, false);
        until_confirmed(server, "restart_lsn", "bytes", start + SEGMENT);
        assert_eq!(stream.end(), ["START_STREAMING", "START_REPLICATION", OK]);
        let session = &mut stream.session;
        assert_eq!(session.query("DROP_REPLICATION_SLOT bytes")[1], OK);
    }
}

/// A standby is promoted while we stream from it: the old timeline ends with a row that names the new one.
#[test]
fn a_timeline_ends() {
    for server in each_version(options) {
        let Some(standby) = server.standby(&ClusterOptions::new()) else {
            continue;
        };
        standby.catch_up(&server);
        let mut session = physical(&standby);
        assert_eq!(cell(&mut session, "IDENTIFY_SYSTEM", 1), "1");
        let now = cell(&mut session, "IDENTIFY_SYSTEM", 2);
        let sql = format!("START_REPLICATION PHYSICAL {now} TIMELINE 1");
        let mut stream = Stream::start(session, &sql);
        standby.promote();
        let replies = stream.rest();
        let expected = "next_tli,next_tli_startpos: 2|";
        assert!(replies[0].starts_with(expected), "{replies:?}");
        assert_eq!(replies[1..], ["START_STREAMING", "START_REPLICATION", OK]);
        let next = replies[0].rsplit('|').next().unwrap();
        let mut session = stream.session;
        assert_eq!(
            cell(&mut session, "TIMELINE_HISTORY 2", 0),
            "00000002.history"
        );
        let history = cell(&mut session, "TIMELINE_HISTORY 2", 1);
        assert!(history.starts_with(&format!("1\t{next}\t")), "{history}");
        // The way on.
        let sql = format!("START_REPLICATION PHYSICAL {next} TIMELINE 2");
        let mut stream = Stream::start(session, &sql);
        assert_eq!(stream.wal().0, position(next));
        assert_eq!(stream.end().last().unwrap(), OK);
    }
}
