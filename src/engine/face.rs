//! What the face of a connection starts, and what it takes.

use super::Engine;
use super::command::{Command, End};
use super::finished::Taken;
use super::item::{CommandTag, Done, Item};
use super::mail::{Mail, Notice, Notification};
use crate::error::Error;
use crate::rows::{Batch, Limits};
use crate::wire::Parameters;

impl Engine {
    /// Starts an operation: encodes it and queues what to expect. On an error nothing has changed.
    #[inline(always)]
    pub fn start(&mut self, command: Command<'_>, end: End) -> Result<u64, Error> {
        self.state_mut().start(command, end)
    }

    /// The same as for [`Command::Prepared`], compiled for the kind of the parameters.
    #[inline(always)]
    pub fn start_prepared<P: Parameters>(
        &mut self,
        name: &[u8],
        params: &P,
        format: i16,
        max_rows: u32,
        end: End,
    ) -> Result<u64, Error> {
        let state = self.state_mut();
        state.start_prepared(name, params, format, max_rows, end)
    }

    /// Starts a prepared statement for many sets of parameters: `params` of each number below `count`. Gives the id of the first
    /// operation, behind which the others follow, and how many were started: no more once `most` bytes wait to be sent, or so
    /// many operations for their end. They are one group, which ends, as `end` says, with the last number.
    pub fn start_prepared_many<P: Parameters>(
        &mut self,
        name: &[u8],
        count: usize,
        params: impl Fn(usize) -> P,
        format: i16,
        end: End,
        most: (usize, usize),
    ) -> Result<(u64, usize), Error> {
        let state = self.state_mut();
        state.start_prepared_many(name, count, params, format, end, most)
    }

    /// Asks a suspended portal for up to `max_rows` more rows (0: all).
    pub fn continue_portal(&mut self, max_rows: u32) -> Result<(), Error> {
        self.state_mut().continue_portal(max_rows)
    }

    /// Queues the message that says goodbye, if there is a server to hear it.
    pub fn terminate(&mut self) {
        let state = self.state_mut();
        if !state.facts.is_ready() || state.over.is_some() || state.lost.is_some() {
            return;
        }
        state.say_goodbye();
    }

    /// Asks the server to send what the open group has yielded.
    pub fn flush_request(&mut self) -> Result<(), Error> {
        let state = self.state_mut();
        state.check_may_start(&Command::Sync)?;
        state.flush_request()
    }

    /// The same, when the last operation started is inside an open group and the server has not been asked yet.
    #[inline]
    pub fn flush_open_group(&mut self) -> Result<(), Error> {
        let state = self.state_mut();
        if state.group_open && !state.group_flushed && !state.portal_open {
            return state.flush_request();
        }
        Ok(())
    }

    /// How the rows of operations started from now on are cut into batches.
    pub fn set_limits(&mut self, limits: Limits) {
        self.state_mut().limits = limits;
    }

    /// How many bytes are left before the rows of small results from now on: see [`Batch::front_mut`](crate::rows::Batch::front_mut).
    pub fn set_front(&mut self, front: u16) {
        self.state_mut().gather.set_front(front);
    }

    /// How the rows of `operation` are cut from now on, if it is the head of the queue: what was finished is not cut again.
    pub fn set_head_limits(&mut self, operation: u64, limits: Limits) {
        let head = self.state_mut().queue.front_mut();
        if let Some(head) = head.filter(|head| head.operation == operation) {
            head.limits = limits;
        }
    }

    /// Whether the columns of the result that is being received are known already.
    pub fn has_begun_result(&self) -> bool {
        self.state().gather.is_open()
    }

    /// Takes the notices and notifications that stand at the head of the input, and looks no further: for a caller who
    /// has not taken the last result.
    pub fn sort_mail(&mut self) {
        let state = self.state_mut();
        if state.facts.is_ready() && state.over.is_none() {
            state.sort_mail();
        }
    }

    /// Whether a finished item is there to be taken.
    #[inline]
    pub fn has_item(&self) -> bool {
        !self.state().items.is_empty()
    }

    /// The next finished item.
    #[inline]
    pub fn take(&mut self) -> Option<Item> {
        self.state_mut().items.take()
    }

    /// The same if it is rows, and nothing else.
    #[inline]
    pub fn take_rows(&mut self) -> Option<Batch> {
        self.state_mut().items.take_rows()
    }

    /// The same for a caller who takes the parts of it: the operation's id and what is taken, which is gone when `work` is
    /// done.
    #[inline(always)]
    pub fn take_with<T>(&mut self, work: impl FnOnce(u64, Taken<'_>) -> T) -> Option<T> {
        self.state_mut().items.take_with(work)
    }

    /// Whether all that an operation yields stays in the input until it is taken, while there is an item to be taken before it:
    /// see [`take_left_answers`](Engine::take_left_answers). Not so where an operation has a deadline.
    pub fn leave_answers(&mut self, leaves: bool) {
        self.state_mut().leaves_answers = leaves;
    }

    /// The same.
    pub fn leaves_answers(&self) -> bool {
        self.state().leaves_answers
    }

    /// Lets `work` take what was left in the input, if no item comes before it, as long as it says so: of each operation its id,
    /// its rows, its tag and its done. It is never made an item, which costs as much as all the rest.
    #[inline(always)]
    pub fn take_left_answers(&mut self, work: impl FnMut(u64, Option<Batch>, &[u8], Done) -> bool) {
        self.state_mut().take_left_answers(work);
    }

    /// Makes items of the first that was left there, if no item comes before it; whether there was one.
    #[inline]
    pub fn finish_left_answer(&mut self) -> bool {
        self.state().left_answers && self.state_mut().finish_left_answer()
    }

    /// The same for all items of an operation at once, where they are a result, if the command has one, its tag and its done,
    /// and are all there.
    #[inline(always)]
    pub fn take_answer<T>(
        &mut self,
        work: impl FnOnce(u64, Option<Batch>, &CommandTag, Done) -> T,
    ) -> Option<T> {
        self.state_mut().items.take_answer(work)
    }

    /// The next notice.
    pub fn notice(&mut self) -> Option<Notice> {
        self.state_mut().mail.take_notice()
    }

    /// The next notification.
    pub fn notification(&mut self) -> Option<Notification> {
        self.state_mut().mail.take_notification()
    }

    /// Puts a notification back, as the next one: it was taken and could not be handed out.
    pub fn put_back(&mut self, notification: Notification) {
        self.state_mut().mail.put_back(notification);
    }

    /// How many notices were dropped, because too many were left there.
    pub fn notices_dropped(&self) -> u64 {
        self.state().mail.dropped()
    }

    /// Takes over the notices and notifications of the engine before this one, which nobody has taken yet.
    pub fn keep_mail(&mut self, before: &mut Engine) {
        let mail = &mut self.state_mut().mail;
        std::mem::swap(mail, &mut before.state_mut().mail);
        mail.begin_session();
    }

    /// Drops the notices and notifications that nobody has taken.
    pub fn drop_mail(&mut self) {
        let state = self.state_mut();
        state.mail = Mail::new(state.room.inbox);
    }

    /// Whether a notice, and whether a notification, is there.
    #[inline]
    pub fn has_mail(&self) -> (bool, bool) {
        self.state().mail.waits()
    }

    /// Operations started whose done is not finished yet.
    #[inline]
    pub fn queued(&self) -> usize {
        self.state().queue.len()
    }

    /// Whether operations were started that no sync has ended yet: their work is not committed.
    pub fn has_open_group(&self) -> bool {
        self.state().group_open
    }
}
