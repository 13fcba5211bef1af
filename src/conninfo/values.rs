//! The options that are set, packed into one wiped buffer. Knows where each value lies, not where it came from.

use std::ffi::CStr;
use std::fmt;
use std::ops::Range;

use zeroize::Zeroizing;

use super::error::Error;
use super::options::{OPTIONS, index_of};

/// Index, length, and the NUL behind the value.
const OVERHEAD: usize = 1 + 4 + 1;

/// The values of the connection options that are set.
///
/// They lie in one allocation, each followed by a NUL byte so that C can read it in place: a usual connection keeps under 600
/// bytes. The buffer is wiped when it is dropped and whenever it moves, since passwords are among the values; `Debug` shows
/// everything but those.
///
/// A value is any bytes but NUL. Its meaning is checked by [`Options::plan`].
#[derive(Clone, Default)]
pub struct Options {
    packed: Zeroizing<Vec<u8>>,
}

impl Options {
    /// The value of `keyword`, if it is set.
    pub fn get(&self, keyword: &str) -> Option<&[u8]> {
        self.at(index_of(keyword.as_bytes())?)
    }

    /// The value of `keyword` as a C string, if it is set. It lives until the options change.
    pub fn get_c(&self, keyword: &str) -> Option<&CStr> {
        let entry = self.entry(index_of(keyword.as_bytes())?)?;
        CStr::from_bytes_until_nul(self.packed.get(entry.start + 5..entry.end)?).ok()
    }

    /// Sets `keyword`, whatever it was before.
    ///
    /// # Errors
    /// `invalid connection option "…"` for a name that is none; a NUL byte in the value; `out of memory`.
    pub fn set(&mut self, keyword: &str, value: &[u8]) -> Result<(), Error> {
        let index = index_of(keyword.as_bytes())
            .ok_or_else(|| Error::unknown_option(keyword.as_bytes()))?;
        self.put(index, value)
    }

    /// Bytes of heap that the values take.
    pub fn heap_size(&self) -> usize {
        self.packed.capacity()
    }

    /// The value of the option at `index` of the table, if it is set.
    pub(crate) fn at(&self, index: usize) -> Option<&[u8]> {
        let entry = self.entry(index)?;
        self.packed.get(entry.start + 5..entry.end - 1)
    }

    /// The value of `keyword`, if it is set and not empty.
    pub(crate) fn filled(&self, keyword: &str) -> Option<&[u8]> {
        self.get(keyword).filter(|value| !value.is_empty())
    }

    /// Sets the option at `index` of the table.
    pub(crate) fn put(&mut self, index: usize, value: &[u8]) -> Result<(), Error> {
        if value.contains(&0) {
            let keyword = OPTIONS.get(index).map_or("", |option| option.keyword);
            return Err(Error::of(&[
                b"value of connection option \"",
                keyword.as_bytes(),
                b"\" contains a NUL byte",
            ]));
        }
        let (Ok(index_byte), Ok(length)) = (u8::try_from(index), u32::try_from(value.len())) else {
            return Err(Error::out_of_memory());
        };
        if let Some(entry) = self.entry(index) {
            let kept = self.packed.len() - entry.len();
            self.packed.copy_within(entry.end.., entry.start);
            self.packed.truncate(kept);
        }
        self.reserve(value.len() + OVERHEAD)?;
        self.packed.push(index_byte);
        self.packed.extend_from_slice(&length.to_le_bytes());
        self.packed.extend_from_slice(value);
        self.packed.push(0);
        Ok(())
    }

    /// Gives back what the buffer holds in reserve.
    pub(crate) fn shrink(&mut self) -> Result<(), Error> {
        self.resize(self.packed.len())
    }

    /// Where the option at `index` lies: index, length, value and NUL.
    fn entry(&self, index: usize) -> Option<Range<usize>> {
        let mut start = 0;
        loop {
            let (&of, rest) = self.packed.get(start..)?.split_first()?;
            let length = u32::from_le_bytes(*rest.first_chunk()?) as usize;
            let end = start + length + OVERHEAD;
            if usize::from(of) == index {
                return Some(start..end);
            }
            start = end;
        }
    }

    fn reserve(&mut self, more: usize) -> Result<(), Error> {
        let needed = self
            .packed
            .len()
            .checked_add(more)
            .ok_or_else(Error::out_of_memory)?;
        if needed <= self.packed.capacity() {
            return Ok(());
        }
        self.resize(needed.max(self.packed.capacity().saturating_mul(2)))
    }

    /// Moves to a buffer of `capacity` bytes. A `Vec` that grows by itself would leave its old bytes behind.
    fn resize(&mut self, capacity: usize) -> Result<(), Error> {
        let mut packed = Zeroizing::new(Vec::new());
        packed
            .try_reserve_exact(capacity)
            .map_err(|_| Error::out_of_memory())?;
        packed.extend_from_slice(&self.packed);
        self.packed = packed;
        Ok(())
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (index, option) in OPTIONS.iter().enumerate() {
            if let Some(value) = self.at(index) {
                if option.is_secret() {
                    map.entry(&option.keyword, &format_args!("…"));
                } else {
                    map.entry(&option.keyword, &String::from_utf8_lossy(value));
                }
            }
        }
        map.finish()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_later_value_replaces_an_earlier_one() {
        let mut options = Options::default();
        options.set("host", b"a").unwrap();
        options.set("user", b"u").unwrap();
        options.set("host", b"a longer name").unwrap();
        options.set("port", b"").unwrap();
        assert_eq!(options.get("host"), Some(&b"a longer name"[..]));
        assert_eq!(options.get("user"), Some(&b"u"[..]));
        assert_eq!(options.get("port"), Some(&b""[..]));
        assert_eq!(options.get("dbname"), None);
        assert_eq!(options.get("nonsense"), None);
        assert_eq!(options.get_c("host").unwrap(), c"a longer name");
    }

    #[test]
    fn an_unknown_name_and_a_nul_byte_are_refused() {
        let mut options = Options::default();
        assert_eq!(
            options.set("hots", b"a").unwrap_err().as_bytes(),
            b"invalid connection option \"hots\""
        );
        assert_eq!(
            options
                .set("host", b"a\0user\0postgres")
                .unwrap_err()
                .as_bytes(),
            b"value of connection option \"host\" contains a NUL byte"
        );
        assert_eq!(options.get("host"), None);
    }

    #[test]
    fn debug_shows_no_secret() {
        let mut options = Options::default();
        for option in OPTIONS {
            options.set(option.keyword, b"hunter2").unwrap();
        }
        let shown = format!("{options:?}");
        assert_eq!(shown.matches("hunter2").count(), OPTIONS.len() - 5);
        assert!(shown.contains("\"password\": …"), "{shown}");
    }

    #[test]
    fn setting_the_same_option_again_and_again_takes_no_more_room() {
        let mut options = Options::default();
        for _ in 0..1000 {
            options.set("host", b"db.example.com").unwrap();
            options.set("user", b"alice").unwrap();
        }
        options.shrink().unwrap();
        assert_eq!(options.heap_size(), 14 + 5 + 2 * OVERHEAD);
    }
}
