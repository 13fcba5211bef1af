//! Message layouts of the frontend/backend protocol: bytes to messages and back. No state, no I/O.
//!
//! The files follow the manual's section "Message Formats": one for each message or family of like messages. Each
//! message has `decode`, from the bytes after the length word, and `encode`, which appends tag, length word and body.
#![forbid(unsafe_code)]

/// Gives a message type what all have in common, over its private `read` and `write`.
macro_rules! message {
    ($type:ident $(<$life:lifetime>)?, $tag:literal) => {
        impl $(<$life>)? $type $(<$life>)? {
            /// The byte that tells the message's type.
            pub const TAG: u8 = $tag;

            /// Reads the message from its body, all of it: bytes left over are an error.
            #[inline]
            pub fn decode(body: &$($life)? [u8]) -> Result<Self, $crate::wire::Error> {
                let mut cursor = $crate::wire::cursor::Cursor::new(body, stringify!($type));
                let message = Self::read(&mut cursor)?;
                cursor.end()?;
                Ok(message)
            }

            /// Appends the message to `out`; after an error `out` is as it was.
            #[inline]
            pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), $crate::wire::Error> {
                $crate::wire::writer::message(out, $tag, stringify!($type), |writer| self.write(writer))
            }
        }
    };
}

pub mod cursor;
pub mod frame;
pub mod protocol;

mod authentication;
mod backend;
mod backend_key;
mod bare;
mod bind;
mod command_complete;
mod copy;
mod data_row;
mod element;
mod error;
mod execute;
mod frontend;
mod function;
mod list;
mod negotiate;
mod notification;
mod nul;
mod parameter_description;
mod parameter_status;
mod parse;
mod password;
mod query;
mod ready;
mod report;
mod row_description;
pub(crate) mod short;
mod startup;
mod target;
mod window;
mod writer;

pub use authentication::Authentication;
pub use backend::Backend;
pub use backend_key::BackendKeyData;
pub use bare::{
    BindComplete, CloseComplete, CopyDone, EmptyQueryResponse, Flush, NoData, ParseComplete,
    PortalSuspended, Sync, Terminate, encode_flush, encode_sync,
};
pub use bind::{Bind, Executions, Parameters, encode_bind, encode_execution};
pub use command_complete::CommandComplete;
pub use copy::{
    CopyBothResponse, CopyData, CopyFail, CopyInResponse, CopyOutResponse, extend_copy_data,
};
pub use data_row::DataRow;
pub use error::{Error, Problem};
pub use execute::{Execute, encode_execute};
pub use frontend::Frontend;
pub use function::{FunctionCall, FunctionCallResponse, encode_function_call};
pub use list::{Iter, List};
pub use negotiate::NegotiateProtocolVersion;
pub use notification::NotificationResponse;
pub use parameter_description::ParameterDescription;
pub use parameter_status::ParameterStatus;
pub use parse::{Parse, encode_parse};
pub use password::{
    AuthenticationResponse, GSSResponse, PasswordMessage, SASLInitialResponse, SASLResponse,
};
pub use query::{Query, encode_query};
pub use ready::{ReadyForQuery, TransactionStatus};
pub use report::{ErrorResponse, NoticeResponse};
pub use row_description::{Field, RowDescription};
pub use startup::{CancelRequest, GSSENCRequest, SSLRequest, Startup, StartupMessage};
pub use target::{Close, Describe, encode_close, encode_describe};

#[cfg(test)]
mod tests;
