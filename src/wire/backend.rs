//! Any message of the backend, by its tag. The tables of `decode` and `encode`, and nothing else.

use super::error::{Error, Problem};
use super::{
    Authentication, BackendKeyData, BindComplete, CloseComplete, CommandComplete, CopyBothResponse,
    CopyData, CopyDone, CopyInResponse, CopyOutResponse, DataRow, EmptyQueryResponse,
    ErrorResponse, FunctionCallResponse, NegotiateProtocolVersion, NoData, NoticeResponse,
    NotificationResponse, ParameterDescription, ParameterStatus, ParseComplete, PortalSuspended,
    ReadyForQuery, RowDescription,
};

/// A message that a server may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Backend<'a> {
    Authentication(Authentication<'a>),
    BackendKeyData(BackendKeyData<'a>),
    BindComplete(BindComplete),
    CloseComplete(CloseComplete),
    CommandComplete(CommandComplete<'a>),
    CopyBothResponse(CopyBothResponse<'a>),
    CopyData(CopyData<'a>),
    CopyDone(CopyDone),
    CopyInResponse(CopyInResponse<'a>),
    CopyOutResponse(CopyOutResponse<'a>),
    DataRow(DataRow<'a>),
    EmptyQueryResponse(EmptyQueryResponse),
    ErrorResponse(ErrorResponse<'a>),
    FunctionCallResponse(FunctionCallResponse<'a>),
    NegotiateProtocolVersion(NegotiateProtocolVersion<'a>),
    NoData(NoData),
    NoticeResponse(NoticeResponse<'a>),
    NotificationResponse(NotificationResponse<'a>),
    ParameterDescription(ParameterDescription<'a>),
    ParameterStatus(ParameterStatus<'a>),
    ParseComplete(ParseComplete),
    PortalSuspended(PortalSuspended),
    ReadyForQuery(ReadyForQuery),
    RowDescription(RowDescription<'a>),
}

impl<'a> Backend<'a> {
    /// Reads the message of type `tag` from its body, the bytes after the length word.
    pub fn decode(tag: u8, body: &'a [u8]) -> Result<Self, Error> {
        match tag {
            Authentication::TAG => Authentication::decode(body).map(Backend::Authentication),
            BackendKeyData::TAG => BackendKeyData::decode(body).map(Backend::BackendKeyData),
            BindComplete::TAG => BindComplete::decode(body).map(Backend::BindComplete),
            CloseComplete::TAG => CloseComplete::decode(body).map(Backend::CloseComplete),
            CommandComplete::TAG => CommandComplete::decode(body).map(Backend::CommandComplete),
            CopyBothResponse::TAG => CopyBothResponse::decode(body).map(Backend::CopyBothResponse),
            CopyData::TAG => CopyData::decode(body).map(Backend::CopyData),
            CopyDone::TAG => CopyDone::decode(body).map(Backend::CopyDone),
            CopyInResponse::TAG => CopyInResponse::decode(body).map(Backend::CopyInResponse),
            CopyOutResponse::TAG => CopyOutResponse::decode(body).map(Backend::CopyOutResponse),
            DataRow::TAG => DataRow::decode(body).map(Backend::DataRow),
            EmptyQueryResponse::TAG => {
                EmptyQueryResponse::decode(body).map(Backend::EmptyQueryResponse)
            }
            ErrorResponse::TAG => ErrorResponse::decode(body).map(Backend::ErrorResponse),
            FunctionCallResponse::TAG => {
                FunctionCallResponse::decode(body).map(Backend::FunctionCallResponse)
            }
            NegotiateProtocolVersion::TAG => {
                NegotiateProtocolVersion::decode(body).map(Backend::NegotiateProtocolVersion)
            }
            NoData::TAG => NoData::decode(body).map(Backend::NoData),
            NoticeResponse::TAG => NoticeResponse::decode(body).map(Backend::NoticeResponse),
            NotificationResponse::TAG => {
                NotificationResponse::decode(body).map(Backend::NotificationResponse)
            }
            ParameterDescription::TAG => {
                ParameterDescription::decode(body).map(Backend::ParameterDescription)
            }
            ParameterStatus::TAG => ParameterStatus::decode(body).map(Backend::ParameterStatus),
            ParseComplete::TAG => ParseComplete::decode(body).map(Backend::ParseComplete),
            PortalSuspended::TAG => PortalSuspended::decode(body).map(Backend::PortalSuspended),
            ReadyForQuery::TAG => ReadyForQuery::decode(body).map(Backend::ReadyForQuery),
            RowDescription::TAG => RowDescription::decode(body).map(Backend::RowDescription),
            _ => Err(Error {
                message: "backend",
                field: "type",
                problem: Problem::UnknownTag(tag),
            }),
        }
    }

    /// Appends the message to `out`; after an error `out` is as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        match self {
            Backend::Authentication(message) => message.encode(out),
            Backend::BackendKeyData(message) => message.encode(out),
            Backend::BindComplete(message) => message.encode(out),
            Backend::CloseComplete(message) => message.encode(out),
            Backend::CommandComplete(message) => message.encode(out),
            Backend::CopyBothResponse(message) => message.encode(out),
            Backend::CopyData(message) => message.encode(out),
            Backend::CopyDone(message) => message.encode(out),
            Backend::CopyInResponse(message) => message.encode(out),
            Backend::CopyOutResponse(message) => message.encode(out),
            Backend::DataRow(message) => message.encode(out),
            Backend::EmptyQueryResponse(message) => message.encode(out),
            Backend::ErrorResponse(message) => message.encode(out),
            Backend::FunctionCallResponse(message) => message.encode(out),
            Backend::NegotiateProtocolVersion(message) => message.encode(out),
            Backend::NoData(message) => message.encode(out),
            Backend::NoticeResponse(message) => message.encode(out),
            Backend::NotificationResponse(message) => message.encode(out),
            Backend::ParameterDescription(message) => message.encode(out),
            Backend::ParameterStatus(message) => message.encode(out),
            Backend::ParseComplete(message) => message.encode(out),
            Backend::PortalSuspended(message) => message.encode(out),
            Backend::ReadyForQuery(message) => message.encode(out),
            Backend::RowDescription(message) => message.encode(out),
        }
    }
}
