//! The HTTP server among the C examples: what it answers to many clients at once, to bad ones, and without a database.
#![cfg(target_os = "linux")] // epoll
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use testkit::built::root;
use testkit::c::{Checker, Face, Program};
use testkit::shared;

/// Longer than anything takes that does not hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// The server, which is killed if a test fails.
struct Server {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
    port: u16,
}

impl Server {
    fn start(checker: Checker, conninfo: &str) -> Server {
        let file = root().join("c_examples/23_http_epoll.c");
        let mut command = Program::compile(&file, Face::Pgpoll, checker, &[]).command();
        command.args([conninfo, "0"]).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let port = line.strip_prefix("listening on port ").unwrap();
        let port = port.trim_end().parse().unwrap();
        Server { child, said, port }
    }

    fn client(&self) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client(BufReader::new(stream))
    }

    /// Stops it as a user does, and checks what it says of itself.
    fn stop(mut self, requests: usize) {
        let kill = format!("kill -TERM {}", self.child.id());
        Command::new("/bin/sh")
            .args(["-c", &kill])
            .status()
            .unwrap();
        let status = (0..1200).find_map(|_| {
            std::thread::sleep(Duration::from_millis(50));
            self.child.try_wait().unwrap()
        });
        assert!(status.unwrap().success(), "{status:?}");
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, format!("{requests} requests\n"));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn ask(&mut self, number: usize) {
        self.send(&format!("GET /{number} HTTP/1.1\r\nHost: here\r\n\r\n"));
    }

    /// The status and the body of the next answer.
    fn answer(&mut self) -> (u16, String) {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        let status = line.strip_prefix("HTTP/1.1 ").unwrap()[..3]
            .parse()
            .unwrap();
        let mut length = 0;
        while line != "\r\n" {
            line.clear();
            self.0.read_line(&mut line).unwrap();
            if let Some(value) = line.strip_prefix("Content-Length: ") {
                length = value.trim_end().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        (status, String::from_utf8(body).unwrap())
    }

    /// Nothing more is said, and the connection is closed.
    fn is_left(&mut self) {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).unwrap();
        assert!(rest.is_empty());
    }
}

fn json(number: usize, roman: &str) -> (u16, String) {
    (
        200,
        format!("{{\"n\" : {number}, \"roman\" : \"{roman}\"}}\n"),
    )
}

fn conninfo(name: &str) -> String {
    format!("{} application_name={name}", shared().conninfo())
}

fn serves_many_clients(checker: Checker) {
    const ROMAN: [&str; 20] = [
        "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII", "XIII", "XIV",
        "XV", "XVI", "XVII", "XVIII", "XIX", "XX",
    ];
    let server = Server::start(checker, &conninfo("many"));
    let mut clients: Vec<Client> = ROMAN.iter().map(|_| server.client()).collect();
    // All of them at once, and each several times.
    for _ in 0..3 {
        for (index, client) in clients.iter_mut().enumerate() {
            client.ask(index + 1);
        }
        for (index, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.answer(), json(index + 1, ROMAN[index]));
        }
    }
    // Several requests at once, and one in pieces.
    let client = &mut clients[0];
    for number in [5, 6, 7] {
        client.ask(number);
    }
    client.send("GET /8 HT");
    for number in [5, 6, 7] {
        assert_eq!(client.answer(), json(number, ROMAN[number - 1]));
    }
    client.send("TP/1.1\r\nConnection: close\r\n\r\n");
    assert_eq!(client.answer(), json(8, "VIII"));
    client.is_left();
    // Somebody who leaves before he is answered.
    let mut gone = server.client();
    gone.ask(9);
    drop(gone);
    // What is no request.
    for bad in [
        "GET /x HTTP/1.1\r\n\r\n",
        "GET /1 HTTP/1.0\r\n\r\n",
        "BREW / COFFEE\r\n\r\n",
        &"x".repeat(4095),
    ] {
        let mut client = server.client();
        client.send(bad);
        assert_eq!(client.answer().0, 400, "{bad}");
        client.is_left();
    }
    // What the database was asked before is answered before.
    clients[1].ask(2);
    assert_eq!(clients[1].answer(), json(2, "II"));
    server.stop(20 * 3 + 4 + 1 + 4 + 1);
}

#[test]
fn many_clients_share_a_connection() {
    serves_many_clients(Checker::None);
}

#[test]
fn it_passes_under_checkers() {
    for (checker, tool) in [(Checker::Address, "clang"), (Checker::Valgrind, "valgrind")] {
        match Command::new(tool).arg("--version").output() {
            Ok(_) => serves_many_clients(checker),
            Err(_) => testkit::say!("SKIPPED: {tool} is missing; `make setup` installs it"),
        }
    }
}

/// Without its database it says so, and it finds it again.
#[test]
fn a_lost_connection_is_made_anew() {
    let server = Server::start(Checker::None, &conninfo("lost"));
    let mut client = server.client();
    client.ask(4);
    assert_eq!(client.answer(), json(4, "IV"));
    shared().psql(
        "select pg_terminate_backend(pid, 60000) from pg_stat_activity where application_name = 'lost'",
    );
    let mut requests = 1;
    loop {
        client.ask(4);
        requests += 1;
        match client.answer() {
            (503, _) => std::thread::sleep(Duration::from_millis(20)),
            answer => break assert_eq!(answer, json(4, "IV")),
        }
        assert!(requests < 3000);
    }
    assert!(requests > 2);
    server.stop(requests);
}

/// It does not begin without one.
#[test]
fn it_says_why_it_does_not_begin() {
    let file = root().join("c_examples/23_http_epoll.c");
    let program = Program::compile(&file, Face::Pgpoll, Checker::None, &[]);
    let said = program.run(&["host=127.0.0.1 port=1", "0"], &[]);
    let error = String::from_utf8_lossy(&said.stderr);
    assert!(
        error.contains("port 1 failed: Connection refused"),
        "{error}"
    );
    assert_eq!(said.status.code(), Some(1));
}
