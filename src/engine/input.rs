//! Splits messages off the received bytes. Knows lengths and the chunk they lie in, not meanings.

use std::mem;

use crate::rows::{CHUNK, Gather, OutOfMemory, give, take};
use crate::wire::frame::{self, FrameError, Header};

/// The largest chunk that a result grows to by itself; only a single message that is larger grows it further.
const LARGEST: usize = 256 * 1024;

/// Received bytes, message by message.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// Initialised throughout; empty while there is nothing to hold.
    chunk: Vec<u8>,
    /// Where the next message begins; it is looked at once.
    at: usize,
    /// Behind the last received byte.
    filled: usize,
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
    /// Where received bytes go; never empty. One byte of the chunk is always kept back, to end its last value.
    pub(super) fn room(&mut self, gather: &mut Gather) -> Result<&mut [u8], OutOfMemory> {
        if self.chunk.is_empty() {
            self.chunk = take()?;
        } else if self.filled + 1 >= self.chunk.len() {
            self.make_room(gather)?;
        }
        let end = self.chunk.len() - 1;
        Ok(&mut self.chunk[self.filled..end])
    }

    /// Says that `count` bytes of the room were filled.
    #[inline]
    pub(super) fn received(&mut self, count: usize) {
        self.received += count as u64;
        self.filled = (self.filled + count).min(self.chunk.len().saturating_sub(1));
        if self.skip > 0 {
            let skipped = self.skip.min(self.filled - self.at);
            self.skip -= skipped;
            self.at += skipped;
            self.careful = self.startup || self.skip > 0;
        }
    }

    /// The tag of the next message, once the whole message is there; 0 before, and when what is there is no message:
    /// see [`broken`](Input::broken).
    #[inline(always)]
    pub(super) fn message(&mut self) -> u8 {
        if self.tag == 0 && !self.read_usual_head() && !self.read_head() {
            return 0;
        }
        if self.filled - self.at < Header::SIZE + self.len {
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
        if self.careful || self.filled - self.at < Header::SIZE {
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
        let bytes = self.chunk.get(self.at..self.filled).unwrap_or_default();
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

    /// Bytes of that body.
    #[inline]
    pub(super) fn body_len(&self) -> usize {
        self.len
    }

    /// The chunk, and where the body of the message lies in it.
    #[inline]
    pub(super) fn body_in_chunk(&mut self) -> (&mut [u8], usize) {
        (&mut self.chunk, self.at + Header::SIZE)
    }

    /// The whole chunk, for rows that lie in it.
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
        let here = whole.min(self.filled - self.at);
        self.at += here;
        self.skip = whole - here;
        self.careful = self.startup || self.skip > 0;
        self.tag = 0;
        self.len = 0;
    }

    /// Drops everything: the bytes were another server's, or nobody will read them.
    pub(super) fn clear(&mut self) {
        self.at = 0;
        self.filled = 0;
        self.tag = 0;
        self.len = 0;
        self.skip = 0;
        self.careful = self.startup;
        self.broken = None;
        self.release(false);
    }

    /// The bytes received and not consumed.
    pub(super) fn rest(&self) -> &[u8] {
        &self.chunk[self.at..self.filled]
    }

    /// Bytes received and not consumed.
    pub(super) fn unread(&self) -> usize {
        self.filled - self.at
    }

    /// Gives the chunk back when nothing lies in it. `rows`: rows of an unfinished result do.
    pub(super) fn release(&mut self, rows: bool) {
        if self.at == self.filled && !rows && !self.chunk.is_empty() {
            give(mem::take(&mut self.chunk));
            self.at = 0;
            self.filled = 0;
        }
    }

    /// Cuts the rows gathered so far off the chunk: takes the chunk over when they are most of it, else copies them.
    pub(super) fn settle(&mut self, gather: &mut Gather) -> Result<(), OutOfMemory> {
        if gather.in_chunk() * 2 > self.chunk.len() {
            self.hand_over(gather)
        } else {
            gather.copy(&self.chunk)
        }
    }

    /// The chunk is full and more bytes come.
    #[cold]
    fn make_room(&mut self, gather: &mut Gather) -> Result<(), OutOfMemory> {
        if gather.in_chunk() > 0 {
            self.settle(gather)?;
        }
        if self.at > 0 {
            self.chunk.copy_within(self.at..self.filled, 0);
            self.filled -= self.at;
            self.at = 0;
        }
        // A message larger than the chunk: grow by what has arrived, not by what its length claims.
        if self.filled + 1 >= self.chunk.len() - self.chunk.len() / 8 {
            let more = self.chunk.len();
            self.chunk.try_reserve_exact(more)?;
            self.chunk.resize(self.chunk.len() + more, 0);
        }
        Ok(())
    }

    /// Gives the chunk to the rows in it and goes on in a new one, which is larger: more rows are likely.
    fn hand_over(&mut self, gather: &mut Gather) -> Result<(), OutOfMemory> {
        let unread = self.filled - self.at;
        let mut size = CHUNK.max((self.chunk.len() * 4).min(LARGEST));
        while size < unread + unread / 4 {
            size *= 2;
        }
        let mut next = Vec::new();
        next.try_reserve_exact(size)?;
        next.extend_from_slice(&self.chunk[self.at..self.filled]);
        next.resize(size, 0);
        let full = mem::replace(&mut self.chunk, next);
        self.at = 0;
        self.filled = unread;
        gather.keep(full)
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.clear();
    }
}
