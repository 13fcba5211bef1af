//! The columns of the prepared statements, so that executing one needs no Describe.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::rows::Columns;

/// How many statements are remembered; beyond that they are described at each execution.
const MOST: usize = 4096;

/// Names and columns. A statement without a result has empty columns.
#[derive(Debug, Default)]
pub(super) struct Statements {
    by_name: BTreeMap<Box<[u8]>, Arc<Columns>>,
}

impl Statements {
    pub(super) fn find(&self, name: &[u8]) -> Option<&Arc<Columns>> {
        self.by_name.get(name)
    }

    pub(super) fn remember(&mut self, name: Box<[u8]>, columns: Arc<Columns>) {
        if self.by_name.len() < MOST || self.by_name.contains_key(&name) {
            self.by_name.insert(name, columns);
        }
    }

    pub(super) fn forget(&mut self, name: &[u8]) {
        self.by_name.remove(name);
    }

    pub(super) fn clear(&mut self) {
        self.by_name.clear();
    }

    /// What a command tag says about the statements that the server knows.
    pub(super) fn heed(&mut self, tag: &[u8]) {
        if tag.starts_with(b"DEALLOCATE") || tag.starts_with(b"DISCARD") {
            self.clear();
        }
    }
}
