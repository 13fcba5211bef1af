//! A second cluster that follows a first one, until it is promoted. Knows pg_basebackup, not how servers are configured.

use std::time::{Duration, Instant};

use crate::cluster::ADMIN;
use crate::{Cluster, ClusterOptions};

/// How long a standby may take to follow.
const PATIENCE: Duration = Duration::from_secs(60);

impl Cluster {
    /// Copies this running cluster and starts the copy, on a port of its own, as its standby: with the same settings and those of
    /// `more` behind them. It is a hot standby, in which one can read, unless `more` has `hot_standby` off. None, said loudly,
    /// where this server came without pg_basebackup.
    ///
    /// # Panics
    /// With the program's own words if the copy fails or does not start.
    #[must_use]
    pub fn standby(&self, more: &ClusterOptions) -> Option<Cluster> {
        let program = self.server().bin.join("pg_basebackup");
        if !program.is_file() {
            crate::say!("SKIPPED: {} is missing", program.display());
            return None;
        }
        let options = self.options().clone().settings_of(more);
        let mut standby = Cluster::empty(self.server().clone(), options);
        let mut backup = standby.as_owner(&program);
        backup
            .args(["-X", "stream", "-c", "fast", "--no-sync", "-R", "-w"])
            .args(["-d", &self.conninfo_as(ADMIN)])
            .arg("-D")
            .arg(standby.data_dir());
        let said = backup.output().unwrap();
        if !said.status.success() {
            panic!("pg_basebackup: {}", String::from_utf8_lossy(&said.stderr));
        }
        standby.start_on_free_port();
        Some(standby)
    }

    /// Makes a standby a primary, and waits until it is one.
    pub fn promote(&self) {
        assert_eq!(self.psql("select pg_promote(true, 60)"), "t");
    }

    /// Waits until this standby has replayed all that its primary has written up to now.
    ///
    /// # Panics
    /// If that takes more than a minute.
    pub fn catch_up(&self, primary: &Cluster) {
        // Clusters do not wait for their log at a commit, and what is not flushed is not sent: a commit that waits flushes all.
        let flush = "set synchronous_commit = on; select pg_logical_emit_message(true, '', '')";
        primary.psql(flush);
        let written = primary.psql("select pg_current_wal_flush_lsn()");
        let begun = Instant::now();
        let sql = format!("select pg_last_wal_replay_lsn() >= '{written}'");
        while self.psql(&sql) != "t" {
            assert!(begun.elapsed() < PATIENCE, "{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
