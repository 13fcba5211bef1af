//! Connection strings and arrays of options to values. Knows both syntaxes' entrances, and the keyword/value one.

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

    /// Reads options from keyword/value pairs, as `PQconnectdbParams` does: empty and missing values count as not given, later
    /// ones win.
    ///
    /// With `expand_dbname`, the first `dbname` may be a connection string, whose options then take part at its place.
    ///
    /// # Errors
    /// As [`Options::parse`].
    pub fn from_pairs<'a>(
        pairs: impl IntoIterator<Item = (&'a [u8], Option<&'a [u8]>)>,
        expand_dbname: bool,
    ) -> Result<Self, Error> {
        let mut all = Vec::new();
        for pair in pairs {
            all.try_reserve(1).map_err(|_| Error::out_of_memory())?;
            all.push(pair);
        }
        let mut expanded = None;
        if expand_dbname
            && let Some((_, Some(dbname))) = all
                .iter()
                .find(|(keyword, value)| *keyword == b"dbname" && value.is_some())
            && is_connection_string(dbname)
        {
            expanded = Some(Self::parse(dbname)?);
        }
        let mut options = Self::default();
        for (keyword, value) in all {
            let Some(value) = value.filter(|value| !value.is_empty()) else {
                continue;
            };
            let index = index_of(keyword).ok_or_else(|| Error::unknown_option(keyword))?;
            let string = if keyword == b"dbname" {
                expanded.take()
            } else {
                None
            };
            match string {
                Some(string) => options.absorb(&string)?,
                None => options.put(index, value)?,
            }
        }
        options.shrink()?;
        Ok(options)
    }

    /// Sets all that `other` sets.
    fn absorb(&mut self, other: &Self) -> Result<(), Error> {
        for index in 0..super::options::OPTIONS.len() {
            if let Some(value) = other.at(index) {
                self.put(index, value)?;
            }
        }
        Ok(())
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

/// Whether `text` looks like a connection string, and not like a database's name: the rule that `dbname` is expanded by.
pub fn is_connection_string(text: &[u8]) -> bool {
    uri::prefix(text).is_some() || text.contains(&b'=')
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
