//! The password file (manual, "The Password File"). Knows its syntax and its permissions, not where it is.

use zeroize::Zeroizing;

use super::error::Error;
use super::plan::Secret;
use super::surroundings::Surroundings;

/// What a line of the password file is looked up by.
pub(super) struct Key<'a> {
    pub(super) host: &'a [u8],
    pub(super) port: &'a [u8],
    pub(super) database: &'a [u8],
    pub(super) user: &'a [u8],
}

/// The lines of a password file that may be used.
pub(super) struct PasswordFile(Option<Zeroizing<Vec<u8>>>);

impl PasswordFile {
    /// Opens the file at `path`. One that is not there is the same as an empty one; so is one that others can read, but that is
    /// worth a warning.
    pub(super) fn open(
        path: &[u8],
        from: &Surroundings,
        warnings: &mut Vec<String>,
    ) -> Result<Self, Error> {
        let Some(file) = from.open(path, false) else {
            return Ok(Self(None));
        };
        let problem = if !file.regular {
            "is not a plain file"
        } else if file.mode & 0o077 != 0 {
            "has group or world access; permissions should be u=rw (0600) or less"
        } else {
            return Ok(Self(Some(file.read()?)));
        };
        warnings.push(format!(
            "WARNING: password file \"{}\" {problem}",
            String::from_utf8_lossy(path)
        ));
        Ok(Self(None))
    }

    /// The password of the first line that matches.
    pub(super) fn find(&self, key: &Key<'_>) -> Result<Option<Secret>, Error> {
        let lines = self.0.as_ref().map_or(&[][..], |bytes| bytes.as_slice());
        for line in lines.split(|byte| *byte == b'\n') {
            if line.starts_with(b"#") || line.contains(&0) {
                continue;
            }
            let end = line
                .iter()
                .rposition(|byte| *byte != b'\r')
                .map_or(0, |last| last + 1);
            let line = line.get(..end).unwrap_or_default();
            if let Some(escaped) = matching(line, key.host)
                .and_then(|rest| matching(rest, key.port))
                .and_then(|rest| matching(rest, key.database))
                .and_then(|rest| matching(rest, key.user))
            {
                return unescape(escaped).map(Some);
            }
        }
        Ok(None)
    }
}

/// What follows the first field of `line`, if that field is `*` or says `value`.
fn matching<'a>(line: &'a [u8], value: &[u8]) -> Option<&'a [u8]> {
    if let Some(rest) = line.strip_prefix(b"*:") {
        return Some(rest);
    }
    let mut bytes = line.iter();
    let mut value = value.iter();
    loop {
        let byte = match bytes.next()? {
            b'\\' => bytes.next()?,
            b':' if value.as_slice().is_empty() => return Some(bytes.as_slice()),
            byte => byte,
        };
        if value.next() != Some(byte) {
            return None;
        }
    }
}

/// The field that begins at `text`, up to a colon, without its backslashes.
fn unescape(text: &[u8]) -> Result<Secret, Error> {
    let mut password = Zeroizing::new(Vec::new());
    password
        .try_reserve_exact(text.len())
        .map_err(|_| Error::out_of_memory())?;
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b':' => break,
            b'\\' => password.push(*bytes.next().unwrap_or(&byte)),
            _ => password.push(byte),
        }
    }
    Ok(Secret::new(std::mem::take(&mut *password)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn find(content: &str, fields: [&str; 4]) -> Option<String> {
        let from = Surroundings::empty().with_file("/p", 0o600, content);
        let mut warnings = Vec::new();
        let file = PasswordFile::open(b"/p", &from, &mut warnings).unwrap();
        assert!(warnings.is_empty());
        let [host, port, database, user] = fields.map(str::as_bytes);
        let key = Key {
            host,
            port,
            database,
            user,
        };
        let password = file.find(&key).unwrap()?;
        Some(String::from_utf8(password.expose().to_vec()).unwrap())
    }

    const KEY: [&str; 4] = ["h", "5432", "d", "u"];

    #[test]
    fn the_first_line_that_matches_counts() {
        for (content, password) in [
            ("h:5432:d:u:secret\n", Some("secret")),
            ("*:*:*:*:secret", Some("secret")),
            ("h:5432:d:u:secret\r\n", Some("secret")),
            (
                "h:5432:d:other:no\nh:*:d:u:yes\nh:5432:d:u:late\n",
                Some("yes"),
            ),
            ("h:5432:d:u:a:b\n", Some("a")),
            ("h:5432:d:u:a\\:b\\\\c\\d\n", Some("a:b\\cd")),
            ("h:5432:d:u:a\\", Some("a\\")),
            ("h:5432:d:u:\n", Some("")),
            ("\\h:5432:d:u:secret\n", Some("secret")),
            ("h:5432:d:u\n", None),
            ("#h:5432:d:u:secret\n", None),
            (" h:5432:d:u:secret\n", None),
            ("hh:5432:d:u:secret\n", None),
            ("h*:5432:d:u:secret\n", None),
            ("\\*:5432:d:u:secret\n", None),
            ("", None),
            ("\n\n", None),
        ] {
            assert_eq!(find(content, KEY).as_deref(), password, "{content}");
        }
    }

    #[test]
    fn colons_in_a_field_may_be_escaped() {
        let key = ["::1", "5432", "d", "u:v"];
        assert_eq!(find("\\:\\:1:5432:d:u\\:v:x\n", key).as_deref(), Some("x"));
        assert_eq!(
            find("::1:5432:d:u:v:x\n", key).as_deref(),
            Some("x"),
            "libpq takes a plain one where the value has a colon"
        );
    }

    #[test]
    fn a_file_that_others_can_read_is_ignored_with_a_warning() {
        let from = Surroundings::empty()
            .with_file("/p", 0o640, "*:*:*:*:secret\n")
            .with_directory("/d");
        let mut warnings = Vec::new();
        for path in [&b"/p"[..], b"/d", b"/none"] {
            let file = PasswordFile::open(path, &from, &mut warnings).unwrap();
            assert!(file.0.is_none());
        }
        assert_eq!(
            warnings,
            [
                "WARNING: password file \"/p\" has group or world access; permissions should be u=rw (0600) or less",
                "WARNING: password file \"/d\" is not a plain file",
            ]
        );
    }
}
