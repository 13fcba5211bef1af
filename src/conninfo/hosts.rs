//! The lists in `host`, `hostaddr` and `port`, and the password of each host, to the hosts of a plan. Knows no socket.

use super::address::numeric;
use super::error::{Error, copy};
use super::number::parse_integer;
use super::options::PORT;
use super::password::{Key, PasswordFile};
use super::plan::{Host, Secret, Target};
use super::surroundings::Surroundings;
use super::values::Options;

/// Bytes of a Unix socket's path, its NUL included.
const SOCKET_PATH: usize = if cfg!(target_os = "linux") { 108 } else { 104 };

/// libpq writes a socket's path into a buffer of this many bytes before it looks at its length.
const SHOWN_PATH: usize = 1023;

/// The items of the three lists that belong together, as they were written.
struct Item<'a> {
    host: &'a [u8],
    hostaddr: &'a [u8],
    port: &'a [u8],
}

/// Makes the hosts, without passwords.
pub(super) fn read(options: &Options, from: &Surroundings) -> Result<Vec<Host>, Error> {
    let items = items(options)?;
    let mut hosts = Vec::new();
    hosts
        .try_reserve_exact(items.len())
        .map_err(|_| Error::out_of_memory())?;
    for item in items {
        hosts.push(make(&item, from)?);
    }
    Ok(hosts)
}

/// Gives each host its password: the option's, or what the password file has for it.
pub(super) fn add_passwords(
    hosts: &mut [Host],
    options: &Options,
    from: &Surroundings,
    (user, database): (&[u8], &[u8]),
    warnings: &mut Vec<String>,
) -> Result<(), Error> {
    if let Some(password) = options.filled("password") {
        let password = Secret::new(copy(password)?);
        for host in hosts {
            host.password = Some(password.clone());
        }
        return Ok(());
    }
    let Some(path) = password_file(options, from)? else {
        return Ok(());
    };
    let file = PasswordFile::open(&path, from, warnings)?;
    for (host, item) in hosts.iter_mut().zip(items(options)?) {
        let hostaddr = host.hostaddr.as_deref().unwrap_or_default();
        let name = match &host.name[..] {
            b"" => hostaddr,
            name if name == from.socket_directory() => b"localhost",
            name => name,
        };
        let found = file.find(&Key {
            host: name,
            port: item.port,
            database,
            user,
        })?;
        // An empty password is none.
        host.password = found.filter(|password| !password.expose().is_empty());
        host.passfile = host.password.as_ref().map(|_| path.clone());
    }
    Ok(())
}

/// Where the passwords are looked up: `passfile`, or `~/.pgpass`.
pub(super) fn password_file(
    options: &Options,
    from: &Surroundings,
) -> Result<Option<Vec<u8>>, Error> {
    match options.filled("passfile") {
        Some(path) => copy(path).map(Some),
        None => Ok(from.home().map(|home| [&home, &b"/.pgpass"[..]].concat())),
    }
}

/// Splits the lists and matches them up. An option that is not set, or empty, is a list of as many empty items as needed.
fn items(options: &Options) -> Result<Vec<Item<'_>>, Error> {
    let host = options.filled("host");
    let hostaddr = options.filled("hostaddr");
    let port = options.filled("port").unwrap_or_default();

    let hosts = hostaddr.or(host).map_or(1, count);
    if let Some(host) = host
        && count(host) != hosts
    {
        return Err(Error::from(format!(
            "could not match {} host names to {hosts} hostaddr values",
            count(host)
        )));
    }
    let ports = count(port);
    if ports != 1 && ports != hosts {
        return Err(Error::from(format!(
            "could not match {ports} port numbers to {hosts} hosts"
        )));
    }
    let mut items = Vec::new();
    items
        .try_reserve_exact(hosts)
        .map_err(|_| Error::out_of_memory())?;
    let mut host = split(host.unwrap_or_default());
    let mut hostaddr = split(hostaddr.unwrap_or_default());
    let mut each_port = split(port);
    for _ in 0..hosts {
        let port = if ports == 1 {
            Some(port)
        } else {
            each_port.next()
        };
        items.push(Item {
            host: host.next().unwrap_or_default(),
            hostaddr: hostaddr.next().unwrap_or_default(),
            port: port
                .filter(|port| !port.is_empty())
                .unwrap_or(PORT.as_bytes()),
        });
    }
    Ok(items)
}

fn split(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == b',')
}

fn count(list: &[u8]) -> usize {
    split(list).count()
}

fn make(item: &Item<'_>, from: &Surroundings) -> Result<Host, Error> {
    let given = !item.host.is_empty() || !item.hostaddr.is_empty();
    let name = if given {
        item.host
    } else {
        from.socket_directory()
    };
    let (port, target) = match read_port(item.port) {
        Ok(port) => (port, find_target(name, item.hostaddr, port)?),
        Err(target) => (0, target),
    };
    let hostaddr = Some(item.hostaddr).filter(|hostaddr| !hostaddr.is_empty());
    Ok(Host {
        name: copy(name)?,
        hostaddr: hostaddr.map(copy).transpose()?,
        target,
        port,
        password: None,
        passfile: None,
    })
}

fn read_port(port: &[u8]) -> Result<u16, Target> {
    let number =
        parse_integer("port", port).map_err(|error| Target::Invalid { error, last: true })?;
    match u16::try_from(number) {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(Target::Invalid {
            error: Error::of(&[b"invalid port number: \"", port, b"\""]),
            last: false,
        }),
    }
}

