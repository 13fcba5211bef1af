//! Short forms of what scripts wait for in the extended query protocol.

use pgpoll::wire::{
    Bind, Close, CopyData, CopyDone, CopyFail, Describe, Execute, Flush, Frontend, FunctionCall,
    List, Parse, Sync,
};

use super::Script;

impl Script {
    /// Waits for a Parse.
    pub fn parse(self, statement: &str, sql: &str, types: &[u32]) -> Self {
        self.expect(&Frontend::Parse(Parse {
            statement: statement.as_bytes(),
            sql: sql.as_bytes(),
            types: List::from(types),
        }))
    }

    /// Waits for a Bind of the unnamed portal to values in text form.
    pub fn bind(self, statement: &str, values: &[Option<&[u8]>], result_format: i16) -> Self {
        self.expect(&Frontend::Bind(Bind {
            portal: b"",
            statement: statement.as_bytes(),
            formats: List::default(),
            values: List::from(values),
            result_formats: List::from(&[result_format]),
        }))
    }

    /// Waits for a Describe of a statement (`S`) or a portal (`P`).
    pub fn describe(self, kind: u8, name: &str) -> Self {
        let name = name.as_bytes();
        self.expect(&Frontend::Describe(Describe { kind, name }))
    }

    /// Waits for a Close of a statement (`S`) or a portal (`P`).
    pub fn close_of(self, kind: u8, name: &str) -> Self {
        let name = name.as_bytes();
        self.expect(&Frontend::Close(Close { kind, name }))
    }

    /// Waits for an Execute of the unnamed portal.
    pub fn execute(self, max_rows: i32) -> Self {
        self.expect(&Frontend::Execute(Execute {
            portal: b"",
            max_rows,
        }))
    }

    /// Waits for Parse, Bind, Describe and Execute of one statement, without the end of its group.
    pub fn statement(self, sql: &str, values: &[Option<&[u8]>], format: i16, rows: i32) -> Self {
        self.parse("", sql, &[])
            .bind("", values, format)
            .describe(b'P', "")
            .execute(rows)
    }

    /// Waits for the call of a function: arguments and result in binary.
    pub fn call(self, function: u32, arguments: &[Option<&[u8]>]) -> Self {
        self.expect(&Frontend::FunctionCall(FunctionCall {
            function_oid: function,
            formats: List::from(&[1]),
            arguments: List::from(arguments),
            result_format: 1,
        }))
    }

    /// Waits for a Sync.
    pub fn sync(self) -> Self {
        self.expect(&Frontend::Sync(Sync))
    }

    /// Waits for a Flush.
    pub fn flush(self) -> Self {
        self.expect(&Frontend::Flush(Flush))
    }

    /// Waits for a message of CopyData, this one and no other.
    pub fn copy_data(self, data: &[u8]) -> Self {
        self.expect(&Frontend::CopyData(CopyData { data }))
    }

    /// Waits for a CopyDone.
    pub fn copy_done(self) -> Self {
        self.expect(&Frontend::CopyDone(CopyDone))
    }

    /// Waits for a CopyFail.
    pub fn copy_fail(self, reason: &str) -> Self {
        let reason = reason.as_bytes();
        self.expect(&Frontend::CopyFail(CopyFail { reason }))
    }
}
