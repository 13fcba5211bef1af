//! Connecting: hosts and their addresses in turn, until one of them is up and of the wanted kind.

use std::net::{IpAddr, SocketAddr};

use super::encrypt::{Means, Methods, encrypt};
use super::facts::Phase;
use super::random::Random;
use super::state::State;
use super::wait::{Stop, answer, with};
use super::{gss, startup, target};
use crate::auth::oauth::Bearer;
use crate::conninfo::{Host, Plan, Target, TargetSessionAttrs, TcpOptions};
use crate::error::Error;
use crate::link::{Addr, Answer, Ask, LinkError, LinkErrorKind, Peer};

/// What a server may say before it is ready; real ones say some two thousand bytes.
const MOST_CHATTER: usize = 1024 * 1024;

/// What an attempt that failed means for the ones after it.
#[derive(Debug)]
pub(super) enum Miss {
    /// The server is content with the next method of encryption, which needs a fresh transport.
    Again,
    /// Encryption did not come about: another method of it may do, or another address.
    Unencrypted(Error),
    /// The server does not let us in like this: another method of encryption may do, but no other server is asked.
    Refused(Error),
    /// The same address may do, now that there is a token to show.
    Token(Error),
    /// Another address may do.
    Address(Error),
    /// Another host may do; all addresses of this one are the same server.
    Host(Error),
    /// The server has spoken: no other one is asked.
    Final(Error),
}

impl Miss {
    /// Why, when nothing else is tried.
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Again => Error::transport("the connection has to be made again"),
            Self::Unencrypted(error)
            | Self::Refused(error)
            | Self::Token(error)
            | Self::Address(error)
            | Self::Host(error)
            | Self::Final(error) => error,
        }
    }
}

impl From<Stop> for Miss {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Lost(error) => {
                let forked = error.kind == LinkErrorKind::Forked;
                let error = Error::from(*error);
                if forked {
                    Self::Final(error)
                } else {
                    Self::Address(error)
                }
            }
            Stop::Deadline => Self::Address(Error::transport("timeout expired")),
            Stop::Broken(error) => Self::Address(*error),
        }
    }
}

/// Tries what the plan names. The error tells what every address said, in order.
pub(super) async fn connect(plan: &Plan, mut random: Random) -> Result<(), Error> {
    let mut failures = Failures::default();
    let mut bearer = None;
    let mut order: Vec<usize> = (0..plan.hosts.len()).collect();
    if plan.load_balance {
        random.shuffle(&mut order);
    }
    let passes: &[TargetSessionAttrs] = match plan.target_session_attrs {
        TargetSessionAttrs::PreferStandby => {
            &[TargetSessionAttrs::Standby, TargetSessionAttrs::Any]
        }
        ref wanted => std::slice::from_ref(wanted),
    };
    for &wanted in passes {
        for &number in &order {
            let Some(host) = plan.hosts.get(number) else {
                continue;
            };
            with(|state| {
                state.facts.host = number;
                state.facts.protocol = plan.max_protocol;
            });
            let addresses = match addresses(plan, host, &mut random).await {
                Ok(addresses) => addresses,
                Err(error) => {
                    failures.add(error);
                    if matches!(host.target, Target::Invalid { last: true, .. }) {
                        return Err(failures.into_error());
                    }
                    continue;
                }
            };
            for addr in addresses {
                let visit = visit(
                    plan,
                    host,
                    &addr,
                    wanted,
                    &mut random,
                    &mut bearer,
                    &mut failures,
                );
                let Err(next) = visit.await else {
                    return Ok(());
                };
                match next {
                    Next::Address => {}
                    Next::Host => break,
                    Next::Nothing => return Err(failures.into_error()),
                }
            }
        }
    }
    Err(failures.into_error())
}

