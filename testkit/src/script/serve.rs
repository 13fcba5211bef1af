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
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
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
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
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
    pub fn finish(mut self) {
        if let Some(thread) = self.thread.take()
            && let Err(panic) = thread.join()
        {
            std::panic::resume_unwind(panic);
        }
    }

    fn start(
        at: At,
        scripts: &[Script],
        accept: impl Fn() -> std::io::Result<Box<dyn Stream>> + Send + 'static,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (scripts, stopped) = (scripts.to_vec(), stop.clone());
        let thread = std::thread::spawn(move || {
            for script in &scripts {
                let stream = accept().unwrap();
                if stopped.load(Ordering::Acquire) {
                    return;
                }
                play(script, stream, &stopped);
            }
        });
        Self {
            at,
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
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

fn play(script: &Script, mut stream: Box<dyn Stream>, stopped: &AtomicBool) {
    stream.set_timeout(Duration::from_millis(50));
    let mut player = Player::new(script);
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
            Some(Ending::Reset) => return reset(&*stream),
        }
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => player.hear(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if stopped.load(Ordering::Acquire) {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}

/// Makes the close that follows a reset (TCP).
fn reset(stream: &dyn Stream) {
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
}
