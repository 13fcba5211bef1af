//! What can be wrong in the replies to a query.

use testkit::script::{
    Script, auth_ok, bind_complete, columns, complete, copy_data, copy_in, error, framed, no_data,
    oid, parse_complete, ready, row, suspended, with_length,
};
use testkit::sim::{Act, Session, What};

use super::{ask, seen};

fn one_column() -> Vec<u8> {
    columns(&[("a", oid::TEXT)])
}

/// Why the connection is over after these bytes in reply to a query.
fn broken_by(bytes: &[u8]) -> String {
    let name = format!("{:?}", String::from_utf8_lossy(bytes));
    let script = Script::trusting().query("SELECT 1").send(bytes);
    let seen = ask(&name, script);
    let error = seen
        .error
        .unwrap_or_else(|| panic!("{name}: it hangs: {}", seen.place));
    let text = error.message();
    // The operation is told of it, once.
    assert_eq!(
        seen.items[seen.items.len() - 2..],
        [
            format!("1 error Transport {text:?}"),
            String::from("1 done Failed Idle Lost")
        ],
        "{name}"
    );
    text.to_owned()
}

fn broken_in_result(bytes: &[u8]) -> String {
    broken_by(&[&one_column()[..], bytes].concat())
}

#[test]
fn wrong_lengths() {
    let lost = "lost synchronization with server: got message type ";
    for (tag, length, shown) in [
        (b'C', 0x7fff_ffff, "2147483647"),
        (b'C', 0x8000_0000, "-2147483648"),
        (b'C', u32::MAX, "-1"),
        (b'C', 3, "3"),
        (b'C', 30_001, "30001"),
        (b'D', 0x7fff_ffff, "2147483647"),
        (b'D', 0x4000_0000, "1073741824"),
        (b'D', u32::MAX, "-1"),
        (b'D', 0, "0"),
        (b'T', 0x7fff_ffff, "2147483647"),
        (b'N', u32::MAX, "-1"),
        (b'A', 0x7fff_ffff, "2147483647"),
        (b'S', 0x7fff_ffff, "2147483647"),
    ] {
        let text = broken_in_result(&with_length(tag, length, b"body"));
        let tag = char::from(tag);
        assert_eq!(text, format!("{lost}\"{tag}\", length {shown}"));
    }
}

/// A length is believed only as far as bytes come: 1 GB is announced, nothing is allocated, the deadline and the end still count.
#[test]
fn a_length_that_promises_a_gigabyte() {
    let bytes = [one_column(), with_length(b'D', 0x3fff_ffff, &[0, 1])].concat();
    let script = Script::trusting().query("SELECT 1").send(bytes).close();
    let seen = ask("a gigabyte", script);
    let error = seen.error.unwrap();
    assert!(
        error
            .message()
            .starts_with("server closed the connection unexpectedly"),
        "{error}"
    );
}

#[test]
fn unknown_types() {
    for (tag, shown) in [
        (b'?', "\"?\""),
        (1, "0x01"),
        (0xff, "0xff"),
        (b'X', "\"X\""),
    ] {
        assert_eq!(
            broken_by(&framed(tag, b"")),
            format!(
                "the server sent an unexpected message of type {shown} in the reply to a query"
            )
        );
    }
    assert_eq!(
        broken_by(&framed(0, b"")),
        "lost synchronization with server: got message type \"0x00\", length 4"
    );
}

#[test]
fn messages_at_the_wrong_time() {
    for message in [
        auth_ok(),
        parse_complete(),
        bind_complete(),
        no_data(),
        suspended(),
        copy_data(b"1\n"),
        framed(b'K', &[0; 8]),
        framed(b't', &[0, 0]),
        framed(b'V', &[0xff; 4]),
        framed(b'v', &[0; 8]),
    ] {
        let tag = char::from(message[0]);
        assert_eq!(
            broken_by(&message),
            format!(
                "the server sent an unexpected message of type \"{tag}\" in the reply to a query"
            )
        );
    }
}

