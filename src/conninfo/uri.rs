//! Connection URIs to values. Knows the syntax (RFC 3986 with libpq's list of hosts), not what the options mean.

use zeroize::Zeroizing;

use super::error::Error;
use super::values::Options;

/// The length of the scheme, if `text` is a URI.
pub(super) fn prefix(text: &[u8]) -> Option<usize> {
    [&b"postgresql://"[..], b"postgres://"]
        .into_iter()
        .find(|scheme| text.starts_with(scheme))
        .map(<[u8]>::len)
}

/// Reads `uri`, whose scheme has `prefix` bytes: `scheme://[user[:password]@][host][:port][,…][/dbname][?keyword=value[&…]]`.
pub(super) fn parse(options: &mut Options, uri: &[u8], prefix: usize) -> Result<(), Error> {
    let mut rest = uri.get(prefix..).unwrap_or_default();
    if let Some(at) = until(rest, b"@/").filter(|at| rest.get(*at) == Some(&b'@')) {
        let (credentials, after) = split(rest, at);
        let (user, password) = split(credentials, until(credentials, b":").unwrap_or(at));
        store_part(options, b"user", user)?;
        store_part(options, b"password", password)?;
        rest = after;
    }

    let mut hosts = Vec::new();
    let mut ports = Vec::new();
    if hosts.try_reserve_exact(rest.len()).is_err() || ports.try_reserve_exact(rest.len()).is_err()
    {
        return Err(Error::out_of_memory());
    }
    let (mut end, mut after) = read_host(uri, rest, &mut hosts, &mut ports)?;
    while end == Some(b',') {
        hosts.push(b',');
        ports.push(b',');
        (end, after) = read_host(uri, after, &mut hosts, &mut ports)?;
    }
    store_part(options, b"host", &hosts)?;
    store_part(options, b"port", &ports)?;

    if end == Some(b'/') {
        let (dbname, query) = split(after, until(after, b"?").unwrap_or(after.len()));
        // An empty name would be an explicit one, and keep PGDATABASE out.
        store_part(options, b"dbname", dbname)?;
        after = query;
    }
    parse_query(options, after)
}

/// Reads one `host[:port]` from `text` and appends both; returns the byte that ends it and what follows that.
fn read_host<'a>(
    uri: &[u8],
    text: &'a [u8],
    hosts: &mut Vec<u8>,
    ports: &mut Vec<u8>,
) -> Result<(Option<u8>, &'a [u8]), Error> {
    let (host, rest) = match text.strip_prefix(b"[") {
        Some(inside) => {
            let Some(length) = until(inside, b"]") else {
                return Err(Error::of(&[
                    b"end of string reached when looking for matching \"]\" in IPv6 host address in URI: \"",
                    uri,
                    b"\"",
                ]));
            };
            if length == 0 {
                return Err(Error::of(&[
                    b"IPv6 host address may not be empty in URI: \"",
                    uri,
                    b"\"",
                ]));
            }
            let (host, rest) = split(inside, length);
            if let Some(byte) = rest.first().filter(|byte| !b":/?,".contains(byte)) {
                let position = uri.len() - rest.len() + 1;
                return Err(Error::of(&[
                    b"unexpected character \"",
                    &[*byte],
                    format!("\" at position {position} in URI (expected \":\" or \"/\"): \"")
                        .as_bytes(),
                    uri,
                    b"\"",
                ]));
            }
            (host, rest)
        }
        None => text.split_at(until(text, b":/?,").unwrap_or(text.len())),
    };
    hosts.extend_from_slice(host);
    let Some(rest) = rest.strip_prefix(b":") else {
        return Ok((rest.first().copied(), rest.get(1..).unwrap_or_default()));
    };
    let (port, rest) = rest.split_at(until(rest, b"/?,").unwrap_or(rest.len()));
    ports.extend_from_slice(port);
    Ok((rest.first().copied(), rest.get(1..).unwrap_or_default()))
}

/// Reads `keyword=value[&…]`.
fn parse_query(options: &mut Options, mut text: &[u8]) -> Result<(), Error> {
    while !text.is_empty() {
        let (parameter, rest) = split(text, until(text, b"&").unwrap_or(text.len()));
        let Some(length) = until(parameter, b"=") else {
            return Err(Error::of(&[
                b"missing key/value separator \"=\" in URI query parameter: \"",
                parameter,
                b"\"",
            ]));
        };
        let (keyword, value) = split(parameter, length);
        if value.contains(&b'=') {
            return Err(Error::of(&[
                b"extra key/value separator \"=\" in URI query parameter: \"",
                keyword,
                b"\"",
            ]));
        }
        let keyword = decode(keyword)?;
        let value = decode(value)?;
        // What JDBC writes for sslmode=require.
        let (keyword, value): (&[u8], &[u8]) = if **keyword == *b"ssl" && **value == *b"true" {
            (b"sslmode", b"require")
        } else {
            (&keyword, &value)
        };
        options.store(keyword, value).unwrap_or_else(|| {
            Err(Error::of(&[
                b"invalid URI query parameter: \"",
                keyword,
                b"\"",
            ]))
        })?;
        text = rest;
    }
    Ok(())
}

/// Sets `keyword` to a part of the URI, unless that is empty.
fn store_part(options: &mut Options, keyword: &[u8], part: &[u8]) -> Result<(), Error> {
    if part.is_empty() {
        return Ok(());
    }
    options
        .store(keyword, &decode(part)?)
        .unwrap_or_else(|| Err(Error::unknown_option(keyword)))
}

