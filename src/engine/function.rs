//! Function call (manual, "Message Flow"): one response, then ReadyForQuery.

use std::ops::ControlFlow::Break;

use super::item::Reply;
use super::large_object::Call;
use super::serve::{Halt, failed, unexpected};
use super::state::State;
use super::wait::{Stop, replies};
use crate::error::Error;
use crate::rows::RowError;
use crate::wire::{ErrorResponse, FunctionCallResponse, ReadyForQuery};

/// Reads what a function returned; leaves the ReadyForQuery.
#[track_caller]
pub(super) fn called() -> impl Future<Output = Result<(), Halt>> + Send {
    replies(|state, tag| match tag {
        FunctionCallResponse::TAG => {
            let call = state.queue.front().map(|head| head.call);
            state.returned(call.unwrap_or_default())?;
            Ok(Break(()))
        }
        ErrorResponse::TAG => failed(state),
        // There was no memory for the response: that was said already.
        ReadyForQuery::TAG if state.has_failed() => Ok(Break(())),
        tag => Err(unexpected(tag, "the reply to a function call").into()),
    })
}

impl State {
    /// Makes an item of the FunctionCallResponse at the head of the input: a row with one value.
    fn returned(&mut self, call: Call) -> Result<(), Stop> {
        let value = FunctionCallResponse::decode(self.input.body())?.value;
        let believed = call.check(value);
        // Before the value is indexed, which may change its length word.
        if self.trace.is_some() {
            self.trace_backend();
        }
        let len = self.input.body_len();
        let taken = match believed {
            Err(error) => Err(error),
            Ok(()) if self.has_failed() => Ok(()),
            Ok(()) => {
                self.gather.begin(call.columns(), Some(1));
                let (chunk, start) = self.input.body_in_chunk();
                match self.gather.cell(chunk, start, len) {
                    Ok(()) => Ok(()),
                    Err(RowError::Memory(_)) => Err(no_memory()),
                    Err(RowError::Wire(error)) => return Err(error.into()),
                }
            }
        };
        self.input.consume();
        self.spend(len)?;
        match taken {
            Ok(()) => self.give_cell(),
            Err(error) => self.fail(error),
        }
        Ok(())
    }

    fn give_cell(&mut self) {
        match self.batch() {
            Ok(Some(batch)) => {
                // Nothing is left open that could be taken for a result of the next operation.
                self.gather.abandon();
                self.push(Reply::Called(batch));
            }
            Ok(None) => {}
            Err(_) => {
                self.gather.abandon();
                self.fail(no_memory());
            }
        }
    }

    /// Gives a number as an item, as if a function had returned it.
    pub(super) fn give_number(&mut self, call: Call, number: u32) {
        let mut row = [0; 10];
        row[2..6].copy_from_slice(&4_u32.to_be_bytes());
        row[6..].copy_from_slice(&number.to_be_bytes());
        self.gather.begin(call.columns(), Some(1));
        let batch = self.gather.cell(&mut row, 2, 8).ok();
        let batch = batch.and_then(|()| self.gather.batch(&row).ok()).flatten();
        self.gather.abandon();
        match batch {
            Some(batch) => self.push(Reply::Called(batch)),
            None => self.fail(no_memory()),
        }
    }
}

fn no_memory() -> Error {
    Error::out_of_memory("what the function returned")
}
