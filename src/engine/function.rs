//! Function call (manual, "Message Flow"): one response, then ReadyForQuery.

use std::ops::ControlFlow::Break;

use super::item::Reply;
use super::serve::{Halt, failed, unexpected};
use super::state::State;
use super::wait::{Stop, replies};
use crate::error::Error;
use crate::wire::{ErrorResponse, FunctionCallResponse};

/// Reads what a function returned; leaves the ReadyForQuery.
#[track_caller]
pub(super) fn called() -> impl Future<Output = Result<(), Halt>> + Send {
    replies(|state, tag| match tag {
        FunctionCallResponse::TAG => {
            returned(state)?;
            Ok(Break(()))
        }
        ErrorResponse::TAG => failed(state),
        tag => Err(unexpected(tag, "the reply to a function call").into()),
    })
}

fn returned(state: &mut State) -> Result<(), Stop> {
    let value = FunctionCallResponse::decode(state.input.body())?.value;
    let mut copy = Vec::new();
    let copied = copy.try_reserve_exact(value.map_or(0, <[u8]>::len));
    let value = value.filter(|_| copied.is_ok()).map(|value| {
        copy.extend_from_slice(value);
        copy.into_boxed_slice()
    });
    state.consume()?;
    match copied {
        Ok(()) => state.push(Reply::Called(value)),
        Err(_) => state.fail(Error::out_of_memory("what the function returned")),
    }
    Ok(())
}
