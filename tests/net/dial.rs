//! Dialling: what connects, what does not, and in which words.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use pgpoll::conninfo::TcpOptions;
use pgpoll::link::{Addr, Answer, Ask, LinkErrorKind, Peer};
use pgpoll::net::{Interest, Net, Received, Sent};

use crate::{Folder, connected, drive, failure, file, is_cloexec, option, ready, tcp, unix};

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

#[test]
fn a_closed_port_refuses() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let mut net = Net::new();
    let error = failure(&mut net, tcp(addr));
    assert_eq!(
        (error.kind, error.errno),
        (LinkErrorKind::Dial, libc::ECONNREFUSED)
    );
    assert_eq!(error.text, "Connection refused");
    assert_eq!((net.fd(), net.pending(), net.answer()), (None, None, None));
}

#[test]
fn what_the_kernel_refuses_at_once_is_answered_by_the_next_answer() {
    let mut net = Net::new();
    net.ask(7, tcp(SocketAddr::from(([255, 255, 255, 255], 5432))));
    let Some((7, Answer::Failed(error))) = net.answer().or_else(|| Some(drive(&mut net))) else {
        panic!("connected to everybody");
    };
    assert_eq!(error.kind, LinkErrorKind::Dial);
    assert!(
        error.errno != 0 && !error.text.contains("os error"),
        "{error:?}"
    );
}

#[test]
fn ipv6_connects() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        return eprintln!("skipped: this machine has no IPv6 loopback");
    };
    let mut net = Net::new();
    net.ask(1, tcp(listener.local_addr().unwrap()));
    assert!(matches!(drive(&mut net), (1, Answer::Dialled(_))));
}

/// Trap 18, poll before the connect has finished: a poll before the connection is there finds it pending, not broken.
#[test]
fn a_slow_connect_is_pending_until_it_is_there() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // SAFETY: takes integers alone. Room for one; further SYNs are dropped and sent again.
    unsafe { libc::listen(listener.as_raw_fd(), 0) };
    let addr = listener.local_addr().unwrap();
    let mut nets: Vec<Net> = (0..4).map(|_| Net::new()).collect();
    for net in &mut nets {
        net.ask(1, tcp(addr));
    }
    let slow = nets
        .iter_mut()
        .rev()
        .find_map(|net| net.answer().is_none().then_some(net));
    let Some(net) = slow else {
        return eprintln!("skipped: this kernel lets everybody into a full backlog");
    };
    for _ in 0..100 {
        assert_eq!((net.answer(), net.pending()), (None, Some(Interest::Write)));
        assert_eq!(net.receive(&mut [0; 8]), Received::Wait);
        assert_eq!(net.send(b"early"), Sent::Wait);
    }
    assert_eq!(ready(net.fd().unwrap(), libc::POLLOUT, 20), 0);
    let (fd, generation) = (net.fd(), net.generation());
    listener.set_nonblocking(true).unwrap();
    let accepted = std::thread::spawn(move || {
        let mut held = Vec::new();
        for _ in 0..500 {
            held.extend(listener.accept());
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        held
    });
    assert_eq!(drive(net), (1, Answer::Dialled(Peer::default())));
    assert_eq!(
        (net.fd(), net.generation()),
        (fd, generation),
        "the same socket, now connected"
    );
    drop(accepted);
}

#[test]
fn a_unix_socket_connects_and_is_answered_by_the_next_answer() {
    let folder = Folder::new();
    let path = folder.path(".s.PGSQL.5432");
    let _listener = UnixListener::bind(&path).unwrap();
    let mut net = Net::new();
    net.ask(3, unix(bytes(&path)));
    assert_eq!(
        net.answer(),
        Some((3, Answer::Dialled(Peer { user: None })))
    );
    assert!(is_cloexec(net.fd().unwrap()));
    assert_eq!(net.receive(&mut [0; 8]), Received::Wait);
}

#[cfg(target_os = "linux")]
#[test]
fn an_abstract_unix_socket_connects() {
    use std::os::linux::net::SocketAddrExt;
    let name = format!("pgpoll-{}/.s.PGSQL.5432", std::process::id());
    let addr = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = UnixListener::bind_addr(&addr).unwrap();
    let mut net = Net::new();
    net.ask(1, unix(format!("@{name}").as_bytes()));
    assert_eq!(drive(&mut net), (1, Answer::Dialled(Peer::default())));
}

