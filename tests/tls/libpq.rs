//! The same connections with psql 18, and so with libpq and OpenSSL: the same ones come up, and the same is said of the others.

use std::process::Command;

use testkit::{Cluster, ServerTls};

use crate::servers::{conninfo, newest};
use crate::session::Session;
use crate::suite::{GROUPS, Twin};

const NAME: &str = "host=common-name.pg-ssltest.test";
const FULL: &str =
    "host=common-name.pg-ssltest.test sslmode=verify-full sslrootcert={root+server_ca.crt}";

/// What is tried besides PostgreSQL's own cases: how the server does TLS, and what connection strings end in.
#[rustfmt::skip]
const MORE: &[(&str, &[&str])] = &[
    ("server-expired", &[FULL, "sslmode=require"]),
    ("server-not-yet-valid", &[FULL, "sslmode=require"]),
    ("server-client-usage", &[FULL]),
    ("server-sha384", &[FULL, SCRAM]),
    ("server-sha512", &[FULL, SCRAM]),
    ("server-ecdsa", &[FULL, SCRAM]),
    ("server-ecdsa-p384", &[FULL, SCRAM]),
    ("server-ed25519", &[FULL, SCRAM]),
    ("server-self-signed-ed25519", &["sslmode=verify-full sslrootcert={server-self-signed-ed25519.crt} host=common-name.pg-ssltest.test", SCRAM]),
    ("server-self-signed", &[
        "sslmode=verify-full sslrootcert={server-self-signed.crt} host=common-name.pg-ssltest.test",
        "sslmode=verify-full sslrootcert={server-self-signed-v1.crt} host=common-name.pg-ssltest.test",
        FULL,
    ]),
    ("server-self-signed-v1", &[
        "sslmode=verify-full sslrootcert={server-self-signed-v1.crt} host=common-name.pg-ssltest.test",
        "sslmode=verify-ca sslrootcert={server-cn-only.crt}",
    ]),
    ("manual-server", &[
        "sslmode=verify-full sslrootcert={manual-root.crt} host=common-name.pg-ssltest.test",
        "sslmode=verify-full sslrootcert={manual-server.crt} host=common-name.pg-ssltest.test",
        FULL,
    ]),
    ("server-rsapss", &[
        "sslmode=verify-full sslrootcert={server-rsapss.crt} host=common-name.pg-ssltest.test",
        SCRAM,
    ]),
    ("server-wildcard-cn", &[
        "sslmode=verify-full sslrootcert={root+server_ca.crt} host=a.wildcard.pg-ssltest.test",
        "sslmode=verify-full sslrootcert={root+server_ca.crt} host=A.Wildcard.PG-ssltest.test",
        "sslmode=verify-full sslrootcert={root+server_ca.crt} host=a.b.wildcard.pg-ssltest.test",
        "sslmode=verify-full sslrootcert={root+server_ca.crt} host=.wildcard.pg-ssltest.test",
        "sslmode=verify-full sslrootcert={root+server_ca.crt} host=wildcard.pg-ssltest.test",
    ]),
    ("server-localhost", &[
        "sslmode=verify-full sslrootcert={root+server_ca.crt} host=localhost",
        "sslmode=verify-full sslrootcert={root+server_ca.crt} host=LOCALHOST",
        "sslmode=verify-full sslrootcert={root+server_ca.crt} host=127.0.0.1",
        "sslmode=verify-full sslrootcert={root+server_ca.crt} host=127.1",
        "sslmode=verify-full sslrootcert={root+server_ca.crt} host=localhost.",
        "sslmode=verify-full sslrootcert={root+server_ca.crt} host=''",
        "sslmode=verify-full sslrootcert={root+server_ca.crt}",
    ]),
    ("server-cn-only+server_ca", &[
        "sslmode=verify-ca sslrootcert={root_ca.crt}",
        "sslmode=verify-ca sslrootcert={server_ca.crt}",
        "sslmode=verify-ca sslrootcert={server-cn-only.crt}",
        "sslmode=verify-ca sslrootcert={root_ca.crt} sslcrl={root.crl}",
        "sslmode=verify-ca sslrootcert={root_ca.crt} sslcrl={root+server.crl}",
    ]),
    ("server-cn-only", &[
        "sslmode=verify-ca sslrootcert={root_ca.crt}",
        "sslmode=verify-ca sslrootcert={root+server_ca.crt} sslcrl={server.crl}",
        "sslmode=verify-ca sslrootcert={root+server_ca.crt} sslcrl={root+server-expired.crl}",
        "sslmode=verify-ca sslrootcert={root+server_ca.crt} sslcrl={root-revokes-server_ca+server.crl}",
        "sslmode=verify-ca sslrootcert={root+server_ca.crt} sslcrl='' sslcrldir={server-crldir}",
        "sslmode=verify-ca sslrootcert={root+server_ca.crt} sslcrl='' sslcrldir=invalid",
        "sslmode=verify-ca sslrootcert={root+server_ca.crt} sslcrl={client.key}",
        "sslmode=verify-ca sslrootcert={client.key}",
        "sslmode=require sslcert={client.crt}",
        "sslmode=require sslcert={client.crt} sslkey={root+server-crldir}",
        "sslmode=require sslcert={client.crt} sslkey={client_wrongperms.key}",
        "sslmode=require sslcert={client.crt} sslkey={client.crt}/none",
        "sslmode=require sslcert={client.crt}/none",
        "sslmode=require sslcert={client.key} sslkey={client.key}",
        "sslmode=require sslcert={client.crt} sslkey={server-cn-only.key}",
        "sslmode=require sslcert={client.crt} sslkey={client-ecdsa.key}",
        "sslmode=require sslcert={client.crt} sslkey={root.crl}",
        "sslmode=prefer user=plainuser dbname=postgres sslcert={client.crt} sslkey={client_wrongperms.key}",
        "sslmode=prefer user=plainuser dbname=postgres sslrootcert={client_ca.crt}",
        "sslmode=allow user=tlsuser dbname=postgres sslrootcert={client_ca.crt}",
        "sslmode=allow user=tlsuser dbname=postgres sslcert={client.crt} sslkey={client_wrongperms.key}",
        "sslmode=prefer user=nobody dbname=postgres",
        "sslmode=allow user=nobody dbname=postgres",
        "sslmode=require user=plainuser dbname=postgres",
        "sslmode=require sslnegotiation=direct",
        "sslmode=prefer sslnegotiation=direct",
        "sslmode=require ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2",
        "sslmode=disable channel_binding=require",
        "sslmode=require channel_binding=require",
        SCRAM,
    ]),
];

