//! Short forms of the messages that scripts are made of. Each gives the bytes of one message.

use pgpoll::wire::{
    Authentication, Backend, BackendKeyData, BindComplete, CloseComplete, CommandComplete,
    CopyBothResponse, CopyData, CopyDone, CopyInResponse, CopyOutResponse, DataRow,
    EmptyQueryResponse, ErrorResponse, Field, FunctionCallResponse, List, NegotiateProtocolVersion,
    NoData, NoticeResponse, NotificationResponse, ParameterDescription, ParameterStatus,
    ParseComplete, PortalSuspended, ReadyForQuery, RowDescription, TransactionStatus,
};

/// Object IDs of the types that the scripts use.
#[allow(missing_docs)]
pub mod oid {
    pub const BYTEA: u32 = 17;
    pub const INT4: u32 = 23;
    pub const TEXT: u32 = 25;
}

/// The bytes of a message.
pub fn encoded(message: &Backend<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes).unwrap();
    bytes
}

/// Any bytes as a message: a tag, the right length word, the body.
pub fn framed(tag: u8, body: &[u8]) -> Vec<u8> {
    with_length(tag, body.len() as u32 + 4, body)
}

/// A message that lies about its length.
pub fn with_length(tag: u8, length: u32, body: &[u8]) -> Vec<u8> {
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

/// AuthenticationOk.
pub fn auth_ok() -> Vec<u8> {
    encoded(&Backend::Authentication(Authentication::Ok))
}

/// AuthenticationCleartextPassword.
pub fn auth_cleartext() -> Vec<u8> {
    encoded(&Backend::Authentication(Authentication::CleartextPassword))
}

/// AuthenticationMD5Password.
pub fn auth_md5(salt: [u8; 4]) -> Vec<u8> {
    encoded(&Backend::Authentication(Authentication::MD5Password {
        salt,
    }))
}

/// AuthenticationGSS.
pub fn auth_gss() -> Vec<u8> {
    encoded(&Backend::Authentication(Authentication::GSS))
}

/// AuthenticationGSSContinue.
pub fn auth_gss_continue(data: &[u8]) -> Vec<u8> {
    encoded(&Backend::Authentication(Authentication::GSSContinue {
        data,
    }))
}

/// AuthenticationSASL.
pub fn auth_sasl(mechanisms: &[&str]) -> Vec<u8> {
    let mechanisms: Vec<&[u8]> = mechanisms.iter().map(|name| name.as_bytes()).collect();
    encoded(&Backend::Authentication(Authentication::SASL {
        mechanisms: List::from(&mechanisms),
    }))
}

/// AuthenticationSASLContinue.
pub fn auth_sasl_continue(data: &[u8]) -> Vec<u8> {
    encoded(&Backend::Authentication(Authentication::SASLContinue {
        data,
    }))
}

/// AuthenticationSASLFinal.
pub fn auth_sasl_final(data: &[u8]) -> Vec<u8> {
    encoded(&Backend::Authentication(Authentication::SASLFinal { data }))
}

/// ParameterStatus.
pub fn parameter(name: &str, value: &str) -> Vec<u8> {
    encoded(&Backend::ParameterStatus(ParameterStatus {
        name: name.as_bytes(),
        value: value.as_bytes(),
    }))
}

/// BackendKeyData.
pub fn backend_key(process_id: i32, secret_key: &[u8]) -> Vec<u8> {
    encoded(&Backend::BackendKeyData(BackendKeyData {
        process_id,
        secret_key,
    }))
}

/// ReadyForQuery: `I`, `T` or `E`.
pub fn ready(status: u8) -> Vec<u8> {
    let status = TransactionStatus::from_byte(status).unwrap();
    encoded(&Backend::ReadyForQuery(ReadyForQuery { status }))
}

/// NegotiateProtocolVersion.
pub fn negotiate(version: i32, options: &[&[u8]]) -> Vec<u8> {
    encoded(&Backend::NegotiateProtocolVersion(
        NegotiateProtocolVersion {
            version,
            options: List::from(options),
        },
    ))
}

/// RowDescription of columns in text form, each a name and the object ID of its type.
pub fn columns(columns: &[(&str, u32)]) -> Vec<u8> {
    columns_in(columns, 0)
}

/// The same in a format: 0 text, 1 binary.
pub fn columns_in(columns: &[(&str, u32)], format: i16) -> Vec<u8> {
    let fields: Vec<Field<'_>> = columns
        .iter()
        .map(|&(name, type_oid)| Field {
            name: name.as_bytes(),
            table_oid: 0,
            column: 0,
            type_oid,
            type_size: if type_oid == oid::INT4 { 4 } else { -1 },
            type_modifier: -1,
            format,
        })
        .collect();
    encoded(&Backend::RowDescription(RowDescription {
        fields: List::from(&fields),
    }))
}

/// DataRow of texts.
pub fn row(values: &[Option<&str>]) -> Vec<u8> {
    let values: Vec<Option<&[u8]>> = values
        .iter()
        .map(|value| value.map(str::as_bytes))
        .collect();
    row_of(&values)
}

/// DataRow of any bytes.
pub fn row_of(values: &[Option<&[u8]>]) -> Vec<u8> {
    encoded(&Backend::DataRow(DataRow {
        values: List::from(values),
    }))
}

/// CommandComplete.
pub fn complete(tag: &str) -> Vec<u8> {
    encoded(&Backend::CommandComplete(CommandComplete {
        tag: tag.as_bytes(),
    }))
}

/// EmptyQueryResponse.
pub fn empty_query() -> Vec<u8> {
    encoded(&Backend::EmptyQueryResponse(EmptyQueryResponse))
}

/// ParseComplete.
pub fn parse_complete() -> Vec<u8> {
    encoded(&Backend::ParseComplete(ParseComplete))
}

/// BindComplete.
pub fn bind_complete() -> Vec<u8> {
    encoded(&Backend::BindComplete(BindComplete))
}

/// CloseComplete.
pub fn close_complete() -> Vec<u8> {
    encoded(&Backend::CloseComplete(CloseComplete))
}

/// NoData.
pub fn no_data() -> Vec<u8> {
    encoded(&Backend::NoData(NoData))
}

/// PortalSuspended.
pub fn suspended() -> Vec<u8> {
    encoded(&Backend::PortalSuspended(PortalSuspended))
}

/// ParameterDescription.
pub fn parameters(types: &[u32]) -> Vec<u8> {
    encoded(&Backend::ParameterDescription(ParameterDescription {
        types: List::from(types),
    }))
}

/// The fields of a report as a server writes them.
fn report<'a>(severity: &'a str, sqlstate: &'a str, message: &'a str) -> [(u8, &'a [u8]); 4] {
    [
        (b'S', severity.as_bytes()),
        (b'V', severity.as_bytes()),
        (b'C', sqlstate.as_bytes()),
        (b'M', message.as_bytes()),
    ]
}

/// ErrorResponse: `ERROR`, `FATAL` or `PANIC`.
pub fn error(severity: &str, sqlstate: &str, message: &str) -> Vec<u8> {
    encoded(&Backend::ErrorResponse(ErrorResponse {
        fields: List::from(&report(severity, sqlstate, message)),
    }))
}

/// NoticeResponse.
pub fn notice(message: &str) -> Vec<u8> {
    encoded(&Backend::NoticeResponse(NoticeResponse {
        fields: List::from(&report("NOTICE", "00000", message)),
    }))
}

/// NotificationResponse.
pub fn notification(process_id: i32, channel: &str, payload: &str) -> Vec<u8> {
    encoded(&Backend::NotificationResponse(NotificationResponse {
        process_id,
        channel: channel.as_bytes(),
        payload: payload.as_bytes(),
    }))
}

/// CopyInResponse of text columns.
pub fn copy_in(columns: usize) -> Vec<u8> {
    encoded(&Backend::CopyInResponse(CopyInResponse {
        format: 0,
        column_formats: List::from(&vec![0; columns]),
    }))
}

/// CopyBothResponse of replication.
pub fn copy_both() -> Vec<u8> {
    encoded(&Backend::CopyBothResponse(CopyBothResponse {
        format: 0,
        column_formats: List::default(),
    }))
}

/// CopyOutResponse of text columns.
pub fn copy_out(columns: usize) -> Vec<u8> {
    encoded(&Backend::CopyOutResponse(CopyOutResponse {
        format: 0,
        column_formats: List::from(&vec![0; columns]),
    }))
}

/// FunctionCallResponse.
pub fn returned(value: Option<&[u8]>) -> Vec<u8> {
    encoded(&Backend::FunctionCallResponse(FunctionCallResponse {
        value,
    }))
}

/// CopyData.
pub fn copy_data(data: &[u8]) -> Vec<u8> {
    encoded(&Backend::CopyData(CopyData { data }))
}

/// CopyDone.
pub fn copy_done() -> Vec<u8> {
    encoded(&Backend::CopyDone(CopyDone))
}
