//! A client's program and what it sees: the same program at any pace must see the same.

use std::collections::BTreeMap;

use pgpoll::engine::Room;
use pgpoll::error::Error;

use super::run::Run;
use super::{Act, Bench, Pace, ROOM, Server};

/// A client's program and the servers that it meets.
#[derive(Debug, Clone)]
pub struct Session {
    /// For the output of tests.
    pub name: String,
    /// How the client connects.
    pub conninfo: String,
    /// In the order of dialling.
    pub servers: Vec<Server>,
    /// What it does once it is connected.
    pub acts: Vec<Act>,
    /// What may be left untaken.
    pub room: Room,
}

/// What a client saw.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transcript {
    /// The items, in words.
    pub items: Vec<String>,
    /// The data of COPYs, message by message.
    pub copied: Vec<Vec<u8>>,
    /// What was exported to a file.
    pub written: Vec<u8>,
    /// The notices' messages.
    pub notices: Vec<String>,
    /// The notifications, in words.
    pub notifications: Vec<String>,
    /// The parameters at the end.
    pub parameters: BTreeMap<String, String>,
    /// Why the connection was over, if it was.
    pub error: Option<Error>,
    /// The client went through its whole program.
    pub finished: bool,
    /// Where everything stood at the end.
    pub place: String,
    /// Bytes received from servers.
    pub received: usize,
    /// The same when the connection was up.
    pub received_until_ready: Option<usize>,
    /// Addresses dialled.
    pub dialled: usize,
    /// All that the servers said, where the pace says to keep it.
    pub stream: Vec<u8>,
}

impl Session {
    /// A client that talks to one server which is up.
    pub fn new(name: &str, script: crate::script::Script, acts: Vec<Act>) -> Self {
        Self {
            name: name.to_owned(),
            conninfo: String::from("host=127.0.0.1 user=tester dbname=scripted password=secret"),
            servers: vec![Server::Plays(script)],
            acts,
            room: ROOM,
        }
    }

    /// The bench that the session runs on.
    pub fn bench(&self, pace: Pace) -> Bench {
        Bench::with_room(&self.conninfo, self.servers.clone(), pace, self.room)
    }

    /// Runs the program at a pace.
    ///
    /// # Panics
    /// If the client is not served as the poll contract says.
    pub fn replay(&self, pace: Pace) -> Transcript {
        Run::new(self.bench(pace)).run(&self.acts)
    }
}

impl Transcript {
    /// The same without what depends on the pace.
    pub fn seen(&self) -> Self {
        Self {
            place: String::new(),
            received: 0,
            received_until_ready: None,
            dialled: 0,
            stream: Vec::new(),
            ..self.clone()
        }
    }
}