/// Undoes the percent-encoding. Spaces around the text are dropped; inside they must be encoded.
fn decode(text: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut decoded = Zeroizing::new(Vec::new());
    decoded
        .try_reserve_exact(text.len())
        .map_err(|_| Error::out_of_memory())?;
    let start = text.iter().take_while(|byte| **byte == b' ').count();
    let mut bytes = text.get(start..).unwrap_or_default().iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b' ' => {
                if bytes.any(|byte| *byte != b' ') {
                    return Err(Error::of(&[
                        b"unexpected spaces found in \"",
                        text,
                        b"\", use percent-encoded spaces (%20) instead",
                    ]));
                }
            }
            b'%' => {
                let digits = (hex_digit(bytes.next()), hex_digit(bytes.next()));
                let (Some(high), Some(low)) = digits else {
                    return Err(Error::of(&[
                        b"invalid percent-encoded token: \"",
                        text,
                        b"\"",
                    ]));
                };
                if high == 0 && low == 0 {
                    return Err(Error::of(&[
                        b"forbidden value %00 in percent-encoded value: \"",
                        text,
                        b"\"",
                    ]));
                }
                decoded.push(high << 4 | low);
            }
            _ => decoded.push(byte),
        }
    }
    Ok(decoded)
}

fn hex_digit(byte: Option<&u8>) -> Option<u8> {
    let digit = char::from(*byte?).to_digit(16)?;
    u8::try_from(digit).ok()
}

/// The place of the first byte of `text` that is one of `ends`.
fn until(text: &[u8], ends: &[u8]) -> Option<usize> {
    text.iter().position(|byte| ends.contains(byte))
}

/// What lies before and after the byte at `at`; nothing after it when `at` is the end.
fn split(text: &[u8], at: usize) -> (&[u8], &[u8]) {
    let (before, after) = text.split_at_checked(at).unwrap_or((text, &[]));
    (before, after.get(1..).unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// What the URI sets; more cases, those of PostgreSQL, are in `tests/conninfo.rs`.
    fn get(uri: &str, keyword: &str) -> Option<String> {
        let options = Options::parse(uri.as_bytes()).unwrap();
        options
            .get(keyword)
            .map(|value| String::from_utf8(value.to_vec()).unwrap())
    }

    fn error(uri: &str) -> String {
        Options::parse(uri.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn several_hosts_make_two_lists() {
        let uri = "postgres://a:1,[::1]:2,c,%2Ftmp:4/d";
        assert_eq!(get(uri, "host").unwrap(), "a,::1,c,/tmp");
        assert_eq!(get(uri, "port").unwrap(), "1,2,,4");
        assert_eq!(get(uri, "dbname").unwrap(), "d");
        assert_eq!(get("postgres://,", "host").unwrap(), ",");
        assert_eq!(get("postgres://,", "port").unwrap(), ",");
    }

    #[test]
    fn credentials_end_at_the_first_at_sign_before_a_slash() {
        assert_eq!(get("postgres://u:p:q@h", "password").unwrap(), "p:q");
        assert_eq!(get("postgres://u%40x:p%3A%2F@h", "user").unwrap(), "u@x");
        assert_eq!(
            get("postgres://u%40x:p%3A%2F@h", "password").unwrap(),
            "p:/"
        );
        assert_eq!(get("postgres://u@h@i", "host").unwrap(), "h@i");
        assert_eq!(get("postgres://h/a@b", "dbname").unwrap(), "a@b");
        assert_eq!(get("postgres://h?user=a@b", "user").unwrap(), "h?user=a");
        assert_eq!(get("postgres://a,[::1]@", "password").unwrap(), ":1]");
        assert_eq!(get("postgres://:p@h", "user"), None);
        assert_eq!(get("postgres://u:@h", "password"), None);
    }

    #[test]
    fn parameters_win_over_what_stands_before_them() {
        let uri = "postgres://u@h/d?user=v&dbname=&host=%2Frun&application_name=a%20b%26c&options=";
        assert_eq!(get(uri, "user").unwrap(), "v");
        assert_eq!(get(uri, "dbname").unwrap(), "");
        assert_eq!(get(uri, "host").unwrap(), "/run");
        assert_eq!(get(uri, "application_name").unwrap(), "a b&c");
        assert_eq!(get(uri, "options").unwrap(), "");
    }

    #[test]
    fn what_jdbc_writes_for_tls() {
        assert_eq!(get("postgres://h?ssl=true", "sslmode").unwrap(), "require");
        assert_eq!(
            get("postgres://h?requiressl=0", "sslmode").unwrap(),
            "prefer"
        );
        assert_eq!(
            error("postgres://h?ssl=false"),
            "invalid URI query parameter: \"ssl\""
        );
    }

    #[test]
    fn what_is_malformed_is_said() {
        for (uri, text) in [
            (
                "postgres://h?&",
                "missing key/value separator \"=\" in URI query parameter: \"\"",
            ),
            ("postgres://h?=", "invalid URI query parameter: \"\""),
            (
                "postgres://h?user=a=b",
                "extra key/value separator \"=\" in URI query parameter: \"user\"",
            ),
            (
                "postgres://h?user=%0",
                "invalid percent-encoded token: \"%0\"",
            ),
            (
                "postgres://h?user=%+1",
                "invalid percent-encoded token: \"%+1\"",
            ),
            (
                "postgres://h?user=a%00",
                "forbidden value %00 in percent-encoded value: \"a%00\"",
            ),
            (
                "postgres://a b,c",
                "unexpected spaces found in \"a b,c\", use percent-encoded spaces (%20) instead",
            ),
        ] {
            assert_eq!(error(uri), text, "{uri}");
        }
    }
}
