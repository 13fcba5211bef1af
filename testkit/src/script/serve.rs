//! Plays scripts on a real socket, in a thread of its own. Knows connections, not messages.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::wire::{Raw, Wire, is_timeout};
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

impl Scripted {
    /// On a free port of 127.0.0.1.
    pub fn tcp(scripts: &[Script]) -> Self {
        Self::over(TcpListener::bind("127.0.0.1:0").unwrap(), scripts)
    }

    /// The same on a socket that listens already.
    pub fn over(listener: TcpListener, scripts: &[Script]) -> Self {
        let at = At::Tcp(listener.local_addr().unwrap());
        Self::start(at, scripts, move || {
            listener.accept().map(|(stream, _)| Raw::Tcp(stream))
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
            listener.accept().map(|(stream, _)| Raw::Unix(stream))
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
        accept: impl Fn() -> std::io::Result<Raw> + Send + 'static,
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

fn play(script: &Script, raw: Raw, orders: &Orders) -> Played {
    let mut player = Player::new(script);
    let mut heard = Vec::new();
    // How a connection ends is no matter: what has been played tells.
    let _ = converse(&mut player, &mut Wire::new(raw), orders, &mut heard);
    Played {
        is_over: player.is_over(),
        heard,
    }
}

/// Carries bytes between the player and the client until one of them ends it.
fn converse(
    player: &mut Player,
    wire: &mut Wire,
    orders: &Orders,
    heard: &mut Vec<u8>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let said = player.said().to_vec();
        player.took(said.len());
        if !said.is_empty() {
            wire.write_all(&said)?;
            wire.flush()?;
        }
        match player.ending() {
            None => {}
            Some(Ending::Close) => {
                wire.end();
                return Ok(());
            }
            Some(Ending::Reset) => {
                wire.reset();
                return Ok(());
            }
        }
        if player.is_halted() {
            if !orders.wait() {
                return Ok(());
            }
            player.go_on();
        } else if let Some(part) = player.flight() {
            wire.begin_handshake(part)?;
        } else if player.handshake().is_some() {
            wire.finish_handshake()?;
        } else {
            match wire.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    heard.extend_from_slice(&buffer[..count]);
                    player.hear(&buffer[..count]);
                }
                Err(error) if is_timeout(&error) => {
                    if orders.stop.load(Ordering::Acquire) {
                        return Ok(());
                    }
                }
                Err(error) => return Err(error),
            }
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
