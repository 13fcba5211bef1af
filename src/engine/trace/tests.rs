//! Trace lines, message by message, against libpq's.

use super::Trace;

fn clock(into: &mut Vec<u8>) {
    into.extend_from_slice(b"2026-11-21 01:02:03.000004");
}

fn backend(flags: u32, tag: u8, body: &[u8]) -> String {
    let mut trace = Trace::new(flags | Trace::SUPPRESS_TIMESTAMPS, clock);
    trace.backend(tag, body);
    String::from_utf8_lossy(trace.lines()).into_owned()
}

fn frontend(flags: u32, tag: u8, body: &[u8], response: &str) -> String {
    let mut trace = Trace::new(flags | Trace::SUPPRESS_TIMESTAMPS, clock);
    trace.frontend(tag, body, response);
    String::from_utf8_lossy(trace.lines()).into_owned()
}

fn packet(body: &[u8]) -> String {
    let mut trace = Trace::new(Trace::SUPPRESS_TIMESTAMPS, clock);
    trace.packet(body);
    String::from_utf8_lossy(trace.lines()).into_owned()
}

const PLAIN: u32 = 0;
const REGRESS: u32 = Trace::REGRESS_MODE;

/// Each line as libpq 18.6 prints it.
#[test]
fn every_backend_message_is_printed_as_libpq_does() {
    let row_description = b"\0\x01id\0\0\0\x40\0\0\x03\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0";
    let error = b"SERROR\0C42601\0Ffile.c\0L12\0Rroutine\0\0";
    for (flags, tag, body, line) in [
        (PLAIN, b'1', &b""[..], "B\t4\tParseComplete\n"),
        (PLAIN, b'2', b"", "B\t4\tBindComplete\n"),
        (PLAIN, b'3', b"", "B\t4\tCloseComplete\n"),
        (PLAIN, b'I', b"", "B\t4\tEmptyQueryResponse\n"),
        (PLAIN, b'n', b"", "B\t4\tNoData\n"),
        (PLAIN, b's', b"", "B\t4\tPortalSuspended\n"),
        (PLAIN, b'c', b"", "B\t4\tCopyDone\n"),
        (PLAIN, b'Z', b"T", "B\t5\tReadyForQuery\t T\n"),
        (
            PLAIN,
            b'C',
            b"SELECT 1\0",
            "B\t13\tCommandComplete\t \"SELECT 1\"\n",
        ),
        (
            PLAIN,
            b'A',
            b"\0\0\0\x07chan\0hey\0",
            "B\t17\tNotificationResponse\t 7 \"chan\" \"hey\"\n",
        ),
        (
            REGRESS,
            b'A',
            b"\0\0\0\x07chan\0hey\0",
            "B\t17\tNotificationResponse\t NNNN \"chan\" \"hey\"\n",
        ),
        (
            PLAIN,
            b'D',
            b"\0\x03\0\0\0\x02a\n\xff\xff\xff\xff\0\0\0\0",
            "B\t20\tDataRow\t 3 2 'a\\x0a' -1 0 ''\n",
        ),
        (
            PLAIN,
            b'T',
            row_description,
            "B\t27\tRowDescription\t 1 \"id\" 16384 3 23 4 -1 0\n",
        ),
        (
            REGRESS,
            b'T',
            row_description,
            "B\t27\tRowDescription\t 1 \"id\" NNNN 3 NNNN 4 -1 0\n",
        ),
        (
            PLAIN,
            b't',
            b"\0\x01\0\0\0\x17",
            "B\t10\tParameterDescription\t 1 23\n",
        ),
        (
            PLAIN,
            b'S',
            b"TimeZone\0UTC\0",
            "B\t17\tParameterStatus\t \"TimeZone\" \"UTC\"\n",
        ),
        (PLAIN, b'd', b"a\tb", "B\t7\tCopyData\t 'a\\x09b'\n"),
        (REGRESS, b'd', b"a\tb", "B\t7\tCopyData\t 'BBBB'\n"),
        (
            PLAIN,
            b'G',
            b"\0\0\x01\0\0",
            "B\t9\tCopyInResponse\t \\x00 1 0\n",
        ),
        (
            PLAIN,
            b'H',
            b"\0\0\x01\0\0",
            "B\t9\tCopyOutResponse\t \\x00 1 0\n",
        ),
        (
            PLAIN,
            b'W',
            b"\0\0\x01\0\0",
            "B\t9\tCopyBothResponse\t \\x00 1 0\n",
        ),
        (
            PLAIN,
            b'V',
            b"\0\0\0\x01x",
            "B\t9\tFunctionCallResponse\t 1 'x'\n",
        ),
        (
            PLAIN,
            b'v',
            b"\0\x03\0\0\0\0\0\x01_pq_.x\0",
            "B\t19\tNegotiateProtocolVersion\t 196608 1 \"_pq_.x\"\n",
        ),
        (PLAIN, b'R', b"\0\0\0\0", "B\t8\tAuthenticationOk\n"),
        (
            PLAIN,
            b'R',
            b"\0\0\0\x05salt",
            "B\t12\tAuthenticationMD5Password\n",
        ),
        (
            PLAIN,
            b'R',
            b"\0\0\0\x0aSCRAM-SHA-256\0\0",
            "B\t23\tAuthenticationSASL\t \"SCRAM-SHA-256\" \"\"\n",
        ),
        (
            PLAIN,
            b'R',
            b"\0\0\0\x0br=1",
            "B\t11\tAuthenticationSASLContinue\t 'r=1'\n",
        ),
        (
            REGRESS,
            b'R',
            b"\0\0\0\x0cv=1",
            "B\t11\tAuthenticationSASLFinal\t 'BBBB'\n",
        ),
        (
            PLAIN,
            b'E',
            error,
            "B\t40\tErrorResponse\t S \"ERROR\" C \"42601\" F \"file.c\" L \"12\" R \"routine\" \\x00\n",
        ),
        (
            REGRESS,
            b'N',
            error,
            "B\tNN\tNoticeResponse\t S \"ERROR\" C \"42601\" F \"SSSS\" L \"SSSS\" R \"SSSS\" \\x00\n",
        ),
        (
            PLAIN,
            b'?',
            b"x",
            "B\t5\tUnknown message: 3f\nmismatched message length: consumed 4, expected 5\n",
        ),
    ] {
        assert_eq!(backend(flags, tag, body), line);
    }
}

