//! What has arrived, message by message: framing, what the server sends of its own accord, and how much is worked through at once.

use std::collections::TryReserveError;

use super::state::State;
use super::wait::Stop;
use crate::error::{Error, ServerError};
use crate::wire;
use crate::wire::frame::{self, FrameError};

impl State {
    /// The tag of the next message that is the coroutine's business, once it is whole; 0 before. What the server sends
    /// of its own accord is peeled off here. After an error there are no more messages: see `broken`.
    #[inline(always)]
    pub(super) fn next_message(&mut self) -> u8 {
        loop {
            if self.budget == 0 {
                self.runnable = true;
                return 0;
            }
            match self.input.message() {
                tag @ (wire::NoticeResponse::TAG
                | wire::NotificationResponse::TAG
                | wire::ParameterStatus::TAG) => {
                    if let Err(stop) = self.peel(tag) {
                        self.broken = Some(stop);
                        return 0;
                    }
                }
                tag => return tag,
            }
        }
    }

    /// What was received does not begin like a message.
    #[cold]
    pub(super) fn not_a_message(&self, error: FrameError) -> Error {
        // A server in trouble before it knows the protocol sends a text: its words are better than ours.
        let text = match error {
            FrameError::OldError => match frame::old_error(self.input.rest()) {
                Ok(text) => {
                    let text = String::from_utf8_lossy(text.unwrap_or_default());
                    text.trim_end().to_owned()
                }
                Err(error) => error.to_string(),
            },
            _ => error.to_string(),
        };
        Error::transport(text)
    }

    /// Notices, notifications and parameter changes come at any moment.
    #[cold]
    fn peel(&mut self, tag: u8) -> Result<(), Stop> {
        self.spend(self.input.body_len())?;
        self.trace_backend();
        let body = self.input.body();
        match tag {
            wire::NoticeResponse::TAG => {
                wire::NoticeResponse::decode(body)?;
                self.mail.add_notice(ServerError::new(body)?)?;
            }
            wire::NotificationResponse::TAG => {
                let message = wire::NotificationResponse::decode(body)?;
                let pid = message.process_id as u32;
                self.mail
                    .add_notification(pid, message.channel, message.payload)?;
            }
            _ => {
                let message = wire::ParameterStatus::decode(body)?;
                let work = self.facts.set_parameter(message.name, message.value);
                self.budget = self.budget.saturating_sub(work);
            }
        }
        self.input.consume();
        Ok(())
    }

    /// Peels what the server sends of its own accord while nothing else may be looked at. A damaged message stays where
    /// it is, for the coroutine to find.
    pub(super) fn sort_mail(&mut self) {
        while let tag @ (wire::NoticeResponse::TAG | wire::NotificationResponse::TAG) =
            self.input.message()
        {
            if self.peel(tag).is_err() {
                return;
            }
        }
    }

    /// Takes the work of a message from the budget; while connecting, also from what a server may say in all.
    #[inline]
    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), Stop> {
        self.budget = self.budget.saturating_sub(bytes + 16);
        match &mut self.chatter {
            None => Ok(()),
            Some(left) => match left.checked_sub(bytes + 5) {
                Some(rest) => {
                    *left = rest;
                    Ok(())
                }
                None => Err(endless()),
            },
        }
    }

    /// While connecting: the message that is arriving is not larger than what the server may still say. It is not waited for.
    pub(super) fn believes_promise(&self) -> Result<(), Stop> {
        match self.chatter {
            Some(left) if self.input.body_len() > left => Err(endless()),
            _ => Ok(()),
        }
    }

    /// Goes past the current message.
    #[inline]
    pub(super) fn consume(&mut self) -> Result<(), Stop> {
        let len = self.input.body_len();
        if self.trace.is_some() {
            self.trace_backend();
        }
        self.input.consume();
        self.spend(len)
    }
}

#[cold]
fn endless() -> Stop {
    Stop::broken(Error::transport(
        "the server sends messages without end instead of getting ready",
    ))
}

impl From<TryReserveError> for Stop {
    fn from(_: TryReserveError) -> Self {
        Self::broken(Error::out_of_memory("a message of the server"))
    }
}

impl From<wire::Error> for Stop {
    fn from(error: wire::Error) -> Self {
        Self::broken(error.into())
    }
}
