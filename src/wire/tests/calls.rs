//! The messages that the tables do not tell apart, the engine's encoders, and what is asked of a decoded message.

use super::*;

#[test]
fn the_answers_to_authentication_there_and_back() {
    let mut out = Vec::new();
    let password = PasswordMessage {
        password: b"secret",
    };
    password.encode(&mut out).unwrap();
    assert_eq!(out, b"p\0\0\0\x0bsecret\0");
    assert_eq!(PasswordMessage::decode(&out[5..]).unwrap(), password);

    out.clear();
    let first = SASLInitialResponse {
        mechanism: b"M",
        response: Some(b"n,,"),
    };
    first.encode(&mut out).unwrap();
    assert_eq!(out, b"p\0\0\0\x0dM\0\0\0\0\x03n,,");
    assert_eq!(SASLInitialResponse::decode(&out[5..]).unwrap(), first);

    out.clear();
    let bare = SASLInitialResponse {
        mechanism: b"M",
        response: None,
    };
    bare.encode(&mut out).unwrap();
    assert_eq!(out, b"p\0\0\0\x0aM\0\xff\xff\xff\xff");
    assert_eq!(SASLInitialResponse::decode(&out[5..]).unwrap(), bare);

    out.clear();
    SASLResponse { data: b"c=" }.encode(&mut out).unwrap();
    assert_eq!(SASLResponse::decode(&out[5..]).unwrap().data, b"c=");
    assert_eq!(GSSResponse::decode(&out[5..]).unwrap().data, b"c=");
    let mut same = Vec::new();
    GSSResponse { data: b"c=" }.encode(&mut same).unwrap();
    assert_eq!(out, same);
}

#[test]
fn secrets_are_not_shown() {
    let shown = format!(
        "{:?} {:?} {:?} {:?}",
        PasswordMessage { password: b"ABC" },
        AuthenticationResponse { body: b"ABC" },
        BackendKeyData {
            process_id: 1,
            secret_key: b"ABCD"
        },
        CancelRequest {
            process_id: 1,
            secret_key: b"ABCD"
        },
    );
    assert!(!shown.contains("65, 66, 67"), "{shown}");
}

/// The bytes that libpq 18 sends for the same calls.
#[test]
fn the_encoders_of_the_engine_write_what_libpq_writes() {
    let mut out = Vec::new();
    encode_query(&mut out, b"SELECT 1").unwrap();
    assert_eq!(out, b"Q\0\0\0\x0dSELECT 1\0");

    out.clear();
    encode_parse(&mut out, b"", b"SELECT $1", &[]).unwrap();
    assert_eq!(out, b"P\0\0\0\x11\0SELECT $1\0\0\0");

    // PQsendQueryParams without formats: none is sent; the result format is one for all.
    out.clear();
    let text: &[Option<&[u8]>] = &[Some(b"7"), None];
    encode_bind(&mut out, b"", b"", &text, &[0]).unwrap();
    assert_eq!(
        out,
        b"B\0\0\0\x17\0\0\0\0\0\x02\0\0\0\x017\xff\xff\xff\xff\0\x01\0\0"
    );

    // With formats: one for each, even where all are text.
    out.clear();
    let both: &[(Option<&[u8]>, i16)] = &[(Some(b"7"), 0), (None, 1)];
    encode_bind(&mut out, b"", b"s", &both, &[1]).unwrap();
    assert_eq!(
        out,
        b"B\0\0\0\x1c\0s\0\0\x02\0\0\0\x01\0\x02\0\0\0\x017\xff\xff\xff\xff\0\x01\0\x01"
    );

    out.clear();
    encode_bind(&mut out, b"", b"s", &(), &[]).unwrap();
    assert_eq!(out, b"B\0\0\0\x0d\0s\0\0\0\0\0\0\0");

    out.clear();
    encode_describe(&mut out, b'P', b"").unwrap();
    encode_execute(&mut out, b"", 0).unwrap();
    encode_close(&mut out, b'S', b"s").unwrap();
    encode_flush(&mut out).unwrap();
    encode_sync(&mut out).unwrap();
    let expected = b"D\0\0\0\x06P\0E\0\0\0\x09\0\0\0\0\0C\0\0\0\x07Ss\0H\0\0\0\x04S\0\0\0\x04";
    assert_eq!(out, expected);

    // PQfn: one format for all arguments.
    out.clear();
    let arguments: &[Option<&[u8]>] = &[Some(b"\0\0\0\x05"), None];
    encode_function_call(&mut out, 952, &[1], &arguments, 1).unwrap();
    assert_eq!(
        out,
        b"F\0\0\0\x1c\0\0\x03\xb8\0\x01\0\x01\0\x02\0\0\0\x04\0\0\0\x05\xff\xff\xff\xff\0\x01"
    );
}

#[test]
fn keys_of_any_length_that_the_manual_allows() {
    for length in [4, 5, 32, 256] {
        let key = vec![9; length];
        let mut out = Vec::new();
        let data = BackendKeyData {
            process_id: -1,
            secret_key: &key,
        };
        data.encode(&mut out).unwrap();
        assert_eq!(BackendKeyData::decode(&out[5..]).unwrap(), data);
        out.clear();
        let cancel = CancelRequest {
            process_id: -1,
            secret_key: &key,
        };
        cancel.encode(&mut out).unwrap();
        assert_eq!(CancelRequest::decode(&out[4..]).unwrap(), cancel);
    }
    for length in [0, 3, 257] {
        let problem = Problem::BadLength(length as i64);
        let key = vec![9; length];
        let data = BackendKeyData {
            process_id: 1,
            secret_key: &key,
        };
        assert_eq!(data.encode(&mut Vec::new()).unwrap_err().problem, problem);
        let body = [&[0; 4][..], &key].concat();
        assert_eq!(BackendKeyData::decode(&body).unwrap_err().problem, problem);
        let cancel = CancelRequest {
            process_id: 1,
            secret_key: &key,
        };
        assert_eq!(cancel.encode(&mut Vec::new()).unwrap_err().problem, problem);
    }
}

#[test]
fn fields_of_an_error_are_found_by_code_and_unknown_ones_are_kept() {
    let error = ErrorResponse::decode(b"SERROR\0C42601\0?new\0C00000\0\0").unwrap();
    assert_eq!(error.field(b'C'), Some(&b"42601"[..]));
    assert_eq!(error.field(b'?'), Some(&b"new"[..]));
    assert_eq!(error.field(b'H'), None);
    assert_eq!(error.fields.len(), 4);
}
