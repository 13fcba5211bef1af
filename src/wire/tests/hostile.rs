//! What is not a message is an error, never a panic; and what cannot be one is not sent.

use super::*;

/// Whether the message ends in bytes that only the length word limits: then a shorter or longer one is valid too.
fn is_open_ended(message: &Backend<'_>) -> bool {
    use Authentication as A;
    match message {
        Backend::Authentication(message) => matches!(
            message,
            A::GSSContinue { .. } | A::SASLContinue { .. } | A::SASLFinal { .. } | A::Other { .. }
        ),
        Backend::CopyData(_) | Backend::BackendKeyData(_) => true,
        _ => false,
    }
}

fn encoded(encode: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out).unwrap();
    out
}

#[test]
fn a_message_of_the_backend_cut_at_any_byte_is_an_error() {
    for (message, bytes) in backend() {
        let body = &bytes[5..];
        for cut in 0..body.len() {
            match Backend::decode(bytes[0], &body[..cut]) {
                Err(error) => assert!(!error.problem.is_ours(), "{error}"),
                Ok(shorter) => {
                    assert!(
                        is_open_ended(&message),
                        "{message:?} cut at {cut} is {shorter:?}"
                    );
                    assert_eq!(encoded(|out| shorter.encode(out))[5..], body[..cut]);
                }
            }
        }
    }
}

#[test]
fn a_message_of_the_frontend_cut_at_any_byte_is_an_error() {
    for (message, bytes) in frontend() {
        let open = matches!(
            message,
            Frontend::CopyData(_) | Frontend::AuthenticationResponse(_)
        );
        for cut in 5..bytes.len() {
            assert!(
                open || Frontend::decode(bytes[0], &bytes[5..cut]).is_err(),
                "{message:?} cut at {cut}"
            );
        }
    }
    for (message, bytes) in startup() {
        for cut in 4..bytes.len() {
            assert!(
                Startup::decode(&bytes[4..cut]).is_err(),
                "{message:?} cut at {cut}"
            );
        }
    }
    for cut in 0..8 {
        assert!(SASLInitialResponse::decode(&b"M\0\0\0\0\x02n,"[..cut]).is_err());
    }
    assert!(PasswordMessage::decode(b"secret").is_err());
}

#[test]
fn a_byte_too_many_is_an_error() {
    for (message, bytes) in backend() {
        let longer = [&bytes[5..], b"\0"].concat();
        assert_eq!(
            Backend::decode(bytes[0], &longer).is_ok(),
            is_open_ended(&message),
            "{message:?}"
        );
    }
    for (message, bytes) in frontend() {
        let longer = [&bytes[5..], b"\0"].concat();
        let open = matches!(
            message,
            Frontend::CopyData(_) | Frontend::AuthenticationResponse(_)
        );
        assert_eq!(
            Frontend::decode(bytes[0], &longer).is_ok(),
            open,
            "{message:?}"
        );
    }
    for (message, bytes) in startup() {
        let longer = [&bytes[4..], b"\0"].concat();
        assert_eq!(
            Startup::decode(&longer).is_ok(),
            matches!(message, Startup::Cancel(_)),
            "{message:?}"
        );
    }
    let error = ReadyForQuery::decode(b"I??").unwrap_err();
    assert_eq!(
        error.to_string(),
        "malformed ReadyForQuery message: end: 2 bytes too many"
    );
}

/// Damages every byte of every message in every way: what still decodes must encode to the damaged bytes.
#[test]
fn a_damaged_byte_is_an_error_or_another_message() {
    for (_, bytes) in backend().into_iter() {
        for position in 5..bytes.len() {
            for value in 0..=255 {
                let mut bytes = bytes.to_vec();
                bytes[position] = value;
                if let Ok(message) = Backend::decode(bytes[0], &bytes[5..]) {
                    assert_eq!(encoded(|out| message.encode(out)), bytes);
                }
            }
        }
    }
    for (_, bytes) in frontend() {
        for position in 5..bytes.len() {
            for value in 0..=255 {
                let mut bytes = bytes.to_vec();
                bytes[position] = value;
                if let Ok(message) = Frontend::decode(bytes[0], &bytes[5..]) {
                    assert_eq!(encoded(|out| message.encode(out)), bytes);
                }
            }
        }
    }
}

