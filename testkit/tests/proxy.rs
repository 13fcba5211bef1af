//! The proxy does what its plan says, at the byte, and counts it.
#![allow(clippy::unwrap_used)]

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use testkit::crowd::Crowd;
use testkit::proxy::{Fault, Faults, Place, Proxy};

const SOON: Duration = Duration::from_millis(300);

/// A server that sends back what it gets, and says goodbye at the end of it.
fn echo() -> Place {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut bytes) {
                    stream.write_all(&bytes[..count]).unwrap();
                }
                let _ = stream.write_all(b"bye");
            });
        }
    });
    address.into()
}

fn dial(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream
}

fn only(faults: Faults) -> Proxy {
    Proxy::start(echo(), move |_| faults.clone())
}

/// All that comes until the end, and how it ends.
fn rest(stream: &mut TcpStream) -> (Vec<u8>, Option<ErrorKind>) {
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes);
    (bytes, end.err().map(|error| error.kind()))
}

#[test]
fn without_faults_all_bytes_pass_both_ways() {
    let proxy = only(Faults::none());
    let mut stream = dial(&proxy);
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut writer = stream.try_clone().unwrap();
    let writing = std::thread::spawn({
        let sent = sent.clone();
        move || {
            writer.write_all(&sent).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        }
    });
    let (mut got, end) = rest(&mut stream);
    writing.join().unwrap();
    assert_eq!(end, None);
    assert_eq!(got.split_off(sent.len()), b"bye");
    assert!(got == sent);
    until(|| proxy.counts().open == 0);
    let counts = proxy.counts();
    assert_eq!((counts.connections, counts.faults()), (1, 0));
    assert_eq!((counts.to_server, counts.to_client), (3_000_000, 3_000_003));
}

#[test]
fn faults_strike_at_their_byte() {
    for (fault, end) in [
        (Fault::Reset, Some(ErrorKind::ConnectionReset)),
        (Fault::Close, None),
        (Fault::HalfClose, None),
    ] {
        let proxy = only(Faults::none().to_client(5, fault.clone()));
        let mut stream = dial(&proxy);
        stream.write_all(b"123456789").unwrap();
        assert_eq!(rest(&mut stream), (b"12345".to_vec(), end), "{fault:?}");
        until(|| proxy.counts().to_client == 5 && proxy.counts().faults() == 1);
    }
    // On the way to the server: what it got comes back.
    let proxy = only(Faults::none().to_server(4, Fault::HalfClose));
    let mut stream = dial(&proxy);
    stream.write_all(b"123456789").unwrap();
    assert_eq!(rest(&mut stream), (b"1234bye".to_vec(), None));
    until(|| proxy.counts().to_server == 4);
}

#[test]
fn garbage_is_put_in_between() {
    let proxy = only(
        Faults::none()
            .to_client(0, Fault::Insert(b"<".to_vec()))
            .to_server(2, Fault::Insert(b"--".to_vec()))
            .to_client(4, Fault::Insert(b">".to_vec())),
    );
    let mut stream = dial(&proxy);
    stream.write_all(b"1234").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut stream), (b"<12-->34bye".to_vec(), None));
    until(|| proxy.counts().inserts == 3);
}

#[test]
fn delays_pauses_and_pieces_lose_nothing() {
    let slow = Duration::from_millis(100);
    for (fault, least) in [
        (Fault::Delay(slow), 100),
        (Fault::Pause(slow), 100),
        (Fault::Pieces(1, Duration::from_millis(20)), 100),
        (Fault::Pieces(2, Duration::ZERO), 0),
    ] {
        let begun = Instant::now();
        let proxy = only(Faults::none().to_server(1, fault.clone()));
        let mut stream = dial(&proxy);
        stream.write_all(b"1").unwrap();
        sleep(Duration::from_millis(20));
        stream.write_all(b"234567").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(rest(&mut stream), (b"1234567bye".to_vec(), None));
        let took = begun.elapsed().as_millis();
        assert!(took >= least, "{fault:?}: {took} ms");
        assert_eq!(proxy.counts().faults(), 0);
    }
}

