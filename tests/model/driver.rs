//! Starts random operations on a connection, carries bytes in random pieces, and compares what comes with the model.

use pgpoll::conn::Connection;
use pgpoll::engine::{Command, CopyWay, End, Item, Reply, Verdict};
use pgpoll::error::{Error, Family};
use pgpoll::wire::TransactionStatus;
use testkit::dice::Dice;
use testkit::script::{auth_ok, backend_key, parameter, ready};

use crate::expect::{Model, Op, Seen};
use crate::language::{Statement, value};
use crate::server::Server;

/// A COPY that the client has data for.
#[derive(Debug, Clone, Copy)]
struct CopyIn {
    id: u64,
    /// The server refuses it after so many bytes.
    fails_after: Option<usize>,
    put: usize,
}

pub(crate) struct Driver {
    seed: u64,
    loud: bool,
    dice: Dice,
    connection: Connection,
    server: Server,
    model: Model,
    /// Rows of the current result that have come.
    rows: usize,
    /// The last item was rows, to their end.
    ended_rows: bool,
    /// The last operation started has no Sync of its own.
    in_group: bool,
    /// The last operation started has a row limit.
    limited: Option<u64>,
    /// The last operation started is a COPY, whose done was not taken.
    copying: Option<u64>,
    /// The COPY from the client that has begun.
    copy_in: Option<CopyIn>,
    /// Rows of the current COPY to the client that have come.
    copied_out: usize,
    /// Its suspension was taken.
    suspended: bool,
    notified: u64,
    last: u64,
    /// Of the last operation whose done was taken.
    done: u64,
    pub operations: u64,
}

impl Driver {
    /// A connection that is up.
    pub(crate) fn new(seed: u64, loud: bool) -> Self {
        let conninfo = "host=localhost user=model sslmode=disable";
        let mut connection = Connection::open_stream(conninfo);
        connection.poll();
        connection.taken(connection.output().len());
        let mut greeting = auth_ok();
        greeting.extend(parameter("server_version", "18.6"));
        greeting.extend(backend_key(1, b"key!"));
        greeting.extend(ready(b'I'));
        assert_eq!(connection.feed(&greeting), greeting.len());
        assert!(connection.poll().is_idle(), "{}", connection.inspect());
        // As the C face has it, half of the time.
        connection.engine_mut().leave_answers(seed % 2 == 1);
        Self {
            seed,
            loud,
            dice: Dice::new(seed),
            connection,
            server: Server::new(seed),
            model: Model::new(),
            rows: 0,
            ended_rows: false,
            in_group: false,
            limited: None,
            copying: None,
            copy_in: None,
            copied_out: 0,
            suspended: false,
            notified: 0,
            last: 0,
            done: 0,
            operations: 0,
        }
    }

    /// So many steps, and then as many as it takes to come to the end.
    pub(crate) fn run(&mut self, steps: u64) -> u64 {
        for _ in 0..steps {
            self.step();
        }
        let mut more = 0;
        while !self.is_over() {
            more += 1;
            assert!(
                more < 100_000,
                "{} hangs: {}",
                self.name(),
                self.connection.inspect()
            );
            self.end();
        }
        assert!(self.connection.poll().is_idle(), "{}", self.name());
        assert_eq!(self.notified, self.server.notified, "{}", self.name());
        steps + more
    }

    /// What happens, when one seed alone is run.
    fn tell(&self, what: std::fmt::Arguments<'_>) {
        if self.loud {
            testkit::say!("{what}");
        }
    }

    fn name(&self) -> String {
        format!("seed {} (PGPOLL_SEED)", self.seed)
    }

    fn is_over(&mut self) -> bool {
        let nothing_left = self.model.expected.is_empty() && self.server.said.is_empty();
        nothing_left && !self.in_group && self.connection.poll().is_idle()
    }

    fn step(&mut self) {
        match self.dice.below(100) {
            0..30 if self.last - self.done < 40 => self.start(),
            30..36 => self.go_on(),
            36..52 => {
                self.connection.poll();
            }
            52..66 => self.carry_out(),
            66..82 => self.carry_in(),
            82..84 => {
                let (rows, bytes) = (self.dice.below(6), self.dice.below(3) * 50);
                self.connection.set_batch(rows as usize, bytes as usize);
            }
            84..86 => self.take_mail(),
            87..90 => self.copy_on(),
            86..87 if self.in_group => self.connection.engine_mut().flush_request().unwrap(),
            _ => {
                let most = self.dice.below(8);
                self.take(most);
            }
        }
    }

