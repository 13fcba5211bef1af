//! Splits messages off the received bytes. Knows lengths and the chunk they lie in, not meanings.

use std::mem;

use zeroize::Zeroize;

use crate::rows::{CHUNK, Gather, OutOfMemory, give_empty, take_empty};
use crate::wire::frame::{self, FrameError, Header};

/// The largest chunk that a result grows to by itself; only a single message that is larger grows it further.
const LARGEST: usize = 256 * 1024;
/// The chunk that the data of a COPY is received into, if it comes fast.
const COPY_CHUNK: usize = 64 * 1024;

/// Received bytes, message by message.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// The bytes received; without capacity while there is nothing to hold.
    chunk: Vec<u8>,
    /// Where the next message begins; it is looked at once.
    at: usize,
    /// The tag of the message at `at`, once its header is complete; 0 before. The tag's byte in the chunk is 0 from then
    /// on: it ends the value before it.
    tag: u8,
    /// Bytes of that message's body.
    len: usize,
    /// Bytes of an unwanted message that are still to come.
    skip: usize,
    /// All bytes ever received.
    pub received: u64,
    startup: bool,
    /// Starting up, or in the middle of an unwanted message: a header is not read in the usual way.
    careful: bool,
    /// What is at `at` is no message.
    pub broken: Option<Box<FrameError>>,
}

