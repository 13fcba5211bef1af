//! A file of trace events, read strictly. Knows the format, not what is in it.

use std::collections::BTreeMap;
use std::io::{Read, Seek};
use std::os::fd::AsRawFd;

use pgpoll::conn::{Connection, Timelines};
use serde_json::Value;

/// A slice: what it is called, how deep it stands, its arguments, and how long it took; `None`: it is not over.
#[derive(Debug, Clone)]
pub(crate) struct Slice {
    pub(crate) name: String,
    pub(crate) depth: usize,
    pub(crate) args: Value,
    pub(crate) begin: f64,
    pub(crate) end: Option<f64>,
}

/// What a file shows of a connection.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    pub(crate) name: String,
    pub(crate) slices: Vec<Slice>,
    pub(crate) instants: Vec<String>,
    /// What goes on beside the slices: its name, and whether it is over.
    pub(crate) beside: Vec<(String, bool)>,
    /// The last values of the counters.
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

impl Shown {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.slices.iter().any(|slice| slice.name == name)
    }
}

/// What connections write.
pub(crate) fn written(connections: &[&Connection]) -> String {
    let mut file = tempfile();
    let mut timelines = Timelines::new(file.as_raw_fd()).unwrap();
    for connection in connections {
        timelines.add(connection).unwrap();
    }
    timelines.finish().unwrap();
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

/// A file without a name.
pub(crate) fn tempfile() -> std::fs::File {
    let path = std::env::temp_dir().join(format!(
        "pgpoll-tracing-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    let mut options = std::fs::File::options();
    let file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)
        .unwrap();
    std::fs::remove_file(path).unwrap();
    file
}

/// What is shown of one connection.
pub(crate) fn shown(connection: &Connection) -> Shown {
    let mut all = read(&written(&[connection]));
    assert_eq!(all.len(), 1);
    let shown = all.pop_first().unwrap().1;
    let inspected: Value = serde_json::from_str(&connection.inspect()).unwrap();
    assert_eq!(inspected["bytes_received"], shown.received);
    assert_eq!(inspected["bytes_sent"], shown.sent);
    shown
}

/// Reads a file; every rule of the format holds in it. By thread.
pub(crate) fn read(text: &str) -> BTreeMap<u64, Shown> {
    let events: Vec<Value> = serde_json::from_str(text).unwrap_or_else(|error| {
        panic!("{error}: {text}");
    });
    let mut all: BTreeMap<u64, Shown> = BTreeMap::new();
    let mut last: BTreeMap<u64, f64> = BTreeMap::new();
    let mut open: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for event in &events {
        let member = |name: &str| event[name].as_str().unwrap_or_default();
        let tid = event["tid"].as_u64().unwrap();
        assert_eq!(event["pid"], std::process::id());
        let at = event["ts"].as_f64().unwrap();
        let shown = all.entry(tid).or_default();
        let (phase, name) = (member("ph"), member("name").to_owned());
        if matches!(phase, "B" | "E" | "i" | "C") {
            let before = last.insert(tid, at).unwrap_or(0.0);
            assert!(at >= before, "time goes back: {event}\n{text}");
        }
        match phase {
            "M" if name == "thread_name" => {
                shown.name = event["args"]["name"].as_str().unwrap().to_owned();
            }
            "M" => {}
            "B" => {
                let open = open.entry(tid).or_default();
                open.push(shown.slices.len());
                shown.slices.push(Slice {
                    name,
                    depth: open.len(),
                    args: event["args"].clone(),
                    begin: at,
                    end: None,
                });
            }
            "E" => {
                let begun = open.entry(tid).or_default().pop();
                let begun = begun.unwrap_or_else(|| panic!("ended and not begun: {event}\n{text}"));
                shown.slices[begun].end = Some(at);
            }
            "i" => shown.instants.push(name),
            "C" => {
                let value = |name: &str| event["args"][name].as_u64().unwrap();
                let (received, sent) = (value("received"), value("sent"));
                assert!(received >= shown.received && sent >= shown.sent, "{text}");
                (shown.received, shown.sent) = (received, sent);
            }
            "b" => shown.beside.push((name, false)),
            "e" => {
                let begun = shown
                    .beside
                    .iter_mut()
                    .rfind(|other| **other == (name.clone(), false));
                begun
                    .unwrap_or_else(|| panic!("ended and not begun: {event}\n{text}"))
                    .1 = true;
            }
            other => panic!("an event of type {other:?}"),
        }
    }
    all
}