    /// What leads to the end.
    fn end(&mut self) {
        if self.in_group {
            self.sync();
        }
        self.copy_on();
        self.connection.poll();
        self.carry_out();
        self.carry_in();
        self.take(100);
        self.take_mail();
    }

    fn carry_out(&mut self) {
        let most = self.piece();
        let output = self.connection.output();
        let piece = output[..output.len().min(most)].to_vec();
        self.connection.taken(piece.len());
        self.server.hear(&piece);
    }

    fn carry_in(&mut self) {
        let most = self.piece().min(self.server.said.len());
        let said: Vec<u8> = self.server.said.range(..most).copied().collect();
        let taken = self.connection.feed(&said);
        self.server.said.drain(..taken);
    }

    fn piece(&mut self) -> usize {
        match self.dice.below(4) {
            0 => 1,
            1 => self.dice.between(1, 20) as usize,
            2 => self.dice.between(1, 500) as usize,
            _ => usize::MAX,
        }
    }

    fn statement(&mut self) -> Statement {
        match self.dice.below(12) {
            0..5 => Statement::Rows(self.dice.below(9) as usize, self.width()),
            5..7 => Statement::Update(self.dice.below(1000)),
            7..9 => Statement::Begin,
            9 => Statement::Commit,
            10 => Statement::Rollback,
            _ => Statement::Fail,
        }
    }

    fn width(&mut self) -> usize {
        match self.dice.below(20) {
            0 => 0,
            1 => 20_000,
            2 => 70_000,
            _ => self.dice.below(30) as usize,
        }
    }

    fn op(&mut self) -> Op {
        let name = format!("s{}", self.dice.below(4));
        match self.dice.below(21) {
            20 => Op::Copy(self.copy_statements()),
            0..4 => {
                let count = self.dice.below(4);
                Op::Query((0..count).map(|_| self.statement()).collect())
            }
            4..9 => Op::Params(Some(self.statement()), 0),
            9 => Op::Params(None, 0),
            10 | 11 => Op::Params(Some(self.statement()), self.dice.between(1, 5) as usize),
            12 | 13 => Op::Prepare(name, Some(self.statement())),
            14 | 15 => Op::Prepared(name),
            16 => Op::Describe(name),
            17 => Op::Close(name),
            18 => Op::Call(self.dice.between(1, 4) as u32),
            _ => Op::Sync,
        }
    }

    fn start(&mut self) {
        let op = self.op();
        let more = self.dice.percent(40);
        if matches!(op, Op::Sync) {
            return self.sync();
        }
        let simple = matches!(op, Op::Query(_) | Op::Copy(_) | Op::Call(_));
        let limit = matches!(op, Op::Params(_, most) if most > 0);
        let end = if more && !simple {
            End::More
        } else {
            End::Sync
        };
        match self.command(&op, end) {
            Ok(id) => {
                self.tell(format_args!("start {id} {op:?} {end:?}"));
                let refused = self.model.is_suspended()
                    || self.model.is_copying()
                    || (simple && self.in_group);
                assert!(!refused, "{}: {op:?} was not refused", self.name());
                self.started(id);
                self.model.start(id, &op, end == End::More);
                self.in_group = limit || end == End::More;
                self.limited = limit.then_some(id);
                self.copying = matches!(op, Op::Copy(_)).then_some(id);
                self.suspended = false;
            }
            Err(error) => {
                assert_eq!(error.family(), Family::Misuse, "{}: {error}", self.name());
                let busy = self.limited.is_some() || self.copying.is_some();
                let allowed = busy || (simple && self.in_group);
                assert!(allowed, "{}: {op:?}: {error}", self.name());
            }
        }
    }

    fn sync(&mut self) {
        let id = match self.connection.sync() {
            Ok(id) => id,
            Err(error) => {
                assert!(self.copying.is_some(), "{}: {error}", self.name());
                return;
            }
        };
        assert!(!self.model.is_copying(), "{}", self.name());
        self.copying = None;
        if let Some(portal) = self.limited.take() {
            self.model.leave(portal);
        }
        self.started(id);
        self.model.start(id, &Op::Sync, false);
        self.in_group = false;
    }

