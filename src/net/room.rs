//! Where a filter puts plaintext: behind the bytes of a vector, or in a slice. Knows sizes, not contents.
#![forbid(unsafe_code)]

/// Room for plaintext.
pub(super) struct Room<'a> {
    into: Into<'a>,
    most: usize,
    taken: usize,
}

enum Into<'a> {
    Behind(&'a mut Vec<u8>),
    Slice(&'a mut [u8]),
}

impl<'a> Room<'a> {
    /// Behind the bytes of a vector, without making it grow; at most so many.
    pub(super) fn behind(into: &'a mut Vec<u8>, most: usize) -> Room<'a> {
        let most = most.min(into.capacity() - into.len());
        Room {
            into: Into::Behind(into),
            most,
            taken: 0,
        }
    }

    /// In a slice, from its beginning.
    pub(super) fn slice(into: &'a mut [u8]) -> Room<'a> {
        Room {
            most: into.len(),
            into: Into::Slice(into),
            taken: 0,
        }
    }

    /// How much of it is left.
    pub(super) fn left(&self) -> usize {
        self.most - self.taken
    }

    /// How much of it is filled.
    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    /// Takes what fits.
    pub(super) fn put(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.left());
        let (bytes, end) = (&bytes[..count], self.taken + count);
        match &mut self.into {
            Into::Behind(into) => into.extend_from_slice(bytes),
            Into::Slice(into) => into[self.taken..end].copy_from_slice(bytes),
        }
        self.taken = end;
        count
    }
}
