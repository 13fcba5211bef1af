//! A TCP address where nobody answers: its queue of connections is full. Knows sockets, no messages.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// A listener whose queue is full: further connections stay under way until it disperses.
#[derive(Debug)]
pub struct Crowd {
    listener: TcpListener,
    waiting: Vec<TcpStream>,
}

impl Crowd {
    /// On a free port of 127.0.0.1.
    #[must_use]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Crowd {
        Crowd::before(listener())
    }

    /// Fills the queue of a [`listener`].
    ///
    /// # Panics
    /// If the kernel takes connections without end.
    #[must_use]
    pub fn before(listener: TcpListener) -> Crowd {
        let addr = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        while let Ok(one) = TcpStream::connect_timeout(&addr, Duration::from_millis(100)) {
            waiting.push(one);
            assert!(waiting.len() < 1000, "this queue is never full");
        }
        Crowd { listener, waiting }
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// Those who waited go: what the kernel tries again, after a second or more, is let in.
    #[must_use]
    pub fn disperse(self) -> TcpListener {
        for _ in &self.waiting {
            drop(self.listener.accept().unwrap());
        }
        self.listener
    }
}

/// A listener on a free port of 127.0.0.1 whose queue is short.
#[must_use]
pub fn listener() -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    socket.into()
}
