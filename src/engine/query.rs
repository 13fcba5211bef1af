//! Simple query (manual, "Message Flow"): any number of results, then ReadyForQuery.

use super::extended::{begin, complete, copy_refused};
use super::item::Reply;
use super::serve::{Halt, error, unexpected};
use super::wait::{reply, with};
use crate::wire::{
    CommandComplete, CopyBothResponse, CopyInResponse, CopyOutResponse, DataRow,
    EmptyQueryResponse, ErrorResponse, ReadyForQuery, RowDescription,
};

/// Reads the results of a simple query; leaves the ReadyForQuery.
pub(super) async fn simple() -> Result<(), Halt> {
    loop {
        match reply().await? {
            RowDescription::TAG => with(begin)?,
            DataRow::TAG => with(|state| state.rows())?,
            CommandComplete::TAG => with(complete)?,
            EmptyQueryResponse::TAG => with(|state| {
                EmptyQueryResponse::decode(state.input.body())?;
                state.consume()?;
                state.push(Reply::EmptyQuery);
                Ok::<(), super::wait::Stop>(())
            })?,
            ErrorResponse::TAG => {
                error()?;
                return Err(Halt::Failed);
            }
            ReadyForQuery::TAG => return Ok(()),
            CopyInResponse::TAG | CopyOutResponse::TAG | CopyBothResponse::TAG => {
                copy_refused().await?;
            }
            tag => return Err(unexpected(tag, "the reply to a query").into()),
        }
    }
}
