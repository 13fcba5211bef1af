//! The connection service file (manual, "The Connection Service File"). Knows its syntax and where it is looked for.

use super::error::Error;
use super::options::index_of;
use super::parse::{is_space, trim_start};
use super::surroundings::Surroundings;
use super::values::Options;

/// libpq reads lines into a buffer of 1024 bytes; a line must leave room for its end.
const MAX_LINE: usize = 1022;

/// Sets what the service that `options` or `PGSERVICE` names says, except what is set already. Without a service there is nothing
/// to do.
pub(super) fn fill(options: &mut Options, from: &Surroundings) -> Result<(), Error> {
    let Some(service) = options
        .get("service")
        .map(<[u8]>::to_vec)
        .or_else(|| from.variable("PGSERVICE"))
    else {
        return Ok(());
    };
    let users = match from.variable("PGSERVICEFILE") {
        Some(path) => Some(path),
        None => from
            .home()
            .map(|home| [&home, &b"/.pg_service.conf"[..]].concat())
            .filter(|path| from.exists(path)),
    };
    if let Some(path) = users
        && read(options, from, &path, &service)?
    {
        return Ok(());
    }
    let path = [&from.configuration_directory(), &b"/pg_service.conf"[..]].concat();
    if from.exists(&path) && read(options, from, &path, &service)? {
        return Ok(());
    }
    Err(Error::of(&[
        b"definition of service \"",
        &service,
        b"\" not found",
    ]))
}

/// Reads one file; returns whether it defines the service.
fn read(
    options: &mut Options,
    from: &Surroundings,
    path: &[u8],
    service: &[u8],
) -> Result<bool, Error> {
    let file = from
        .open(path, true)
        .ok_or_else(|| Error::of(&[b"service file \"", path, b"\" not found"]))?;
    let mut found = false;
    for (index, line) in file
        .read()?
        .split_inclusive(|byte| *byte == b'\n')
        .enumerate()
    {
        let number = (index + 1).to_string();
        if line.len() > MAX_LINE {
            return Err(Error::of(&[
                b"line ",
                number.as_bytes(),
                b" too long in service file \"",
                path,
                b"\"",
            ]));
        }
        // A C string ends at a NUL.
        let line = line.split(|byte| *byte == 0).next().unwrap_or_default();
        let line = trim(line);
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        if let Some(group) = line.strip_prefix(b"[") {
            if found {
                return Ok(true);
            }
            found = group
                .strip_prefix(service)
                .is_some_and(|rest| rest.starts_with(b"]"));
        } else if found {
            set(options, line).unwrap_or_else(|problem| {
                Err(Error::of(&[
                    problem,
                    b" in service file \"",
                    path,
                    b"\", line ",
                    number.as_bytes(),
                ]))
            })?;
        }
    }
    Ok(found)
}

/// Sets what `line` says, unless that is set already. The outer error is what is wrong with the line.
fn set(options: &mut Options, line: &[u8]) -> Result<Result<(), Error>, &'static [u8]> {
    let syntax_error = &b"syntax error"[..];
    let equals = line.iter().position(|byte| *byte == b'=');
    let (keyword, value) = line.split_at(equals.ok_or(syntax_error)?);
    if keyword == b"service" {
        return Err(b"nested service specifications not supported");
    }
    let index = index_of(keyword).ok_or(syntax_error)?;
    if options.at(index).is_some() {
        return Ok(Ok(()));
    }
    Ok(options.put(index, value.get(1..).unwrap_or_default()))
}

