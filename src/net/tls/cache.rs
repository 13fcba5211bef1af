//! Keeps what handshakes are begun with, so that a quick reconnect reads no certificate again and can resume its session.
//! Knows when two connections may share it.
//!
//! What is kept are root certificates, revocation lists and the tickets of servers that give them (proxies do, PostgreSQL does not);
//! nothing of the client's own: connections with a certificate of theirs share nothing. A session is resumed without looking at the
//! server's certificate again, so entries are kept for a short time only, and not beyond the end of what was checked.

use std::ffi::OsString;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use crate::conninfo::Tls;
use crate::conninfo::tls::{CertificateMode, Roots};
use crate::net::tls::config::Shared;

const MOST_ENTRIES: usize = 32;

const LONGEST: Duration = Duration::from_secs(600);

/// The newest last.
static ENTRIES: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

struct Entry {
    tls: Arc<Tls>,
    host: Vec<u8>,
    /// The environment that says where the system's roots are.
    system: Option<[Option<OsString>; 2]>,
    born: Instant,
    shared: Arc<Shared>,
}

impl Entry {
    fn is_for(&self, tls: &Arc<Tls>, host: &[u8]) -> bool {
        (Arc::ptr_eq(&self.tls, tls) || self.tls == *tls)
            && self.host == host
            && self.system == system(tls)
    }

    fn is_good(&self) -> bool {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.map_or(i64::MAX, |now| {
            i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
        });
        self.born.elapsed() < LONGEST && now < self.shared.verifier.until()
    }
}

/// Whether connections with these options may share anything.
pub(super) fn is_shareable(tls: &Tls) -> bool {
    tls.identity.is_none() && tls.certificate_mode != CertificateMode::Require
}

/// What an earlier connection with the same options to the same host has left. Never waits: another thread at it, or one that was
/// when the process forked, means that there is nothing.
pub(super) fn find(tls: &Arc<Tls>, host: &[u8]) -> Option<Arc<Shared>> {
    if !is_shareable(tls) {
        return None;
    }
    let mut entries = ENTRIES.try_lock().ok()?;
    entries.retain(Entry::is_good);
    let at = entries.iter().position(|entry| entry.is_for(tls, host))?;
    let entry = entries.remove(at);
    let shared = entry.shared.clone();
    entries.push(entry);
    Some(shared)
}

/// Keeps it for the next one, in place of the one that was not used for longest.
pub(super) fn keep(tls: &Arc<Tls>, host: &[u8], shared: &Arc<Shared>) {
    if !is_shareable(tls) {
        return;
    }
    if let Ok(mut entries) = ENTRIES.try_lock() {
        if entries.len() >= MOST_ENTRIES {
            entries.remove(0);
        }
        entries.push(Entry {
            tls: tls.clone(),
            host: host.to_vec(),
            system: system(tls),
            born: Instant::now(),
            shared: shared.clone(),
        });
    }
}

/// The same options as an earlier connection holds them, if that is known: a thousand connections then hold one copy of their roots.
pub(crate) fn same(tls: Arc<Tls>) -> Arc<Tls> {
    match ENTRIES.try_lock() {
        Ok(entries) => entries
            .iter()
            .find(|entry| *entry.tls == *tls)
            .map_or(tls, |entry| entry.tls.clone()),
        Err(_) => tls,
    }
}

fn system(tls: &Tls) -> Option<[Option<OsString>; 2]> {
    (tls.roots == Roots::System).then(|| ["SSL_CERT_FILE", "SSL_CERT_DIR"].map(std::env::var_os))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::conninfo::{Options, Surroundings};
    use crate::net::tls::config::Setup;

    fn options(conninfo: &str) -> Arc<Tls> {
        let surroundings = Surroundings::empty().with_account("me", "/home/me");
        let options = Options::parse(conninfo.as_bytes()).unwrap();
        options.plan(&surroundings).unwrap().0.tls.unwrap()
    }

    #[test]
    fn equal_options_are_held_once_when_a_connection_has_used_them() {
        // Options that no other test has: the cache is the process's.
        let first =
            options("host=cache.test sslmode=require sslsni=0 ssl_min_protocol_version=TLSv1.3");
        assert!(Arc::ptr_eq(&same(first.clone()), &first));
        let second =
            options("host=cache.test sslmode=require sslsni=0 ssl_min_protocol_version=TLSv1.3");
        assert!(!Arc::ptr_eq(&second, &first));
        // Other tests may be at the cache, which then keeps nothing and has nothing to say.
        let found = (0..1000).any(|_| {
            Setup::new(&first, b"cache.test").unwrap();
            std::thread::yield_now();
            Arc::ptr_eq(&same(second.clone()), &first)
        });
        assert!(found);
        let other =
            options("host=cache.test sslmode=require sslsni=0 ssl_max_protocol_version=TLSv1.2");
        assert!(Arc::ptr_eq(&same(other.clone()), &other));
    }
}
