//! Results on paper, for programs that still let libpq print them: `PQprint`. Knows results and streams only.

use std::ffi::{CStr, c_char};

use libc::FILE;

use crate::guard::guard;
use crate::result::PGresult;
use crate::stream::{Pipe, Stream};

/// What [`PQprint`] is told, as in libpq-fe.h; a `pqbool` is any number.
#[repr(C)]
#[derive(Debug)]
pub struct PQprintOpt {
    header: c_char,
    align: c_char,
    standard: c_char,
    html3: c_char,
    expanded: c_char,
    pager: c_char,
    separator: *const c_char,
    table: *const c_char,
    caption: *const c_char,
    names: *const *const c_char,
}

impl PQprintOpt {
    /// The caller's name for a column, if there is one: the list ends with a NULL, and an empty one stands for none.
    ///
    /// # Safety
    /// The list is NULL or ends with a NULL; so says libpq-fe.h.
    unsafe fn name(&self, column: usize) -> Option<&CStr> {
        if self.names.is_null() {
            return None;
        }
        // SAFETY: no further than to the end of the list.
        unsafe {
            let listed = (0..=column).all(|index| !(*self.names.add(index)).is_null());
            let name = listed.then(|| CStr::from_ptr(*self.names.add(column)))?;
            (!name.is_empty()).then_some(name)
        }
    }
}

/// A result as rows of strings; NULL has none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table<'a>(Option<&'a PGresult>);

impl<'a> Table<'a> {
    /// # Safety
    /// `result` is NULL or a result.
    pub(crate) unsafe fn new(result: *const PGresult) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { result.as_ref() })
    }

    pub(crate) fn rows(self) -> usize {
        self.0.map_or(0, |result| result.rows)
    }

    pub(crate) fn columns(self) -> usize {
        self.0.map_or(0, |result| result.width)
    }

    pub(crate) fn name(self, column: usize) -> &'a [u8] {
        self.0.map_or(b"", |result| result.name(column))
    }

    /// Bytes of a value.
    pub(crate) fn length(self, row: usize, column: usize) -> usize {
        self.value(row, column).map_or(0, <[u8]>::len)
    }

    /// A value as printf sees it: up to its first NUL.
    pub(crate) fn text(self, row: usize, column: usize) -> &'a [u8] {
        until_nul(self.value(row, column).unwrap_or_default())
    }

    fn value(self, row: usize, column: usize) -> Option<&'a [u8]> {
        self.0?.value(row, column)
    }
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

struct Column<'a> {
    /// The caller's name for it, or its own.
    name: &'a [u8],
    own_name: &'a [u8],
    /// Of the longest thing in it.
    width: usize,
    /// Its line of dashes. It is made before the head finds out that its own name is longer than the caller's.
    dashes: usize,
    is_number: bool,
}

struct Printer<'a> {
    out: Stream,
    options: &'a PQprintOpt,
    separator: &'a [u8],
    table: Table<'a>,
    columns: Vec<Column<'a>>,
}

impl<'a> Printer<'a> {
    /// # Safety
    /// The strings of the options are NULL or strings.
    unsafe fn new(out: Stream, options: &'a PQprintOpt, table: Table<'a>) -> Option<Self> {
        let mut columns = Vec::new();
        columns.try_reserve_exact(table.columns()).ok()?;
        columns.extend((0..table.columns()).map(|index| {
            // SAFETY: the caller's promise.
            let given = unsafe { options.name(index) };
            let own_name = table.name(index);
            let name = given.map_or(own_name, CStr::to_bytes);
            Column {
                name,
                own_name,
                width: name.len(),
                dashes: 0,
                is_number: true,
            }
        }));
        // SAFETY: the caller's promise.
        let separator = unsafe { string(options.separator) };
        Some(Self {
            out,
            options,
            separator: separator.unwrap_or_default(),
            table,
            columns,
        })
    }

    /// Values are kept for a table, since its columns are as wide as the widest of them; else each is written as it comes.
    fn keeps(&self) -> bool {
        let options = self.options;
        options.expanded == 0 && (options.align != 0 || options.html3 != 0)
    }

    fn print(&mut self) {
        let (out, options, rows) = (self.out, self.options, self.table.rows());
        let html = options.html3 != 0;
        let expanded = options.expanded != 0;
        if !self.keeps() && options.header != 0 && !html {
            self.heading();
        }
        if expanded && html {
            out.put(b"<center><h2>");
            self.caption("Query retrieved ");
            out.put(b"</h2></center>\n");
        }
        for row in 0..rows {
            if expanded && html {
                self.open_table();
                out.put(b"<caption align=\"top\">");
                out.number(row);
                out.put(b"</caption>\n");
            } else if expanded {
                out.put(b"-- RECORD ");
                out.number(row);
                out.put(b" --\n");
            }
            for column in 0..self.columns.len() {
                self.field(row, column);
            }
            if expanded && html {
                out.put(b"</table>\n");
            }
        }
        if self.keeps() {
            self.whole_table();
        }
        if options.header != 0 && !html {
            let plural = if rows == 1 { "" } else { "s" };
            out.put(format!("({rows} row{plural})\n\n").as_bytes());
        }
        if html && !expanded {
            out.put(b"</table>\n");
        }
    }

