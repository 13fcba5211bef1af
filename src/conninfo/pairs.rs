//! Keyword/value pairs to values. Knows which pair wins, and when a database's name is a connection string.

use super::error::Error;
use super::options::{OPTIONS, index_of};
use super::uri;
use super::values::Options;

impl Options {
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
        for index in 0..OPTIONS.len() {
            if let Some(value) = other.at(index) {
                self.put(index, value)?;
            }
        }
        Ok(())
    }
}

/// Whether `text` looks like a connection string, and not like a database's name: the rule that `dbname` is expanded by.
pub fn is_connection_string(text: &[u8]) -> bool {
    uri::prefix(text).is_some() || text.contains(&b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the pairs set, as `keyword=value` separated by spaces, or the error.
    fn pairs(given: &[(&str, Option<&str>)], expand: bool) -> String {
        let pairs = given
            .iter()
            .map(|(keyword, value)| (keyword.as_bytes(), value.map(str::as_bytes)));
        let options = match Options::from_pairs(pairs, expand) {
            Ok(options) => options,
            Err(error) => return error.to_string(),
        };
        let set = OPTIONS.iter().filter_map(|option| {
            let value = String::from_utf8_lossy(options.get(option.keyword)?);
            Some(format!("{}={value}", option.keyword))
        });
        set.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn of_pairs_the_last_one_that_says_something_wins() {
        assert_eq!(
            pairs(
                &[
                    ("host", Some("a")),
                    ("host", Some("b")),
                    ("host", Some("")),
                    ("host", None)
                ],
                false
            ),
            "host=b"
        );
        assert_eq!(
            pairs(&[("nonsense", None), ("nonsense", Some(""))], false),
            ""
        );
        assert_eq!(
            pairs(&[("nonsense", Some("1"))], false),
            "invalid connection option \"nonsense\""
        );
        assert_eq!(
            pairs(&[("requiressl", Some("1"))], false),
            "invalid connection option \"requiressl\"",
            "only connection strings know it"
        );
    }

    #[test]
    fn the_first_database_name_may_be_a_connection_string() {
        let uri = Some("postgres://u@h/d");
        assert_eq!(pairs(&[("dbname", uri)], false), "dbname=postgres://u@h/d");
        assert_eq!(pairs(&[("dbname", uri)], true), "user=u dbname=d host=h");
        assert_eq!(pairs(&[("dbname", Some("d"))], true), "dbname=d");
        assert_eq!(
            pairs(
                &[
                    ("host", Some("before")),
                    ("dbname", uri),
                    ("user", Some("after"))
                ],
                true
            ),
            "user=after dbname=d host=h"
        );
        assert_eq!(
            pairs(&[("dbname", uri), ("dbname", Some("host=x"))], true),
            "user=u dbname=host=x host=h",
            "later ones are names"
        );
        assert_eq!(
            pairs(&[("dbname", None), ("dbname", uri)], true),
            "user=u dbname=d host=h"
        );
        assert_eq!(
            pairs(&[("dbname", Some("")), ("dbname", uri)], true),
            "dbname=postgres://u@h/d",
            "an empty one is the first"
        );
        assert_eq!(
            pairs(&[("nonsense", Some("1")), ("dbname", Some("a=b"))], true),
            "invalid connection option \"a\"",
            "the string is read first"
        );
    }

    #[test]
    fn a_nul_byte_is_refused() {
        assert_eq!(
            pairs(&[("user", Some("a\0b"))], false),
            "value of connection option \"user\" contains a NUL byte"
        );
    }
}
