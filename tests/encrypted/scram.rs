//! Passwords over TLS: bound to it where the server can, and refused where that is required and cannot be.

use crate::session::Session;
use crate::{PASSWORD, servers};

fn open(conninfo: &str, more: &str) -> Result<Session, String> {
    let conninfo = format!("{conninfo} password='{PASSWORD}' {more}");
    Session::try_open(&conninfo).map_err(|error| {
        let text = error.message();
        text.split_once(" failed: ").unwrap().1.to_owned()
    })
}

#[test]
fn a_password_is_proved_over_tls() {
    for server in servers() {
        for role in ["user_scram", "user_md5", "user_password"] {
            for binding in ["disable", "prefer"] {
                let conninfo = server.conninfo_tls_as(role);
                let mut session = open(&conninfo, &format!("channel_binding={binding}")).unwrap();
                assert_eq!(
                    session.query("select current_user")[0],
                    format!("current_user: {role}")
                );
                assert!(session.conn.facts().password_used());
            }
        }
    }
}

#[test]
fn a_binding_that_is_required_is_had_or_refused() {
    let require = "channel_binding=require";
    for server in servers() {
        let tls = |role| server.conninfo_tls_as(role);
        assert!(open(&tls("user_scram"), require).is_ok());
        assert!(
            open(
                &tls("user_scram"),
                "channel_binding=require require_auth=scram-sha-256"
            )
            .is_ok()
        );
        let unsupported =
            "channel binding required but not supported by server's authentication request";
        for role in ["user_md5", "user_password"] {
            assert_eq!(
                open(&tls(role), require).err().as_deref(),
                Some(unsupported)
            );
        }
        assert_eq!(
            open(&tls("encrypted"), require).err().as_deref(),
            Some(
                "channel binding required, but server authenticated client without channel binding"
            )
        );
        assert_eq!(
            open(
                &server.conninfo_tcp_as("user_scram"),
                "sslmode=disable channel_binding=require"
            )
            .err()
            .as_deref(),
            Some("channel binding required, but SSL not in use")
        );
    }
}

/// With TLS and without: `prefer` tries both, and says what each came to.
#[test]
fn a_wrong_password() {
    for server in servers() {
        for (mode, times) in [("prefer", 2), ("require", 1), ("disable", 1)] {
            let conninfo = format!(
                "{} sslmode={mode} password=wrong",
                server.conninfo_tcp_as("user_scram")
            );
            let error = Session::try_open(&conninfo).err().unwrap();
            let words = "FATAL:  password authentication failed for user \"user_scram\"";
            assert_eq!(error.message().matches(words).count(), times, "{error}");
            assert_eq!(error.sqlstate(), Some(&b"28P01"[..]));
        }
    }
}