    /// At most one from the client, and others around it.
    fn copy_statements(&mut self) -> Vec<Statement> {
        let mut statements = Vec::new();
        for _ in 0..self.dice.below(2) {
            statements.push(self.statement());
        }
        if self.dice.percent(50) {
            let fails_after = self.dice.between(1, 3000) as usize;
            statements.push(Statement::CopyIn(
                self.dice.percent(30).then_some(fails_after),
            ));
        }
        for _ in 0..self.dice.below(3) {
            let (rows, width) = (self.dice.below(40) as usize, self.width());
            statements.push(Statement::CopyOut(rows, width, self.dice.percent(10)));
        }
        if self.dice.percent(30) {
            statements.push(self.statement());
        }
        statements
    }

    /// Puts data, ends the putting, takes data: what there is to do.
    fn copy_on(&mut self) {
        let most = self.dice.between(1, 10) as usize;
        for message in self.connection.copy_get(most) {
            while self
                .model
                .copies
                .front()
                .is_some_and(|&(rows, _)| rows == self.copied_out)
            {
                self.model.copies.pop_front();
                self.copied_out = 0;
            }
            let Some(&(_, width)) = self.model.copies.front() else {
                panic!("seed {}: no data is to come, but {message:?}", self.seed);
            };
            let expected = format!("{}\n", value(self.copied_out, width));
            assert_eq!(message, expected.as_bytes(), "seed {}", self.seed);
            self.copied_out += 1;
        }
        let Some(mut copy) = self.copy_in else {
            // Once it has begun, its data is taken, also before the item is.
            if !self.model.is_copying() {
                let refused = self.connection.copy_put(b"x").unwrap_err();
                assert_eq!(refused.family(), Family::Misuse);
            }
            return;
        };
        if self.dice.percent(25) {
            let error = self.dice.percent(30).then_some(&b"enough"[..]);
            if self.connection.copy_end(error).is_ok() {
                let error = error.map(|_| "57014");
                if self.model.is_copying() {
                    self.model.copied(copy.id, error);
                }
            } else {
                assert!(!self.model.is_copying(), "{}", self.name());
            }
            self.copy_in = None;
            return;
        }
        let data = vec![b'd'; self.width()];
        if self.connection.copy_put(&data).is_err() {
            assert!(!self.model.is_copying(), "{}", self.name());
            self.copy_in = None;
            return;
        }
        copy.put += data.len();
        if copy.fails_after.is_some_and(|bytes| copy.put >= bytes) && self.model.is_copying() {
            self.model.copied(copy.id, Some("22P04"));
        }
        self.copy_in = Some(copy);
    }

    fn started(&mut self, id: u64) {
        assert_eq!(id, self.last + 1, "{}", self.name());
        self.last = id;
        self.operations += 1;
    }

    /// Asks the portal that is suspended for more rows.
    fn go_on(&mut self) {
        let Some(portal) = self.limited.filter(|_| self.suspended) else {
            // There is none, or it is not known yet.
            return;
        };
        let most = self.dice.below(4) as usize;
        self.connection
            .engine_mut()
            .continue_portal(most as u32)
            .unwrap();
        self.suspended = false;
        self.model.go_on(portal, most);
    }

    fn command(&mut self, op: &Op, end: End) -> Result<u64, Error> {
        let text = |statement: &Option<Statement>| {
            statement.map_or_else(String::new, |statement| statement.to_string())
        };
        let params: &[Option<&[u8]>] = &[Some(b"one"), None];
        let command =
            |driver: &mut Self, command: Command<'_>| driver.connection.start(command, end);
        match op {
            Op::Copy(statements) => {
                let sql = joined(statements);
                let sql = sql.as_bytes();
                command(self, Command::Copy { sql })
            }
            Op::Query(statements) => {
                let sql = joined(statements);
                let sql = sql.as_bytes();
                command(self, Command::Query { sql })
            }
            Op::Params(statement, most) => command(
                self,
                Command::Params {
                    sql: text(statement).as_bytes(),
                    types: &[],
                    params: &params,
                    format: 0,
                    max_rows: *most as u32,
                },
            ),
            Op::Prepare(name, statement) => command(
                self,
                Command::Prepare {
                    name: name.as_bytes(),
                    sql: text(statement).as_bytes(),
                    types: &[],
                    describe: true,
                },
            ),
            Op::Prepared(name) => command(
                self,
                Command::Prepared {
                    name: name.as_bytes(),
                    params: &params,
                    format: 0,
                    max_rows: 0,
                    describe: false,
                },
            ),
            Op::Describe(name) => command(
                self,
                Command::DescribeStatement {
                    name: name.as_bytes(),
                },
            ),
            Op::Close(name) => command(
                self,
                Command::CloseStatement {
                    name: name.as_bytes(),
                },
            ),
            Op::Call(function) => {
                let function = *function;
                command(
                    self,
                    Command::Call {
                        function,
                        arguments: &params,
                    },
                )
            }
            Op::Sync => command(self, Command::Sync),
        }
    }

