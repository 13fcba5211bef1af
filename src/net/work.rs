//! One ask under way: the steps from a name to addresses, from an address to a connected socket. Knows their order; never waits.
#![forbid(unsafe_code)]

use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use crate::conninfo::Tls;
use crate::link::{Addr, Answer, Ask, AskId, LinkError, LinkErrorKind, Peer};
use crate::net::gss::{self, Exchange, Spoken};
use crate::net::helper::Helper;
use crate::net::resolve::{self, Resolution};
use crate::net::tls::Setup;
use crate::net::{Interest, dial, sys};

type User = Result<Vec<u8>, String>;
type Prepared = Result<Setup, LinkError>;
type Found = Result<(), LinkError>;

/// Stack of a helper that calls the GSSAPI library, which looks up names itself and may load plugins.
const GSS_STACK: usize = 1024 * 1024;

/// An ask under way.
#[derive(Debug)]
pub(super) struct Work {
    id: AskId,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Resolving(Helper<resolve::Found>),
    Dialling {
        socket: OwnedFd,
        want_user: bool,
    },
    /// The socket is connected and put aside; what is watched is the helper.
    Naming {
        socket: OwnedFd,
        helper: Helper<User>,
    },
    /// What a TLS handshake is begun with is made; the transport stays with the net.
    Preparing(Helper<Prepared>),
    /// It is seen whether there are credentials for GSSAPI.
    Finding(Helper<Found>),
    /// A step of a GSSAPI exchange is taken; the transport stays with the net.
    Speaking(Helper<Spoken>),
    Answered(Answer, Option<OwnedFd>),
    Over,
}

impl Work {
    /// Begins what is asked; `None` if there is nothing to do.
    pub(super) fn begin(id: AskId, ask: Ask) -> Option<Work> {
        let stage = match ask {
            Ask::Hangup => return None,
            Ask::FindCredentials => find_credentials(),
            Ask::Secure { .. }
            | Ask::SecureWithGss { .. }
            | Ask::GssToken { .. }
            | Ask::Cancel { .. }
            | Ask::Token(_) => Stage::Answered(unanswerable(), None),
            Ask::Resolve { host, port } => match resolve::begin(host, port) {
                Resolution::Running(helper) => Stage::Resolving(helper),
                Resolution::Done(found) => Stage::Answered(resolved(found), None),
            },
            Ask::Dial {
                addr,
                tcp,
                want_peer,
            } => match dial::begin(&addr, &tcp) {
                Ok((socket, up)) => {
                    let want_user = want_peer && matches!(addr, Addr::Unix(_));
                    if up && !want_user {
                        dialled(socket, None)
                    } else {
                        Stage::Dialling { socket, want_user }
                    }
                }
                Err(error) => Stage::Answered(Answer::Failed(error), None),
            },
        };
        Some(Work { id, stage })
    }

    /// An ask that is answered already.
    pub(super) fn answered(id: AskId, answer: Answer) -> Work {
        Work {
            id,
            stage: Stage::Answered(answer, None),
        }
    }

    /// Who is at the other end of a Unix socket that is connected already.
    pub(super) fn name_peer(id: AskId, socket: OwnedFd) -> Work {
        Work {
            id,
            stage: name_peer(socket),
        }
    }

    /// What a TLS handshake is begun with, on a thread of its own.
    pub(super) fn prepare(id: AskId, tls: &Arc<Tls>, host: &[u8]) -> Work {
        let (tls, host) = (tls.clone(), host.to_vec());
        let stage = match Helper::start(move || Setup::new(&tls, &host)) {
            Ok(helper) => Stage::Preparing(helper),
            Err(errno) => {
                let text = format!(
                    "could not start the thread that reads certificates: {}",
                    sys::strerror(errno)
                );
                Stage::Answered(Answer::Failed(unprepared(text, errno)), None)
            }
        };
        Work { id, stage }
    }

