//! An address that does not answer: a host that is switched off. Knows the listening queue of the kernel, serves nobody.

use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// A port of 127.0.0.1 that neither accepts nor refuses: who dials it waits until his own patience is over.
#[derive(Debug)]
pub struct Deaf {
    address: SocketAddr,
    /// The listener, whose queue is full, and those who fill it.
    _sockets: Vec<Socket>,
}

impl Deaf {
    /// Takes a free port and fills its queue; None where this system's queue cannot be filled.
    #[must_use]
    pub fn start() -> Option<Deaf> {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut sockets = vec![listener];
        for _ in 0..16 {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            let filled = socket.connect_timeout(&address.into(), Duration::from_millis(100));
            sockets.push(socket);
            if filled.is_err() {
                return Some(Deaf {
                    address,
                    _sockets: sockets,
                });
            }
        }
        crate::say!("SKIPPED: the queue of a listening socket cannot be filled here");
        None
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }
}
