//! Every message there and back, against bytes written by hand from the manual's layouts.
#![allow(clippy::unwrap_used)]

use super::protocol::{V3_0, V3_2};
use super::*;

mod calls;
mod hostile;

const COLUMNS: &[Field<'_>] = &[
    Field {
        name: b"id",
        table_oid: 16_384,
        column: 1,
        type_oid: 23,
        type_size: 4,
        type_modifier: -1,
        format: 1,
    },
    Field {
        name: b"",
        table_oid: 0,
        column: 0,
        type_oid: 25,
        type_size: -1,
        type_modifier: 7,
        format: 0,
    },
];
const VALUES: &[Option<&[u8]>] = &[Some(b"ab"), None, Some(b"")];

/// Each message of the backend and its bytes: tag, length word, body.
fn backend() -> Vec<(Backend<'static>, &'static [u8])> {
    use Authentication as A;
    use Backend as B;
    let status = |status| B::ReadyForQuery(ReadyForQuery { status });
    vec![
        (B::Authentication(A::Ok), b"R\0\0\0\x08\0\0\0\0"),
        (B::Authentication(A::KerberosV5), b"R\0\0\0\x08\0\0\0\x02"),
        (
            B::Authentication(A::CleartextPassword),
            b"R\0\0\0\x08\0\0\0\x03",
        ),
        (
            B::Authentication(A::MD5Password { salt: *b"salt" }),
            b"R\0\0\0\x0c\0\0\0\x05salt",
        ),
        (B::Authentication(A::GSS), b"R\0\0\0\x08\0\0\0\x07"),
        (
            B::Authentication(A::GSSContinue { data: b"\0x" }),
            b"R\0\0\0\x0a\0\0\0\x08\0x",
        ),
        (B::Authentication(A::SSPI), b"R\0\0\0\x08\0\0\0\x09"),
        (
            B::Authentication(A::SASL {
                mechanisms: List::from(&[b"SCRAM" as &[u8], b"X"]),
            }),
            b"R\0\0\0\x11\0\0\0\x0aSCRAM\0X\0\0",
        ),
        (
            B::Authentication(A::SASL {
                mechanisms: List::default(),
            }),
            b"R\0\0\0\x09\0\0\0\x0a\0",
        ),
        (
            B::Authentication(A::SASLContinue { data: b"r=" }),
            b"R\0\0\0\x0a\0\0\0\x0br=",
        ),
        (
            B::Authentication(A::SASLFinal { data: b"v=" }),
            b"R\0\0\0\x0a\0\0\0\x0cv=",
        ),
        (
            B::Authentication(A::Other {
                code: 99,
                data: b"?",
            }),
            b"R\0\0\0\x09\0\0\0\x63?",
        ),
        (
            B::BackendKeyData(BackendKeyData {
                process_id: 258,
                secret_key: b"\x01\x02\x03\x04",
            }),
            b"K\0\0\0\x0c\0\0\x01\x02\x01\x02\x03\x04",
        ),
        (B::BindComplete(BindComplete), b"2\0\0\0\x04"),
        (B::CloseComplete(CloseComplete), b"3\0\0\0\x04"),
        (
            B::CommandComplete(CommandComplete { tag: b"SELECT 1" }),
            b"C\0\0\0\x0dSELECT 1\0",
        ),
        (
            B::CopyBothResponse(CopyBothResponse {
                format: 0,
                column_formats: List::default(),
            }),
            b"W\0\0\0\x07\0\0\0",
        ),
        (
            B::CopyData(CopyData { data: b"1\t2\n" }),
            b"d\0\0\0\x081\t2\n",
        ),
        (B::CopyDone(CopyDone), b"c\0\0\0\x04"),
        (
            B::CopyInResponse(CopyInResponse {
                format: 0,
                column_formats: List::from(&[0, 0]),
            }),
            b"G\0\0\0\x0b\0\0\x02\0\0\0\0",
        ),
        (
            B::CopyOutResponse(CopyOutResponse {
                format: 1,
                column_formats: List::from(&[1]),
            }),
            b"H\0\0\0\x09\x01\0\x01\0\x01",
        ),
        (
            B::DataRow(DataRow {
                values: VALUES.into(),
            }),
            b"D\0\0\0\x14\0\x03\0\0\0\x02ab\xff\xff\xff\xff\0\0\0\0",
        ),
        (
            B::DataRow(DataRow {
                values: List::default(),
            }),
            b"D\0\0\0\x06\0\0",
        ),
        (B::EmptyQueryResponse(EmptyQueryResponse), b"I\0\0\0\x04"),
        (
            B::ErrorResponse(ErrorResponse {
                fields: List::from(&[(b'S', b"ERROR" as &[u8]), (b'?', b"")]),
            }),
            b"E\0\0\0\x0eSERROR\0?\0\0",
        ),
        (
            B::ErrorResponse(ErrorResponse {
                fields: List::default(),
            }),
            b"E\0\0\0\x05\0",
        ),
        (
            B::FunctionCallResponse(FunctionCallResponse {
                value: Some(b"\x2a"),
            }),
            b"V\0\0\0\x09\0\0\0\x01\x2a",
        ),
        (
            B::FunctionCallResponse(FunctionCallResponse { value: None }),
            b"V\0\0\0\x08\xff\xff\xff\xff",
        ),
        (
            B::NegotiateProtocolVersion(NegotiateProtocolVersion {
                version: V3_0,
                options: List::from(&[b"_pq_.x" as &[u8]]),
            }),
            b"v\0\0\0\x13\0\x03\0\0\0\0\0\x01_pq_.x\0",
        ),
        (B::NoData(NoData), b"n\0\0\0\x04"),
        (
            B::NoticeResponse(NoticeResponse {
                fields: List::from(&[(b'M', b"hi" as &[u8])]),
            }),
            b"N\0\0\0\x09Mhi\0\0",
        ),
        (
            B::NotificationResponse(NotificationResponse {
                process_id: 7,
                channel: b"ch",
                payload: b"p",
            }),
            b"A\0\0\0\x0d\0\0\0\x07ch\0p\0",
        ),
        (
            B::ParameterDescription(ParameterDescription {
                types: List::from(&[23, 25]),
            }),
            b"t\0\0\0\x0e\0\x02\0\0\0\x17\0\0\0\x19",
        ),
        (
            B::ParameterStatus(ParameterStatus {
                name: b"TimeZone",
                value: b"",
            }),
            b"S\0\0\0\x0eTimeZone\0\0",
        ),
        (B::ParseComplete(ParseComplete), b"1\0\0\0\x04"),
        (B::PortalSuspended(PortalSuspended), b"s\0\0\0\x04"),
        (status(TransactionStatus::Idle), b"Z\0\0\0\x05I"),
        (status(TransactionStatus::InTransaction), b"Z\0\0\0\x05T"),
        (status(TransactionStatus::Failed), b"Z\0\0\0\x05E"),
        (
            B::RowDescription(RowDescription {
                fields: COLUMNS.into(),
            }),
            b"T\0\0\0\x2e\0\x02\
              id\0\0\0\x40\0\0\x01\0\0\0\x17\0\x04\xff\xff\xff\xff\0\x01\
              \0\0\0\0\0\0\0\0\0\0\x19\xff\xff\0\0\0\x07\0\0",
        ),
    ]
}

