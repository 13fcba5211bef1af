//! Bytes that C reads as a string. Knows no message.

use std::ffi::c_char;

/// A growing text that always ends with a NUL: the error buffer of a connection.
#[derive(Debug)]
pub(crate) struct Text {
    bytes: Vec<u8>,
}

impl Text {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0] }
    }

    /// Bytes without the NUL.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - 1
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.push(0);
    }

    /// Appends `text`, up to its first NUL if there is one.
    pub(crate) fn push(&mut self, text: &[u8]) {
        let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
        self.bytes.pop();
        if self.bytes.try_reserve(text.len() + 1).is_ok() {
            self.bytes.extend_from_slice(text);
        }
        self.bytes.push(0);
    }

    /// Appends a line.
    pub(crate) fn line(&mut self, text: &str) {
        self.push(text.as_bytes());
        self.push(b"\n");
    }

    /// What stands from `at` on, without the NUL.
    pub(crate) fn from(&self, at: usize) -> &[u8] {
        self.bytes.get(at..self.len()).unwrap_or_default()
    }

    pub(crate) fn as_ptr(&self) -> *mut c_char {
        self.bytes.as_ptr().cast_mut().cast()
    }
}

/// The empty string, for callers that expect one and never free it.
pub(crate) const EMPTY: *mut c_char = c"".as_ptr().cast_mut();
