//! Operations whose answers are known. Knows SQL, and what rows must come of it.

use pgpoll::conn::Connection;
use pgpoll::engine::{Command, End, Reply};
use pgpoll::error::Error;

/// SplitMix64.
#[derive(Debug, Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// One of `0..end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % end
    }
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Work {
    /// A number and so many letters, in a simple query.
    Simple(u64, u64),
    /// The same as parameters that come back.
    Echo(u64, u64),
    /// The numbers from 1 on.
    Series(u64),
    /// A parameter of so many bytes.
    Large(u64),
    /// A statement that fails.
    Fails,
    /// One that takes longer than its deadline.
    Sleep,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    rows: u64,
    /// Of all values: length, and the sum of the bytes.
    length: u64,
    sum: u64,
}

impl Work {
    pub(crate) fn drawn(dice: &mut Dice) -> Work {
        match dice.below(20) {
            0..8 => Work::Simple(dice.below(1_000_000_000), dice.below(200)),
            8..14 => Work::Echo(dice.below(1_000_000_000), dice.below(2000)),
            14..17 => Work::Series(dice.below(500)),
            17 => Work::Series(5000 + dice.below(5000)),
            18 => Work::Large(dice.below(300_000)),
            _ => Work::Fails,
        }
    }

    /// Starts it; its number.
    pub(crate) fn start(&self, conn: &mut Connection) -> Result<u64, Error> {
        match *self {
            Work::Simple(number, letters) => {
                conn.start_query(format!("select {number}, repeat('x', {letters})"))
            }
            Work::Echo(number, letters) => {
                let (number, letters) = (number.to_string(), "y".repeat(letters as usize));
                params(
                    conn,
                    "select $1::text, $2::text",
                    &[number.as_bytes(), letters.as_bytes()],
                )
            }
            Work::Series(end) => conn.start_query(format!("select generate_series(1, {end})")),
            Work::Large(size) => {
                let large = vec![b'p'; size as usize];
                params(conn, "select length($1::text)", &[&large])
            }
            Work::Fails => conn.start_query("select 1/0"),
            Work::Sleep => conn.start_query("select pg_sleep(30)"),
        }
    }

    /// Whether the answer is right.
    pub(crate) fn is_right(&self, seen: &Seen) -> bool {
        let mut expected = Seen::default();
        match *self {
            Work::Simple(number, letters) => {
                expected.add(number.to_string().as_bytes());
                expected.add("x".repeat(letters as usize).as_bytes());
                expected.rows = 1;
            }
            Work::Echo(number, letters) => {
                expected.add(number.to_string().as_bytes());
                expected.add("y".repeat(letters as usize).as_bytes());
                expected.rows = 1;
            }
            Work::Series(end) => {
                (1..=end).for_each(|number| expected.add(number.to_string().as_bytes()));
                expected.rows = end;
            }
            Work::Large(size) => {
                expected.add(size.to_string().as_bytes());
                expected.rows = 1;
            }
            Work::Fails | Work::Sleep => return false,
        }
        (expected.rows, expected.length, expected.sum) == (seen.rows, seen.length, seen.sum)
    }
}

fn params(conn: &mut Connection, sql: &str, values: &[&[u8]]) -> Result<u64, Error> {
    let values: Vec<Option<&[u8]>> = values.iter().copied().map(Some).collect();
    let command = Command::Params {
        sql: sql.as_bytes(),
        types: &[],
        params: &&values[..],
        format: 0,
        max_rows: 0,
    };
    conn.start(command, End::Sync)
}

impl Seen {
    /// One more item.
    pub(crate) fn look(&mut self, reply: &Reply) {
        if let Reply::Rows(batch) = reply {
            self.rows += batch.rows() as u64;
            for row in 0..batch.rows() {
                for column in 0..batch.columns().len() {
                    self.add(batch.value(row, column).unwrap());
                }
            }
        }
    }

    fn add(&mut self, value: &[u8]) {
        self.length += value.len() as u64;
        self.sum += value.iter().map(|&byte| u64::from(byte)).sum::<u64>();
    }
}
