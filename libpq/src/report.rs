//! The text of a server's error or notice as libpq writes it. Knows fields and verbosity, no connection.

use pgpoll::encoding::Encoding;
use pgpoll::error::ServerError;

pub(crate) const TERSE: i32 = 0;
pub(crate) const DEFAULT: i32 = 1;
pub(crate) const VERBOSE: i32 = 2;
pub(crate) const SQLSTATE: i32 = 3;

const CONTEXT_ALWAYS: i32 = 2;
pub(crate) const CONTEXT_OF_ERRORS: i32 = 1;

/// Columns of the line that shows where in the query the error is.
const DISPLAY: usize = 60;
/// At least so many columns right of the error are shown before the line is cut on the left.
const RIGHT: usize = 10;

/// What decides about the text.
pub(crate) struct Manner<'a> {
    pub verbosity: i32,
    pub context: i32,
    /// An error, not a notice.
    pub is_error: bool,
    /// The query that it is about.
    pub query: Option<&'a [u8]>,
    /// The encoding of the texts.
    pub encoding: Encoding,
}

/// The text, with the newline at its end.
pub(crate) fn message(error: &ServerError, manner: &Manner<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut verbosity = manner.verbosity;
    if let Some(severity) = error.field(b'S') {
        out.extend_from_slice(severity);
        out.extend_from_slice(b":  ");
    }
    if verbosity == SQLSTATE {
        if let Some(code) = error.field(b'C') {
            out.extend_from_slice(code);
            out.push(b'\n');
            return out;
        }
        verbosity = TERSE;
    }
    if verbosity == VERBOSE
        && let Some(code) = error.field(b'C')
    {
        out.extend_from_slice(code);
        out.extend_from_slice(b": ");
    }
    out.extend_from_slice(error.field(b'M').unwrap_or_default());
    // The position is in the query of the caller, or in one that the server ran for it.
    let own = error.field(b'P').map(|at| (at, manner.query));
    let position = own.or_else(|| error.field(b'p').map(|at| (at, error.field(b'q'))));
    let mut shown = None;
    match position {
        Some((at, Some(query))) if verbosity != TERSE => shown = Some((query, number(at))),
        Some((at, _)) => {
            out.extend_from_slice(b" at character ");
            out.extend_from_slice(at);
        }
        None => {}
    }
    out.push(b'\n');
    let line = |out: &mut Vec<u8>, name: &str, code: u8| {
        if let Some(value) = error.field(code) {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b":  ");
            out.extend_from_slice(value);
            out.push(b'\n');
        }
    };
    if verbosity != TERSE {
        if let Some((query, position)) = shown {
            pointer(&mut out, query, position, manner.encoding);
        }
        line(&mut out, "DETAIL", b'D');
        line(&mut out, "HINT", b'H');
        line(&mut out, "QUERY", b'q');
        let errors = manner.context == CONTEXT_OF_ERRORS && manner.is_error;
        if manner.context == CONTEXT_ALWAYS || errors {
            line(&mut out, "CONTEXT", b'W');
        }
    }
    if verbosity == VERBOSE {
        line(&mut out, "SCHEMA NAME", b's');
        line(&mut out, "TABLE NAME", b't');
        line(&mut out, "COLUMN NAME", b'c');
        line(&mut out, "DATATYPE NAME", b'd');
        line(&mut out, "CONSTRAINT NAME", b'n');
        location(&mut out, error);
    }
    out
}

fn location(out: &mut Vec<u8>, error: &ServerError) {
    let (file, line) = (error.field(b'F'), error.field(b'L'));
    let function = error.field(b'R');
    if file.is_none() && line.is_none() && function.is_none() {
        return;
    }
    out.extend_from_slice(b"LOCATION:  ");
    if let Some(function) = function {
        out.extend_from_slice(function);
        out.extend_from_slice(b", ");
    }
    if let (Some(file), Some(line)) = (file, line) {
        out.extend_from_slice(file);
        out.push(b':');
        out.extend_from_slice(line);
    }
    out.push(b'\n');
}