#[test]
fn rows_that_nothing_describes() {
    let text = broken_by(&row(&[Some("1")]));
    assert!(text.contains("DataRow") || text.contains("\"D\""), "{text}");
    assert_eq!(broken_by(&row(&[])), text);
    // The columns of an earlier result are no description.
    let late = [one_column(), complete("SELECT 0"), row(&[Some("1")])].concat();
    assert_eq!(broken_by(&late), text);
}

#[test]
fn rows_that_lie() {
    let cells = "malformed DataRow message: ";
    for (body, text) in [
        (&b""[..], "cell count: ends early"),
        (b"\0", "cell count: ends early"),
        (b"\0\x02\0\0\0\0\0\0\0\0", "cell count: invalid value 2"),
        (b"\xff\xff", "cell count: invalid value 65535"),
        (b"\0\0", "cell count: invalid value 0"),
        (b"\0\x01", "cell length: ends early"),
        (b"\0\x01\0\0\0", "cell length: ends early"),
        (b"\0\x01\0\0\0\x05abc", "cell: ends early"),
        (b"\0\x01\x7f\xff\xff\xffabc", "cell: ends early"),
        (
            b"\0\x01\xff\xff\xff\xfeabc",
            "cell length: invalid length -2",
        ),
        (
            b"\0\x01\x80\0\0\0abc",
            "cell length: invalid length -2147483648",
        ),
        (b"\0\x01\0\0\0\x01abc", "cells: 2 bytes too many"),
        (b"\0\x01\xff\xff\xff\xffabc", "cells: 3 bytes too many"),
    ] {
        assert_eq!(
            broken_in_result(&framed(b'D', body)),
            format!("{cells}{text}"),
            "{body:?}"
        );
    }
}

#[test]
fn descriptions_that_lie() {
    let field = [&b"a\0"[..], &[0; 18]].concat();
    for (body, text) in [
        (vec![], "column count: ends early"),
        (vec![0, 1], "column name: no terminating NUL"),
        (
            [&[0, 2][..], &field].concat(),
            "column name: no terminating NUL",
        ),
        (
            [&[0, 1][..], b"a\0", &[0; 17]].concat(),
            "column: ends early",
        ),
        (
            [&[0, 1][..], &field, b"x"].concat(),
            "end: 1 bytes too many",
        ),
        (
            [&[0xff, 0xff][..], &field].concat(),
            "column name: no terminating NUL",
        ),
        (
            [&[0, 1][..], b"no end"].concat(),
            "column name: no terminating NUL",
        ),
    ] {
        assert_eq!(
            broken_by(&framed(b'T', &body)),
            format!("malformed RowDescription message: {text}"),
            "{body:?}"
        );
    }
}

#[test]
fn other_damaged_messages() {
    for (message, text) in [
        (
            framed(b'C', b"SELECT 1"),
            "CommandComplete message: command tag: no terminating NUL",
        ),
        (
            framed(b'C', b"SELECT 1\0x"),
            "CommandComplete message: end: 1 bytes too many",
        ),
        (
            framed(b'Z', b"II"),
            "ReadyForQuery message: end: 1 bytes too many",
        ),
        (
            framed(b'Z', b"?"),
            "ReadyForQuery message: transaction status: invalid value 63",
        ),
        (
            framed(b'E', b"SERROR\0Mx"),
            "ErrorResponse message: field: no terminating NUL",
        ),
        (
            framed(b'N', b"SNOTICE\0Mx\0"),
            "NoticeResponse message: field: no terminating NUL",
        ),
        (
            framed(b'A', b"\0\0\0\x01channel\0"),
            "NotificationResponse message: payload: no terminating NUL",
        ),
        (
            framed(b'A', b"\0\0"),
            "NotificationResponse message: process ID: ends early",
        ),
        (
            framed(b'S', b"name"),
            "ParameterStatus message: name: no terminating NUL",
        ),
        (
            framed(b'I', b"x"),
            "EmptyQueryResponse message: end: 1 bytes too many",
        ),
        (
            framed(b'G', &[2, 0, 0]),
            "CopyInResponse message: format: invalid value 2",
        ),
        (
            framed(b'H', &[0, 0, 9]),
            "CopyOutResponse message: column format: ends early",
        ),
    ] {
        assert_eq!(broken_by(&message), format!("malformed {text}"));
    }
}