    /// The head of what is not a table.
    fn heading(&self) {
        let out = self.out;
        if self.options.expanded != 0 {
            let width = if self.options.align != 0 {
                self.names_width()
            } else {
                0
            };
            out.left(b"Field", width);
            out.put(self.separator);
            out.put(if self.options.align != 0 {
                b" Value\n"
            } else {
                b"Value\n"
            });
            return;
        }
        let mut dashes = 0;
        for (index, column) in self.columns.iter().enumerate() {
            out.put(column.name);
            dashes += column.name.len();
            if index + 1 < self.columns.len() {
                out.put(self.separator);
                dashes += self.separator.len();
            }
        }
        out.put(b"\n");
        out.fill(b'-', dashes);
        out.put(b"\n");
    }

    fn names_width(&self) -> usize {
        let names = self.columns.iter().map(|column| column.name.len());
        names.max().unwrap_or_default()
    }

    /// Looks at a value and, if none are kept, writes it.
    fn field(&mut self, row: usize, index: usize) {
        let keeps = self.keeps();
        let is_last = index + 1 == self.columns.len();
        let (out, options, table) = (self.out, self.options, self.table);
        let text = table.text(row, index);
        let Some(column) = self.columns.get_mut(index) else {
            return;
        };
        if text.is_empty() {
            if options.align == 0 && options.expanded == 0 {
                out.put(if is_last { b"\n" } else { self.separator });
            }
            return;
        }
        if options.align != 0 && column.is_number {
            column.is_number = is_number(text);
        }
        if keeps {
            column.width = column.width.max(table.length(row, index));
            return;
        }
        let (name, is_number) = (column.name, column.is_number);
        if options.expanded == 0 {
            out.put(text);
            out.put(if is_last { b"\n" } else { self.separator });
        } else if options.html3 != 0 {
            out.put(b"<tr><td align=\"left\"><b>");
            out.put(name);
            out.put(b"</b></td><td align=\"");
            out.put(side(is_number));
            out.put(b"\">");
            out.put(text);
            out.put(b"</td></tr>\n");
        } else {
            let aligned = options.align != 0;
            out.left(name, if aligned { self.names_width() } else { 0 });
            out.put(self.separator);
            out.put(if aligned { b" " } else { b"" });
            out.put(text);
            out.put(b"\n");
        }
    }

    fn whole_table(&mut self) {
        if self.options.html3 != 0 {
            self.open_table();
            if self.options.header != 0 {
                self.out.put(b"<caption align=\"top\">");
                self.caption("Retrieved ");
                self.out.put(b"</caption>\n");
            }
        }
        if self.options.header != 0 {
            self.head();
        }
        for row in 0..self.table.rows() {
            self.row(row);
        }
    }

    fn open_table(&self) {
        // SAFETY: libpq-fe.h says so.
        let more = unsafe { string(self.options.table) };
        self.out.put(b"<table ");
        self.out.put(more.unwrap_or_default());
        self.out.put(b">");
    }

    /// The caller's, or one that counts.
    fn caption(&self, begin: &str) {
        // SAFETY: libpq-fe.h says so.
        match unsafe { string(self.options.caption) } {
            Some(caption) => self.out.put(caption),
            None => {
                let (rows, columns) = (self.table.rows(), self.columns.len());
                let counted = format!("{begin}{rows} rows * {columns} fields");
                self.out.put(counted.as_bytes());
            }
        }
    }

    /// The head of a table.
    fn head(&mut self) {
        let (out, html) = (self.out, self.options.html3 != 0);
        let standard = self.options.standard != 0;
        if html {
            out.put(b"<tr>");
        } else {
            for column in &mut self.columns {
                column.dashes = column.width;
                column.width = column.width.max(column.own_name.len());
            }
            if standard {
                self.border();
                out.put(b"\n");
            }
        }
        if standard {
            out.put(self.separator);
        }
        for (index, column) in self.columns.iter().enumerate() {
            if html {
                out.put(b"<th align=\"");
                out.put(side(column.is_number));
                out.put(b"\">");
                out.put(column.name);
                out.put(b"</th>");
            } else {
                self.cell(index, column.own_name);
            }
        }
        if html {
            out.put(b"</tr>\n");
        } else {
            out.put(b"\n");
            self.border();
            out.put(b"\n");
        }
    }

