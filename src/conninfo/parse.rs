//! Connection strings to values. Knows the keyword/value syntax, and which strings are URIs.

use zeroize::Zeroizing;

use super::error::Error;
use super::options::index_of;
use super::uri;
use super::values::Options;

impl Options {
    /// Reads a connection string: `keyword = value …` or a URI. Nothing is filled in that it does not say.
    ///
    /// Manual: "Connection Strings". Same results and errors as `PQconninfoParse`.
    ///
    /// # Errors
    /// libpq's text for what is malformed, for an unknown option; `out of memory`; a NUL byte, which C callers cannot write.
    pub fn parse(conninfo: &[u8]) -> Result<Self, Error> {
        if conninfo.contains(&0) {
            return Err(Error::of(&[b"connection info string contains a NUL byte"]));
        }
        let mut options = Self::default();
        match uri::prefix(conninfo) {
            Some(prefix) => uri::parse(&mut options, conninfo, prefix)?,
            None => parse_keywords(&mut options, conninfo)?,
        }
        options.shrink()?;
        Ok(options)
    }

    /// Sets `keyword` as a connection string does, where `requiressl` still stands for two values of `sslmode`. `None` when there
    /// is no such option.
    pub(super) fn store(&mut self, keyword: &[u8], value: &[u8]) -> Option<Result<(), Error>> {
        let (keyword, value): (&[u8], &[u8]) = match (keyword, value.first()) {
            (b"requiressl", Some(b'1')) => (b"sslmode", b"require"),
            (b"requiressl", _) => (b"sslmode", b"prefer"),
            _ => (keyword, value),
        };
        index_of(keyword).map(|index| self.put(index, value))
    }
}

/// `isspace` of the C locale, which counts the vertical tab too.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

/// `text` without the spaces before it.
pub(super) fn trim_start(text: &[u8]) -> &[u8] {
    let spaces = text.iter().take_while(|byte| is_space(**byte)).count();
    text.get(spaces..).unwrap_or_default()
}

fn parse_keywords(options: &mut Options, conninfo: &[u8]) -> Result<(), Error> {
    // No value is longer than the whole, so this never moves and leaves nothing behind.
    let mut value = Zeroizing::new(Vec::new());
    value
        .try_reserve_exact(conninfo.len())
        .map_err(|_| Error::out_of_memory())?;
    let mut rest = trim_start(conninfo);
    while !rest.is_empty() {
        let length = rest
            .iter()
            .position(|byte| *byte == b'=' || is_space(*byte))
            .unwrap_or(rest.len());
        let (keyword, after) = rest.split_at(length);
        let Some(after) = trim_start(after).strip_prefix(b"=") else {
            return Err(Error::of(&[
                b"missing \"=\" after \"",
                keyword,
                b"\" in connection info string",
            ]));
        };
        value.clear();
        rest = read_value(trim_start(after), &mut value)?;
        options
            .store(keyword, &value)
            .unwrap_or_else(|| Err(Error::unknown_option(keyword)))?;
        rest = trim_start(rest);
    }
    Ok(())
}

/// Reads one value into `value`, which has room for it, and returns what follows.
fn read_value<'a>(text: &'a [u8], value: &mut Vec<u8>) -> Result<&'a [u8], Error> {
    let (quoted, text) = match text.strip_prefix(b"'") {
        Some(inside) => (true, inside),
        None => (false, text),
    };
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'\'' if quoted => return Ok(bytes.as_slice()),
            _ if !quoted && is_space(byte) => return Ok(bytes.as_slice()),
            b'\\' => value.extend(bytes.next()),
            _ => value.push(byte),
        }
    }
    if quoted {
        return Err(Error::of(&[
            b"unterminated quoted string in connection info string",
        ]));
    }
    Ok(&[])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// What a connection string sets, as `keyword=value` separated by spaces, or the error.
    fn shown(parsed: Result<Options, Error>) -> String {
        let options = match parsed {
            Ok(options) => options,
            Err(error) => return error.to_string(),
        };
        let mut shown = Vec::new();
        for option in super::super::options::OPTIONS {
            if let Some(value) = options.get(option.keyword) {
                shown.push(format!(
                    "{}={}",
                    option.keyword,
                    String::from_utf8_lossy(value)
                ));
            }
        }
        shown.join(" ")
    }

    #[test]
    fn keywords_and_values() {
        for (text, expected) in [
            ("", ""),
            (" \t\n\x0b\x0c\r ", ""),
            ("host=a port=5", "host=a port=5"),
            ("  host \n = \t a  ", "host=a"),
            ("host=a host=b", "host=b"),
            ("host= port=5", "host=port=5"),
            ("host=", "host="),
            ("host=''port=5", "host= port=5"),
            ("host='a b'port=5", "host=a b port=5"),
            (r"password='it\'s' user=b", r"user=b password=it's"),
            (r"password=a\ b user=c", r"user=c password=a b"),
            (r"password=a\\b", r"password=a\b"),
            (r"password=a\", "password=a"),
            ("password=a'b", "password=a'b"),
            ("password=a=b", "password=a=b"),
            ("requiressl=1", "sslmode=require"),
            ("requiressl=0", "sslmode=prefer"),
            ("requiressl=''", "sslmode=prefer"),
            (
                "host",
                "missing \"=\" after \"host\" in connection info string",
            ),
            (
                "host a=b",
                "missing \"=\" after \"host\" in connection info string",
            ),
            ("=a", "invalid connection option \"\""),
            ("Host=a", "invalid connection option \"Host\""),
            ("ssl=true", "invalid connection option \"ssl\""),
            (
                "host='a",
                "unterminated quoted string in connection info string",
            ),
            (
                r"host='a\'",
                "unterminated quoted string in connection info string",
            ),
            (
                r"host='\",
                "unterminated quoted string in connection info string",
            ),
            (
                "postgre://",
                "missing \"=\" after \"postgre://\" in connection info string",
            ),
            (
                "Postgres://",
                "missing \"=\" after \"Postgres://\" in connection info string",
            ),
        ] {
            assert_eq!(shown(Options::parse(text.as_bytes())), expected, "{text}");
        }
    }

    #[test]
    fn bytes_that_are_no_utf8_are_kept_and_quoted() {
        let options = Options::parse(b"user=\xff\xfe").unwrap();
        assert_eq!(options.get("user"), Some(&b"\xff\xfe"[..]));
        assert_eq!(
            Options::parse(b"\xff=1").unwrap_err().as_bytes(),
            b"invalid connection option \"\xff\""
        );
    }

    #[test]
    fn a_nul_byte_is_refused() {
        let error = Options::parse(b"user=a\0database\0b").unwrap_err();
        assert_eq!(
            error.to_string(),
            "connection info string contains a NUL byte"
        );
        assert!(Options::parse(b"postgres://a%00b").is_err());
    }
}