#[test]
fn pieces_arrive_one_by_one() {
    let proxy = only(Faults::none().to_client(0, Fault::Pieces(3, Duration::from_millis(30))));
    let mut stream = dial(&proxy);
    stream.write_all(b"12345678").unwrap();
    let mut bytes = [0; 64];
    let mut sizes = Vec::new();
    while sizes.iter().sum::<usize>() < 8 {
        sizes.push(stream.read(&mut bytes).unwrap());
    }
    assert_eq!(sizes, [3, 3, 2]);
}

#[test]
fn a_black_hole_stays_open_until_the_client_goes() {
    for (faults, expected) in [
        (Faults::silent(), ""),
        // What was passed on is answered, and the answer does not pass.
        (Faults::none().to_server(3, Fault::BlackHole), ""),
        (Faults::none().to_client(3, Fault::BlackHole), "123"),
    ] {
        let proxy = only(faults.clone());
        let mut stream = dial(&proxy);
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.write_all(b"12345").unwrap();
        let (got, end) = rest(&mut stream);
        assert_eq!(got, expected.as_bytes(), "{faults:?}");
        assert_eq!(end, Some(ErrorKind::WouldBlock));
        assert_eq!((proxy.counts().open, proxy.counts().black_holes), (1, 1));
        drop(stream);
        until(|| proxy.counts().open == 0);
    }
}

#[test]
fn refused_reset_frozen_and_redirected() {
    let proxy = only(Faults::refused());
    let end = rest(&mut dial(&proxy)).1;
    assert_eq!(end, Some(ErrorKind::ConnectionReset));

    let proxy = only(Faults::none());
    let mut stream = dial(&proxy);
    stream.write_all(b"1").unwrap();
    stream.read_exact(&mut [0]).unwrap();
    proxy.freeze(true);
    stream.write_all(b"2").unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let silence = stream.read(&mut [0]).unwrap_err().kind();
    assert_eq!(silence, ErrorKind::WouldBlock);
    proxy.freeze(false);
    stream.read_exact(&mut [0]).unwrap();
    proxy.reset_all();
    assert_eq!(rest(&mut stream).1, Some(ErrorKind::ConnectionReset));

    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    proxy.redirect(nobody.unwrap());
    let end = rest(&mut dial(&proxy)).1;
    assert_eq!(end, Some(ErrorKind::ConnectionReset));
}

#[test]
fn a_unix_socket_is_proxied_too() {
    let far = Proxy::start_unix(1234, echo(), |_| Faults::none());
    let path = far.folder().join(".s.PGSQL.1234");
    let near = Proxy::start_unix(5432, path.as_path(), |_| Faults::none());
    let mut stream = UnixStream::connect(near.folder().join(".s.PGSQL.5432")).unwrap();
    stream.write_all(b"123").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut got = String::new();
    stream.read_to_string(&mut got).unwrap();
    assert_eq!(got, "123bye");
    let folder = near.folder().to_owned();
    drop(near);
    assert!(!folder.exists());
}

#[test]
fn a_thousand_connections_and_the_same_faults_for_the_same_seed() {
    let plans: Vec<Faults> = (0..1000).map(|number| Faults::drawn(7, number)).collect();
    assert!((0..1000).all(|number| Faults::drawn(7, number) == plans[number as usize]));
    let clean = plans.iter().filter(|plan| **plan == Faults::none());
    assert!((400..600).contains(&clean.count()));
    let other: Vec<Faults> = (0..1000).map(|number| Faults::drawn(8, number)).collect();
    assert_ne!(plans, other);

    let proxy = only(Faults::none());
    let mut streams: Vec<TcpStream> = (0..1000).map(|_| dial(&proxy)).collect();
    for stream in &mut streams {
        stream.write_all(b"x").unwrap();
    }
    for stream in &mut streams {
        stream.read_exact(&mut [0]).unwrap();
    }
    assert_eq!(proxy.counts().open, 1000);
    drop(streams);
    until(|| proxy.counts().open == 0);
}

#[test]
fn a_crowded_address_neither_accepts_nor_refuses() {
    let deaf = Crowd::new();
    let address = ([127, 0, 0, 1], deaf.port()).into();
    let error = TcpStream::connect_timeout(&address, SOON).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

fn until(mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(10));
        sleep(Duration::from_millis(5));
    }
}