    fn row(&self, row: usize) {
        let (out, html) = (self.out, self.options.html3 != 0);
        let standard = self.options.standard != 0;
        if html {
            out.put(b"<tr>");
        } else if standard {
            out.put(self.separator);
        }
        for (index, column) in self.columns.iter().enumerate() {
            let text = self.table.text(row, index);
            if html {
                out.put(b"<td align=\"");
                out.put(side(column.is_number));
                out.put(b"\">");
                out.put(text);
                out.put(b"</td>");
            } else {
                self.cell(index, text);
            }
        }
        if html {
            out.put(b"</tr>");
        } else if standard && self.options.header != 0 {
            out.put(b"\n");
            self.border();
        } else if standard {
            // The border is made with the head; libpq hands printf what is not there.
            out.put(b"\n(null)");
        }
        out.put(b"\n");
    }

    /// One cell of a table, and what parts it from the next.
    fn cell(&self, index: usize, text: &[u8]) {
        let (out, standard) = (self.out, self.options.standard != 0);
        let Some(column) = self.columns.get(index) else {
            return;
        };
        out.put(if standard { b" " } else { b"" });
        if column.is_number {
            out.right(text, column.width);
        } else {
            out.left(text, column.width);
        }
        out.put(if standard { b" " } else { b"" });
        if standard || index + 1 < self.columns.len() {
            out.put(self.separator);
        }
    }

    fn border(&self) {
        let (out, standard) = (self.out, self.options.standard != 0);
        if standard {
            out.fill(b'+', self.separator.len());
        }
        for (index, column) in self.columns.iter().enumerate() {
            out.fill(b'-', column.dashes + if standard { 2 } else { 0 });
            if standard || index + 1 < self.columns.len() {
                out.fill(b'+', self.separator.len());
            }
        }
    }

    /// The program that shows the lines, when there are more than the screen has.
    fn pager(&self) -> Option<Pipe> {
        let options = self.options;
        if options.html3 != 0 || options.pager == 0 || !Stream::stdin().is_terminal() {
            return None;
        }
        if self.out.as_ptr() != Stream::stdout().as_ptr() || !self.out.is_terminal() {
            return None;
        }
        let (screen_rows, screen_columns) = self.out.screen();
        // SAFETY: a string, or NULL; what it points to is only read here.
        let program = unsafe { libc::getenv(c"PAGER".as_ptr()) };
        // SAFETY: as above.
        let name = unsafe { string(program) }?;
        if name.iter().all(|byte| b" \t\r\n".contains(byte)) {
            return None;
        }
        let names: usize = self.columns.iter().map(|column| column.name.len()).sum();
        let line = names + 2 * self.columns.len() * self.separator.len() + 1;
        let lines = self.table.rows();
        let is_long = if options.expanded != 0 {
            lines * (self.columns.len() + 1) >= screen_rows
        } else {
            let folded = line / screen_columns + 1;
            let of_head = if options.header != 0 {
                folded * 2 + 2
            } else {
                0
            };
            lines * folded * (1 + usize::from(options.standard != 0)) + of_head >= screen_rows
        };
        // SAFETY: a string.
        is_long.then(|| unsafe { Pipe::to(program) })?
    }
}

/// As a column's first character an E is no number, and a digit has to be its last.
fn is_number(text: &[u8]) -> bool {
    let begins = !matches!(text.first(), Some(b'E' | b'e'));
    let digits = |&byte: &u8| byte.is_ascii_digit() || b".Ee -".contains(&byte);
    begins && text.iter().all(digits) && text.last().is_some_and(u8::is_ascii_digit)
}

fn side(is_number: bool) -> &'static [u8] {
    if is_number { b"right" } else { b"left" }
}

/// # Safety
/// `string` is NULL or a string, as long as it is used.
unsafe fn string<'a>(string: *const c_char) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    (!string.is_null()).then(|| unsafe { CStr::from_ptr(string) }.to_bytes())
}

/// Writes a result with columns to `out` (NULL: the standard output): aligned, as a table, record by record, or in HTML, as
/// `options` say. To a terminal, what is longer than the screen goes through the program in `PAGER`, if they say so.
///
/// # Safety
/// `out` is NULL or open; `result` is NULL or a result; `options` are NULL or as libpq-fe.h says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQprint(
    out: *mut FILE,
    result: *const PGresult,
    options: *const PQprintOpt,
) {
    guard(|| {
        // SAFETY: the caller's promise.
        let (table, options) = unsafe { (Table::new(result), options.as_ref()) };
        let Some(options) = options.filter(|_| table.columns() > 0) else {
            return;
        };
        let out = match out.is_null() {
            true => Stream::stdout(),
            // SAFETY: the caller's promise.
            false => unsafe { Stream::new(out) },
        };
        // SAFETY: the caller's promise.
        let Some(mut printer) = (unsafe { Printer::new(out, options, table) }) else {
            return Stream::stderr().put(b"out of memory\n");
        };
        let pager = printer.pager();
        if let Some(pager) = &pager {
            printer.out = pager.stream();
        }
        printer.print();
    });
}