fn trim(line: &[u8]) -> &[u8] {
    let end = line
        .iter()
        .rposition(|byte| !is_space(*byte))
        .map_or(0, |last| last + 1);
    trim_start(line.get(..end).unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const FILE: &str = "# services\n\n[other]\nhost=no\n\n  [mine]  \n host=h\nport= 5\r\n#user=no\nuser=\n[after]\ndbname=no\n";

    fn filled(conninfo: &str, from: &Surroundings) -> Result<Options, String> {
        let mut options = Options::parse(conninfo.as_bytes()).unwrap();
        fill(&mut options, from).map_err(|error| error.to_string())?;
        Ok(options)
    }

    fn with_home_file(content: &str) -> Surroundings {
        Surroundings::empty()
            .with_account("alice", "/home/alice")
            .with_file("/home/alice/.pg_service.conf", 0o644, content)
    }

    #[test]
    fn a_group_is_read_to_its_end_and_overrides_nothing() {
        let options = filled("service=mine port=7", &with_home_file(FILE)).unwrap();
        assert_eq!(options.get("host"), Some(&b"h"[..]));
        assert_eq!(options.get("port"), Some(&b"7"[..]));
        assert_eq!(
            options.get("user"),
            Some(&b""[..]),
            "set, though to nothing"
        );
        assert_eq!(options.get("dbname"), None);

        let from = with_home_file(FILE).with_variable("PGSERVICE", "mine");
        assert_eq!(filled("", &from).unwrap().get("port"), Some(&b" 5"[..]));
        let options = filled("service=other", &from).unwrap();
        assert_eq!(
            options.get("host"),
            Some(&b"no"[..]),
            "the string's own wins"
        );
        assert_eq!(filled("", &with_home_file(FILE)).unwrap().get("host"), None);
    }

    #[test]
    fn the_users_file_is_looked_at_before_the_machines() {
        let machine = "[mine]\nhost=machine\n[machines]\nhost=machine\n";
        let from = with_home_file(FILE).with_file("/etc/pg/pg_service.conf", 0o644, machine);
        let from = from.with_variable("PGSYSCONFDIR", "/etc/pg");
        let host = |conninfo, from: &Surroundings| {
            filled(conninfo, from).map(|options| options.get("host").unwrap().to_vec())
        };
        assert_eq!(host("service=mine", &from).unwrap(), b"h");
        assert_eq!(host("service=machines", &from).unwrap(), b"machine");
        assert_eq!(
            host("service=nobodys", &from).unwrap_err(),
            "definition of service \"nobodys\" not found"
        );
        let elsewhere = from.with_variable("PGSERVICEFILE", "/srv/file");
        assert_eq!(
            host("service=mine", &elsewhere).unwrap_err(),
            "service file \"/srv/file\" not found"
        );
        let elsewhere = elsewhere.with_file("/srv/file", 0o644, "");
        assert_eq!(host("service=mine", &elsewhere).unwrap(), b"machine");
        assert_eq!(
            host("service=x", &Surroundings::empty()).unwrap_err(),
            "definition of service \"x\" not found"
        );
    }

    #[test]
    fn a_malformed_line_is_named() {
        let place = "in service file \"/home/alice/.pg_service.conf\", line 2";
        for (line, error) in [
            ("host", format!("syntax error {place}")),
            ("host = a", format!("syntax error {place}")),
            ("hots=a", format!("syntax error {place}")),
            (
                "ldap://ldap.example.com/dc=x",
                format!("syntax error {place}"),
            ),
            (
                "service=other",
                format!("nested service specifications not supported {place}"),
            ),
            (
                &*format!("host={}", "a".repeat(1017)),
                "line 2 too long in service file \"/home/alice/.pg_service.conf\"".into(),
            ),
        ] {
            let from = with_home_file(&format!("[mine]\n{line}\n"));
            assert_eq!(filled("service=mine", &from).unwrap_err(), error);
            let from = with_home_file(&format!("[mine]\nhost=a\n[other]\n{line}\n"));
            let tolerated = !error.contains("too long");
            assert!(!tolerated || filled("service=mine", &from).is_ok());
        }
        let from = with_home_file(&format!("[mine]\nhost={}\n", "a".repeat(1016)));
        assert!(filled("service=mine", &from).is_ok());
    }
}
