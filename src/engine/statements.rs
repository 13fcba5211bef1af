//! The columns of the prepared statements, so that executing one needs no Describe.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::rows::Columns;

/// How many statements are remembered; beyond that they are described at each execution.
const MOST: usize = 4096;

/// The columns of a statement's result; `None`: it has no result.
pub(super) type Known = Option<Arc<Columns>>;

/// What is known of the statements, by name.
#[derive(Debug, Default)]
pub(super) struct Statements {
    by_name: BTreeMap<Box<[u8]>, Statement>,
}

#[derive(Debug, Default)]
struct Statement {
    columns: Option<Known>,
    /// Operations under way that make the statement anew or close it: until they have ended nothing is known of it.
    changing: usize,
}

impl Statements {
    /// What is known of a statement that is executed behind all that is under way.
    pub(super) fn find(&self, name: &[u8]) -> Option<&Known> {
        let found = self.by_name.get(name)?;
        if found.changing > 0 {
            return None;
        }
        found.columns.as_ref()
    }

    /// An operation that changes the statement was started.
    pub(super) fn changing(&mut self, name: &[u8]) {
        match self.by_name.get_mut(name) {
            Some(found) => found.changing += 1,
            None => {
                let statement = Statement {
                    columns: None,
                    changing: 1,
                };
                self.by_name.insert(name.into(), statement);
            }
        }
    }

    /// It has ended, well or not.
    pub(super) fn changed(&mut self, name: &[u8]) {
        if let Some(found) = self.by_name.get_mut(name) {
            found.changing = found.changing.saturating_sub(1);
            if found.changing == 0 && found.columns.is_none() {
                self.by_name.remove(name);
            }
        }
    }

    pub(super) fn remember(&mut self, name: &[u8], columns: Known) {
        if let Some(found) = self.by_name.get_mut(name) {
            found.columns = Some(columns);
        } else if self.by_name.len() < MOST {
            let statement = Statement {
                columns: Some(columns),
                changing: 0,
            };
            self.by_name.insert(name.into(), statement);
        }
    }

    pub(super) fn forget(&mut self, name: &[u8]) {
        if let Some(found) = self.by_name.get_mut(name) {
            found.columns = None;
            if found.changing == 0 {
                self.by_name.remove(name);
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.by_name.retain(|_, found| {
            found.columns = None;
            found.changing > 0
        });
    }

    /// What a command tag says about the statements that the server knows.
    pub(super) fn heed(&mut self, tag: &[u8]) {
        if tag.starts_with(b"DEALLOCATE") || tag.starts_with(b"DISCARD") {
            self.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_known_of_a_statement_that_is_being_changed() {
        let mut statements = Statements::default();
        statements.remember(b"s", None);
        assert!(statements.find(b"s").is_some());
        statements.changing(b"s");
        statements.changing(b"s");
        assert!(statements.find(b"s").is_none());
        statements.forget(b"s");
        statements.changed(b"s");
        statements.remember(b"s", Some(Arc::default()));
        assert!(statements.find(b"s").is_none());
        statements.changed(b"s");
        assert!(matches!(statements.find(b"s"), Some(Some(_))));
    }

    #[test]
    fn a_change_that_fails_leaves_what_was_known() {
        let mut statements = Statements::default();
        statements.remember(b"s", None);
        statements.changing(b"s");
        statements.changed(b"s");
        assert!(statements.find(b"s").is_some());
        statements.changing(b"t");
        statements.changed(b"t");
        assert_eq!(statements.by_name.len(), 1);
    }

    #[test]
    fn clearing_keeps_count_of_what_is_under_way() {
        let mut statements = Statements::default();
        statements.changing(b"s");
        statements.remember(b"t", None);
        statements.heed(b"DISCARD ALL");
        assert_eq!(statements.by_name.len(), 1);
        statements.remember(b"s", None);
        assert!(statements.find(b"s").is_none());
        statements.changed(b"s");
        assert!(statements.find(b"s").is_some());
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut statements = Statements::default();
        for number in 0..2 * MOST {
            statements.remember(number.to_string().as_bytes(), None);
        }
        assert_eq!(statements.by_name.len(), MOST);
    }
}
