//! Servers that break the protocol, on purpose or not: each gives one clear error that names what is wrong, however its
//! bytes travel; never a hang, never a panic. Where the protocol allows, the connection stays usable.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "hostile/floods.rs"]
mod floods;
#[path = "hostile/oauth.rs"]
mod oauth;
#[path = "hostile/queries.rs"]
mod queries;
#[path = "hostile/scram.rs"]
mod scram;
#[path = "hostile/sockets.rs"]
mod sockets;
#[path = "hostile/startup.rs"]
mod startup;

use testkit::script::Script;
use testkit::sim::{Act, Chunks, Pace, Session, Transcript, What};

/// How the bytes travel: whole, byte by byte, and with the smallest work budget.
fn paces() -> [Pace; 3] {
    let whole = Pace::default();
    let bytes = Pace {
        inbound: Chunks::Of(1),
        ..Pace::default()
    };
    let small = Pace {
        budget: 1,
        ..Pace::default()
    };
    [whole, bytes, small]
}

/// What the client sees, the same at any pace.
fn seen(session: &Session) -> Transcript {
    let [whole, others @ ..] = paces().map(|pace| session.replay(pace));
    for other in others {
        assert_eq!(other.seen(), whole.seen(), "{}", session.name);
    }
    whole
}

/// Why connecting to a server of this script fails, without the words for the server's address.
fn refusal(name: &str, script: Script) -> String {
    let seen = seen(&Session::new(name, script, Vec::new()));
    assert!(seen.items.is_empty());
    let error = seen
        .error
        .unwrap_or_else(|| panic!("{name}: it hangs: {}", seen.place));
    let prefix = "connection to server at \"127.0.0.1\", port 5432 failed: ";
    let text = error.message().strip_prefix(prefix);
    text.unwrap_or_else(|| panic!("{name}: {error}")).to_owned()
}

/// A query, and another one if the connection is still usable.
fn ask(name: &str, script: Script) -> Transcript {
    let query = || Act::Start(What::Query(String::from("SELECT 1")));
    let acts = vec![query(), Act::Wait, query(), Act::Wait];
    seen(&Session::new(name, script, acts))
}