#[test]
fn every_frontend_message_is_printed_as_libpq_does() {
    let bind = b"\0s\0\0\x01\0\x01\0\x02\0\0\0\x01x\xff\xff\xff\xff\0\x01\0\0";
    for (tag, body, line) in [
        (
            b'P',
            &b"s\0select $1\0\0\x01\0\0\0\x17"[..],
            "F\t22\tParse\t \"s\" \"select $1\" 1 23\n",
        ),
        (b'B', bind, "F\t26\tBind\t \"\" \"s\" 1 1 2 1 'x' -1 1 0\n"),
        (b'D', b"P\0", "F\t6\tDescribe\t P \"\"\n"),
        (b'C', b"Ss\0", "F\t7\tClose\t S \"s\"\n"),
        (b'E', b"\0\0\0\0\0", "F\t9\tExecute\t \"\" 0\n"),
        (b'Q', b"select 1\0", "F\t13\tQuery\t \"select 1\"\n"),
        (b'H', b"", "F\t4\tFlush\n"),
        (b'S', b"", "F\t4\tSync\n"),
        (b'X', b"", "F\t4\tTerminate\n"),
        (b'c', b"", "F\t4\tCopyDone\n"),
        (b'd', b"ab", "F\t6\tCopyData\t 'ab'\n"),
        (b'f', b"why\0", "F\t8\tCopyFail\t \"why\"\n"),
        (
            b'F',
            b"\0\0\0\x09\0\x01\0\x01\0\x01\0\0\0\x01a\0\x01",
            "F\t21\tFunctionCall\t 9 1 1 1 1 'a' 1\n",
        ),
    ] {
        assert_eq!(frontend(PLAIN, tag, body, "-"), line);
    }
}

