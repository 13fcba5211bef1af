//! A proxy on loopback that breaks connections on purpose. Knows sockets and bytes, nothing of what they mean.
//!
//! ```no_run
//! use testkit::proxy::{Fault, Faults, Proxy};
//! let cluster = testkit::shared();
//! // The third connection loses its server after 5,000 bytes of it; all others are left alone.
//! let proxy = Proxy::start(cluster, |number| match number {
//!     2 => Faults::none().to_client(5000, Fault::Reset),
//!     _ => Faults::none(),
//! });
//! let conninfo = format!("host=127.0.0.1 port={} user=postgres", proxy.port());
//! ```

mod faults;
mod pair;
mod serve;
mod way;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::Cluster;
use crate::system::new_folder;

pub use faults::{Fault, Faults};

use serve::{Server, Shared, locked};

/// Where a connection is passed on to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// By TCP.
    Tcp(SocketAddr),
    /// By this Unix socket.
    Unix(PathBuf),
}

impl From<SocketAddr> for Place {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl From<&Path> for Place {
    fn from(path: &Path) -> Self {
        Self::Unix(path.to_owned())
    }
}

impl From<&Cluster> for Place {
    fn from(cluster: &Cluster) -> Self {
        Self::Tcp(SocketAddr::from(([127, 0, 0, 1], cluster.port())))
    }
}

impl Place {
    fn address(&self) -> io::Result<(Domain, SockAddr)> {
        match self {
            Self::Tcp(address) => Ok((Domain::for_address(*address), (*address).into())),
            Self::Unix(path) => Ok((Domain::UNIX, SockAddr::unix(path)?)),
        }
    }
}

/// What a proxy has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections accepted.
    pub connections: u64,
    /// Those that are there now, black holes included.
    pub open: u64,
    /// Bytes passed on to the server; what was inserted does not count.
    pub to_server: u64,
    /// Bytes passed on to the client; what was inserted does not count.
    pub to_client: u64,
    /// Connections reset, refused ones included.
    pub resets: u64,
    /// Connections that fell silent.
    pub black_holes: u64,
    /// Directions closed, or connections closed, before their time.
    pub closes: u64,
    /// Pieces of garbage inserted.
    pub inserts: u64,
    /// Connections that could not be passed on: the server does not listen.
    pub unreachable: u64,
}

impl Counts {
    /// Faults that a client notices as such: all but delays and pieces.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.resets + self.black_holes + self.closes + self.inserts
    }
}

/// A proxy, listening on 127.0.0.1 or on a Unix socket. One thread serves all connections, some thousands at once.
/// Dropping it closes them and stops the thread.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Mutex<Shared>>,
    port: u16,
    folder: Option<PathBuf>,
    wake: UnixStream,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// A proxy on a free port of 127.0.0.1 before `place`. `plan` is asked for the faults of each connection, which are
    /// numbered from 0 in the order in which they are accepted.
    #[must_use]
    pub fn start(
        place: impl Into<Place>,
        plan: impl FnMut(u64) -> Faults + Send + 'static,
    ) -> Proxy {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        listener.bind(&any.into()).unwrap();
        let port = listener.local_addr().unwrap().as_socket().unwrap().port();
        Proxy::on(listener, port, None, place.into(), Box::new(plan))
    }

    /// The same on a Unix socket: [`folder`](Self::folder) is its host, and `port` its port.
    #[must_use]
    pub fn start_unix(
        port: u16,
        place: impl Into<Place>,
        plan: impl FnMut(u64) -> Faults + Send + 'static,
    ) -> Proxy {
        let folder = new_folder(None);
        let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        let path = folder.join(format!(".s.PGSQL.{port}"));
        listener.bind(&SockAddr::unix(path).unwrap()).unwrap();
        Proxy::on(listener, port, Some(folder), place.into(), Box::new(plan))
    }

    /// A proxy on a free port of 127.0.0.1 whose faults are drawn: the same for the same seed, see [`Faults::drawn`].
    #[must_use]
    pub fn seeded(place: impl Into<Place>, seed: u64) -> Proxy {
        Proxy::start(place, move |number| Faults::drawn(seed, number))
    }

    fn on(
        listener: Socket,
        port: u16,
        folder: Option<PathBuf>,
        place: Place,
        plan: Box<dyn FnMut(u64) -> Faults + Send>,
    ) -> Proxy {
        listener.listen(4096).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (wake, woken) = UnixStream::pair().unwrap();
        wake.set_nonblocking(true).unwrap();
        woken.set_nonblocking(true).unwrap();
        let shared = Arc::new(Mutex::new(Shared {
            place,
            counts: Counts::default(),
            frozen: false,
            heeded: false,
            unplugged: false,
            reset_all: false,
            over: false,
        }));
        let server = Server {
            listener,
            woken,
            shared: Arc::clone(&shared),
            plan,
            pairs: Vec::new(),
        };
        let thread = std::thread::Builder::new().name("proxy".to_owned());
        Proxy {
            shared,
            port,
            folder,
            wake,
            thread: Some(thread.spawn(move || server.run()).unwrap()),
        }
    }

    /// The port on 127.0.0.1, or that of the Unix socket.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the Unix socket.
    ///
    /// # Panics
    /// If the proxy listens on TCP.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.as_deref().unwrap()
    }

    /// What it has done so far; a byte may arrive an instant before it is counted.
    #[must_use]
    pub fn counts(&self) -> Counts {
        locked(&self.shared).counts
    }

    /// Connections accepted from now on are passed on to another place.
    pub fn redirect(&self, place: impl Into<Place>) {
        locked(&self.shared).place = place.into();
    }

    /// While frozen nothing is passed on, of no connection, and none ends: the network is away. New ones are accepted by
    /// the kernel alone. From the return on it is so.
    pub fn freeze(&self, frozen: bool) {
        self.tell(|shared| shared.frozen = frozen);
        self.until(|shared| shared.heeded == frozen);
    }

    /// From now on the kernel drops what comes from the clients that are connected, by TCP, unseen and unacknowledged, and
    /// nothing is passed on: the cable is cut. Only keepalives and unacknowledged data tell a client.
    #[cfg(target_os = "linux")]
    pub fn unplug(&self) {
        self.tell(|shared| (shared.frozen, shared.unplugged) = (true, true));
        self.until(|shared| shared.heeded && !shared.unplugged);
    }

    /// Resets all connections that are there.
    pub fn reset_all(&self) {
        self.tell(|shared| shared.reset_all = true);
    }

    /// The thread may be passing bytes on at this moment.
    fn until(&self, heeded: impl Fn(&Shared) -> bool) {
        while !heeded(&locked(&self.shared)) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    fn tell(&self, what: impl FnOnce(&mut Shared)) {
        what(&mut locked(&self.shared));
        // A full pipe wakes just as well.
        let _ = (&self.wake).write(&[0]);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.tell(|shared| shared.over = true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}
