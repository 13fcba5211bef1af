//! Whom a connection is with: the host, port, user and database in use, out of the options, and the address.

use super::Connection;
use crate::conninfo::{PORT, Surroundings};
use crate::link::Addr;

/// One of the hosts that a connection may be with.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The host as it was written, else its numeric address as it was written, else the folder of the local socket.
    pub host: &'a [u8],
    /// The port as it was written, or the default.
    pub port: &'a [u8],
    /// What the password file has for it; `None` when the password was given.
    pub password: Option<&'a [u8]>,
}

impl Connection {
    /// The host in use as it was written, else its numeric address as it was written; `None` for the default of a build,
    /// a local socket. While connecting, and after a failure, the host that was tried last.
    pub fn host(&self) -> Option<&[u8]> {
        self.of_host("host").or_else(|| self.of_host("hostaddr"))
    }

    /// The numeric address of the host in use; `None` for a local socket, and before there is one.
    pub fn hostaddr(&self) -> Option<String> {
        match self.facts().addr()? {
            Addr::Tcp(addr) => Some(addr.ip().to_string()),
            Addr::Unix(_) | Addr::Given => None,
        }
    }

    /// The port in use, as it was written.
    pub fn port(&self) -> Option<&[u8]> {
        self.of_host("port")
    }

    /// The name of the role.
    pub fn user(&self) -> Option<&[u8]> {
        self.options().get("user")
    }

    /// The name of the database.
    pub fn database(&self) -> Option<&[u8]> {
        self.options().get("dbname")
    }

    /// The hosts, numbered as [`Facts::host`](crate::engine::Facts::host) does; none when the options made no sense.
    pub fn places(&self) -> impl Iterator<Item = Place<'_>> {
        let list = |keyword| self.options().filled(keyword);
        let (host, hostaddr) = (list("host"), list("hostaddr"));
        let count = match hostaddr.or(host) {
            // Every connection that got as far as to have hosts has a port.
            None if self.options().get("port").is_none() => 0,
            hosts => hosts.map_or(1, item_count),
        };
        let matched = host.is_none_or(|host| item_count(host) == count);
        (0..count).map(move |index| Place {
            host: host
                .and_then(|hosts| item(hosts, index))
                .or_else(|| hostaddr.and_then(|addresses| item(addresses, index)))
                .unwrap_or_else(|| Surroundings::real().socket_directory()),
            port: list("port")
                .filter(|_| matched)
                .and_then(|ports| item(ports, if item_count(ports) == 1 { 0 } else { index }))
                .unwrap_or(PORT.as_bytes()),
            password: self
                .passwords
                .as_deref()
                .and_then(|passwords| passwords.get(index))
                .and_then(|password| Some(password.as_ref()?.expose())),
        })
    }

    /// What one of the lists says of the host in use; a single port is that of all hosts.
    pub(super) fn of_host(&self, list: &str) -> Option<&[u8]> {
        let list = self.options().get(list)?;
        let alone = item_count(list) == 1;
        item(list, if alone { 0 } else { self.facts().host() })
    }
}

fn item_count(list: &[u8]) -> usize {
    list.split(|&byte| byte == b',').count()
}

fn item(list: &[u8], index: usize) -> Option<&[u8]> {
    let item = list.split(|&byte| byte == b',').nth(index)?;
    Some(item).filter(|item| !item.is_empty())
}
