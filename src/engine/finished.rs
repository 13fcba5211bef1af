//! What is finished and not taken yet, in order. Knows items, not where they come from.

use std::collections::VecDeque;
use std::mem;

use super::item::{CommandTag, Done, Item, Outcome, Reply};
use crate::rows::Batch;

/// The items that wait to be taken.
#[derive(Debug, Default)]
pub(super) struct Finished {
    queue: VecDeque<Entry>,
    /// Bytes of rows and of the server's words in them.
    bytes: usize,
}

#[derive(Debug)]
enum Entry {
    Item(Item),
    Answer(Answer),
}

/// All that the usual operation yields, in one piece: its rows, its tag and its done, which are given one after the other.
#[derive(Debug)]
struct Answer {
    operation: u64,
    /// `None` where the command has no result, and when they are given.
    rows: Option<Batch>,
    /// `None` when it is given.
    tag: Option<CommandTag>,
    done: Done,
}

/// What is taken, where it lies.
#[derive(Debug)]
pub enum Taken<'a> {
    /// See [`Reply::Rows`]: to be taken out.
    Rows(&'a mut Option<Batch>),
    /// See [`Reply::Complete`].
    Complete(&'a CommandTag),
    /// See [`Reply::Done`].
    Done(Done),
    /// Any reply, to be taken out.
    Other(&'a mut Reply),
}

/// Which part of an entry is taken.
#[derive(Clone, Copy)]
enum Part {
    Rows,
    Tag,
    Last,
}

impl Finished {
    #[inline(always)]
    pub(super) fn push(&mut self, item: Item) {
        self.bytes += item.held;
        self.queue.push_back(Entry::Item(item));
    }

    /// All that the usual operation yields.
    #[inline(always)]
    pub(super) fn push_answer(
        &mut self,
        operation: u64,
        rows: Option<Batch>,
        tag: &[u8],
        done: Done,
    ) {
        self.bytes += rows.as_ref().map_or(0, Batch::memory);
        self.queue.push_back(Entry::Answer(Answer {
            operation,
            rows,
            tag: Some(CommandTag::new(tag)),
            done,
        }));
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Items, of which an answer is one.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Bytes of rows and of the server's words in them.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The next item.
    pub(super) fn take(&mut self) -> Option<Item> {
        self.take_with(|operation, taken| {
            let reply = match taken {
                Taken::Rows(batch) => batch.take().map(Reply::Rows),
                Taken::Complete(tag) => Some(Reply::Complete(tag.clone())),
                Taken::Done(done) => Some(Reply::Done(done)),
                Taken::Other(reply) => Some(mem::replace(reply, Reply::EmptyQuery)),
            };
            Item::new(operation, reply.unwrap_or(Reply::EmptyQuery))
        })
    }

    /// Lets `work` take what it wants of the next item, which is gone then.
    #[inline(always)]
    pub(super) fn take_with<T>(&mut self, work: impl FnOnce(u64, Taken<'_>) -> T) -> Option<T> {
        let entry = self.queue.front_mut()?;
        let (operation, taken) = match entry {
            Entry::Answer(answer) => (
                answer.operation,
                match (&mut answer.rows, &answer.tag) {
                    (rows @ Some(_), _) => {
                        self.bytes -= rows.as_ref().map_or(0, Batch::memory);
                        Taken::Rows(rows)
                    }
                    (None, Some(tag)) => Taken::Complete(tag),
                    (None, None) => Taken::Done(answer.done),
                },
            ),
            Entry::Item(item) => {
                self.bytes -= item.held;
                (item.operation, Taken::Other(&mut item.reply))
            }
        };
        let part = match &taken {
            Taken::Rows(_) => Part::Rows,
            Taken::Complete(_) => Part::Tag,
            Taken::Done(_) | Taken::Other(_) => Part::Last,
        };
        let result = work(operation, taken);
        match (part, entry) {
            (Part::Rows, Entry::Answer(answer)) => answer.rows = None,
            (Part::Tag, Entry::Answer(answer)) => answer.tag = None,
            // Nothing is left in it to be dropped.
            (_, Entry::Answer(_)) => mem::forget(self.queue.pop_front()),
            (_, Entry::Item(_)) => drop(self.queue.pop_front()),
        }
        Some(result)
    }

    /// The next item, if it is rows.
    pub(super) fn take_rows(&mut self) -> Option<Batch> {
        let rows = match self.queue.front_mut()? {
            Entry::Answer(answer) => answer.rows.take()?,
            Entry::Item(item) => match mem::replace(&mut item.reply, Reply::EmptyQuery) {
                Reply::Rows(rows) => {
                    self.queue.pop_front();
                    rows
                }
                reply => {
                    item.reply = reply;
                    return None;
                }
            },
        };
        self.bytes -= rows.memory();
        Some(rows)
    }

    /// Lets `work` take a whole answer, if that is what comes next: the operation's id, its rows, its tag and its done. Its items
    /// are gone then.
    #[inline(always)]
    pub(super) fn take_answer<T>(
        &mut self,
        work: impl FnOnce(u64, Option<Batch>, &CommandTag, Done) -> T,
    ) -> Option<T> {
        let Entry::Answer(answer) = self.queue.front_mut()? else {
            return None;
        };
        let tag = answer.tag.take()?;
        let (operation, rows, done) = (answer.operation, answer.rows.take(), answer.done);
        // Nothing is left in it to be dropped.
        mem::forget(self.queue.pop_front());
        self.bytes -= rows.as_ref().map_or(0, Batch::memory);
        Some(work(operation, rows, &tag, done))
    }

    /// Drops all of the operations that `concerns` names but their dones, which say so; whether there was one.
    pub(super) fn forget(&mut self, concerns: impl Fn(u64) -> bool) -> bool {
        let mut found = false;
        let mut dropped = None;
        let bytes = &mut self.bytes;
        let discard = |done: &mut Done| {
            if done.outcome == Outcome::Ok {
                done.outcome = Outcome::Discarded;
            }
        };
        self.queue.retain_mut(|entry| match entry {
            Entry::Item(item) if item.operation == 0 || !concerns(item.operation) => true,
            Entry::Item(item) => match &mut item.reply {
                Reply::Done(done) => {
                    found = true;
                    if dropped == Some(item.operation) {
                        discard(done);
                    }
                    true
                }
                _ => {
                    *bytes -= item.held;
                    dropped = Some(item.operation);
                    false
                }
            },
            Entry::Answer(answer) => {
                if concerns(answer.operation) {
                    found = true;
                    *bytes -= answer.rows.as_ref().map_or(0, Batch::memory);
                    if answer.rows.take().is_some() | answer.tag.take().is_some() {
                        discard(&mut answer.done);
                    }
                }
                true
            }
        });
        found
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use super::super::item::{Outcome, Verdict};
    use super::*;
    use crate::rows::{Columns, Gather};
    use crate::wire::TransactionStatus;

    const DONE: Done = Done {
        outcome: Outcome::Ok,
        transaction: TransactionStatus::Idle,
        verdict: Verdict::Clean,
    };

    fn push_answer(finished: &mut Finished, operation: u64) {
        let columns = Arc::new(Columns::read(&[0, 0]).unwrap());
        let row = Gather::new().only_row(0, Some(&[0, 0])).unwrap();
        let batch = Batch::of_row(columns, None, row);
        finished.push_answer(operation, Some(batch), b"SELECT 1", DONE);
    }

    fn left(finished: &mut Finished) -> Vec<(u64, &'static str)> {
        let mut left = Vec::new();
        while let Some(item) = finished.take() {
            let what = match item.reply {
                Reply::Rows(_) => "rows",
                Reply::Complete(_) => "complete",
                Reply::Done(_) => "done",
                _ => "other",
            };
            left.push((item.operation, what));
        }
        assert_eq!(finished.bytes(), 0);
        left
    }

    #[test]
    fn an_answer_is_three_items() {
        let mut finished = Finished::default();
        finished.push(Item::new(1, Reply::EmptyQuery));
        push_answer(&mut finished, 2);
        finished.push(Item::new(3, Reply::Done(DONE)));
        assert!(finished.bytes() > 0);
        assert_eq!(finished.len(), 3);
        assert_eq!(
            left(&mut finished),
            [
                (1, "other"),
                (2, "rows"),
                (2, "complete"),
                (2, "done"),
                (3, "done")
            ]
        );
        assert!(finished.is_empty());
    }

    #[test]
    fn of_what_is_given_up_the_done_remains_however_much_was_taken() {
        for taken in 0..3 {
            let mut finished = Finished::default();
            push_answer(&mut finished, 1);
            finished.push(Item::new(2, Reply::EmptyQuery));
            push_answer(&mut finished, 3);
            for _ in 0..taken {
                finished.take().unwrap();
            }
            assert!(finished.forget(|operation| operation < 3));
            // It says so where something was dropped.
            let outcome = match taken {
                2 => Outcome::Ok,
                _ => Outcome::Discarded,
            };
            let done = finished.take().unwrap();
            assert_eq!(done.operation, 1);
            assert!(matches!(done.reply, Reply::Done(done) if done.outcome == outcome));
            assert_eq!(
                left(&mut finished),
                [(3, "rows"), (3, "complete"), (3, "done")]
            );
        }
        let mut finished = Finished::default();
        finished.push(Item::new(2, Reply::EmptyQuery));
        assert!(!finished.forget(|_| true));
        assert!(finished.is_empty());
    }

    #[test]
    fn an_entry_is_small_enough_to_be_moved_about() {
        assert!(size_of::<Entry>() <= 128, "{}", size_of::<Entry>());
    }
}
