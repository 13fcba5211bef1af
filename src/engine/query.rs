//! Simple query (manual, "Message Flow"): any number of results, then ReadyForQuery.

use std::ops::ControlFlow::{Break, Continue};

use super::copy;
use super::expect::Steps;
use super::extended::{begin, complete, empty, refuse_copy};
use super::serve::{Halt, failed, unexpected};
use super::state::State;
use super::wait::{replies, with};
use crate::wire::{
    CommandComplete, CopyBothResponse, CopyInResponse, CopyOutResponse, DataRow,
    EmptyQueryResponse, ErrorResponse, ReadyForQuery, RowDescription,
};

/// Reads the results of a simple query, which may begin COPYs if it was started for that, or if any may; leaves the ReadyForQuery.
pub(super) async fn simple(steps: Steps) -> Result<(), Halt> {
    loop {
        let ended = replies(|state: &mut State, tag| {
            match tag {
                // A result ends with CommandComplete: its rows do not get lost without a word.
                RowDescription::TAG
                | EmptyQueryResponse::TAG
                | ReadyForQuery::TAG
                | CopyInResponse::TAG
                | CopyOutResponse::TAG
                | CopyBothResponse::TAG
                    if state.gather.is_open() =>
                {
                    return Err(unexpected(tag, "the rows of a result").into());
                }
                RowDescription::TAG => begin(state)?,
                DataRow::TAG => state.rows()?,
                CommandComplete::TAG => complete(state)?,
                EmptyQueryResponse::TAG => empty(state)?,
                ErrorResponse::TAG => return failed(state),
                ReadyForQuery::TAG => return Ok(Break(true)),
                CopyInResponse::TAG | CopyOutResponse::TAG | CopyBothResponse::TAG => {
                    return Ok(Break(false));
                }
                tag => return Err(unexpected(tag, "the reply to a query").into()),
            }
            Ok::<_, Halt>(Continue(()))
        });
        if ended.await? {
            return Ok(());
        }
        if steps.has(Steps::COPY) || with(|state| state.like_libpq) {
            copy::copy().await?;
        } else {
            refuse_copy().await?;
        }
    }
}