/// The addresses of a host, in the order in which they are tried.
async fn addresses(plan: &Plan, host: &Host, random: &mut Random) -> Result<Vec<Addr>, Error> {
    match &host.target {
        Target::Unix(path) => Ok(vec![Addr::Unix(path.clone())]),
        Target::Given => Ok(vec![Addr::Given]),
        Target::Addr(ip) => Ok(vec![Addr::Tcp(SocketAddr::new(*ip, host.port))]),
        Target::Invalid { error, .. } => Err(Error::transport(error.to_string())),
        Target::Name(name) => {
            with(|state| {
                state.enter(Phase::Resolving);
                state.set_timeout(plan);
                state.ask(Ask::Resolve {
                    host: name.clone(),
                    port: host.port,
                });
            });
            let shown = String::from_utf8_lossy(name);
            let failed = |text: &str| {
                Error::transport(format!(
                    "could not translate host name \"{shown}\" to address: {text}"
                ))
            };
            match answer("the addresses of the host").await {
                Ok(Answer::Resolved(mut found)) => {
                    if plan.load_balance {
                        random.shuffle(&mut found);
                    }
                    Ok(found.into_iter().map(Addr::Tcp).collect())
                }
                Ok(Answer::Failed(error)) => Err(failed(&error.text).with_errno(error.errno)),
                Ok(_) => Err(failed("the resolver gave no addresses")),
                Err(Stop::Deadline) => Err(failed("timeout expired")),
                Err(stop) => Err(into_error(stop)),
            }
        }
    }
}

/// What is tried after an address.
enum Next {
    Address,
    Host,
    Nothing,
}

/// One address, with each method of encryption that may be tried; they share its `connect_timeout`.
async fn visit(
    plan: &Plan,
    host: &Host,
    addr: &Addr,
    wanted: TargetSessionAttrs,
    random: &mut Random,
    bearer: &mut Option<Bearer>,
    failures: &mut Failures,
) -> Result<(), Next> {
    with(|state| state.set_timeout(plan));
    let mut methods = None;
    loop {
        let tried = match &mut methods {
            Some(methods) => attempt(plan, host, addr, methods, wanted, random, bearer).await,
            none => match gss::methods(plan, addr).await {
                Ok(chosen) => {
                    *none = Some(chosen);
                    continue;
                }
                Err(miss) => Err(miss),
            },
        };
        let Err(miss) = tried else {
            return Ok(());
        };
        let again = matches!(miss, Miss::Token(_)) && *addr != Addr::Given;
        let mut advance = || methods.as_mut().is_some_and(Methods::advance);
        let (error, may_retry, next) = match miss {
            Miss::Again if advance() => continue,
            Miss::Again => (miss.into_error(), false, Next::Address),
            Miss::Token(error) => (error, false, Next::Nothing),
            Miss::Unencrypted(error) => (error, true, Next::Address),
            Miss::Refused(error) => (error, true, Next::Nothing),
            Miss::Address(error) => (error, false, Next::Address),
            Miss::Host(error) => (error, false, Next::Host),
            Miss::Final(error) => (error, false, Next::Nothing),
        };
        failures.add(named(&host.name, host.hostaddr.as_deref(), addr, error));
        if again {
            continue;
        }
        // What was given cannot be dialled again.
        if !may_retry || *addr == Addr::Given || !advance() {
            return Err(next);
        }
    }
}

/// One transport, from the socket to the wanted kind of server.
async fn attempt(
    plan: &Plan,
    host: &Host,
    addr: &Addr,
    methods: &mut Methods,
    wanted: TargetSessionAttrs,
    random: &mut Random,
    bearer: &mut Option<Bearer>,
) -> Result<(), Miss> {
    dial(addr, &plan.tcp, plan.requirepeer.as_deref()).await?;
    with(|state| state.chatter = Some(MOST_CHATTER));
    let peer = gss::peer(plan, host);
    let means = Means {
        tls: plan.tls.as_ref(),
        gss: Some(&peer),
        host: &host.name,
    };
    encrypt(methods, &means).await?;
    startup::start_up(plan, host, random, bearer).await?;
    target::check(wanted).await?;
    with(|state| {
        state.chatter = None;
        state.deadline = None;
        state.enter(Phase::Ready);
    });
    Ok(())
}

/// A fresh transport to the address. `requirepeer`: the user that must be at the other end of a Unix socket.
pub(super) async fn dial(
    addr: &Addr,
    tcp: &TcpOptions,
    requirepeer: Option<&[u8]>,
) -> Result<(), Miss> {
    with(|state| {
        state.begin_attempt(addr.clone(), Phase::Dialling);
        state.ask(Ask::Dial {
            addr: addr.clone(),
            tcp: tcp.clone(),
            want_peer: requirepeer.is_some(),
        });
    });
    match answer("the socket to be connected").await? {
        Answer::Dialled(peer) => {
            with(|state| state.linked = true);
            check_peer(requirepeer, addr, peer)
        }
        Answer::Failed(error) => Err(Miss::Address(dial_error(addr, &error))),
        _ => Err(Miss::Address(Error::transport("no socket was made"))),
    }
}

