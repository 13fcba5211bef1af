//! Function calls and large objects, and replies that cannot be true.

use pgpoll::engine::{LO_READ, LO_WRITE, LargeObject};

use super::query;
use crate::script::{Script, complete, error, ready, returned};
use crate::sim::{Act, FILE, FILE_PIECE, Session, What};

const PIECE: u32 = pgpoll::engine::PIECE as u32;
const OID: u32 = 4_000_000_000;

/// All of them.
pub(super) fn all() -> Vec<Session> {
    vec![
        calls(),
        large_object(),
        untrue(),
        import(),
        import_in_a_block(),
        import_refused(),
        import_lost(),
        export(),
        export_untrue(),
    ]
}

/// A call that returns something, and an import.
pub(super) fn each_kind() -> Vec<Session> {
    vec![calls(), import()]
}

fn start(what: LargeObject<'static>) -> Act {
    Act::Start(What::LargeObject(what))
}

impl Script {
    /// What a large object's function returns, as a number of 4 bytes, in a transaction of that status.
    fn number(self, number: u32, status: u8) -> Self {
        self.send(returned(Some(&number.to_be_bytes())))
            .send(ready(status))
    }

    fn begun(self) -> Self {
        self.query("BEGIN")
            .send(complete("BEGIN"))
            .send(ready(b'T'))
    }

    fn ended(self, sql: &str) -> Self {
        self.query(sql).send(complete(sql)).send(ready(b'I'))
    }

    fn create(self) -> Self {
        self.call(715, &[Some(&OID.to_be_bytes())])
    }

    fn open(self, mode: i32) -> Self {
        self.call(952, &[Some(&OID.to_be_bytes()), Some(&mode.to_be_bytes())])
    }

    fn close_object(self) -> Self {
        self.call(953, &[Some(&[0, 0, 0, 3])])
    }

    fn read(self, length: u32) -> Self {
        self.call(954, &[Some(&[0, 0, 0, 3]), Some(&length.to_be_bytes())])
    }

    fn write(self, data: &[u8]) -> Self {
        self.call(955, &[Some(&[0, 0, 0, 3]), Some(data)])
    }

    /// All pieces of the file, and the close.
    fn take_file(self, status: u8) -> Self {
        let pieces = FILE.chunks(FILE_PIECE);
        let script = pieces.fold(self, |script, piece| {
            script.write(piece).number(piece.len() as u32, status)
        });
        script.close_object().number(0, status)
    }

    /// Everything that is right goes on.
    fn still_good(self) -> Self {
        self.ended("COMMIT")
    }
}

fn calls() -> Session {
    let two = [Some(vec![0, 0, 0, 20]), Some(vec![0, 0, 0, 22])];
    let call = What::Call {
        function: 177,
        arguments: two.to_vec(),
    };
    let nothing = What::Call {
        function: 177,
        arguments: vec![Some(Vec::new()), None],
    };
    let script = Script::trusting()
        .call(177, &[Some(&[0, 0, 0, 20]), Some(&[0, 0, 0, 22])])
        .call(177, &[Some(b""), None])
        .call(177, &[Some(b""), None])
        .number(42, b'I')
        .send(returned(None))
        .send(ready(b'I'))
        .send(error("ERROR", "22P03", "incorrect binary data format"))
        .send(ready(b'I'));
    let acts = vec![
        Act::Start(call),
        Act::Start(nothing.clone()),
        Act::Start(nothing),
        Act::Wait,
    ];
    Session::new("function calls", script, acts)
}

fn large_object() -> Session {
    let far = 5_i64 << 32;
    let fd_word = &[0, 0, 0, 3][..];
    let script = Script::trusting()
        .begun()
        .create()
        .open(LO_READ | LO_WRITE)
        .number(OID, b'T')
        .number(3, b'T')
        .write(b"data")
        .call(
            3170,
            &[
                Some(fd_word),
                Some(&i64::to_be_bytes(far)),
                Some(&[0, 0, 0, 1]),
            ],
        )
        .call(3171, &[Some(&[0, 0, 0, 3])])
        .call(3172, &[Some(fd_word), Some(&i64::to_be_bytes(2))])
        .read(100)
        .close_object()
        .call(964, &[Some(&OID.to_be_bytes())])
        .number(4, b'T')
        .send(returned(Some(&i64::to_be_bytes(far + 4))))
        .send(ready(b'T'))
        .send(returned(Some(&i64::to_be_bytes(far + 4))))
        .send(ready(b'T'))
        .number(0, b'T')
        .send(returned(Some(b"da")))
        .send(ready(b'T'))
        .number(0, b'T')
        .number(1, b'T')
        .still_good();
    let fd = 3;
    let acts = vec![
        Act::Start(query("BEGIN")),
        Act::Wait,
        start(LargeObject::Create { oid: OID }),
        start(LargeObject::Open {
            oid: OID,
            mode: LO_READ | LO_WRITE,
        }),
        Act::Wait,
        start(LargeObject::Write { fd, data: b"data" }),
        start(LargeObject::Seek {
            fd,
            offset: far,
            whence: 1,
        }),
        start(LargeObject::Tell { fd }),
        start(LargeObject::Truncate { fd, length: 2 }),
        start(LargeObject::Read { fd, length: 100 }),
        start(LargeObject::Close { fd }),
        start(LargeObject::Unlink { oid: OID }),
        Act::Wait,
        Act::Start(query("COMMIT")),
        Act::Wait,
    ];
    Session::new("the calls of a large object", script, acts)
}