    /// What it came to, once: then this work is over.
    pub(super) fn prepared(&mut self, retired: &mut Vec<OwnedFd>) -> Option<Prepared> {
        let Stage::Preparing(helper) = &mut self.stage else {
            return None;
        };
        let prepared = helper.result()?.unwrap_or_else(|| {
            let text = String::from("the thread that reads certificates ended without an answer");
            Err(unprepared(text, 0))
        });
        mem::replace(&mut self.stage, Stage::Over).retire(retired);
        Some(prepared)
    }

    /// A step of a GSSAPI exchange, on a thread of its own.
    pub(super) fn speak(id: AskId, exchange: Box<Exchange>, token: Vec<u8>) -> Work {
        let stage = match Helper::start_with(GSS_STACK, move || exchange.step(&token)) {
            Ok(helper) => Stage::Speaking(helper),
            Err(errno) => Stage::Answered(Answer::Failed(no_thread(errno)), None),
        };
        Work { id, stage }
    }

    /// What it came to, once: then this work is over.
    pub(super) fn spoken(
        &mut self,
        retired: &mut Vec<OwnedFd>,
    ) -> Option<Result<Spoken, LinkError>> {
        let Stage::Speaking(helper) = &mut self.stage else {
            return None;
        };
        let spoken = helper.result()?.ok_or_else(died);
        mem::replace(&mut self.stage, Stage::Over).retire(retired);
        Some(spoken)
    }

    pub(super) fn id(&self) -> AskId {
        self.id
    }

    /// Takes the steps that can be taken now: the answer at the end, with the socket if it is connected.
    /// Descriptors that are done with go to `retired`.
    pub(super) fn advance(
        &mut self,
        retired: &mut Vec<OwnedFd>,
    ) -> Option<(Answer, Option<OwnedFd>)> {
        loop {
            let (stage, moved) = step(mem::replace(&mut self.stage, Stage::Over), retired);
            if let Stage::Answered(answer, socket) = stage {
                return Some((answer, socket));
            }
            self.stage = stage;
            if !moved {
                return None;
            }
        }
    }

    /// What is watched.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.stage {
            Stage::Resolving(helper) => Some(helper.as_fd()),
            Stage::Dialling { socket, .. } => Some(socket.as_fd()),
            Stage::Naming { helper, .. } => Some(helper.as_fd()),
            Stage::Preparing(helper) => Some(helper.as_fd()),
            Stage::Finding(helper) => Some(helper.as_fd()),
            Stage::Speaking(helper) => Some(helper.as_fd()),
            Stage::Answered(..) | Stage::Over => None,
        }
    }

    /// What it is watched for.
    pub(super) fn interest(&self) -> Option<Interest> {
        match self.stage {
            Stage::Resolving(_)
            | Stage::Naming { .. }
            | Stage::Preparing(_)
            | Stage::Finding(_)
            | Stage::Speaking(_) => Some(Interest::Read),
            Stage::Dialling { .. } => Some(Interest::Write),
            Stage::Answered(..) | Stage::Over => None,
        }
    }

    /// Gives the work up.
    pub(super) fn retire(self, retired: &mut Vec<OwnedFd>) {
        self.stage.retire(retired);
    }
}

impl Stage {
    fn retire(self, retired: &mut Vec<OwnedFd>) {
        match self {
            Stage::Resolving(helper) => retired.push(helper.into_fd()),
            Stage::Dialling { socket, .. } => retired.push(socket),
            Stage::Naming { socket, helper } => retired.extend([socket, helper.into_fd()]),
            Stage::Preparing(helper) => retired.push(helper.into_fd()),
            Stage::Finding(helper) => retired.push(helper.into_fd()),
            Stage::Speaking(helper) => retired.push(helper.into_fd()),
            Stage::Answered(_, socket) => retired.extend(socket),
            Stage::Over => {}
        }
    }
}