#[test]
fn packets_without_a_type_are_printed_as_libpq_does() {
    let startup = b"\0\x03\0\0user\0bob\0\0";
    assert_eq!(
        packet(startup),
        "F\t18\tStartupMessage\t 3 0 \"user\" \"bob\"\n"
    );
    assert_eq!(
        packet(&80_877_103_i32.to_be_bytes()),
        "F\t8\tSSLRequest\t 1234 5679\n"
    );
    assert_eq!(
        packet(&80_877_104_i32.to_be_bytes()),
        "F\t8\tGSSENCRequest\t 1234 5680\n"
    );
}

#[test]
fn secrets_are_never_shown() {
    for flags in [PLAIN, REGRESS] {
        let shown = frontend(flags, b'p', b"correct horse\0", "PasswordMessage");
        assert_eq!(shown, "F\t18\tPasswordMessage\t \"SSSS\"\n");
        let initial = b"SCRAM-SHA-256\0\0\0\0\x03n,,";
        let shown = frontend(flags, b'p', initial, "SASLInitialResponse");
        assert_eq!(
            shown,
            "F\t25\tSASLInitialResponse\t \"SCRAM-SHA-256\" 3 'BBBB'\n"
        );
        let shown = frontend(flags, b'p', b"p=proof", "SASLResponse");
        assert_eq!(shown, "F\t11\tSASLResponse\t 'BBBB'\n");
        let shown = backend(flags, b'K', b"\0\0\0\x07key!");
        assert!(shown.ends_with(" 'BBBB'\n"), "{shown}");
    }
    let mut cancel = 80_877_102_i32.to_be_bytes().to_vec();
    cancel.extend_from_slice(b"\0\0\0\x07key!");
    assert_eq!(
        packet(&cancel),
        "F\t16\tCancelRequest\t 1234 5678 7 'BBBB'\n"
    );
}

#[test]
fn damaged_messages_are_printed_as_far_as_they_go() {
    for tag in 0..=255 {
        for body in [
            &b""[..],
            b"\x7f\xff",
            b"\x7f\xff\xff\xff",
            b"abc",
            &[0xff; 40],
            &[0; 40],
        ] {
            let line = backend(PLAIN, tag, body) + &frontend(PLAIN, tag, body, "PasswordMessage");
            assert!(line.ends_with('\n') && line.len() < 1000, "{line}");
        }
    }
    assert!(packet(b"").ends_with('\n'));
    assert!(
        packet(b"\0\x03\0\0user").contains("mismatched message length: consumed 8, expected 12")
    );
}

#[test]
fn lines_begin_with_the_time_unless_it_is_suppressed() {
    let mut trace = Trace::new(0, clock);
    trace.backend(b'Z', b"I");
    trace.set_flags(Trace::SUPPRESS_TIMESTAMPS);
    trace.answer("SSLResponse", b'N');
    let lines = b"2026-11-21 01:02:03.000004\tB\t5\tReadyForQuery\t I\nB\t1\tSSLResponse\t N\n";
    assert_eq!(trace.lines(), lines);
    trace.wrote(10);
    assert_eq!(trace.lines(), &lines[10..]);
    trace.wrote(lines.len() - 10);
    assert_eq!(trace.lines(), b"");
}

#[test]
fn a_trace_that_was_full_says_how_many_messages_are_missing() {
    let mut trace = Trace::new(Trace::SUPPRESS_TIMESTAMPS, clock);
    trace.backend(b'1', b"");
    trace.set_full(true);
    trace.backend(b'2', b"");
    trace.frontend(b'S', b"", "-");
    trace.answer("SSLResponse", b'N');
    trace.packet(b"\0\x03\0\0\0");
    trace.set_full(false);
    trace.set_full(false);
    trace.backend(b'3', b"");
    assert_eq!(
        String::from_utf8_lossy(trace.lines()),
        "B\t4\tParseComplete\n!\t4\tmessages are missing here: the trace was full\nB\t4\tCloseComplete\n"
    );
}