/// The end of the query while a result is open: its rows must not get lost without a word.
#[test]
fn ready_in_the_middle_of_a_result() {
    let text = broken_in_result(&[row(&[Some("1")]), ready(b'I')].concat());
    assert_eq!(
        text,
        "the server sent an unexpected message of type \"Z\" in the rows of a result"
    );
}

/// A second ReadyForQuery belongs to nothing.
#[test]
fn messages_while_idle() {
    for message in [
        ready(b'I'),
        complete("SELECT 1"),
        row(&[]),
        one_column(),
        auth_ok(),
    ] {
        let script = Script::trusting()
            .query("SELECT 1")
            .send(complete("SELECT 1"))
            .send(ready(b'I'))
            .send(message.clone());
        let acts = vec![Act::Start(What::Query(String::from("SELECT 1"))), Act::Wait];
        let seen = seen(&Session::new("idle", script, acts));
        let error = seen.error.unwrap();
        assert_eq!(
            error.message(),
            format!(
                "message type 0x{:02x} arrived from server while idle",
                message[0]
            )
        );
        assert_eq!(seen.items[1], "1 done Ok Idle Clean");
    }
}

/// An error that is not FATAL and that nobody asked for is kept for whoever takes the notices.
#[test]
fn an_error_while_idle_is_a_notice() {
    let script = Script::trusting()
        .query("SELECT 1")
        .send(complete("SELECT 1"))
        .send(ready(b'I'))
        .send(error("ERROR", "XX000", "out of the blue"))
        .query("SELECT 1")
        .send(complete("SELECT 1"))
        .send(ready(b'I'));
    let seen = ask("an error while idle", script);
    assert!(seen.finished, "{}", seen.place);
    assert_eq!(seen.notices, ["out of the blue"]);
}

/// Steps of the extended protocol out of their order, each named.
#[test]
fn extended_replies_out_of_order() {
    let ok = [parse_complete(), bind_complete()].concat();
    let in_parse = "in the reply to Parse";
    let in_bind = "in the reply to Bind";
    let in_describe = "in the reply to Describe of a portal";
    let in_execute = "in the reply to Execute";
    for (bytes, tag, place) in [
        (bind_complete(), '2', in_parse),
        (ready(b'I'), 'Z', in_parse),
        ([parse_complete(), parse_complete()].concat(), '1', in_bind),
        ([parse_complete(), one_column()].concat(), 'T', in_bind),
        ([ok.clone(), row(&[])].concat(), 'D', in_describe),
        ([ok.clone(), complete("X")].concat(), 'C', in_describe),
        (
            [ok.clone(), one_column(), one_column()].concat(),
            'T',
            in_execute,
        ),
        (
            [ok.clone(), one_column(), ready(b'I')].concat(),
            'Z',
            in_execute,
        ),
        (
            [ok.clone(), no_data(), complete("X"), complete("X")].concat(),
            'C',
            "in the end of an operation",
        ),
    ] {
        let script = Script::trusting()
            .statement("SELECT 1", &[], 0, 0)
            .sync()
            .send(bytes);
        let what = What::Params {
            sql: String::from("SELECT 1"),
            types: Vec::new(),
            params: Vec::new(),
            format: 0,
            max_rows: 0,
        };
        let acts = vec![Act::Start(what), Act::Wait];
        let seen = seen(&Session::new("out of order", script, acts));
        assert_eq!(
            seen.error.unwrap().message(),
            format!("the server sent an unexpected message of type \"{tag}\" {place}")
        );
    }
    let script = Script::trusting()
        .statement("SELECT 1", &[], 0, 0)
        .sync()
        .send(framed(b'1', b"more"));
    let what = What::Params {
        sql: String::from("SELECT 1"),
        types: Vec::new(),
        params: Vec::new(),
        format: 0,
        max_rows: 0,
    };
    let seen = seen(&Session::new(
        "a body",
        script,
        vec![Act::Start(what), Act::Wait],
    ));
    assert_eq!(
        seen.error.unwrap().message(),
        "malformed message: the reply to Parse has 4 bytes too many"
    );
}

