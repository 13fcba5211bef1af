//! Who is let in, and how; what those are told who are not.

use testkit::kerberos::HOST;
use testkit::process::threads;

use crate::realm::{Realm, Tickets};
use crate::session::{OK, Session};

const HOW: &str = "select case when gss_authenticated then 'authenticated' end, \
    case when encrypted then 'encrypted' end from pg_stat_gssapi where pid = pg_backend_pid()";

/// Whether GSSAPI has authenticated, and whether it encrypts, as the server sees it.
#[track_caller]
fn how(session: &mut Session) -> (bool, bool) {
    let said = session.query(HOW);
    assert_eq!(said.last().unwrap(), OK);
    (
        said[0].contains("authenticated"),
        said[0].contains("|encrypted"),
    )
}

#[track_caller]
fn refused(conninfo: &str) -> String {
    match Session::try_open(conninfo) {
        Ok(_) => panic!("{conninfo} is let in"),
        Err(error) => error.message().to_owned(),
    }
}

#[test]
fn with_tickets_one_is_let_in_and_encrypted_unless_that_is_disabled() {
    let Some(realm) = Realm::with(Tickets::Good) else {
        return;
    };
    for (options, encrypted) in [
        ("", true),
        ("gssencmode=prefer", true),
        ("gssencmode=require", true),
        ("gssencmode=require require_auth=gss", true),
        ("gssencmode=disable", false),
        ("gssencmode=disable require_auth=gss", false),
        ("gssencmode=disable require_auth=sspi,gss", false),
        ("gssdelegation=1", true),
        ("gssencmode=disable gssdelegation=1", false),
    ] {
        let mut session = Session::open(&realm.conninfo("tester", options));
        assert_eq!(how(&mut session), (true, encrypted), "{options}");
        let facts = session.conn.facts();
        assert_eq!(facts.gss_encrypted(), encrypted, "{options}");
        assert_eq!(session.conn.is_encrypted(), encrypted, "{options}");
        assert!(facts.gss_used(), "{options}");
        assert!(!session.conn.gss_context().is_null(), "{options}");
        let word = if encrypted {
            "encrypted"
        } else {
            "authenticated"
        };
        let inspected = session.conn.inspect();
        assert!(
            inspected.contains(&format!("\"gssapi\":\"{word}\"")),
            "{inspected}"
        );
        session.conn.close();
        assert!(session.conn.gss_context().is_null(), "{options}");
    }
}

#[test]
fn encryption_does_not_hide_that_the_method_is_not_the_required_one() {
    let Some(realm) = Realm::with(Tickets::Good) else {
        return;
    };
    for (options, text) in [
        (
            "gssencmode=disable require_auth=sspi",
            "authentication method requirement \"sspi\" failed: server requested GSSAPI authentication",
        ),
        (
            "gssencmode=require require_auth=sspi",
            "authentication method requirement \"sspi\" failed: server did not complete authentication",
        ),
        (
            "gssencmode=disable channel_binding=require",
            "channel binding required but not supported by server's authentication request",
        ),
    ] {
        let error = refused(&realm.conninfo("tester", options));
        assert!(error.ends_with(text), "{options}: {error}");
    }
}

#[test]
fn what_the_server_wants_otherwise_is_tried_again() {
    let Some(realm) = Realm::with(Tickets::Good) else {
        return;
    };
    // Refused in encryption, let in without.
    let mut session = Session::open(&realm.conninfo("plain_only", ""));
    assert_eq!(how(&mut session), (true, false));
    let mut session = Session::open(&realm.conninfo("encrypted_only", ""));
    assert_eq!(how(&mut session), (true, true));
    for (role, options) in [
        ("plain_only", "gssencmode=require"),
        ("encrypted_only", "gssencmode=disable"),
    ] {
        let error = refused(&realm.conninfo(role, options));
        assert!(error.contains("no pg_hba.conf entry for host"), "{error}");
    }
    // TLS is the second choice; on a connection that the server keeps after it has refused GSSAPI, it is asked for there.
    let tls = realm
        .conninfo("postgres", "")
        .replace("sslmode=disable", "sslmode=require");
    let session = Session::open(&format!("{tls} gssencmode=disable"));
    assert!(session.conn.facts().tls().is_some());
    let session = Session::open(&tls);
    assert!(session.conn.facts().gss_encrypted() && session.conn.facts().tls().is_none());
}

