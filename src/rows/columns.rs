//! The columns of a result, kept as the RowDescription message that described them.

use super::OutOfMemory;
use crate::wire;

/// The columns of a result. Shared by reference count between results of the same statement.
#[derive(Debug, Default)]
pub struct Columns {
    /// The body of the RowDescription: column names lie in it, each with its NUL.
    body: Box<[u8]>,
    columns: Box<[Column]>,
}

/// What RowDescription says of one column (manual, "Message Formats").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    name_at: u32,
    name_len: u32,
    /// The table that the column comes from, or 0.
    pub table_oid: u32,
    /// The column's attribute number in that table, or 0.
    pub attribute: i16,
    /// The type.
    pub type_oid: u32,
    /// `pg_type.typlen`: negative for types of variable length.
    pub type_size: i16,
    /// `pg_attribute.atttypmod`.
    pub type_modifier: i32,
    /// 0 text, 1 binary; 0 also where it is not known yet (a described statement).
    pub format: i16,
}

impl Columns {
    /// Reads the body of a RowDescription message.
    pub fn read(body: &[u8]) -> Result<Self, ReadError> {
        let message = wire::RowDescription::decode(body)?;
        let mut columns = Vec::new();
        columns
            .try_reserve_exact(message.fields.len())
            .map_err(|_| ReadError::Memory(OutOfMemory))?;
        let start = body.as_ptr().addr();
        for field in message.fields.iter() {
            columns.push(Column {
                name_at: (field.name.as_ptr().addr() - start) as u32,
                name_len: field.name.len() as u32,
                table_oid: field.table_oid,
                attribute: field.column,
                type_oid: field.type_oid,
                type_size: field.type_size,
                type_modifier: field.type_modifier,
                format: field.format,
            });
        }
        let mut kept = Vec::new();
        kept.try_reserve_exact(body.len())
            .map_err(|_| ReadError::Memory(OutOfMemory))?;
        kept.extend_from_slice(body);
        Ok(Self {
            body: kept.into_boxed_slice(),
            columns: columns.into_boxed_slice(),
        })
    }

    /// Whether `body` describes just these columns: then they can be shared instead of read again.
    pub fn is_same(&self, body: &[u8]) -> bool {
        *self.body == *body
    }

    /// How many columns.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// The column at `index`, from 0.
    pub fn get(&self, index: usize) -> Option<&Column> {
        self.columns.get(index)
    }

    /// All columns in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Column> {
        self.columns.iter()
    }

    /// The name of a column.
    pub fn name(&self, index: usize) -> Option<&[u8]> {
        let column = self.get(index)?;
        let at = column.name_at as usize;
        self.body.get(at..at + column.name_len as usize)
    }

    /// The name of a column with its terminating NUL.
    pub fn name_with_nul(&self, index: usize) -> Option<&[u8]> {
        let column = self.get(index)?;
        let at = column.name_at as usize;
        self.body.get(at..at + column.name_len as usize + 1)
    }

    /// The first column of that name, compared byte by byte.
    pub fn find(&self, name: &[u8]) -> Option<usize> {
        (0..self.len()).find(|&index| self.name(index) == Some(name))
    }
}

/// Why a RowDescription could not be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It is malformed.
    #[error(transparent)]
    Wire(#[from] wire::Error),
    /// There is no memory for it.
    #[error(transparent)]
    Memory(OutOfMemory),
}
