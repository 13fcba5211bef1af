//! The trace of messages on its way to a descriptor: complete, or it says what is missing; the connection never suffers.

use std::fs::File;
use std::io::{PipeReader, Read, Seek};
use std::os::fd::AsRawFd;

use pgpoll::conn::Connection;
use pgpoll::engine::{Command, End, Trace};
use testkit::shared;

use crate::events::tempfile;
use crate::live::{come_up, finish, open};

const PLAIN: u32 = Trace::SUPPRESS_TIMESTAMPS | Trace::REGRESS_MODE;

/// What has been written to a file.
fn text(file: &mut File) -> String {
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

/// The names of messages, with the direction before them.
fn names(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| {
            let parts: Vec<&str> = line.split('\t').collect();
            format!("{} {}", parts[0], parts[2])
        })
        .collect()
}

#[test]
fn everything_from_the_startup_to_the_goodbye_is_traced() {
    let mut file = tempfile();
    let mut connection = Connection::open(shared().conninfo());
    connection.trace(file.as_raw_fd(), PLAIN).unwrap();
    come_up(&mut connection);
    connection.start_query("select 1 as one").unwrap();
    // What is started is there at once, before it is sent.
    assert!(text(&mut file).ends_with("F\t20\tQuery\t \"select 1 as one\"\n"));
    finish(&mut connection);
    connection.reset();
    come_up(&mut connection);
    drop(connection);
    let said = names(&text(&mut file));
    assert_eq!(said[..2], ["F StartupMessage", "B AuthenticationOk"]);
    let count = |name: &str| said.iter().filter(|said| *said == name).count();
    assert_eq!(count("F StartupMessage"), 2);
    assert_eq!(count("F Terminate"), 2);
    assert_eq!(said.last().unwrap(), "F Terminate");
    for name in [
        "F Query",
        "B RowDescription",
        "B DataRow",
        "B CommandComplete",
    ] {
        assert_eq!(count(name), 1, "{said:?}");
    }
}

#[test]
fn lines_have_the_time_unless_it_is_suppressed() {
    let mut file = tempfile();
    let mut connection = open();
    connection.trace(file.as_raw_fd(), 0).unwrap();
    connection.start_query("").unwrap();
    finish(&mut connection);
    connection.untrace().unwrap();
    connection.start_query("").unwrap();
    finish(&mut connection);
    let said = text(&mut file);
    assert_eq!(said.lines().count(), 3, "nothing behind its end: {said}");
    for line in said.lines() {
        let (time, message) = line.split_once('\t').unwrap();
        let shape = time
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c });
        assert_eq!(shape.collect::<String>(), "0000-00-00 00:00:00.000000");
        assert!(message.starts_with(['F', 'B']), "{line}");
    }
}

/// Reads what there is in a pipe, which holds up to 64 KB.
fn drain(reader: &mut PipeReader, most: usize) -> String {
    let mut bytes = vec![0; most];
    let count = reader.read(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes[..count]).into_owned()
}

#[test]
fn a_pipe_that_nobody_reads_loses_messages_and_says_how_many() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut connection = open();
    // A blocking one: nobody waits for it all the same.
    connection.trace(writer.as_raw_fd(), PLAIN).unwrap();
    drop(writer);
    const ROWS: usize = 20_000;
    let sql = format!("select repeat('x', 100) from generate_series(1, {ROWS})");
    connection.start_query(sql).unwrap();
    finish(&mut connection);
    let mut said = String::new();
    // Nobody has read anything before the end: all that is missing is behind what was kept.
    while !said.ends_with("was full\n") {
        said += &drain(&mut reader, 1 << 20);
        connection.poll();
    }
    let missing: Vec<&str> = said.lines().filter(|line| line.starts_with('!')).collect();
    assert_eq!(missing.len(), 1, "{missing:?}");
    let parts: Vec<&str> = missing[0].split('\t').collect();
    assert_eq!(parts[2], "messages are missing here: the trace was full");
    // Every line is whole, and no message is counted twice or not at all.
    for line in said.lines().filter(|line| line.contains("DataRow")) {
        assert!(line.starts_with("B\t110\tDataRow\t 1 100 'xxx") && line.ends_with("x'"));
    }
    let shown = said.lines().count() - 1;
    let missed: usize = parts[1].parse().unwrap();
    assert_eq!(shown + missed, 1 + 1 + ROWS + 1 + 1);
    assert!(missed > 0 && said.len() < 3 * 1024 * 1024, "{}", said.len());
}