/// Of replies that the functions cannot have made each costs its operation, and no more.
fn untrue() -> Session {
    let fd = 3;
    let script = Script::trusting()
        .read(2)
        .call(3171, &[Some(&[0, 0, 0, 3])])
        .open(LO_READ)
        .open(LO_READ)
        .write(b"data")
        .send(returned(Some(b"more")))
        .send(ready(b'I'))
        .number(7, b'I')
        .send(returned(None))
        .send(ready(b'I'))
        .number(u32::MAX, b'I')
        .number(5, b'I')
        .still_good();
    let (oid, mode) = (OID, LO_READ);
    let acts = vec![
        start(LargeObject::Read { fd, length: 2 }),
        start(LargeObject::Tell { fd }),
        start(LargeObject::Open { oid, mode }),
        start(LargeObject::Open { oid, mode }),
        start(LargeObject::Write { fd, data: b"data" }),
        Act::Wait,
        Act::Start(query("COMMIT")),
        Act::Wait,
    ];
    Session::new("replies that no function has made", script, acts)
}

fn moves(name: &str, script: Script, what: What) -> Session {
    let acts = vec![
        Act::Start(what),
        Act::Wait,
        Act::Start(query("COMMIT")),
        Act::Wait,
    ];
    Session::new(name, script.still_good(), acts)
}

/// A server that has answered the Sync with which an import or export begins.
fn asked(status: u8) -> Script {
    Script::trusting().sync().send(ready(status))
}

fn import() -> Session {
    let script = asked(b'I')
        .begun()
        .create()
        .number(OID, b'T')
        .open(LO_WRITE)
        .number(3, b'T')
        .take_file(b'T')
        .ended("COMMIT");
    moves("an import", script, What::Import(OID))
}

fn import_in_a_block() -> Session {
    let script = asked(b'T')
        .create()
        .number(OID, b'T')
        .open(LO_WRITE)
        .number(3, b'T')
        .take_file(b'T');
    moves("an import in a block", script, What::Import(OID))
}

/// The second piece is refused: nothing of it remains.
fn import_refused() -> Session {
    let mut pieces = FILE.chunks(FILE_PIECE);
    let mut next = || pieces.next().unwrap();
    let aborted = "current transaction is aborted, commands ignored until end of transaction block";
    let script = asked(b'I')
        .begun()
        .create()
        .number(OID, b'T')
        .open(LO_WRITE)
        .number(3, b'T')
        .write(next())
        .write(next())
        .number(FILE_PIECE as u32, b'T')
        .write(next())
        .send(error("ERROR", "53100", "could not extend file"))
        .send(ready(b'E'))
        .send(error("ERROR", "25P02", aborted))
        .send(ready(b'E'))
        .ended("ROLLBACK");
    moves("an import that is refused", script, What::Import(OID))
}

fn import_lost() -> Session {
    let script = asked(b'I')
        .begun()
        .create()
        .number(OID, b'T')
        .open(LO_WRITE)
        .number(3, b'T')
        .write(&FILE[..FILE_PIECE])
        .close();
    moves("an import whose server is gone", script, What::Import(OID))
}

fn export() -> Session {
    let script = asked(b'I')
        .begun()
        .open(LO_READ)
        .number(3, b'T')
        .read(PIECE)
        .read(PIECE)
        .send(returned(Some(b"all that there is")))
        .send(ready(b'T'))
        .send(returned(Some(b"")))
        .send(ready(b'T'))
        .close_object()
        .number(0, b'T')
        .ended("COMMIT");
    moves("an export", script, What::Export(OID))
}

/// More than was asked for.
fn export_untrue() -> Session {
    let script = asked(b'I')
        .begun()
        .open(LO_READ)
        .send(returned(Some(&[0; 8])))
        .send(ready(b'T'))
        .ended("ROLLBACK");
    moves("an export of what is none", script, What::Export(OID))
}
