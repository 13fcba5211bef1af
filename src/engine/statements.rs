//! What is remembered of the prepared statements: their columns, so that executing one needs no Describe, and their text, so
//! that they can be prepared again.

use std::collections::{BTreeMap, TryReserveError};
use std::sync::Arc;

use crate::rows::Columns;

/// How many statements are remembered; beyond that they are described at each execution.
const MOST: usize = 4096;
/// How many bytes of their text; beyond that they cannot be prepared again.
const MOST_BYTES: usize = 1024 * 1024;

/// The columns of a statement's result; `None`: it has no result.
pub(super) type Known = Option<Arc<Columns>>;

/// What is known of the statements, by name.
#[derive(Debug, Default)]
pub(super) struct Statements {
    by_name: BTreeMap<Box<[u8]>, Statement>,
    /// Of all sources.
    bytes: usize,
    /// Columns are not remembered: they are asked for with each execution.
    asks: bool,
}

/// What is known of one.
#[derive(Debug, Default)]
pub(super) struct Statement {
    pub columns: Option<Known>,
    pub source: Option<Box<Source>>,
    /// Operations under way that make the statement anew or close it: until they have ended nothing is known of it.
    changing: usize,
}

impl Statement {
    fn is_empty(&self) -> bool {
        self.changing == 0 && self.columns.is_none() && self.source.is_none()
    }
}

/// What a statement was made of.
#[derive(Debug)]
pub(super) struct Source {
    pub sql: Box<[u8]>,
    /// The parameter types that the caller gave.
    pub given: Box<[u32]>,
    /// Those that the server has found.
    pub found: Box<[u32]>,
}

impl Source {
    /// Of the statement that is being prepared.
    pub(super) fn new(sql: &[u8], types: &[u32]) -> Result<Box<Self>, TryReserveError> {
        Ok(Box::new(Self {
            sql: copied(sql)?,
            given: copied(types)?,
            found: Box::default(),
        }))
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.sql.len() + size_of_val(&*self.given) + size_of_val(&*self.found)
    }
}

impl Statements {
    /// What is known of a statement that is executed behind all that is under way.
    #[inline]
    pub(super) fn find(&self, name: &[u8]) -> Option<&Statement> {
        self.by_name.get(name).filter(|found| found.changing == 0)
    }

    /// An operation that changes the statement was started.
    pub(super) fn changing(&mut self, name: &[u8]) {
        match self.by_name.get_mut(name) {
            Some(found) => found.changing += 1,
            None => {
                let statement = Statement {
                    changing: 1,
                    ..Statement::default()
                };
                self.by_name.insert(name.into(), statement);
            }
        }
    }

    /// It has ended, well or not.
    pub(super) fn changed(&mut self, name: &[u8]) {
        if let Some(found) = self.by_name.get_mut(name) {
            found.changing = found.changing.saturating_sub(1);
            if found.is_empty() {
                self.by_name.remove(name);
            }
        }
    }

    /// The statement was described; `source`: and it was prepared just before.
    pub(super) fn remember(
        &mut self,
        name: &[u8],
        columns: Known,
        parameters: &[u32],
        source: Option<Box<Source>>,
    ) {
        if !self.by_name.contains_key(name) {
            if self.by_name.len() >= MOST {
                return;
            }
            self.by_name.insert(name.into(), Statement::default());
        }
        let Some(statement) = self.by_name.get_mut(name) else {
            return;
        };
        statement.columns = (!self.asks).then_some(columns);
        let mut source = match source {
            Some(new) => {
                self.bytes -= statement.source.take().map_or(0, |old| old.bytes());
                Some(new)
            }
            None => {
                let old = statement.source.take();
                self.bytes -= old.as_ref().map_or(0, |old| old.bytes());
                old
            }
        };
        if let Some(source) = &mut source {
            source.found = parameters.into();
        }
        statement.source = source.filter(|source| self.bytes + source.bytes() <= MOST_BYTES);
        self.bytes += statement.source.as_ref().map_or(0, |new| new.bytes());
    }

    /// Whether the columns are asked for with each execution, from now on.
    pub(super) fn set_asking(&mut self, asks: bool) {
        self.asks = asks;
        if asks {
            self.clear_columns();
        }
    }

    pub(super) fn forget(&mut self, name: &[u8]) {
        if let Some(found) = self.by_name.get_mut(name) {
            found.columns = None;
            self.bytes -= found.source.take().map_or(0, |old| old.bytes());
            if found.is_empty() {
                self.by_name.remove(name);
            }
        }
    }

    /// Columns may be others than those that are remembered.
    pub(super) fn clear_columns(&mut self) {
        self.by_name.retain(|_, found| {
            found.columns = None;
            !found.is_empty()
        });
    }

    /// Nothing is known any more.
    pub(super) fn clear(&mut self) {
        self.bytes = 0;
        self.by_name.retain(|_, found| {
            found.columns = None;
            found.source = None;
            !found.is_empty()
        });
    }

    /// What a command tag says about the statements that the server knows. PREPARE may have given a name anew that was
    /// deallocated where no tag says so.
    #[inline]
    pub(super) fn heed(&mut self, tag: &[u8]) {
        if !matches!(tag, [b'D' | b'P', ..]) {
            return;
        }
        if tag.starts_with(b"DEALLOCATE") || tag.starts_with(b"DISCARD") || tag == b"PREPARE" {
            self.clear();
        }
    }
}

