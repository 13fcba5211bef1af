//! The server's words: every field, byte for byte.

use pgpoll::engine::Reply;
use pgpoll::error::{Error, Family};

use crate::servers;
use crate::session::{Session, is_done};

#[track_caller]
fn error_of(session: &mut Session, sql: &str) -> Error {
    let operation = session.conn.start_query(sql).unwrap();
    for reply in session.until(operation, is_done) {
        if let Reply::Error(error) = reply {
            return *error;
        }
    }
    panic!("{sql}: no error");
}

#[test]
fn every_field_is_kept() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let error = error_of(
            &mut session,
            "do $$ begin raise exception E'm\\n%', 'é' using errcode = 'P1234', detail = 'd', hint = 'h', \
             schema = 'sch', table = 'tab', column = 'col', datatype = 'typ', constraint = 'con'; end $$",
        );
        assert_eq!(error.family(), Family::Server);
        assert_eq!(error.sqlstate(), Some(&b"P1234"[..]));
        assert_eq!(error.message(), "m\né");
        let server = error.server_error().unwrap();
        let context = "PL/pgSQL function inline_code_block line 1 at RAISE";
        for (code, value) in [
            (b'S', "ERROR"),
            (b'V', "ERROR"),
            (b'C', "P1234"),
            (b'M', "m\né"),
            (b'D', "d"),
            (b'H', "h"),
            (b's', "sch"),
            (b't', "tab"),
            (b'c', "col"),
            (b'd', "typ"),
            (b'n', "con"),
            (b'W', context),
            (b'F', "pl_exec.c"),
            (b'R', "exec_stmt_raise"),
        ] {
            assert_eq!(
                server.field(code),
                Some(value.as_bytes()),
                "{}",
                char::from(code)
            );
        }
        assert_eq!(server.field_with_nul(b'D'), Some(&b"d\0"[..]));
        assert!(server.field(b'L').unwrap().iter().all(u8::is_ascii_digit));
        assert_eq!(server.field(b'P'), None);
        let codes: Vec<u8> = server.fields().map(|(code, _)| code).collect();
        assert_eq!(codes, b"SVCMDHWstcdnFLR");
        assert!(!error.is_safe_to_retry());
    }
}

#[test]
fn a_syntax_error_says_where() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let error = error_of(&mut session, "select 'é' frm x y");
        let server = error.server_error().unwrap();
        assert_eq!(server.field(b'P'), Some(&b"16"[..]));
        assert_eq!(server.to_string(), "ERROR:  syntax error at or near \"x\"");
        assert!(!server.is_fatal());
    }
}

#[test]
fn words_that_are_not_utf8_are_kept_byte_for_byte() {
    for server in servers() {
        let mut session = Session::open(&format!("{} client_encoding=LATIN1", server.conninfo()));
        let error = error_of(&mut session, "select * from \"caf\u{e9}\"");
        // The query's bytes were UTF-8; read as LATIN1 they are two letters, which come back as the same two bytes.
        let said = error.server_error().unwrap();
        assert_eq!(
            said.message(),
            "relation \"caf\u{e9}\" does not exist".as_bytes()
        );
        let operation = session
            .conn
            .start_query(b"select * from \"caf\xe9\"")
            .unwrap();
        let replies = session.until(operation, is_done);
        let Reply::Error(error) = &replies[0] else {
            panic!("{replies:?}");
        };
        assert_eq!(
            error.server_error().unwrap().message(),
            b"relation \"caf\xe9\" does not exist"
        );
    }
}

#[test]
fn what_may_be_tried_again_is_known() {
    for server in servers() {
        let mut one = Session::open(&server.conninfo());
        let mut other = Session::open(&server.conninfo());
        one.query("drop table if exists again; create table again as select 1 as x");
        for session in [&mut one, &mut other] {
            session.query("begin isolation level repeatable read; select * from again");
        }
        one.query("update again set x = 2; commit");
        let error = error_of(&mut other, "update again set x = 3");
        assert_eq!(error.sqlstate(), Some(&b"40001"[..]));
        assert!(error.is_safe_to_retry());
    }
}
