//! Time limits and keepalives of a TCP connection. Knows numbers, not sockets.

use std::time::Duration;

use super::error::Error;
use super::number::parse_integer;
use super::plan::{Host, Target, TcpOptions};
use super::values::Options;

/// `connect_timeout`; zero and less wait for ever.
pub(super) fn connect_timeout(options: &Options) -> Result<Option<Duration>, Error> {
    Ok(positive(options, "connect_timeout")?.map(|seconds| Duration::from_secs(seconds.into())))
}

/// The options of a TCP socket, which are not looked at if there is none.
pub(super) fn tcp(options: &Options, hosts: &[Host]) -> Result<TcpOptions, Error> {
    if hosts
        .iter()
        .all(|host| matches!(host.target, Target::Unix(_) | Target::Invalid { .. }))
    {
        return Ok(TcpOptions {
            keepalives: true,
            ..TcpOptions::default()
        });
    }
    let keepalives = match options.get("keepalives") {
        Some(value) => parse_integer("keepalives", value)? != 0,
        None => true,
    };
    // Without keepalives, libpq does not look at how they should be.
    let detail = |keyword| {
        if keepalives {
            positive(options, keyword)
        } else {
            Ok(None)
        }
    };
    Ok(TcpOptions {
        keepalives,
        keepalives_idle: detail("keepalives_idle")?,
        keepalives_interval: detail("keepalives_interval")?,
        keepalives_count: detail("keepalives_count")?,
        user_timeout_ms: positive(options, "tcp_user_timeout")?,
    })
}

/// A number above zero; zero and less mean that nothing is asked for.
fn positive(options: &Options, keyword: &str) -> Result<Option<u32>, Error> {
    let Some(value) = options.get(keyword) else {
        return Ok(None);
    };
    let number = parse_integer(keyword, value)?;
    Ok(u32::try_from(number).ok().filter(|number| *number > 0))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::hosts;
    use super::super::surroundings::Surroundings;
    use super::*;

    fn limit(conninfo: &str) -> Option<Duration> {
        connect_timeout(&Options::parse(conninfo.as_bytes()).unwrap()).unwrap()
    }

    fn options(conninfo: &str) -> Result<TcpOptions, String> {
        let options = Options::parse(conninfo.as_bytes()).unwrap();
        let hosts = hosts::read(&options, &Surroundings::empty()).unwrap();
        tcp(&options, &hosts).map_err(|error| error.to_string())
    }

    #[test]
    fn no_time_is_no_limit() {
        assert_eq!(limit("connect_timeout=1"), Some(Duration::from_secs(1)));
        assert_eq!(limit("connect_timeout=0"), None);
        assert_eq!(limit("connect_timeout=-1"), None);
        assert_eq!(limit(""), None);
    }

    #[test]
    fn zero_leaves_the_systems_default() {
        let conninfo = "host=h keepalives_idle=30 keepalives_interval=0 keepalives_count=-1 tcp_user_timeout=5000";
        let expected = TcpOptions {
            keepalives: true,
            keepalives_idle: Some(30),
            user_timeout_ms: Some(5000),
            ..TcpOptions::default()
        };
        assert_eq!(options(conninfo), Ok(expected));
    }

    #[test]
    fn what_is_not_used_is_not_looked_at() {
        let expected = TcpOptions {
            user_timeout_ms: Some(7),
            ..TcpOptions::default()
        };
        assert_eq!(
            options("host=h keepalives=0 keepalives_idle=x tcp_user_timeout=7"),
            Ok(expected)
        );
        assert!(options("host=/tmp keepalives=x tcp_user_timeout=x").is_ok());
        assert_eq!(
            options("host=/tmp,h keepalives=x").unwrap_err(),
            "invalid integer value \"x\" for connection option \"keepalives\""
        );
    }
}