#[test]
fn a_missing_unix_socket_is_said_in_the_systems_words() {
    let folder = Folder::new();
    let error = failure(&mut Net::new(), unix(bytes(&folder.path("nobody"))));
    assert_eq!(
        (error.kind, error.text.as_str()),
        (LinkErrorKind::Dial, "No such file or directory")
    );
    let error = failure(&mut Net::new(), unix(b"/tmp/with\0inside"));
    assert_eq!(
        (error.kind, error.text.as_str()),
        (LinkErrorKind::Dial, "Invalid argument")
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_backlog_is_a_failure_as_libpq_reports_it() {
    let folder = Folder::new();
    let path = folder.path("full");
    let listener = UnixListener::bind(&path).unwrap();
    // SAFETY: takes integers alone.
    unsafe { libc::listen(listener.as_raw_fd(), 0) };
    let mut nets: Vec<Net> = (0..4).map(|_| Net::new()).collect();
    let mut answers = nets.iter_mut().map(|net| {
        net.ask(1, unix(bytes(&path)));
        drive(net).1
    });
    let error = answers.find_map(|answer| match answer {
        Answer::Failed(error) => Some(error),
        _ => None,
    });
    let error = error.expect("a backlog of 0 does not take four");
    assert_eq!(
        (error.kind, error.errno),
        (LinkErrorKind::Dial, libc::EAGAIN)
    );
    assert_eq!(error.text, "Resource temporarily unavailable");
}

#[cfg(target_os = "linux")]
#[test]
fn a_path_that_is_too_long_is_said_in_libpqs_words() {
    let path = |n: usize| [b"/tmp/".as_slice(), &vec![b'x'; n - 5]].concat();
    let error = failure(&mut Net::new(), unix(&path(108)));
    assert_eq!(
        (error.kind, error.errno),
        (LinkErrorKind::Socket, libc::ENAMETOOLONG)
    );
    let name = "x".repeat(103);
    let text = format!("Unix-domain socket path \"/tmp/{name}\" is too long (maximum 107 bytes)");
    assert_eq!(error.text, text);
    assert_eq!(
        failure(&mut Net::new(), unix(&path(107))).text,
        "No such file or directory"
    );
}

#[test]
fn the_peer_of_a_unix_socket_has_a_name_where_it_is_asked_for() {
    let folder = Folder::new();
    let path = folder.path("peer");
    let _listener = UnixListener::bind(&path).unwrap();
    let id = std::process::Command::new("id")
        .arg("-un")
        .output()
        .unwrap()
        .stdout;
    let me = id.trim_ascii_end().to_vec();
    let ask = Ask::Dial {
        addr: Addr::Unix(bytes(&path).into()),
        tcp: TcpOptions::default(),
        want_peer: true,
    };
    let mut net = Net::new();
    net.ask(1, ask);
    assert_eq!(
        drive(&mut net),
        (1, Answer::Dialled(Peer { user: Some(Ok(me)) }))
    );
    assert_eq!(
        net.receive(&mut [0; 8]),
        Received::Wait,
        "the socket is back in its place"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn tcp_options_are_set_before_dialling() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = Addr::Tcp(listener.local_addr().unwrap());
    let options = TcpOptions {
        keepalives: true,
        keepalives_idle: Some(77),
        keepalives_interval: Some(7),
        keepalives_count: Some(5),
        user_timeout_ms: Some(12_345),
    };
    let mut net = Net::new();
    net.ask(
        1,
        Ask::Dial {
            addr: addr.clone(),
            tcp: options.clone(),
            want_peer: true,
        },
    );
    let fd = net.fd().unwrap();
    assert!(is_cloexec(fd));
    let tcp = |name| option(fd, libc::IPPROTO_TCP, name);
    assert_ne!(tcp(libc::TCP_NODELAY), 0);
    assert_ne!(option(fd, libc::SOL_SOCKET, libc::SO_KEEPALIVE), 0);
    assert_eq!(tcp(libc::TCP_KEEPIDLE), 77);
    assert_eq!(tcp(libc::TCP_KEEPINTVL), 7);
    assert_eq!(tcp(libc::TCP_KEEPCNT), 5);
    assert_eq!(tcp(libc::TCP_USER_TIMEOUT), 12_345);
    assert_eq!(drive(&mut net), (1, Answer::Dialled(Peer { user: None })));

    let zero = TcpOptions {
        keepalives_idle: Some(0),
        keepalives_count: Some(0),
        ..options.clone()
    };
    net.ask(
        2,
        Ask::Dial {
            addr: addr.clone(),
            tcp: zero,
            want_peer: false,
        },
    );
    assert_eq!(
        drive(&mut net),
        (2, Answer::Dialled(Peer::default())),
        "0 is the default"
    );

    let wrong = TcpOptions {
        keepalives_count: Some(100_000),
        ..options
    };
    let error = failure(
        &mut net,
        Ask::Dial {
            addr,
            tcp: wrong,
            want_peer: false,
        },
    );
    assert_eq!(error.kind, LinkErrorKind::Socket);
    assert_eq!(
        error.text,
        "setsockopt(TCP_KEEPCNT) failed: Invalid argument"
    );
}

/// Trap 16, a descriptor closed and its number reused: a descriptor that is closed while the caller's loop has it registered may come back as another file.
#[test]
fn a_replaced_descriptor_stays_open_until_it_is_released() {
    let (mut net, _server) = connected();
    let (old, generation) = (net.fd().unwrap(), net.generation());
    let inode = file(old).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    net.ask(2, tcp(listener.local_addr().unwrap()));
    assert!(net.generation() > generation);
    assert_ne!(net.fd(), Some(old));
    assert_eq!(file(old), Some(inode));
    net.release_retired();
    assert_ne!(file(old), Some(inode));
    assert!(matches!(drive(&mut net), (2, Answer::Dialled(_))));
}

#[test]
fn hangup_is_seen_by_the_peer_at_once_and_closes_later() {
    use std::io::Read;
    let (mut net, mut server) = connected();
    let (fd, generation) = (net.fd().unwrap(), net.generation());
    let inode = file(fd);
    net.ask(9, Ask::Hangup);
    assert_eq!((net.fd(), net.answer(), net.pending()), (None, None, None));
    assert!(net.generation() > generation);
    assert_eq!(server.read(&mut [0; 8]).unwrap(), 0);
    assert_eq!(file(fd), inode);
    net.release_retired();
    assert_ne!(file(fd), inode);
}
