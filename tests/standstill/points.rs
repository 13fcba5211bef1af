//! The points of a connection's life where its peer may stand still: what has happened until then, and what is to come.

use pgpoll::conn::Connection;
use pgpoll::engine::{Command, End, Engine, Phase};
use pgpoll::link::TlsFacts;
use testkit::script::{
    Scram, Script, auth_cleartext, auth_ok, auth_sasl, backend_key, columns, complete, error, oid,
    parameter, ready, row,
};

/// What the connection waits for there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Where {
    /// The resolver.
    Resolving,
    /// A listener whose queue is full.
    Dialling,
    /// A server that stands still.
    Server,
    /// The same, and whoever takes the connection's own request to cancel, under TLS or not.
    Cancelling,
}

/// What the client does once it is up, and waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// `select 2`.
    Query,
    /// A parameter that is larger than all buffers.
    Parameter,
}

impl Act {
    pub(crate) fn start(self, conn: &mut Connection) -> u64 {
        self.start_on(conn.engine_mut())
    }

    pub(crate) fn start_on(self, engine: &mut Engine) -> u64 {
        let large = vec![b'p'; LARGE];
        let params: [Option<&[u8]>; 1] = [Some(&large)];
        let command = match self {
            Act::Query => Command::Query { sql: b"select 2" },
            Act::Parameter => Command::Params {
                sql: b"select length($1)",
                types: &[],
                params: &params,
                format: 0,
                max_rows: 0,
            },
        };
        engine.start(command, End::Sync).unwrap()
    }
}

/// More than a socket's buffers hold.
const LARGE: usize = 16_000_000;

/// One point.
#[derive(Debug)]
pub(crate) struct Point {
    pub(crate) name: &'static str,
    pub(crate) place: Where,
    /// What the connection says of itself there.
    pub(crate) phase: Phase,
    pub(crate) act: Option<Act>,
    /// What else to connect with.
    pub(crate) options: &'static str,
    script: fn() -> Script,
}

impl Point {
    /// The server's part, to its end in good order.
    pub(crate) fn script(&self) -> Script {
        (self.script)()
            .query("select 1")
            .send(one_row("1"))
            .expect_tag(b'X')
    }

    /// The part of whoever takes the request to cancel.
    pub(crate) fn canceller(&self) -> Script {
        let script = if self.options == TLS {
            Script::encrypted()
        } else {
            Script::new()
        };
        script.cancel_request(4711, b"KEY!").halt().close()
    }

    const fn new(name: &'static str, phase: Phase, script: fn() -> Script) -> Point {
        Point {
            name,
            place: Where::Server,
            phase,
            act: None,
            options: "",
            script,
        }
    }

    const fn meanwhile(self, act: Act) -> Point {
        let act = Some(act);
        Point { act, ..self }
    }

    const fn options(self, options: &'static str) -> Point {
        Point { options, ..self }
    }

    const fn place(self, place: Where) -> Point {
        Point { place, ..self }
    }
}

/// Every point, in the order of a connection's life.
pub(crate) fn every() -> &'static [Point] {
    POINTS
}

/// Those before the connection is up.
pub(crate) fn connecting() -> impl Iterator<Item = &'static Point> {
    POINTS.iter().filter(|point| point.phase != Phase::Ready)
}