/// Each message of the frontend and its bytes: tag, length word, body.
fn frontend() -> Vec<(Frontend<'static>, &'static [u8])> {
    use Frontend as F;
    vec![
        (F::AuthenticationResponse(AuthenticationResponse { body: b"secret\0" }), b"p\0\0\0\x0bsecret\0"),
        (
            F::Bind(Bind {
                portal: b"p",
                statement: b"s",
                formats: List::from(&[1]),
                values: VALUES.into(),
                result_formats: List::from(&[0, 1]),
            }),
            b"B\0\0\0\x22p\0s\0\0\x01\0\x01\0\x03\0\0\0\x02ab\xff\xff\xff\xff\0\0\0\0\0\x02\0\0\0\x01",
        ),
        (F::Close(Close { kind: b'S', name: b"s" }), b"C\0\0\0\x07Ss\0"),
        (F::CopyData(CopyData { data: b"" }), b"d\0\0\0\x04"),
        (F::CopyDone(CopyDone), b"c\0\0\0\x04"),
        (F::CopyFail(CopyFail { reason: b"no" }), b"f\0\0\0\x07no\0"),
        (F::Describe(Describe { kind: b'P', name: b"" }), b"D\0\0\0\x06P\0"),
        (F::Execute(Execute { portal: b"", max_rows: 256 }), b"E\0\0\0\x09\0\0\0\x01\0"),
        (F::Flush(Flush), b"H\0\0\0\x04"),
        (
            F::FunctionCall(FunctionCall {
                function_oid: 957,
                formats: List::from(&[1]),
                arguments: VALUES.into(),
                result_format: 1,
            }),
            b"F\0\0\0\x1e\0\0\x03\xbd\0\x01\0\x01\0\x03\0\0\0\x02ab\xff\xff\xff\xff\0\0\0\0\0\x01",
        ),
        (
            F::Parse(Parse { statement: b"s", sql: b"SELECT $1", types: List::from(&[0x0102_0304]) }),
            b"P\0\0\0\x16s\0SELECT $1\0\0\x01\x01\x02\x03\x04",
        ),
        (F::Query(Query { sql: b"SELECT 1" }), b"Q\0\0\0\x0dSELECT 1\0"),
        (F::Sync(Sync), b"S\0\0\0\x04"),
        (F::Terminate(Terminate), b"X\0\0\0\x04"),
    ]
}