fn find_target(name: &[u8], hostaddr: &[u8], port: u16) -> Result<Target, Error> {
    if !hostaddr.is_empty() {
        return Ok(numeric(hostaddr).unwrap_or_else(|| Target::Invalid {
            error: Error::of(&[
                b"could not parse network address \"",
                hostaddr,
                b"\": Name or service not known",
            ]),
            last: false,
        }));
    }
    if name.starts_with(b"/") || name.starts_with(b"@") {
        return Ok(socket(name, port));
    }
    match numeric(name) {
        Some(target) => Ok(target),
        None => copy(name).map(Target::Name),
    }
}

fn socket(directory: &[u8], port: u16) -> Target {
    // A longer one is too long however it goes on, and is not shown any further.
    let directory = directory.get(..SHOWN_PATH).unwrap_or(directory);
    let mut path = [directory, format!("/.s.PGSQL.{port}").as_bytes()].concat();
    if path.len() < SOCKET_PATH {
        return Target::Unix(path);
    }
    path.truncate(SHOWN_PATH);
    Target::Invalid {
        error: Error::of(&[
            b"Unix-domain socket path \"",
            &path,
            format!("\" is too long (maximum {} bytes)", SOCKET_PATH - 1).as_bytes(),
        ]),
        last: false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn hosts(conninfo: &str) -> Result<Vec<Host>, String> {
        let options = Options::parse(conninfo.as_bytes()).unwrap();
        let from = Surroundings::empty().with_directory("/var/run/postgresql");
        read(&options, &from).map_err(|error| error.to_string())
    }

    fn targets(conninfo: &str) -> Vec<String> {
        hosts(conninfo)
            .unwrap()
            .iter()
            .map(|host| match &host.target {
                Target::Unix(path) => String::from_utf8(path.clone()).unwrap(),
                Target::Addr(address) => format!("{address} {}", host.port),
                Target::Given => unreachable!("only a caller gives transports"),
                Target::Name(name) => {
                    format!("{} {}", String::from_utf8_lossy(name), host.port)
                }
                Target::Invalid { error, last } => {
                    format!("{error}{}", if *last { "!" } else { "" })
                }
            })
            .collect()
    }

    #[test]
    fn every_kind_of_host() {
        for (conninfo, expected) in [
            ("host=db.example.com", &["db.example.com 5432"][..]),
            ("host=10.1.2.3 port=6543", &["10.1.2.3 6543"]),
            ("host=::1", &["::1 5432"]),
            ("host=fe80::1%eth0", &["fe80::1%eth0 5432"]),
            ("host=/run/pg", &["/run/pg/.s.PGSQL.5432"]),
            ("host=@abstract port=7", &["@abstract/.s.PGSQL.7"]),
            ("host=name hostaddr=10.1.2.3", &["10.1.2.3 5432"]),
            ("hostaddr=127.1", &["127.0.0.1 5432"]),
            (
                "hostaddr=name",
                &["could not parse network address \"name\": Name or service not known"],
            ),
            (
                "host=a,10.0.0.1,/run",
                &["a 5432", "10.0.0.1 5432", "/run/.s.PGSQL.5432"],
            ),
            ("host=a,b port=1,2", &["a 1", "b 2"]),
            ("host=a,b port=7", &["a 7", "b 7"]),
            ("host=a,b port=7,", &["a 7", "b 5432"]),
            ("host=a,b hostaddr=,10.0.0.1", &["a 5432", "10.0.0.1 5432"]),
            ("host=a port=0", &["invalid port number: \"0\""]),
            ("host=a port=65536", &["invalid port number: \"65536\""]),
            ("host=a port=' 65535 '", &["a 65535"]),
            (
                "host=a port=x",
                &["invalid integer value \"x\" for connection option \"port\"!"],
            ),
        ] {
            assert_eq!(targets(conninfo), expected, "{conninfo}");
        }
    }

    #[test]
    fn without_a_host_it_is_the_local_socket() {
        if option_env!("PGPOLL_SOCKET_DIR").is_none() {
            let host = &hosts("").unwrap()[0];
            assert_eq!(host.name, b"/var/run/postgresql");
            let options = Options::default();
            let hosts = read(&options, &Surroundings::empty()).unwrap();
            assert_eq!(hosts[0].name, b"/tmp");
            assert_eq!(hosts[0].target, Target::Unix(b"/tmp/.s.PGSQL.5432".into()));
        }
        assert_eq!(hosts("host=a,,b").unwrap().len(), 3);
        assert_eq!(hosts("hostaddr=10.0.0.1").unwrap()[0].name, b"");
    }

    #[test]
    fn lists_of_different_lengths_are_refused() {
        for (conninfo, error) in [
            (
                "host=a,b hostaddr=10.0.0.1",
                "could not match 2 host names to 1 hostaddr values",
            ),
            (
                "host=a hostaddr=10.0.0.1,",
                "could not match 1 host names to 2 hostaddr values",
            ),
            (
                "host=a,b,c port=1,2",
                "could not match 2 port numbers to 3 hosts",
            ),
            ("port=1,2", "could not match 2 port numbers to 1 hosts"),
        ] {
            assert_eq!(hosts(conninfo).unwrap_err(), error, "{conninfo}");
        }
    }

    #[test]
    fn a_socket_path_is_not_cut_off() {
        let longest = "/".to_owned() + &"d".repeat(SOCKET_PATH - 1 - "//.s.PGSQL.5432".len());
        let path = format!("{longest}/.s.PGSQL.5432");
        assert_eq!(targets(&format!("host={longest}"))[0], path);
        let maximum = SOCKET_PATH - 1;
        assert_eq!(
            targets(&format!("host=/{longest}")),
            [format!(
                "Unix-domain socket path \"/{path}\" is too long (maximum {maximum} bytes)"
            )]
        );
    }
}