const POINTS: &[Point] = &[
    Point::new("resolving", Phase::Resolving, Script::trusting).place(Where::Resolving),
    Point::new("dialling", Phase::Dialling, Script::trusting).place(Where::Dialling),
    Point::new("encryption asked for", Phase::Negotiating, || {
        let script = Script::new().ssl_request().halt().send("N");
        script.and(&Script::trusting())
    })
    .options("sslmode=prefer"),
    Point::new("startup", Phase::Startup, startup),
    Point::new("half an answer to the startup", Phase::Startup, || {
        let (first, rest) = (&auth_cleartext()[..7], &auth_cleartext()[7..]);
        let script = Script::new().startup().send(first).halt().send(rest);
        script.expect_tag(b'p').send(auth_ok()).settled()
    }),
    Point::new("password sent", Phase::Authenticating, || {
        let script = Script::new().startup().send(auth_cleartext());
        let script = script.expect_tag(b'p').halt();
        script.send(auth_ok()).settled()
    }),
    Point::new("SCRAM begun", Phase::Authenticating, || {
        let script = Script::new().startup().send(auth_sasl(&["SCRAM-SHA-256"]));
        let script = script.halt().challenge(Scram::new("secret")).conclude();
        script.send(auth_ok()).settled()
    }),
    Point::new("SCRAM proved", Phase::Authenticating, || {
        let script = Script::new().startup().send(auth_sasl(&["SCRAM-SHA-256"]));
        let script = script.challenge(Scram::new("secret")).halt().conclude();
        script.send(auth_ok()).settled()
    }),
    Point::new("settling", Phase::Settling, || {
        let script = Script::new().startup().send(auth_ok());
        let script = script.send(parameter("client_encoding", "UTF8")).halt();
        script.settled()
    }),
    Point::new("target check", Phase::CheckingTarget, || {
        let script = Script::new().startup().send(auth_ok());
        let script = script
            .send(parameter("server_version", "13.1"))
            .send(backend_key(4711, b"KEY!"))
            .send(ready(b'I'));
        let script = script.query("SHOW transaction_read_only").halt();
        script.send(one_row("off"))
    })
    .options("target_session_attrs=read-write"),
    Point::new("idle", Phase::Ready, idle),
    Point::new("query sent", Phase::Ready, query_sent).meanwhile(Act::Query),
    Point::new("rows half way", Phase::Ready, rows_half_way).meanwhile(Act::Query),
    Point::new("parameter half sent", Phase::Ready, parameter_half_sent).meanwhile(Act::Parameter),
    Point::new("cancelling", Phase::Ready, cancelled)
        .meanwhile(Act::Query)
        .place(Where::Cancelling),
    Point::new("TLS: cancelling", Phase::Ready, || encrypted(cancelled))
        .meanwhile(Act::Query)
        .place(Where::Cancelling)
        .options(TLS),
    Point::new("TLS: hello sent", Phase::Securing, || {
        let script = Script::new().ssl_request().send("S").halt();
        secured(script).and(&Script::trusting())
    })
    .options(TLS),
    Point::new("TLS: half a record head", Phase::Securing, || {
        let script = Script::new().ssl_request().send("S").flight(3).halt();
        secured(script).and(&Script::trusting())
    })
    .options(TLS),
    Point::new("TLS: half a flight", Phase::Securing, || {
        let script = Script::new().ssl_request().send("S").flight(500).halt();
        secured(script).and(&Script::trusting())
    })
    .options(TLS),
    Point::new("direct TLS: hello sent", Phase::Securing, || {
        secured(Script::new().halt()).and(&Script::trusting())
    })
    .options("sslmode=require sslnegotiation=direct"),
    Point::new("TLS: startup", Phase::Startup, || encrypted(startup)).options(TLS),
    Point::new("TLS: idle", Phase::Ready, || encrypted(idle)).options(TLS),
    Point::new("TLS: query sent", Phase::Ready, || encrypted(query_sent))
        .meanwhile(Act::Query)
        .options(TLS),
    Point::new("TLS: rows half way", Phase::Ready, || {
        encrypted(rows_half_way)
    })
    .meanwhile(Act::Query)
    .options(TLS),
    Point::new("TLS: parameter half sent", Phase::Ready, || {
        encrypted(parameter_half_sent)
    })
    .meanwhile(Act::Parameter)
    .options(TLS),
];

/// Nobody knows the certificate of the scripted server.
const TLS: &str = "sslmode=require";

/// The same under TLS.
fn encrypted(script: fn() -> Script) -> Script {
    Script::encrypted().and(&script())
}

/// The server does the handshake, or the rest of it.
fn secured(script: Script) -> Script {
    script.handshake(Ok(TlsFacts::default()))
}

fn startup() -> Script {
    Script::new().startup().halt().send(auth_ok()).settled()
}

fn idle() -> Script {
    Script::trusting().halt()
}

fn query_sent() -> Script {
    let script = Script::trusting().halt().query("select 2");
    script.send(one_row("2"))
}

/// The query is late: the connection has its server asked to stop it.
fn cancelled() -> Script {
    let script = Script::trusting().query("select 2").halt();
    let text = "canceling statement due to user request";
    script.send([error("ERROR", "57014", text), ready(b'I')].concat())
}

fn rows_half_way() -> Script {
    let answer = rows();
    let (first, rest) = answer.split_at(answer.len() / 2);
    let script = Script::trusting().query("select 2").send(first);
    script.halt().send(rest)
}

fn parameter_half_sent() -> Script {
    let script = Script::trusting().halt();
    let script = script.expect_tag(b'P').expect_tag(b'B');
    let script = script.expect_tag(b'D').expect_tag(b'E').expect_tag(b'S');
    script.send(extended())
}

/// The answer to a simple query of one row.
fn one_row(value: &str) -> Vec<u8> {
    let columns = columns(&[("?column?", oid::TEXT)]);
    [
        columns,
        row(&[Some(value)]),
        complete("SELECT 1"),
        ready(b'I'),
    ]
    .concat()
}

/// The answer to a query of many rows; its middle is in the middle of one.
fn rows() -> Vec<u8> {
    let columns = columns(&[("?column?", oid::TEXT)]);
    let rows = row(&[Some("a row of some length")]).repeat(1001);
    [columns, rows, complete("SELECT 1001"), ready(b'I')].concat()
}

/// The answer to an extended query of one row.
fn extended() -> Vec<u8> {
    use testkit::script::{bind_complete, parse_complete};
    [parse_complete(), bind_complete(), one_row("16000000")].concat()
}