#[test]
fn a_reader_that_goes_away_ends_the_trace_and_nothing_else() {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut connection = open();
    connection.trace(writer.as_raw_fd(), PLAIN).unwrap();
    drop((reader, writer));
    for _ in 0..2 {
        connection.start_query("select 1").unwrap();
        finish(&mut connection);
        assert!(connection.error().is_none());
    }
    let why = "the trace has ended: could not write to its descriptor: Broken pipe (os error 32)";
    assert_eq!(connection.warnings(), [why]);
    assert_eq!(connection.untrace().unwrap_err().message(), why);
    assert!(connection.untrace().is_ok());
}

#[test]
fn what_cannot_be_written_to_is_refused() {
    let mut connection = open();
    let (reader, _writer) = std::io::pipe().unwrap();
    let folder = File::open("/").unwrap();
    let closed = {
        let file = tempfile();
        file.as_raw_fd() + 1000
    };
    for fd in [-1, closed, reader.as_raw_fd(), folder.as_raw_fd()] {
        let error = connection.trace(fd, 0).unwrap_err();
        let begin = format!("cannot write to descriptor {fd}: ");
        assert!(error.message().starts_with(&begin), "{error}");
        let error = connection.trace_timeline(fd).unwrap_err();
        assert!(error.message().starts_with(&begin), "{error}");
    }
    let error = connection.trace(1, 4).unwrap_err();
    assert!(error.message().starts_with("unknown flags"), "{error}");
    let full = File::options().write(true).open("/dev/full").unwrap();
    let error = connection.trace_timeline(full.as_raw_fd()).unwrap_err();
    let why = "the timeline is not complete: could not write it: No space left on device";
    assert!(error.message().starts_with(why), "{error}");
    connection.trace(full.as_raw_fd(), PLAIN).unwrap();
    connection.start_query("select 1").unwrap();
    finish(&mut connection);
    assert!(connection.untrace().is_err() && connection.error().is_none());
}

#[test]
fn messages_of_copy_and_of_function_calls_have_their_fields() {
    let mut file = tempfile();
    let mut connection = open();
    connection
        .start_query("create temp table copied (a int4, b text)")
        .unwrap();
    finish(&mut connection);
    connection.trace(file.as_raw_fd(), PLAIN).unwrap();
    connection.start_copy("copy copied from stdin").unwrap();
    while !connection.engine().takes_copy_data() {
        connection.wait(None);
        while connection.take().is_some() {}
    }
    for row in ["1\tone\n", "2\ttwo\n"] {
        connection.copy_put(row.as_bytes()).unwrap();
    }
    connection.copy_end(None).unwrap();
    finish(&mut connection);
    connection.start_copy("copy copied to stdout").unwrap();
    finish(&mut connection);
    // int4pl(int4, int4)
    let arguments = [Some(&[0, 0, 0, 1][..]), Some(&[0, 0, 0, 2][..])];
    let call = Command::Call {
        function: 177,
        arguments: &arguments,
    };
    connection.start(call, End::Sync).unwrap();
    finish(&mut connection);
    connection.untrace().unwrap();
    let said = text(&mut file);
    assert_eq!(
        said,
        "F\t27\tQuery\t \"copy copied from stdin\"\n\
         B\t11\tCopyInResponse\t \\x00 2 0 0\n\
         F\t10\tCopyData\t 'BBBB'\n\
         F\t10\tCopyData\t 'BBBB'\n\
         F\t4\tCopyDone\n\
         B\t11\tCommandComplete\t \"COPY 2\"\n\
         B\t5\tReadyForQuery\t I\n\
         F\t26\tQuery\t \"copy copied to stdout\"\n\
         B\t11\tCopyOutResponse\t \\x00 2 0 0\n\
         B\t10\tCopyData\t 'BBBB'\n\
         B\t10\tCopyData\t 'BBBB'\n\
         B\t4\tCopyDone\n\
         B\t11\tCommandComplete\t \"COPY 2\"\n\
         B\t5\tReadyForQuery\t I\n\
         F\t32\tFunctionCall\t NNNN 1 1 2 4 '\\x00\\x00\\x00\\x01' 4 '\\x00\\x00\\x00\\x02' 1\n\
         B\t12\tFunctionCallResponse\t 4 '\\x00\\x00\\x00\\x03'\n\
         B\t5\tReadyForQuery\t I\n"
    );
}
