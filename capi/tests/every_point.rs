//! Connections of a C program at every point of their lives, under what finds mistakes with memory: closed, forked, handed to another
//! thread. The Rust side of it is in the root package's tests.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../../tests/standstill/mod.rs"]
mod standstill;

use pgpoll::engine::Phase;
use standstill::{Act, Peer, Point, Where, every};
use testkit::built::root;
use testkit::c::{Checker, Face, Program};

const WAYS: [&str; 3] = ["close", "fork", "thread"];

fn act(point: &Point) -> &'static str {
    match point.act {
        None => "none",
        Some(Act::Query) => "query",
        Some(Act::Parameter) => "parameter",
    }
}

fn run(checker: Checker, ways: &[&str], fits: fn(&Point) -> bool) {
    let source = root().join("capi/tests/c/every_point.c");
    let program = Program::compile(&source, Face::Pgpoll, checker, &["-pthread"]);
    // The resolver that hangs is this program's, not the C program's, and so is what makes a query late.
    let ours = [Where::Dialling, Where::Server];
    let points = every().iter();
    let points = points.filter(|point| ours.contains(&point.place) && fits(point));
    let mut peers = Vec::new();
    let mut arguments = Vec::new();
    for point in points {
        for &way in ways {
            let peer = Peer::to_be_left(point);
            let conninfo = peer.conninfo().to_owned();
            arguments.extend([way.to_owned(), point.phase.name().to_owned()]);
            arguments.extend([act(point).to_owned(), conninfo]);
            peers.push(peer);
        }
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let said = program.prints(&arguments, &[]);
    assert_eq!(said, format!("{} points\n", peers.len()));
    println!("{checker:?}: {said}");
}

#[test]
fn c_programs_at_every_point_under_the_address_sanitizer() {
    run(Checker::Address, &WAYS, |_| true);
}

/// Not where something is decrypted: valgrind takes what ring's vector instructions make for uninitialised.
#[test]
fn c_programs_at_every_point_under_valgrind() {
    run(Checker::Valgrind, &WAYS[..2], |point| {
        point.phase == Phase::Securing || !point.name.starts_with("TLS")
    });
}