/// A COPY that a query cannot run: with something queued behind it, or in both directions, it cannot be refused either.
#[test]
fn copies_that_cannot_be_refused() {
    let in_both = framed(b'W', &[0, 0, 0]);
    let copy = |behind: bool, bytes: &[u8]| {
        let sql = "COPY a FROM STDIN";
        let mut acts = vec![Act::Start(What::Query(sql.to_owned()))];
        let mut script = Script::trusting().query(sql);
        if behind {
            acts.push(Act::Start(What::Query(String::from("SELECT 1"))));
            script = script.query("SELECT 1");
        }
        acts.push(Act::Wait);
        let seen = seen(&Session::new("copy", script.send(bytes), acts));
        assert_eq!(seen.items[1], "1 done Failed Idle Lost");
        assert_eq!(seen.items.len(), if behind { 3 } else { 2 });
        seen.error.unwrap().message().to_owned()
    };
    assert_eq!(
        copy(true, &copy_in(1)),
        "the statement is a COPY FROM STDIN with other operations queued behind it: the server takes their messages for \
         its data"
    );
    assert_eq!(
        copy(false, &in_both),
        "the statement begins a COPY in both directions, which this call cannot run"
    );
}

/// Two errors in one operation: the first is its reason; a FATAL after it is why the connection is over.
#[test]
fn an_error_and_then_a_fatal_one() {
    let script = Script::trusting()
        .query("SELECT 1")
        .send(error("ERROR", "42601", "syntax error"))
        .send(error("FATAL", "57P01", "terminating connection"))
        .close();
    let seen = ask("an error and then a fatal one", script);
    assert_eq!(seen.error.unwrap().message(), "terminating connection");
    assert_eq!(seen.items.len(), 2, "{:?}", seen.items);
    assert!(seen.items[0].contains("syntax error"));
    assert_eq!(seen.items[1], "1 done Failed Idle Lost");
}

/// While a portal is suspended nothing is read for it; yet notices are seen, and so is the server's goodbye.
#[test]
fn a_goodbye_while_a_portal_is_suspended() {
    let script = Script::trusting()
        .statement("SELECT 1", &[], 0, 1)
        .flush()
        .send(parse_complete())
        .send(bind_complete())
        .send(one_column())
        .send(row(&[Some("1")]))
        .send(suspended())
        .send(testkit::script::notice("soon"))
        .send(error("FATAL", "57P01", "terminating connection"))
        .close();
    let what = What::Params {
        sql: String::from("SELECT 1"),
        types: Vec::new(),
        params: Vec::new(),
        format: 0,
        max_rows: 1,
    };
    let acts = vec![Act::Start(what), Act::Wait];
    let seen = seen(&Session::new("suspended", script, acts));
    assert_eq!(seen.notices, ["soon"]);
    assert_eq!(seen.error.unwrap().message(), "terminating connection");
    assert_eq!(seen.items[1], "1 suspended");
    assert!(seen.items[2].starts_with("1 error Server \"terminating connection\""));
    assert_eq!(seen.items[3], "1 done Failed Idle Lost");
    assert_eq!(seen.items.len(), 4);
}
