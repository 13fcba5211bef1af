//! Whom a connection is with: the host, port, user and database in use, out of the options, and the address.

use super::Connection;
use crate::link::Addr;

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

    /// What one of the lists says of the host in use; a single port is that of all hosts.
    pub(super) fn of_host(&self, list: &str) -> Option<&[u8]> {
        let list = self.options().get(list)?;
        let alone = !list.contains(&b',');
        let index = if alone { 0 } else { self.facts().host() };
        let item = list.split(|&byte| byte == b',').nth(index)?;
        Some(item).filter(|item| !item.is_empty())
    }
}