/// The next stage, and whether it is another one.
fn step(stage: Stage, retired: &mut Vec<OwnedFd>) -> (Stage, bool) {
    match stage {
        Stage::Resolving(mut helper) => match helper.result() {
            None => (Stage::Resolving(helper), false),
            Some(found) => {
                retired.push(helper.into_fd());
                let found = found.unwrap_or_else(|| Err(resolve::died()));
                (Stage::Answered(resolved(found), None), true)
            }
        },
        Stage::Dialling { socket, want_user } => match dial::connected(socket.as_fd()) {
            Ok(false) => (Stage::Dialling { socket, want_user }, false),
            Ok(true) if want_user => (name_peer(socket), true),
            Ok(true) => (dialled(socket, None), true),
            Err(error) => {
                retired.push(socket);
                (Stage::Answered(Answer::Failed(error), None), true)
            }
        },
        Stage::Naming { socket, mut helper } => match helper.result() {
            None => (Stage::Naming { socket, helper }, false),
            Some(user) => {
                retired.push(helper.into_fd());
                let user =
                    user.unwrap_or_else(|| Err(String::from("could not look up the peer's user")));
                (dialled(socket, Some(user)), true)
            }
        },
        Stage::Finding(mut helper) => match helper.result() {
            None => (Stage::Finding(helper), false),
            Some(found) => {
                retired.push(helper.into_fd());
                let found = found.unwrap_or_else(|| Err(died()));
                let answer = found.map_or_else(Answer::Failed, |()| Answer::CredentialsFound);
                (Stage::Answered(answer, None), true)
            }
        },
        other @ (Stage::Preparing(_) | Stage::Speaking(_) | Stage::Answered(..) | Stage::Over) => {
            (other, false)
        }
    }
}

/// The kernel knows the peer's user id at once; its name may be in a directory at the other end of the network.
fn name_peer(socket: OwnedFd) -> Stage {
    let uid = match dial::peer_uid(&socket) {
        Ok(uid) => uid,
        Err(text) => return dialled(socket, Some(Err(text))),
    };
    match Helper::start(move || dial::user_name(uid)) {
        Ok(helper) => Stage::Naming { socket, helper },
        Err(errno) => {
            let text = format!(
                "could not look up local user ID {uid}: {}",
                sys::strerror(errno)
            );
            dialled(socket, Some(Err(text)))
        }
    }
}

fn find_credentials() -> Stage {
    // The second time it is known without a thread that there is no library.
    if let Some(error) = gss::is_missing() {
        return Stage::Answered(Answer::Failed(error), None);
    }
    match Helper::start_with(GSS_STACK, gss::find_credentials) {
        Ok(helper) => Stage::Finding(helper),
        Err(errno) => Stage::Answered(Answer::Failed(no_thread(errno)), None),
    }
}

fn no_thread(errno: i32) -> LinkError {
    LinkError {
        kind: LinkErrorKind::Gss,
        errno,
        text: format!(
            "could not start the thread that calls the GSSAPI library: {}",
            sys::strerror(errno)
        ),
    }
}

fn died() -> LinkError {
    LinkError {
        kind: LinkErrorKind::Gss,
        errno: 0,
        text: String::from("the thread that calls the GSSAPI library ended without an answer"),
    }
}

fn dialled(socket: OwnedFd, user: Option<User>) -> Stage {
    Stage::Answered(Answer::Dialled(Peer { user }), Some(socket))
}

fn unprepared(text: String, errno: i32) -> LinkError {
    LinkError {
        kind: LinkErrorKind::Tls,
        errno,
        text,
    }
}

/// What is asked of others than the net, or only of a connected one.
pub(super) fn unanswerable() -> Answer {
    Answer::Failed(LinkError {
        kind: LinkErrorKind::Socket,
        errno: libc::ENOTCONN,
        text: String::from("connection not open"),
    })
}

fn resolved(found: resolve::Found) -> Answer {
    found.map_or_else(Answer::Failed, Answer::Resolved)
}
