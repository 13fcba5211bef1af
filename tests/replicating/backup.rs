//! BASE_BACKUP: results, a COPY with the files in messages of their own kinds, and another result, all of one operation.

use pgpoll::conn::Readiness;
use pgpoll::engine::{CopyWay, Reply};
use testkit::Cluster;

use crate::servers;
use crate::session::{OK, PATIENCE, Session, is_done, text};

const SQL: &str = "BASE_BACKUP (LABEL 'pgpoll', CHECKPOINT 'fast', WAL false, MANIFEST 'yes')";

fn connected(server: &Cluster) -> Session {
    Session::open(&format!("{} replication=true", server.conninfo()))
}

/// The names of a tar archive that comes in pieces (POSIX, "ustar Interchange Format").
#[derive(Default)]
struct Tar {
    names: Vec<String>,
    head: Vec<u8>,
    /// Bytes of the file and its padding that are still to come.
    left: usize,
}

impl Tar {
    fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let wanted = if self.left > 0 {
                self.left
            } else {
                512 - self.head.len()
            };
            let (here, rest) = bytes.split_at(wanted.min(bytes.len()));
            bytes = rest;
            if self.left > 0 {
                self.left -= here.len();
                continue;
            }
            self.head.extend(here);
            if self.head.len() == 512 {
                let name = self.head[..100].split(|byte| *byte == 0).next().unwrap();
                let size = std::str::from_utf8(&self.head[124..135]).unwrap();
                let size = usize::from_str_radix(size.trim_matches(['\0', ' ']), 8).unwrap_or(0);
                self.left = size.next_multiple_of(512);
                self.names.push(String::from_utf8_lossy(name).into_owned());
                self.head.clear();
            }
        }
    }
}

#[test]
fn a_base_backup_is_results_around_a_copy() {
    for server in servers() {
        let mut session = connected(server);
        let operation = session.conn.start_copy(SQL).unwrap();
        let (mut items, mut kinds) = (Vec::new(), String::new());
        let (mut archives, mut manifest, mut tar) = (Vec::new(), Vec::new(), Tar::default());
        loop {
            // Several messages a call.
            for message in session.conn.copy_get(64) {
                let (kind, body) = message.split_first().unwrap();
                let kind = char::from(*kind);
                if !kinds.ends_with(kind) {
                    kinds.push(kind);
                }
                match kind {
                    'n' => archives.push(String::from_utf8_lossy(body).into_owned()),
                    'd' if kinds.contains('m') => manifest.extend_from_slice(body),
                    'd' => tar.take(body),
                    'm' | 'p' => {}
                    other => panic!("{other}"),
                }
            }
            while let Some(item) = session.conn.take() {
                assert_eq!(item.operation, operation);
                items.push(item.reply);
            }
            if items.last().is_some_and(is_done) {
                break;
            }
            let bits = Readiness::COPY | Readiness::RESULT | Readiness::FAILED;
            let ready = session.conn.wait_for(bits, Some(PATIENCE));
            assert!(ready.has(bits), "a hang: {}", session.conn.inspect());
        }
        let words: Vec<_> = items.iter().map(text).collect();
        assert!(words[0].starts_with("recptr,tli: "), "{words:?}");
        assert!(
            words[2].starts_with("spcoid,spclocation,size:"),
            "{words:?}"
        );
        assert!(matches!(&items[4], Reply::Copy(copying) if copying.way == CopyWay::Out));
        assert!(words[5].starts_with("recptr,tli: "), "{words:?}");
        assert_eq!(words[6..], ["SELECT", "BASE_BACKUP", OK]);
        assert_eq!(archives, ["base.tar\0\0"]);
        assert!(kinds.starts_with("nd") && kinds.contains("md"), "{kinds}");
        for name in ["backup_label", "PG_VERSION", "global/pg_control"] {
            assert!(tar.names.iter().any(|it| it == name), "{name}");
        }
        let manifest = String::from_utf8(manifest).unwrap();
        assert!(manifest.starts_with("{ \"PostgreSQL-Backup-Manifest-Version\""));
        assert!(manifest.trim_end().ends_with('}'), "all of it");
        // And the connection is as good as before.
        assert_eq!(
            session.query("IDENTIFY_SYSTEM")[1..],
            ["IDENTIFY_SYSTEM", OK]
        );
    }
}

/// Given up in the middle of its files: the server is told to stop, and the connection is as good as before.
#[test]
fn an_abandoned_backup() {
    for server in servers() {
        let mut session = connected(server);
        let operation = session.conn.start_copy(SQL).unwrap();
        let bits = Readiness::COPY | Readiness::FAILED;
        while session.conn.copy_get(1).next().is_none() {
            while let Some(item) = session.conn.take() {
                assert!(!is_done(&item.reply));
            }
            let ready = session
                .conn
                .wait_for(bits | Readiness::RESULT, Some(PATIENCE));
            assert!(!ready.is_failed(), "{}", session.conn.inspect());
        }
        assert!(session.conn.abandon(operation));
        let replies = session.finish(operation);
        assert!(
            replies.last().unwrap().ends_with(" Idle Clean"),
            "{replies:?}"
        );
        assert_eq!(
            session.query("IDENTIFY_SYSTEM")[1..],
            ["IDENTIFY_SYSTEM", OK]
        );
    }
}