impl Input {
    /// Where received bytes go: at least one, behind those that are there. One byte of the chunk is always kept back, to
    /// end its last value.
    #[inline]
    pub(super) fn room(&mut self, gather: &mut Gather) -> Result<Spare<'_>, OutOfMemory> {
        if !self.has_room() {
            self.make_room(gather)?;
        }
        let most = self.chunk.capacity() - self.chunk.len() - 1;
        Ok(Spare {
            chunk: &mut self.chunk,
            most,
        })
    }

    /// Whether the chunk that is there has room.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.chunk.len() + 1 < self.chunk.capacity()
    }

    /// Says that `count` bytes of the room were filled.
    #[inline]
    pub(super) fn received(&mut self, count: usize) {
        self.received += count as u64;
        if self.skip > 0 {
            let skipped = self.skip.min(self.chunk.len() - self.at);
            self.skip -= skipped;
            self.at += skipped;
            self.careful = self.startup || self.skip > 0;
        }
    }

    /// The tag of the next message, once the whole message is there; 0 before, and when what is there is no message:
    /// see [`broken`](Input::broken).
    #[inline(always)]
    pub(super) fn message(&mut self) -> u8 {
        if self.tag == 0
            && (self.at == self.chunk.len() || !self.read_usual_head() && !self.read_head())
        {
            return 0;
        }
        if self.chunk.len() - self.at < Header::SIZE + self.len {
            return 0;
        }
        self.tag
    }

    /// The tag of the next message, once its header is there; 0 before.
    pub(super) fn head(&mut self) -> u8 {
        self.message();
        self.tag
    }

    /// Reads the header of a message of usual length.
    #[inline(always)]
    fn read_usual_head(&mut self) -> bool {
        if self.careful || self.chunk.len() - self.at < Header::SIZE {
            return false;
        }
        let Some(&mut [ref mut tag, a, b, c, d]) = self.chunk[self.at..].first_chunk_mut() else {
            return false;
        };
        let len = u32::from_be_bytes([a, b, c, d]).wrapping_sub(4);
        if len > frame::MAX_SHORT as u32 - 4 {
            return false;
        }
        self.tag = *tag;
        self.len = len as usize;
        *tag = 0;
        self.tag != 0
    }

    /// Reads any other header; false when it is not there, or is none.
    #[cold]
    pub(super) fn read_head(&mut self) -> bool {
        let bytes = self.chunk.get(self.at..).unwrap_or_default();
        if self.tag != 0 || self.skip > 0 || self.broken.is_some() {
            return self.tag != 0;
        }
        let head = if self.startup {
            frame::startup_header(bytes)
        } else {
            frame::header(bytes)
        };
        match head {
            // 0 is no type of the protocol, and would mean here that nothing was read.
            Ok(Some(head)) if head.tag == 0 => {
                self.broken = Some(Box::new(FrameError::LostSync {
                    tag: 0,
                    length: head.len as i32 + 4,
                }));
                false
            }
            Ok(Some(head)) => {
                self.chunk[self.at] = 0;
                self.tag = head.tag;
                self.len = head.len;
                true
            }
            Ok(None) => false,
            // The text of an old error may be still under way.
            Err(error @ FrameError::OldError) if matches!(frame::old_error(bytes), Ok(None)) => {
                let _ = error;
                false
            }
            Err(error) => {
                self.broken = Some(Box::new(error));
                false
            }
        }
    }

    /// The next byte, where there are no messages yet.
    pub(super) fn byte(&mut self) -> Option<u8> {
        let byte = *self.chunk.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// Before AuthenticationOk: only a few types of messages, and short ones, are believed.
    pub(super) fn set_startup(&mut self, startup: bool) {
        self.startup = startup;
        self.careful = startup || self.skip > 0;
    }

    /// The body of the message that [`message`](Input::message) found.
    #[inline]
    pub(super) fn body(&self) -> &[u8] {
        let start = self.at + Header::SIZE;
        self.chunk.get(start..start + self.len).unwrap_or_default()
    }

    /// Wipes that body: a secret was in it.
    pub(super) fn wipe_body(&mut self) {
        let start = self.at + Header::SIZE;
        let len = self.len;
        if let Some(body) = self.chunk.get_mut(start..start + len) {
            body.zeroize();
        }
    }

    /// Bytes of that body; also of one that is not here yet, once its header is.
    #[inline]
    pub(super) fn body_len(&self) -> usize {
        self.len
    }

    /// What is here from the next message on, if nothing of that has been looked at and it begins like any other: to look at
    /// messages without changing anything, so that no row that stays in the chunk may end before them.
    #[inline(always)]
    pub(super) fn ahead(&self) -> Option<Ahead<'_>> {
        let rest = self.chunk.get(self.at..)?;
        (self.tag == 0 && !self.careful).then_some(Ahead { rest })
    }

    /// Goes past all messages but what was left [ahead](Ahead::left) of them.
    #[inline(always)]
    pub(super) fn go_on_with(&mut self, left: usize) {
        self.at = self.chunk.len() - left;
    }

    /// The body of the next message, which is gone past, if it has this tag and is here as a whole. Its tag is left there, so no row
    /// that stays in the chunk may end before it.
    #[inline]
    pub(super) fn take_next(&mut self, tag: u8) -> Option<&[u8]> {
        if self.is_whole(tag) {
            let body = self.at + Header::SIZE;
            let end = body + self.len;
            self.consume();
            return self.chunk.get(body..end);
        }
        let mut ahead = self.ahead()?;
        let len = ahead.body(tag)?.len();
        let left = ahead.left();
        self.go_on_with(left);
        self.chunk.get(self.at - len..self.at)
    }

    /// The chunk, and where the body of the message lies in it.
    #[inline]
    pub(super) fn body_in_chunk(&mut self) -> (&mut [u8], usize) {
        (&mut self.chunk, self.at + Header::SIZE)
    }

    /// The whole chunk, for rows that lie in it.
    #[inline]
    pub(super) fn chunk(&self) -> &[u8] {
        &self.chunk
    }

    /// Goes past the message that [`message`](Input::message) found.
    #[inline]
    pub(super) fn consume(&mut self) {
        self.at += Header::SIZE + self.len;
        self.tag = 0;
        self.len = 0;
    }

    /// Goes past a message of which only the beginning is here.
    pub(super) fn skip_message(&mut self) {
        let whole = Header::SIZE + self.len;
        let here = whole.min(self.chunk.len() - self.at);
        self.at += here;
        self.skip = whole - here;
        self.careful = self.startup || self.skip > 0;
        self.tag = 0;
        self.len = 0;
    }

    /// Drops everything: the bytes were another server's, or nobody will read them.
    pub(super) fn clear(&mut self) {
        self.at = 0;
        self.chunk.clear();
        self.tag = 0;
        self.len = 0;
        self.skip = 0;
        self.careful = self.startup;
        self.broken = None;
        self.release(false);
    }

    /// The bytes received and not consumed.
    pub(super) fn rest(&self) -> &[u8] {
        &self.chunk[self.at..]
    }

    /// Bytes received and not consumed.
    pub(super) fn unread(&self) -> usize {
        self.chunk.len() - self.at
    }

    /// Gives the chunk back when nothing lies in it. `rows`: rows of an unfinished result do.
    #[inline]
    pub(super) fn release(&mut self, rows: bool) {
        if self.at == self.chunk.len() && !rows && self.chunk.capacity() > 0 {
            give_empty(mem::take(&mut self.chunk));
            self.at = 0;
        }
    }

    /// Where in the chunk the next message begins.
    #[inline]
    pub(super) fn place(&self) -> usize {
        self.at
    }

    /// Whether the next message, whose header was looked at, is one of that type and is there to its end.
    #[inline]
    pub(super) fn is_whole(&self, tag: u8) -> bool {
        self.tag == tag && self.unread() >= Header::SIZE + self.len
    }

    /// The same as [`release`](Input::release) in a COPY, where a larger chunk is kept, but none that has grown for one message.
    pub(super) fn release_in_copy(&mut self) {
        let capacity = self.chunk.capacity();
        if capacity > COPY_CHUNK && self.unread() < CHUNK / 2 {
            let mut fresh = take_empty();
            if fresh.capacity() > self.unread() {
                fresh.extend_from_slice(self.rest());
                self.chunk = fresh;
                self.at = 0;
            }
        }
        if self.at == self.chunk.len() && capacity > CHUNK {
            self.chunk.clear();
            self.at = 0;
        }
        if self.chunk.capacity() <= CHUNK {
            self.release(false);
        }
    }

    /// Makes more room than there is for the data of a COPY: it is taken at once, and what is left is small.
    #[cold]
    pub(super) fn make_room_for_copy(&mut self) {
        let capacity = self.chunk.capacity();
        let unread = self.unread();
        if !self.has_room() && capacity > 0 && capacity < COPY_CHUNK && unread < capacity / 2 {
            let mut larger = Vec::new();
            if larger.try_reserve_exact(COPY_CHUNK).is_ok() {
                larger.extend_from_slice(self.rest());
                give_empty(mem::replace(&mut self.chunk, larger));
                self.at = 0;
            }
        } else if self.at > 0 && unread < capacity / 4 {
            self.chunk.drain(..self.at);
            self.at = 0;
        }
    }

    /// Whether the rows gathered so far are most of the chunk: then it is not worth copying them out of it.
    #[inline]
    pub(super) fn is_mostly(&self, gather: &Gather) -> bool {
        gather.in_chunk() * 2 > self.chunk.capacity()
    }

    /// Cuts the rows gathered so far off the chunk: takes the chunk over when they are most of it, else copies them.
    pub(super) fn settle(&mut self, gather: &mut Gather) -> Result<(), OutOfMemory> {
        if self.is_mostly(gather) {
            self.hand_over(gather)
        } else {
            gather.copy(&self.chunk)
        }
    }

    /// There is no chunk, or it is full and more bytes come.
    #[cold]
    fn make_room(&mut self, gather: &mut Gather) -> Result<(), OutOfMemory> {
        if self.chunk.capacity() == 0 {
            self.chunk = take_empty();
            return if self.chunk.capacity() > 1 {
                Ok(())
            } else {
                Err(OutOfMemory)
            };
        }
        if gather.in_chunk() > 0 {
            self.settle(gather)?;
        }
        if self.at > 0 {
            self.chunk.drain(..self.at);
            self.at = 0;
        }
        // A message larger than the chunk: grow by what has arrived, not by what its length claims.
        let capacity = self.chunk.capacity();
        if self.chunk.len() + 1 >= capacity - capacity / 8 {
            self.chunk
                .try_reserve_exact(2 * capacity - self.chunk.len())?;
        }
        Ok(())
    }

    /// Gives the chunk to the rows in it and goes on in a new one, which is larger: more rows are likely.
    fn hand_over(&mut self, gather: &mut Gather) -> Result<(), OutOfMemory> {
        let rest = &self.chunk[self.at..];
        let mut size = CHUNK.max((self.chunk.capacity() * 4).min(LARGEST));
        while size < rest.len() + rest.len() / 4 {
            size *= 2;
        }
        let mut next = Vec::new();
        next.try_reserve_exact(size)?;
        next.extend_from_slice(rest);
        let full = mem::replace(&mut self.chunk, next);
        self.at = 0;
        gather.keep(full)
    }
}

