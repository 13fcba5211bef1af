//! A part that few have, boxed. Knows nothing of what is in it.

use std::ops::Deref;

/// A box that mostly is not there: dropping it costs a look then, where the compiler would call.
#[derive(Debug)]
pub(super) struct Rare<T>(Option<Box<T>>);

impl<T> Rare<T> {
    pub(super) const NONE: Self = Self(None);

    pub(super) fn new(part: T) -> Self {
        Self(Some(Box::new(part)))
    }
}

impl<T> Default for Rare<T> {
    fn default() -> Self {
        Self::NONE
    }
}

impl<T> Deref for Rare<T> {
    type Target = Option<Box<T>>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T> Drop for Rare<T> {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(part) = self.0.take() {
            drop_part(part);
        }
    }
}

#[cold]
fn drop_part<T>(part: Box<T>) {
    drop(part);
}
