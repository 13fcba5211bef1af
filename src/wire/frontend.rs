//! Any message of the frontend but the first, by its tag. The tables of `decode` and `encode`, and nothing else.

use super::error::{Error, Problem};
use super::{
    AuthenticationResponse, Bind, Close, CopyData, CopyDone, CopyFail, Describe, Execute, Flush,
    FunctionCall, Parse, Query, Sync, Terminate,
};

/// A message that a client may send once the session has begun. What comes before is a [`Startup`](super::Startup).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Frontend<'a> {
    /// PasswordMessage, SASLInitialResponse, SASLResponse or GSSResponse: the bytes do not tell which.
    AuthenticationResponse(AuthenticationResponse<'a>),
    Bind(Bind<'a>),
    Close(Close<'a>),
    CopyData(CopyData<'a>),
    CopyDone(CopyDone),
    CopyFail(CopyFail<'a>),
    Describe(Describe<'a>),
    Execute(Execute<'a>),
    Flush(Flush),
    FunctionCall(FunctionCall<'a>),
    Parse(Parse<'a>),
    Query(Query<'a>),
    Sync(Sync),
    Terminate(Terminate),
}

impl<'a> Frontend<'a> {
    /// Reads the message of type `tag` from its body, the bytes after the length word.
    pub fn decode(tag: u8, body: &'a [u8]) -> Result<Self, Error> {
        match tag {
            AuthenticationResponse::TAG => {
                AuthenticationResponse::decode(body).map(Frontend::AuthenticationResponse)
            }
            Bind::TAG => Bind::decode(body).map(Frontend::Bind),
            Close::TAG => Close::decode(body).map(Frontend::Close),
            CopyData::TAG => CopyData::decode(body).map(Frontend::CopyData),
            CopyDone::TAG => CopyDone::decode(body).map(Frontend::CopyDone),
            CopyFail::TAG => CopyFail::decode(body).map(Frontend::CopyFail),
            Describe::TAG => Describe::decode(body).map(Frontend::Describe),
            Execute::TAG => Execute::decode(body).map(Frontend::Execute),
            Flush::TAG => Flush::decode(body).map(Frontend::Flush),
            FunctionCall::TAG => FunctionCall::decode(body).map(Frontend::FunctionCall),
            Parse::TAG => Parse::decode(body).map(Frontend::Parse),
            Query::TAG => Query::decode(body).map(Frontend::Query),
            Sync::TAG => Sync::decode(body).map(Frontend::Sync),
            Terminate::TAG => Terminate::decode(body).map(Frontend::Terminate),
            _ => Err(Error {
                message: "frontend",
                field: "type",
                problem: Problem::UnknownTag(tag),
            }),
        }
    }

    /// Appends the message to `out`; after an error `out` is as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        match self {
            Frontend::AuthenticationResponse(message) => message.encode(out),
            Frontend::Bind(message) => message.encode(out),
            Frontend::Close(message) => message.encode(out),
            Frontend::CopyData(message) => message.encode(out),
            Frontend::CopyDone(message) => message.encode(out),
            Frontend::CopyFail(message) => message.encode(out),
            Frontend::Describe(message) => message.encode(out),
            Frontend::Execute(message) => message.encode(out),
            Frontend::Flush(message) => message.encode(out),
            Frontend::FunctionCall(message) => message.encode(out),
            Frontend::Parse(message) => message.encode(out),
            Frontend::Query(message) => message.encode(out),
            Frontend::Sync(message) => message.encode(out),
            Frontend::Terminate(message) => message.encode(out),
        }
    }
}
