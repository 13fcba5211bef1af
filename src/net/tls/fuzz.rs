//! What the fuzzer gets at of reading certificates. Knows nothing itself.

use crate::net::tls::certificate::Certificate;
use crate::net::tls::path::{self, Evidence};
use crate::net::tls::revoked::RevocationList;
use crate::net::tls::{end_point, keys, names, trust};

/// Reads bytes as everything that files and servers may send: a certificate with others behind it, a revocation list, a key.
pub fn certificate(bytes: &[u8]) {
    let half = bytes.split_at(bytes.len() / 2);
    let read = |der| Certificate::read(der).ok();
    let all: Vec<_> = [bytes, half.0, half.1]
        .into_iter()
        .filter_map(read)
        .collect();
    let lists: Vec<_> = [bytes, half.1]
        .into_iter()
        .filter_map(|der| RevocationList::read(der).ok())
        .collect();
    for certificate in &all {
        for host in [&b"host.test"[..], b"192.0.2.1", b"2001:db8::1"] {
            let _ = names::check(certificate, host);
        }
        for revocations in [None, Some(&lists[..])] {
            let evidence = Evidence {
                trusted: &all,
                sent: &all,
                revocations,
                now: certificate.parts().validity().not_before.timestamp(),
            };
            let _ = path::check(certificate, &evidence).map_err(|problem| problem.to_string());
        }
    }
    let _ = end_point::hash(bytes);
    let _ = trust::certificates(bytes);
    let _ = keys::read(bytes, Some(b"secret"));
}