#[test]
fn what_is_wrong_is_named() {
    let cases: &[(u8, &[u8], &str)] = &[
        (
            b'D',
            b"\0",
            "malformed DataRow message: column count: ends early",
        ),
        (
            b'D',
            b"\0\x01\xff\xff\xff\xfe",
            "malformed DataRow message: column value: invalid length -2",
        ),
        (
            b'D',
            b"\xff\xff",
            "malformed DataRow message: column value: ends early",
        ),
        (
            b'T',
            b"\0\x01id",
            "malformed RowDescription message: column name: no terminating NUL",
        ),
        (
            b'Z',
            b"X",
            "malformed ReadyForQuery message: transaction status: invalid value 88",
        ),
        (
            b'G',
            b"\x02\0\0",
            "malformed CopyInResponse message: format: invalid value 2",
        ),
        (
            b'E',
            b"SERROR\0",
            "malformed ErrorResponse message: field: no terminating NUL",
        ),
        (
            b'v',
            b"\0\x03\0\0\xff\xff\xff\xff",
            "malformed NegotiateProtocolVersion message: option count: invalid value -1",
        ),
        (
            b'v',
            b"\0\x03\0\0\x7f\xff\xff\xff",
            "malformed NegotiateProtocolVersion message: option: no terminating NUL",
        ),
        (
            b'K',
            b"\0\0\0\x01abc",
            "malformed BackendKeyData message: secret key: invalid length 3",
        ),
        (
            b'!',
            b"",
            "malformed backend message: type: unknown message type 0x21",
        ),
    ];
    for (tag, body, text) in cases {
        assert_eq!(Backend::decode(*tag, body).unwrap_err().to_string(), *text);
    }
}

#[test]
fn what_cannot_be_sent_is_named() {
    let refused = |encode: &dyn Fn(&mut Vec<u8>) -> Result<(), Error>| {
        let mut out = b"before".to_vec();
        let error = encode(&mut out).unwrap_err();
        assert_eq!(out, b"before");
        error.to_string()
    };
    let nul = "contains a NUL byte";
    assert_eq!(
        refused(&|out| encode_query(out, b"a\0b")),
        format!("cannot send Query message: query: {nul}")
    );
    assert_eq!(
        refused(&|out| encode_bind(out, b"", b"long enough for a word\0", &(), &[])),
        format!("cannot send Bind message: statement name: {nul}")
    );
    let many: &[Option<&[u8]>] = &vec![None; 65_536];
    assert_eq!(
        refused(&|out| encode_bind(out, b"", b"", &many, &[])),
        "cannot send Bind message: parameter count: too long: 65536"
    );
    assert_eq!(
        refused(&|out| encode_parse(out, b"", b"", &[0; 65_536])),
        "cannot send Parse message: parameter type count: too long: 65536"
    );
    assert_eq!(
        refused(&|out| encode_describe(out, b'X', b"")),
        "malformed Describe message: kind: invalid value 88"
    );
    let nameless = List::from(&[(b"" as &[u8], b"v" as &[u8])]);
    assert_eq!(
        refused(&|out| StartupMessage {
            version: V3_0,
            parameters: nameless
        }
        .encode(out)),
        "malformed StartupMessage message: parameter: invalid length 0"
    );
    // Zeroed memory that is never touched costs nothing: the length alone must be refused.
    let huge = vec![0; 0x4000_0000];
    let value: &[Option<&[u8]>] = &[Some(&huge)];
    assert_eq!(
        refused(&|out| encode_bind(out, b"", b"", &value, &[])),
        "cannot send Bind message: parameter value: too long: 1073741824"
    );
    // The largest number of parameters that there can be is sent.
    encode_bind(&mut Vec::new(), b"", b"", &&many[1..], &[]).unwrap();
}