/// `requirepeer`: the server must run as the named user (Unix sockets only; of what is given the net knows whether it is one).
fn check_peer(requirepeer: Option<&[u8]>, addr: &Addr, peer: Peer) -> Result<(), Miss> {
    let (Some(required), Addr::Unix(_) | Addr::Given) = (requirepeer, addr) else {
        return Ok(());
    };
    match peer.user {
        None if *addr == Addr::Given => Ok(()),
        Some(Ok(user)) if user == required => Ok(()),
        Some(Ok(user)) => Err(Miss::Final(Error::transport(format!(
            "requirepeer specifies \"{}\", but actual peer user name is \"{}\"",
            String::from_utf8_lossy(required),
            String::from_utf8_lossy(&user)
        )))),
        Some(Err(text)) => Err(Miss::Final(Error::transport(text))),
        None => Err(Miss::Final(Error::transport(
            "requirepeer parameter is not supported on this platform",
        ))),
    }
}

/// libpq's words for a socket that could not be connected.
fn dial_error(addr: &Addr, error: &LinkError) -> Error {
    let advice = match (error.kind, addr) {
        (LinkErrorKind::Dial, Addr::Unix(_)) => {
            "\n\tIs the server running locally and accepting connections on that socket?"
        }
        (LinkErrorKind::Dial, Addr::Tcp(_)) => {
            "\n\tIs the server running on that host and accepting TCP/IP connections?"
        }
        _ => "",
    };
    Error::transport(format!("{}{advice}", error.text)).with_errno(error.errno)
}

/// The error with libpq's words for the server that it came from.
pub(super) fn named(host: &[u8], hostaddr: Option<&[u8]>, addr: &Addr, error: Error) -> Error {
    let prefix = match addr {
        Addr::Given => "connection to server over the given transport failed: ".to_owned(),
        Addr::Unix(path) => format!(
            "connection to server on socket \"{}\" failed: ",
            String::from_utf8_lossy(path)
        ),
        Addr::Tcp(at) => {
            let shown = String::from_utf8_lossy(hostaddr.unwrap_or(host));
            let ip = numeric(at.ip());
            let number = if hostaddr.is_some() || *shown == *ip {
                String::new()
            } else {
                format!(" ({ip})")
            };
            format!(
                "connection to server at \"{shown}\"{number}, port {} failed: ",
                at.port()
            )
        }
    };
    match error.server_error() {
        Some(server) => {
            let message = format!("{prefix}{server}");
            error.with_message(message)
        }
        None => error.with_prefix(&prefix),
    }
}

fn numeric(ip: IpAddr) -> String {
    ip.to_string()
}

/// What a stopped wait means where there is no address to name.
pub(super) fn into_error(stop: Stop) -> Error {
    match stop {
        Stop::Lost(error) => (*error).into(),
        Stop::Deadline => Error::transport("timeout expired"),
        Stop::Broken(error) => *error,
    }
}

/// What every address said.
#[derive(Default)]
struct Failures {
    text: String,
    last: Option<Error>,
}

impl Failures {
    fn add(&mut self, error: Error) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(error.message());
        self.last = Some(error);
    }

    /// Nothing has been sent that could have done anything: all of it is safe to retry, if there is hope.
    fn into_error(self) -> Error {
        match self.last {
            Some(last) => {
                let retry = last.server_error().is_none() || last.is_safe_to_retry();
                last.with_message(self.text).with_retry(retry)
            }
            None => Error::transport("no host to connect to"),
        }
    }
}

impl State {
    pub(super) fn ask(&mut self, ask: Ask) {
        self.last_ask += 1;
        self.answer = None;
        self.ask = Some((self.last_ask, ask));
    }

    /// Forgets the address before this one.
    pub(super) fn begin_attempt(&mut self, addr: Addr, phase: Phase) {
        self.facts.forget_server();
        self.mail.forget_notifications();
        self.facts.addr = Some(addr);
        self.enter(phase);
        self.input.clear();
        self.input.set_startup(true);
        self.broken = None;
        self.output.clear();
        self.linked = false;
        self.lost = None;
        self.fatal = None;
        self.chatter = None;
    }

    /// `connect_timeout` counts for each address, and for finding the addresses.
    fn set_timeout(&mut self, plan: &Plan) {
        self.deadline = plan
            .connect_timeout
            .map(|timeout| self.now.saturating_add(timeout.as_nanos() as u64));
    }
}