/// Messages that are looked at one after the other, each if it is the one that is expected and is here as a whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ahead<'a> {
    rest: &'a [u8],
}

impl<'a> Ahead<'a> {
    /// The body of the next one, if it has this tag; it is gone past then.
    #[inline(always)]
    pub(super) fn body(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (&[found, a, b, c, d], rest) = self.rest.split_first_chunk()?;
        let len = u32::from_be_bytes([a, b, c, d]).wrapping_sub(4) as usize;
        if found != tag {
            return None;
        }
        let (body, rest) = rest.split_at_checked(len)?;
        self.rest = rest;
        Some(body)
    }

    /// Goes past the next one, if it has this tag and no body.
    #[inline(always)]
    pub(super) fn bare(&mut self, tag: u8) -> Option<()> {
        let (&[found, a, b, c, d], rest) = self.rest.split_first_chunk()?;
        if found != tag || u32::from_be_bytes([a, b, c, d]) != 4 {
            return None;
        }
        self.rest = rest;
        Some(())
    }

    /// So many bytes are not gone past.
    #[inline(always)]
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }
}

/// Room for received bytes, behind those that are there.
#[derive(Debug)]
pub struct Spare<'a> {
    /// The bytes that are there; append to them, and change nothing else.
    pub chunk: &'a mut Vec<u8>,
    /// How many may be appended; there is capacity for them.
    pub most: usize,
}

impl Drop for Input {
    fn drop(&mut self) {
        self.clear();
    }
}