fn number(digits: &[u8]) -> usize {
    let text = std::str::from_utf8(digits).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// The line of the query with the error in it, and a `^` below it. `position` counts characters from 1.
fn pointer(out: &mut Vec<u8>, query: &[u8], position: usize, encoding: Encoding) {
    let Some(at) = position.checked_sub(1) else {
        return;
    };
    // Each character: where it begins, and the screen column; one more behind the last.
    let mut places = Vec::new();
    let (mut offset, mut column) = (0, 0);
    let (mut begin, mut end, mut line) = (0, None, 1);
    let mut before = 0;
    while let Some(&byte) = query.get(offset) {
        let index = places.len();
        places.push((offset, column));
        if matches!(byte, b'\r' | b'\n') {
            if index < at {
                if byte == b'\r' || before != b'\r' {
                    line += 1;
                }
                begin = index + 1;
            } else {
                end = Some(index);
                break;
            }
        }
        before = byte;
        let (len, width) = character(&query[offset..], encoding);
        offset += len;
        column += width;
    }
    let count = places.len();
    let mut end = end.unwrap_or_else(|| {
        places.push((offset, column));
        count
    });
    if at > end {
        return;
    }
    let column = |index: usize| {
        places
            .get(index)
            .map_or(0, |place: &(usize, usize)| place.1)
    };
    let (mut cut_left, mut cut_right) = (false, false);
    if column(end) - column(begin) > DISPLAY {
        if column(begin) + DISPLAY >= column(at) + RIGHT {
            while column(end) - column(begin) > DISPLAY {
                end -= 1;
            }
            cut_right = true;
        } else {
            while column(at) + RIGHT < column(end) {
                end -= 1;
                cut_right = true;
            }
            while column(end) - column(begin) > DISPLAY {
                begin += 1;
                cut_left = true;
            }
        }
    }
    let place = |index: usize| {
        places
            .get(index)
            .map_or(0, |place: &(usize, usize)| place.0)
    };
    let mut prefix = format!("LINE {line}: ");
    if cut_left {
        prefix.push_str("...");
    }
    out.extend_from_slice(prefix.as_bytes());
    let start = out.len();
    out.extend_from_slice(query.get(place(begin)..place(end)).unwrap_or_default());
    for &(offset, _) in places.get(begin..end).unwrap_or_default() {
        let at = start + offset - place(begin);
        if let Some(tab @ b'\t') = out.get_mut(at) {
            *tab = b' ';
        }
    }
    if cut_right {
        out.extend_from_slice(b"...");
    }
    out.push(b'\n');
    let indent = prefix.len() + column(at) - column(begin);
    out.resize(out.len() + indent, b' ');
    out.extend_from_slice(b"^\n");
}

/// Bytes and screen columns of the character that `text` begins with; control characters take one column here.
fn character(text: &[u8], encoding: Encoding) -> (usize, usize) {
    let width = usize::try_from(encoding.width(text)).unwrap_or(0);
    (encoding.length(text).min(text.len()), width.max(1))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shown(body: &[u8], query: &str, verbosity: i32) -> String {
        let manner = Manner {
            verbosity,
            context: CONTEXT_OF_ERRORS,
            is_error: true,
            query: Some(query.as_bytes()),
            encoding: Encoding::UTF8,
        };
        let error = ServerError::new(body).unwrap();
        String::from_utf8(message(&error, &manner)).unwrap_or_default()
    }

    const BODY: &[u8] =
        b"SERROR\0VERROR\0C42P01\0Mrelation \"x\" does not exist\0P15\0Hlook\0Fparse.c\0L9\0Rf\0\0";

    #[test]
    fn verbosity_decides_what_is_told() {
        let query = "select * from x";
        assert_eq!(
            shown(BODY, query, DEFAULT),
            "ERROR:  relation \"x\" does not exist\nLINE 1: select * from x\n                      ^\nHINT:  look\n"
        );
        assert_eq!(
            shown(BODY, query, TERSE),
            "ERROR:  relation \"x\" does not exist at character 15\n"
        );
        assert_eq!(shown(BODY, query, SQLSTATE), "ERROR:  42P01\n");
        assert!(shown(BODY, query, VERBOSE).ends_with("HINT:  look\nLOCATION:  f, parse.c:9\n"));
    }

    #[test]
    fn long_lines_are_cut_around_the_error() {
        let body = b"SERROR\0Mno\0P50\0\0";
        let query = format!("{}{}", "a".repeat(49), "b".repeat(60));
        let shown = shown(body, &format!("one\n{query}"), DEFAULT);
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[1].starts_with("LINE 2: aaa") && lines[1].ends_with("..."));
        assert_eq!(lines[1].len(), "LINE 2: ".len() + DISPLAY + "...".len());
        let wide = pointer_of("select '\u{4e2d}\u{4e2d}' x", 13);
        assert_eq!(
            wide.lines().nth(1).map(str::len),
            Some("LINE 1: ".len() + 15)
        );
    }

    fn pointer_of(query: &str, position: usize) -> String {
        let mut out = Vec::new();
        pointer(&mut out, query.as_bytes(), position, Encoding::UTF8);
        String::from_utf8(out).unwrap_or_default()
    }

    #[test]
    fn characters_are_those_of_the_encoding() {
        let pointed = |name: &[u8], query: &[u8], position| {
            let mut out = Vec::new();
            let encoding = Encoding::named(name).unwrap();
            pointer(&mut out, query, position, encoding);
            out
        };
        // A trail byte that looks like a tab's or a backslash's is no character.
        let query = b"\x95\\\tx";
        for (name, position, columns) in [(b"SJIS", 3, 3), (b"BIG5", 2, 2), (b"UTF8", 4, 3)] {
            let marker = [&b" ".repeat(8 + columns)[..], b"^\n"].concat();
            let line = b"LINE 1: \x95\\ x\n";
            assert_eq!(
                pointed(name, query, position),
                [&line[..], &marker].concat()
            );
        }
        // The tab is swallowed by what claims to be two bytes.
        assert!(pointed(b"UTF8", b"\xc3\tx", 2).starts_with(b"LINE 1: \xc3\tx\n"));
    }
}