/// Each message without a tag and its bytes: length word, body.
fn startup() -> Vec<(Startup<'static>, &'static [u8])> {
    use Startup as S;
    vec![
        (
            S::Startup(StartupMessage {
                version: V3_2,
                parameters: List::from(&[(b"user" as &[u8], b"me" as &[u8]), (b"options", b"")]),
            }),
            b"\0\0\0\x1a\0\x03\0\x02user\0me\0options\0\0\0",
        ),
        (S::Ssl(SSLRequest), b"\0\0\0\x08\x04\xd2\x16\x2f"),
        (S::Gssenc(GSSENCRequest), b"\0\0\0\x08\x04\xd2\x16\x30"),
        (
            S::Cancel(CancelRequest {
                process_id: 7,
                secret_key: b"\0\x01\x02\x03",
            }),
            b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x07\0\x01\x02\x03",
        ),
    ]
}

#[test]
fn each_message_of_the_backend_there_and_back() {
    for (message, bytes) in backend() {
        let mut out = Vec::new();
        message.encode(&mut out).unwrap();
        assert_eq!(out, bytes, "{message:?}");
        let header = frame::header(bytes).unwrap().unwrap();
        assert_eq!(header.len, bytes.len() - 5);
        assert_eq!(Backend::decode(header.tag, &bytes[5..]).unwrap(), message);
    }
}

#[test]
fn each_message_of_the_frontend_there_and_back() {
    for (message, bytes) in frontend() {
        let mut out = Vec::new();
        message.encode(&mut out).unwrap();
        assert_eq!(out, bytes, "{message:?}");
        let header = frame::frontend_header(bytes).unwrap().unwrap();
        assert_eq!(header.len, bytes.len() - 5);
        assert_eq!(Frontend::decode(header.tag, &bytes[5..]).unwrap(), message);
    }
}

#[test]
fn each_message_without_a_tag_there_and_back() {
    for (message, bytes) in startup() {
        let mut out = Vec::new();
        message.encode(&mut out).unwrap();
        assert_eq!(out, bytes, "{message:?}");
        assert_eq!(Startup::decode(&bytes[4..]).unwrap(), message);
    }
}
