//! A list inside a message, either still in its wire form or given by the sender. Knows how elements follow each other.

use std::fmt;

use super::cursor::Cursor;
use super::element::Element;
use super::error::{Error, Problem};
use super::writer::Writer;

/// The elements of a message's list, in order. A decoded list was validated once and is read in place;
/// a list to be encoded borrows a slice: `List::from(&[…])`.
#[derive(Clone, Copy)]
pub struct List<'a, T> {
    form: Form<'a, T>,
}

#[derive(Clone, Copy)]
enum Form<'a, T> {
    Wire { bytes: &'a [u8], count: usize },
    Given(&'a [T]),
}

impl<'a, T: Element<'a>> List<'a, T> {
    /// How many elements there are.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        match self.form {
            Form::Wire { count, .. } => count,
            Form::Given(items) => items.len(),
        }
    }

    /// Whether there is none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements, in order.
    #[inline]
    #[must_use]
    pub fn iter(&self) -> Iter<'a, T> {
        Iter { form: self.form }
    }

    /// Reads `count` elements.
    #[inline]
    pub(super) fn read(
        cursor: &mut Cursor<'a>,
        count: usize,
        field: &'static str,
    ) -> Result<Self, Error> {
        let all = cursor.rest();
        for _ in 0..count {
            T::read(cursor, field)?;
        }
        Ok(List::wire(all, cursor.rest(), count))
    }

    /// Reads an Int16 count and so many elements.
    #[inline]
    pub(super) fn read_counted(
        cursor: &mut Cursor<'a>,
        count: &'static str,
        field: &'static str,
    ) -> Result<Self, Error> {
        let count = cursor.u16(count)?;
        List::read(cursor, count.into(), field)
    }

    /// Reads elements up to the NUL that stands where the next one would begin.
    pub(super) fn read_terminated(
        cursor: &mut Cursor<'a>,
        field: &'static str,
    ) -> Result<Self, Error> {
        let all = cursor.rest();
        let mut count = 0;
        loop {
            let here = cursor.rest();
            match here.first() {
                None => return Err(cursor.error(field, Problem::NoTerminator)),
                Some(0) => {
                    cursor.u8(field)?;
                    return Ok(List::wire(all, here, count));
                }
                Some(_) => {
                    T::read(cursor, field)?;
                    count += 1;
                }
            }
        }
    }

    #[inline]
    fn wire(all: &'a [u8], rest: &'a [u8], count: usize) -> Self {
        let bytes = all.get(..all.len() - rest.len()).unwrap_or_default();
        List {
            form: Form::Wire { bytes, count },
        }
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>, field: &'static str) -> Result<(), Error> {
        match self.form {
            Form::Wire { bytes, .. } => writer.bytes(bytes, field),
            Form::Given(items) => items.iter().try_for_each(|item| item.write(writer, field)),
        }
    }

    pub(super) fn write_counted(
        &self,
        writer: &mut Writer<'_>,
        count: &'static str,
        field: &'static str,
    ) -> Result<(), Error> {
        writer.count(self.len(), count)?;
        self.write(writer, field)
    }

    /// Writes the elements and the NUL after them; one that begins with a NUL would end the list too early.
    pub(super) fn write_terminated(
        &self,
        writer: &mut Writer<'_>,
        field: &'static str,
    ) -> Result<(), Error> {
        for item in self.iter() {
            let position = writer.length();
            item.write(writer, field)?;
            if writer.byte_at(position) == Some(0) {
                return Err(writer.error(field, Problem::BadLength(0)));
            }
        }
        writer.u8(0, field)
    }
}

impl<T> Default for List<'_, T> {
    fn default() -> Self {
        List {
            form: Form::Given(&[]),
        }
    }
}

impl<'a, T> From<&'a [T]> for List<'a, T> {
    fn from(items: &'a [T]) -> Self {
        List {
            form: Form::Given(items),
        }
    }
}

impl<'a, T, const N: usize> From<&'a [T; N]> for List<'a, T> {
    fn from(items: &'a [T; N]) -> Self {
        List {
            form: Form::Given(items),
        }
    }
}

impl<'a, T> From<&'a Vec<T>> for List<'a, T> {
    fn from(items: &'a Vec<T>) -> Self {
        List {
            form: Form::Given(items),
        }
    }
}

impl<'a, T: Element<'a> + PartialEq> PartialEq for List<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl<'a, T: Element<'a> + Eq> Eq for List<'a, T> {}

impl<'a, T: Element<'a> + fmt::Debug> fmt::Debug for List<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a, T: Element<'a>> IntoIterator for List<'a, T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<'a, T: Element<'a>> IntoIterator for &List<'a, T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// The elements of a [`List`], in order.
#[derive(Clone)]
pub struct Iter<'a, T> {
    form: Form<'a, T>,
}

impl<'a, T: Element<'a>> Iterator for Iter<'a, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        match &mut self.form {
            Form::Wire { count: 0, .. } => None,
            Form::Wire { bytes, count } => {
                let mut cursor = Cursor::new(bytes, "");
                // It was read once before, when the list was validated; so this cannot fail.
                let item = T::read(&mut cursor, "").ok()?;
                *bytes = cursor.rest();
                *count -= 1;
                Some(item)
            }
            Form::Given(items) => {
                let (first, rest) = items.split_first()?;
                *items = rest;
                Some(*first)
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = List { form: self.form }.len();
        (left, Some(left))
    }
}

impl<'a, T: Element<'a>> ExactSizeIterator for Iter<'a, T> {}

impl<'a, T: Element<'a> + fmt::Debug> fmt::Debug for Iter<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}
