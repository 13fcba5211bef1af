//! Plays scripts on a real socket, in a thread of its own. Knows sockets, not messages.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::SockRef;

use super::{Ending, Player, Script};

/// A server on loopback or on a Unix socket that plays one script for each connection, in order.
#[derive(Debug)]
pub struct Scripted {
    at: At,
    orders: Arc<Orders>,
    thread: Option<JoinHandle<Vec<Played>>>,
}

/// What came of one connection.
#[derive(Debug)]
pub struct Played {
    /// Every step of its script was played.
    pub is_over: bool,
    /// All that the client sent.
    pub heard: Vec<u8>,
}

/// What the thread is told, and what it tells.
#[derive(Debug, Default)]
struct Orders {
    stop: AtomicBool,
    halted: AtomicBool,
    go_on: AtomicBool,
}

#[derive(Debug)]
enum At {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// Both kinds of streams alike.
trait Stream: Read + Write + AsFd {
    fn set_timeout(&self, timeout: Duration);
    fn end(&self);
}

impl Stream for TcpStream {
    fn set_timeout(&self, timeout: Duration) {
        self.set_read_timeout(Some(timeout)).unwrap();
    }

    fn end(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

impl Stream for UnixStream {
    fn set_timeout(&self, timeout: Duration) {
        self.set_read_timeout(Some(timeout)).unwrap();
    }

    fn end(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

impl Scripted {
    /// On a free port of 127.0.0.1.
    pub fn tcp(scripts: &[Script]) -> Self {
        Self::over(TcpListener::bind("127.0.0.1:0").unwrap(), scripts)
    }

    /// The same on a socket that listens already.
    pub fn over(listener: TcpListener, scripts: &[Script]) -> Self {
        let at = At::Tcp(listener.local_addr().unwrap());
        Self::start(at, scripts, move || {
            listener.accept().map(|(stream, _)| Box::new(stream) as _)
        })
    }

    /// On a Unix socket in a temporary folder.
    pub fn unix(scripts: &[Script]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pgpoll-scripted-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        let listener = UnixListener::bind(folder.join(".s.PGSQL.5432")).unwrap();
        Self::start(At::Unix(folder), scripts, move || {
            listener.accept().map(|(stream, _)| Box::new(stream) as _)
        })
    }

    /// How to reach it.
    pub fn conninfo(&self) -> String {
        let (host, port) = match &self.at {
            At::Tcp(addr) => (addr.ip().to_string(), addr.port()),
            At::Unix(folder) => (folder.display().to_string(), 5432),
        };
        format!(
            "host={host} port={port} user=tester dbname=scripted password=secret sslmode=disable"
        )
    }

    /// Waits until every script has been played or its client has gone.
    ///
    /// # Panics
    /// If a client did not send what its script waited for.
    pub fn finish(mut self) -> Vec<Played> {
        let played = self.thread.take().map(JoinHandle::join);
        match played {
            Some(Ok(played)) => played,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Vec::new(),
        }
    }

    /// Whether a script has come to its halt: all that it said before is with the kernel.
    pub fn is_halted(&self) -> bool {
        self.orders.halted.load(Ordering::Acquire)
    }

    /// Ends the halt, of this script or of the next that comes to one.
    pub fn go_on(&self) {
        self.orders.go_on.store(true, Ordering::Release);
    }

    fn start(
        at: At,
        scripts: &[Script],
        accept: impl Fn() -> std::io::Result<Box<dyn Stream>> + Send + 'static,
    ) -> Self {
        let orders = Arc::new(Orders::default());
        let (scripts, told) = (scripts.to_vec(), orders.clone());
        let thread = std::thread::spawn(move || {
            let mut played = Vec::new();
            for script in &scripts {
                let stream = accept().unwrap();
                if told.stop.load(Ordering::Acquire) {
                    break;
                }
                played.push(play(script, stream, &told));
            }
            played
        });
        Self {
            at,
            orders,
            thread: Some(thread),
        }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.orders.stop.store(true, Ordering::Release);
        // A connection of our own ends an accept that waits.
        match &self.at {
            At::Tcp(addr) => drop(TcpStream::connect(addr)),
            At::Unix(folder) => drop(UnixStream::connect(folder.join(".s.PGSQL.5432"))),
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if let At::Unix(folder) = &self.at {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

fn play(script: &Script, mut stream: Box<dyn Stream>, orders: &Orders) -> Played {
    let mut player = Player::new(script);
    let mut heard = Vec::new();
    converse(&mut player, &mut *stream, orders, &mut heard);
    Played {
        is_over: player.is_over(),
        heard,
    }
}

/// Carries bytes between the player and the client until one of them ends it.
fn converse(player: &mut Player, stream: &mut dyn Stream, orders: &Orders, heard: &mut Vec<u8>) {
    stream.set_timeout(Duration::from_millis(50));
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let said = player.said().to_vec();
        player.took(said.len());
        if stream.write_all(&said).is_err() {
            return;
        }
        match player.ending() {
            None => {}
            Some(Ending::Close) => return stream.end(),
            Some(Ending::Reset) => return reset(stream),
        }
        if player.is_halted() {
            if !orders.wait() {
                return;
            }
            player.go_on();
            continue;
        }
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => {
                heard.extend_from_slice(&buffer[..count]);
                player.hear(&buffer[..count]);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if orders.stop.load(Ordering::Acquire) {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}

impl Orders {
    /// Stands still until told to go on; false: to stop.
    fn wait(&self) -> bool {
        self.halted.store(true, Ordering::Release);
        loop {
            if self.stop.load(Ordering::Acquire) {
                return false;
            }
            if self.go_on.swap(false, Ordering::AcqRel) {
                self.halted.store(false, Ordering::Release);
                return true;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Makes the close that follows a reset (TCP).
fn reset(stream: &dyn Stream) {
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
}
