//! Servers, and those between us and them, that are up to no good: between the client and a real server stands one who changes what it
//! says.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use testkit::kerberos::HOST;

use crate::realm::{Realm, Tickets};
use crate::session::{OK, Session};

/// Makes of a packet of the server's, the first one of the handshake being number 0, what the client gets; nothing more after `None`.
type Change = fn(usize, Vec<u8>) -> Option<Vec<u8>>;

/// Carries one connection. Packets of the server's come with their lengths.
fn relay(realm: &Realm, answer: &'static [u8], change: Change) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = TcpStream::connect(("127.0.0.1", realm.cluster.port())).unwrap();
    thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        client.set_nodelay(true).unwrap();
        let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
        });
        let (mut from, mut to) = (server, client);
        let _ = carry(&mut from, &mut to, answer, change);
        // What the client still sends is taken, so that it reads to the end.
        let _ = to.shutdown(Shutdown::Write);
    });
    format!(
        "host={HOST} hostaddr=127.0.0.1 port={port} user=tester dbname=postgres sslmode=disable gssencmode=require"
    )
}

fn carry(
    from: &mut TcpStream,
    to: &mut TcpStream,
    answer: &[u8],
    change: Change,
) -> std::io::Result<()> {
    from.read_exact(&mut [0])?;
    to.write_all(answer)?;
    for number in 0.. {
        let mut head = [0; 4];
        from.read_exact(&mut head)?;
        let mut packet = head.to_vec();
        packet.resize(4 + u32::from_be_bytes(head) as usize, 0);
        from.read_exact(&mut packet[4..])?;
        match change(number, packet) {
            None => return Ok(()),
            Some(changed) => to.write_all(&changed)?,
        }
    }
    Ok(())
}

/// A packet with a length of our own.
fn packet(length: u32, rest: &[u8]) -> Option<Vec<u8>> {
    Some([&length.to_be_bytes(), rest].concat())
}

#[test]
fn the_answer_and_the_handshake_are_not_believed() {
    let Some(realm) = Realm::with(Tickets::Good) else {
        return;
    };
    let same: Change = |_, packet| Some(packet);
    let initiate = "could not initiate GSSAPI security context: ";
    let cases: [(&'static [u8], Change, &str); 9] = [
        (
            b"G\0",
            same,
            "received unencrypted data after GSSAPI encryption response",
        ),
        (
            b"S",
            same,
            "received invalid response to GSSAPI negotiation: S",
        ),
        (
            b"G",
            |_, _| packet(65_533, b""),
            "oversize GSSAPI packet sent by the server (65533 > 65532)",
        ),
        (
            b"G",
            |_, _| packet(u32::MAX, b""),
            "oversize GSSAPI packet sent by the server (4294967295 > 65532)",
        ),
        (
            b"G",
            |_, _| Some(b"Eyou are wrong\0".to_vec()),
            "server sent an error response during GSS encryption exchange",
        ),
        (b"G", |_, _| packet(0, b""), initiate),
        (
            b"G",
            |_, token| packet(token.len() as u32 - 4, &vec![b'x'; token.len() - 4]),
            initiate,
        ),
        (
            b"G",
            |_, token| packet(token.len() as u32 - 5, &token[4..token.len() - 1]),
            initiate,
        ),
        (
            b"G",
            |_, _| None,
            "server closed the connection unexpectedly",
        ),
    ];
    for (number, (answer, change, text)) in cases.into_iter().enumerate() {
        let conninfo = relay(&realm, answer, change);
        let error = match Session::try_open(&conninfo) {
            Ok(_) => panic!("case {number} is let in"),
            Err(error) => error.message().to_owned(),
        };
        assert!(error.contains(text), "case {number}: {error}");
    }
}

/// Packets 1 and 2 bring the connection up at the latest; a result of many packets follows.
#[test]
fn packets_that_were_changed_are_refused() {
    const MIDDLE: usize = 9;
    let Some(realm) = Realm::with(Tickets::Good) else {
        return;
    };
    let unwrap = "GSSAPI unwrap error: ";
    let cases: [(Change, &str); 8] = [
        (
            |number, packet| {
                if number == MIDDLE {
                    self::packet(16_381, b"")
                } else {
                    Some(packet)
                }
            },
            "oversize GSSAPI packet sent by the server (16381 > 16380)",
        ),
        (
            |number, packet| match number {
                MIDDLE => Some(b"E\0\0\0\x14SFATAL\0Mlies\0\0\0".to_vec()),
                _ => Some(packet),
            },
            "oversize GSSAPI packet sent by the server (1157627904 > 16380)",
        ),
        (
            |number, packet| {
                if number == MIDDLE {
                    self::packet(0, b"")
                } else {
                    Some(packet)
                }
            },
            unwrap,
        ),
        (
            |number, mut packet| {
                let last = packet.len() - 1;
                packet[last] ^= u8::from(number == MIDDLE);
                Some(packet)
            },
            unwrap,
        ),
        (
            |number, mut packet| {
                packet[4] ^= u8::from(number == MIDDLE);
                Some(packet)
            },
            unwrap,
        ),
        // The same once more.
        (
            |number, packet| {
                if number == MIDDLE {
                    Some(packet.repeat(2))
                } else {
                    Some(packet)
                }
            },
            unwrap,
        ),
        // One is missing.
        (
            |number, packet| {
                if number == MIDDLE {
                    Some(Vec::new())
                } else {
                    Some(packet)
                }
            },
            unwrap,
        ),
        (
            |number, packet| (number != MIDDLE).then_some(packet),
            "server closed the connection unexpectedly",
        ),
    ];
    for (number, (change, text)) in cases.into_iter().enumerate() {
        let mut session = Session::open(&relay(&realm, b"G", change));
        let said = session.query("select repeat('x', 1000) from generate_series(1, 1000)");
        let error = session.conn.error().map(|error| error.message().to_owned());
        let error = error.unwrap_or_else(|| panic!("case {number}: {said:?}"));
        assert!(error.contains(text), "case {number}: {error}");
    }
}

/// Packets arrive as the network cuts them.
#[test]
fn packets_in_pieces_are_put_together() {
    let Some(realm) = Realm::with(Tickets::Good) else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut server = TcpStream::connect(("127.0.0.1", realm.cluster.port())).unwrap();
    thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        client.set_nodelay(true).unwrap();
        let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut from, &mut to));
        let mut piece = [0; 977];
        for size in (1..piece.len()).step_by(61).cycle() {
            match server.read(&mut piece[..size]) {
                Ok(count) if count > 0 && client.write_all(&piece[..count]).is_ok() => {}
                _ => return,
            }
        }
    });
    let mut session = Session::open(&format!(
        "host={HOST} hostaddr=127.0.0.1 port={port} user=tester dbname=postgres gssencmode=require"
    ));
    let said = session.query(
        "select sum(length(x)) from (select repeat('x', n) x from generate_series(1, 2000) n) t",
    );
    assert!(said[0].ends_with(": 2001000"), "{said:?}");
    let said = session.query("select repeat('x', n) from generate_series(1, 1500) n");
    assert_eq!(said.last().unwrap(), OK);
}