    fn take_mail(&mut self) {
        while let Some(notification) = self.connection.take_notification() {
            self.notified += 1;
            let payload = String::from_utf8_lossy(notification.payload()).into_owned();
            assert_eq!(payload, self.notified.to_string(), "{}", self.name());
        }
        while let Some(notice) = self.connection.take_notice() {
            assert_eq!(notice.message(), b"by the way");
        }
    }

    fn take(&mut self, most: u64) {
        for _ in 0..most {
            match self.connection.take() {
                Some(item) => self.compare(&item),
                None => return,
            }
        }
    }

    fn compare(&mut self, item: &Item) {
        let name = self.name();
        self.tell(format_args!("{} {:?}", item.operation, item.reply));
        let Some((id, expected)) = self.model.expected.front().cloned() else {
            panic!("{name}: nothing is to come, but {item:?}");
        };
        assert_eq!(item.operation, id, "{name}: {item:?} for {expected:?}");
        let reply = &item.reply;
        // Batches that came out even have an empty one behind them.
        let empty = matches!(reply, Reply::Rows(batch) if batch.rows() == 0);
        if empty && !matches!(expected, Seen::Rows(..)) && self.ended_rows {
            return;
        }
        let matches = match (&expected, reply) {
            (Seen::Rows(first, end, width), Reply::Rows(batch)) => {
                for row in 0..batch.rows() {
                    let wanted = value(first + self.rows + row, *width);
                    assert_eq!(batch.value(row, 0), Some(wanted.as_bytes()), "{name}");
                }
                self.rows += batch.rows();
                if self.rows < end - first {
                    return;
                }
                self.rows == end - first
            }
            (Seen::Complete(tag), Reply::Complete(found)) => found.as_bytes() == tag.as_bytes(),
            (Seen::Empty, Reply::EmptyQuery) | (Seen::Skipped, Reply::Skipped) => true,
            (Seen::Suspended, Reply::Suspended) => {
                self.suspended = self.limited == Some(id);
                true
            }
            (Seen::Error(sqlstate), Reply::Error(error)) => {
                let found = error.server_error().and_then(|error| error.sqlstate());
                found == Some(sqlstate.as_bytes())
            }
            (Seen::Described(columns), Reply::Described { columns: found, .. }) => {
                *columns == found.is_some()
            }
            (Seen::Copy(way, fails_after), Reply::Copy(found)) => {
                if *way == CopyWay::In {
                    self.copy_in = Some(CopyIn {
                        id,
                        fails_after: *fails_after,
                        put: 0,
                    });
                }
                *way == found.way
            }
            (Seen::Called(value), Reply::Called(found)) => value.as_deref() == found.value(0, 0),
            (Seen::Done(outcome, status), Reply::Done(done)) => {
                let usable = match status {
                    Some(TransactionStatus::Idle) => done.verdict == Verdict::Clean,
                    _ => done.verdict == Verdict::InTransaction,
                };
                self.done = id;
                if self.copying == Some(id) {
                    self.copying = None;
                    self.copy_in = None;
                }
                if self.limited == Some(id) && !self.model.is_suspended() {
                    self.suspended = false;
                }
                done.outcome == *outcome
                    && status.is_none_or(|status| status == done.transaction)
                    && usable
            }
            _ => false,
        };
        assert!(matches, "{name}: {reply:?} where {expected:?} was expected");
        self.rows = 0;
        self.ended_rows = matches!(expected, Seen::Rows(..));
        self.model.expected.pop_front();
    }
}

fn joined(statements: &[Statement]) -> String {
    let texts: Vec<String> = statements.iter().map(Statement::to_string).collect();
    texts.join("; ")
}