#[test]
fn without_tickets_prefer_goes_on_without_and_the_rest_is_told() {
    for tickets in [Tickets::None, Tickets::Expired] {
        let Some(realm) = Realm::with(tickets) else {
            return;
        };
        let session = Session::open(&realm.conninfo("postgres", ""));
        assert!(!session.conn.is_encrypted() && !session.conn.facts().gss_used());
        assert!(session.conn.gss_context().is_null());
        drop(session);
        let error = refused(&realm.conninfo("tester", ""));
        let text = "GSSAPI continuation error: ";
        assert!(error.contains(text), "{tickets:?}: {error}");
        let error = refused(&realm.conninfo("tester", "gssencmode=require"));
        let text = match tickets {
            Tickets::None => "GSSAPI encryption required but no credential cache",
            _ => "could not initiate GSSAPI security context: ",
        };
        assert!(
            error.contains(text)
                || error.ends_with("GSSAPI encryption required but no credential cache"),
            "{tickets:?}: {error}"
        );
    }
}

#[test]
fn credentials_are_delegated_when_that_is_asked_for_and_they_may_be() {
    for (tickets, may) in [(Tickets::Good, false), (Tickets::Forwardable, true)] {
        let Some(realm) = Realm::with(tickets) else {
            return;
        };
        if realm.cluster.server().major < 16 {
            return testkit::say!(
                "SKIPPED: before version 16 a server does not say what was delegated"
            );
        }
        for mode in ["require", "disable"] {
            for (delegation, asked) in [("0", false), ("1", true)] {
                let options = format!("gssencmode={mode} gssdelegation={delegation}");
                let mut session = Session::open(&realm.conninfo("tester", &options));
                let sql =
                    "select credentials_delegated from pg_stat_gssapi where pid = pg_backend_pid()";
                let said = session.query(sql);
                let expected = if may && asked { ": t" } else { ": f" };
                assert!(
                    said[0].ends_with(expected),
                    "{tickets:?} {options}: {said:?}"
                );
            }
        }
    }
}

#[test]
fn a_service_that_is_not_in_the_realm_is_told() {
    let Some(realm) = Realm::with(Tickets::Good) else {
        return;
    };
    for (options, text) in [
        (
            "krbsrvname=other gssencmode=disable",
            "GSSAPI continuation error: ",
        ),
        (
            "krbsrvname=other gssencmode=require",
            "could not initiate GSSAPI security context: ",
        ),
    ] {
        let error = refused(&realm.conninfo("tester", options));
        assert!(error.contains(text), "{error}");
        assert!(error.contains("not found in Kerberos database"), "{error}");
    }
    // Preferred, it is tried without; and there it fails as well.
    let error = refused(&realm.conninfo("tester", "krbsrvname=other"));
    assert!(error.contains("could not initiate"), "{error}");
    assert!(error.contains("GSSAPI continuation error"), "{error}");
    let session = Session::open(&realm.conninfo("postgres", "krbsrvname=other"));
    assert!(!session.conn.is_encrypted());
}

#[test]
fn a_host_is_needed_and_a_unix_socket_is_not_encrypted() {
    let Some(realm) = Realm::with(Tickets::Good) else {
        return;
    };
    let nameless = realm
        .conninfo("tester", "gssencmode=disable")
        .replace(HOST, "''");
    assert!(refused(&nameless).ends_with("host name must be specified"));
    let local = realm.cluster.conninfo();
    let text = "GSSAPI encryption required but it is not supported over a local socket";
    assert!(refused(&format!("{local} gssencmode=require")).ends_with(text));
    assert!(!Session::open(&local).conn.is_encrypted());
}

#[test]
fn while_the_kdc_is_silent_nothing_blocks_and_deadlines_hold() {
    let Some(realm) = Realm::with(Tickets::Good) else {
        return;
    };
    realm.kerberos.halt();
    for mode in ["require", "disable"] {
        let conninfo = realm.conninfo("tester", &format!("gssencmode={mode} connect_timeout=2"));
        let error = refused(&conninfo);
        assert!(error.ends_with("timeout expired"), "{error}");
    }
    // One that nobody waits for ends by itself.
    let before = threads();
    let mut left = Session {
        conn: pgpoll::conn::Connection::open(realm.conninfo("tester", "gssencmode=require")),
        notices: Vec::new(),
        notifications: Vec::new(),
    };
    let is_asking = |left: &Session| left.conn.inspect().contains("the GSSAPI handshake");
    while !is_asking(&left) || threads() == before {
        left.conn
            .wait_for(0, Some(std::time::Duration::from_millis(5)));
    }
    drop(left);
    realm.kerberos.go_on();
    assert!(testkit::process::eventually(|| threads() <= before));
    let session = Session::open(&realm.conninfo("tester", "gssencmode=require"));
    assert!(session.conn.facts().gss_encrypted());
}
