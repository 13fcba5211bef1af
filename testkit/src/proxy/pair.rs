//! A client's connection and the one that stands for it before the server. Knows no other pair.

use std::io;
use std::time::{Duration, Instant};

use nix::poll::PollFlags;
use socket2::{Socket, Type};

use super::faults::{Faults, Opening};
use super::way::{Fate, Way};
use super::{Counts, Place};

/// The other side is gone, seen without reading. Elsewhere than on Linux only a reset shows.
#[cfg(target_os = "linux")]
const GONE: PollFlags = PollFlags::from_bits_retain(libc::POLLRDHUP);
#[cfg(not(target_os = "linux"))]
const GONE: PollFlags = PollFlags::empty();

/// Two sockets and the two directions between them.
#[derive(Debug)]
pub(super) struct Pair {
    client: Socket,
    /// None: accepted, and that is all.
    server: Option<Socket>,
    to_server: Way,
    to_client: Way,
    silent: bool,
}

impl Pair {
    /// None where the connection is over at once.
    pub(super) fn new(
        client: Socket,
        place: &Place,
        faults: Faults,
        counts: &mut Counts,
    ) -> Option<Pair> {
        let mut pair = Pair {
            client,
            server: None,
            to_server: Way::new(faults.to_server),
            to_client: Way::new(faults.to_client),
            silent: false,
        };
        match faults.opening {
            Opening::Refused => {
                pair.reset(counts);
                return None;
            }
            Opening::Silent => {
                counts.black_holes += 1;
                pair.silent = true;
                return Some(pair);
            }
            Opening::PassedOn => {}
        }
        match connect(place) {
            Ok(server) => pair.server = Some(server),
            Err(_) => {
                counts.unreachable += 1;
                pair.linger_not();
                return None;
            }
        }
        pair.client.set_nonblocking(true).ok()?;
        // Small pieces go out as they are; a Unix socket knows no other way.
        let _ = pair.client.set_tcp_nodelay(true);
        // What is planned for the beginning happens now.
        pair.serve(Instant::now(), counts).then_some(pair)
    }

    /// What each socket is waited for. Without a flag poll would still report errors, again and again: left out.
    pub(super) fn interest(&self) -> Vec<(&Socket, PollFlags)> {
        let Some(server) = self.server.as_ref().filter(|_| !self.silent) else {
            return vec![(&self.client, GONE)];
        };
        let (to_server, to_client) = (&self.to_server, &self.to_client);
        let flags = |read, write| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::POLLIN, read);
            flags.set(PollFlags::POLLOUT, write);
            flags
        };
        let client = flags(to_server.wants_read(), to_client.wants_write());
        let interest = [
            (&self.client, client),
            (
                server,
                flags(to_client.wants_read(), to_server.wants_write()),
            ),
        ];
        let wanted = interest.into_iter().filter(|(_, flags)| !flags.is_empty());
        wanted.collect()
    }

    /// When to come back without a reason.
    pub(super) fn due(&self) -> Option<Instant> {
        let ways = [&self.to_server, &self.to_client];
        let due = ways.into_iter().filter_map(Way::due).min();
        due.filter(|_| !self.silent)
    }

    /// Moves bytes both ways; false when the connection is over. A silent one is served when its client has gone.
    pub(super) fn serve(&mut self, now: Instant, counts: &mut Counts) -> bool {
        let Some(server) = self.server.as_ref().filter(|_| !self.silent) else {
            return false;
        };
        let client = &self.client;
        let (to_server, to_client) = (&mut self.to_server, &mut self.to_client);
        let mut fate = to_server.serve((client, server), now, counts, |c| &mut c.to_server);
        if fate == Fate::GoesOn {
            fate = to_client.serve((server, client), now, counts, |c| &mut c.to_client);
        }
        match fate {
            Fate::GoesOn => return !(to_server.has_ended() && to_client.has_ended()),
            Fate::BlackHole => {
                counts.black_holes += 1;
                self.silent = true;
                return true;
            }
            Fate::Close => {
                counts.closes += 1;
                to_server.close(server);
                to_client.close(client);
                return true;
            }
            Fate::Reset => counts.resets += 1,
            // One side ended in a bad way: the other one learns it in the same way.
            Fate::Gone => {}
        }
        self.linger_not();
        false
    }

    /// The client's packets are dropped by a filter that lets nothing through.
    pub(super) fn unplug(&self) {
        #[cfg(target_os = "linux")]
        {
            let drop_all = socket2::SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, 0);
            self.client.attach_filter(&[drop_all]).unwrap();
        }
    }

    /// Ends the connection with a reset on both sides.
    pub(super) fn reset(self, counts: &mut Counts) {
        counts.resets += 1;
        self.linger_not();
    }

    /// Closing now sends a reset.
    fn linger_not(&self) {
        for socket in [Some(&self.client), self.server.as_ref()] {
            let _ = socket.map(|socket| socket.set_linger(Some(Duration::ZERO)));
        }
    }
}

/// A socket that is connected, or is going to be: an address that does not answer must not hold up the others.
fn connect(place: &Place) -> io::Result<Socket> {
    let (domain, address) = place.address()?;
    let socket = Socket::new(domain, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&address) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
        _ => {}
    }
    let _ = socket.set_tcp_nodelay(true);
    Ok(socket)
}