const SCRAM: &str = "dbname=scramdb password=pass sslmode=require channel_binding=require";

/// Where it is otherwise here on purpose: what the connection string ends in, and why.
const OTHERWISE: &[(&str, &str)] = &[
    (
        "sslkey={client-encrypted-der.key} sslpassword='dUmmyP^#+'",
        "OpenSSL reads no encrypted key in DER; it is read here",
    ),
    (
        "sslrootcert={server-self-signed-v1.crt} host=common-name.pg-ssltest.test",
        "another certificate of the very key that is trusted: it is as good",
    ),
    (
        "sslcert={client.crt} sslkey={client-ecdsa.key}",
        "OpenSSL says that no certificate is assigned, as it is one for another kind of key",
    ),
];

/// What is said with more detail here, so that ours begins as libpq's.
const LONGER: [&str; 2] = ["certificate verify failed", "processing error"];

/// Both of a case: nothing where the connection came up, else what was said.
fn both(server: &Cluster, conninfo: &str) -> (Option<String>, Option<String>) {
    let ours = Session::try_open(conninfo).err();
    let psql = Command::new(server.server().bin.join("psql"))
        .args(["-wXAtc", "select", conninfo])
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let theirs = String::from_utf8_lossy(&psql.stderr).into_owned();
    // Before it, OpenSSL may have asked the terminal for a password.
    let theirs = theirs
        .rsplit_once("psql: error: ")
        .map_or("", |(_, theirs)| theirs);
    // What OpenSSL 3.0 calls an alert of SSL 3 is one of TLS to later ones.
    let theirs = theirs.trim_end().replace("sslv3 alert", "ssl/tls alert");
    (
        ours.map(|error| error.message().to_owned()),
        (!psql.status.success()).then_some(theirs),
    )
}

fn is_same(ours: &Option<String>, theirs: &Option<String>) -> bool {
    let (Some(ours), Some(theirs)) = (ours, theirs) else {
        return ours.is_none() && theirs.is_none();
    };
    ours == theirs
        || LONGER
            .iter()
            .any(|end| theirs.ends_with(end) && ours.starts_with(&format!("{theirs}: ")))
}

#[test]
fn the_same_comes_up_and_the_same_is_said() {
    let shared = newest();
    let mut cases = Vec::new();
    for group in GROUPS {
        for (_, _, twin) in group.cases {
            if let Twin::Up(what) | Twin::Down(what, _) = twin {
                cases.push(((group.tls)(), format!("{} {what}", group.common)));
            }
        }
    }
    for (certificate, strings) in MORE {
        let tls = match *certificate {
            "server-cn-only+server_ca" => ServerTls::new(certificate).key("server-cn-only"),
            _ => ServerTls::new(certificate),
        };
        cases.extend(
            strings
                .iter()
                .map(|what| (tls.clone(), format!("{NAME} {what}"))),
        );
    }
    let (mut wrong, mut otherwise) = (Vec::new(), 0);
    for (tls, what) in &cases {
        let server = shared.with(tls);
        if !server.server().bin.join("psql").is_file() || server.server().major != 18 {
            eprintln!("SKIPPED: no psql of PostgreSQL 18 to compare with");
            return;
        }
        let (ours, theirs) = both(&server, &conninfo(&server, what));
        let known = OTHERWISE.iter().find(|(end, _)| what.ends_with(end));
        match known {
            Some((end, why)) if !is_same(&ours, &theirs) => {
                println!("otherwise than libpq: {end}: {why}");
                otherwise += 1;
            }
            _ if is_same(&ours, &theirs) => {}
            _ => wrong.push(format!(
                "{tls:?} {what}\n  ours   {ours:?}\n  libpq  {theirs:?}"
            )),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    println!(
        "{} connections as libpq's, {otherwise} otherwise",
        cases.len() - otherwise
    );
}