fn copied<T: Copy>(items: &[T]) -> Result<Box<[T]>, TryReserveError> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(items.len())?;
    copy.extend_from_slice(items);
    Ok(copy.into_boxed_slice())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn source(sql: &str) -> Option<Box<Source>> {
        Source::new(sql.as_bytes(), &[]).ok()
    }

    fn knows(statements: &Statements, name: &[u8]) -> bool {
        statements
            .find(name)
            .is_some_and(|found| found.columns.is_some())
    }

    fn sql(statements: &Statements, name: &[u8]) -> Option<Vec<u8>> {
        let source = statements.find(name)?.source.as_ref()?;
        Some(source.sql.to_vec())
    }

    #[test]
    fn nothing_is_known_of_a_statement_that_is_being_changed() {
        let mut statements = Statements::default();
        statements.remember(b"s", None, &[], None);
        assert!(knows(&statements, b"s"));
        statements.changing(b"s");
        statements.changing(b"s");
        assert!(statements.find(b"s").is_none());
        statements.forget(b"s");
        statements.changed(b"s");
        statements.remember(b"s", Some(Arc::default()), &[], None);
        assert!(statements.find(b"s").is_none());
        statements.changed(b"s");
        let found = statements.find(b"s").unwrap();
        assert!(matches!(found.columns, Some(Some(_))));
    }

    #[test]
    fn a_change_that_fails_leaves_what_was_known() {
        let mut statements = Statements::default();
        statements.remember(b"s", None, &[], source("select"));
        statements.changing(b"s");
        statements.changed(b"s");
        assert!(knows(&statements, b"s"));
        assert_eq!(sql(&statements, b"s").unwrap(), b"select");
        statements.changing(b"t");
        statements.changed(b"t");
        assert_eq!(statements.by_name.len(), 1);
    }

    #[test]
    fn clearing_keeps_count_of_what_is_under_way() {
        let mut statements = Statements::default();
        statements.changing(b"s");
        statements.remember(b"t", None, &[], source("select"));
        statements.heed(b"DISCARD ALL");
        assert_eq!(statements.by_name.len(), 1);
        statements.remember(b"s", None, &[], None);
        assert!(statements.find(b"s").is_none());
        statements.changed(b"s");
        assert!(knows(&statements, b"s"));
    }

    #[test]
    fn columns_go_without_the_text() {
        let mut statements = Statements::default();
        statements.remember(b"s", None, &[23], source("select $1"));
        statements.remember(b"t", None, &[], None);
        statements.clear_columns();
        assert_eq!(statements.by_name.len(), 1);
        assert!(!knows(&statements, b"s"));
        assert_eq!(sql(&statements, b"s").unwrap(), b"select $1");
        // Described again, it keeps its text, and has the parameters that it has now.
        statements.remember(b"s", None, &[25], None);
        assert!(knows(&statements, b"s"));
        let found = statements.find(b"s").unwrap().source.as_ref();
        assert_eq!(*found.unwrap().found, [25]);
        for tag in [&b"DEALLOCATE ALL"[..], b"DISCARD ALL", b"PREPARE"] {
            statements.remember(b"s", None, &[], source("select"));
            statements.heed(tag);
            assert!(statements.by_name.is_empty());
            assert_eq!(statements.bytes, 0);
        }
        statements.remember(b"s", None, &[], source("select"));
        statements.heed(b"PREPARE TRANSACTION");
        statements.heed(b"SELECT 1");
        assert!(knows(&statements, b"s"));
        statements.forget(b"s");
        assert_eq!((statements.by_name.len(), statements.bytes), (0, 0));
    }

    #[test]
    fn asked_for_each_time_columns_are_not_remembered() {
        let mut statements = Statements::default();
        statements.remember(b"s", None, &[23], source("select $1"));
        statements.remember(b"t", None, &[], None);
        statements.set_asking(true);
        assert_eq!(statements.by_name.len(), 1);
        statements.remember(b"s", None, &[23], None);
        assert!(!knows(&statements, b"s"));
        assert_eq!(sql(&statements, b"s").unwrap(), b"select $1");
        statements.set_asking(false);
        statements.remember(b"s", None, &[23], None);
        assert!(knows(&statements, b"s"));
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut statements = Statements::default();
        for number in 0..2 * MOST {
            statements.remember(number.to_string().as_bytes(), None, &[], source("select"));
        }
        assert_eq!(statements.by_name.len(), MOST);
        statements.clear();
        let long = "x".repeat(MOST_BYTES / 4);
        for number in 0..10 {
            statements.remember(number.to_string().as_bytes(), None, &[], source(&long));
            statements.remember(number.to_string().as_bytes(), None, &[1, 2], source(&long));
        }
        assert!(statements.bytes <= MOST_BYTES, "{}", statements.bytes);
        assert!(statements.bytes > MOST_BYTES / 2);
        assert_eq!(sql(&statements, b"0").unwrap().len(), long.len());
        assert_eq!(sql(&statements, b"9"), None);
        assert!(knows(&statements, b"9"));
        for number in 0..10 {
            statements.forget(number.to_string().as_bytes());
        }
        assert_eq!((statements.by_name.len(), statements.bytes), (0, 0));
    }
}
