//! The row store against a plain model that copies: the same rows, however the bytes are split, batched and sealed.
//!
//! `PGPOLL_SEED=…` runs one case again; `PGPOLL_CASES=…` says how many are run.
#![allow(clippy::unwrap_used, clippy::panic)]

mod memory;

use std::sync::Arc;
use std::time::Instant;

use memory::{Dice, VAST, complete, describe, feed_split, ready, row, sent, up};
use pgpoll::engine::{Engine, Outcome, Reply, Room};
use pgpoll::rows::{Batch, CHUNK, Columns, Gather, LOOK_ASIDE, Limits, Raw, WIDE};

/// The values of a row; `None` is NULL.
type Row = Vec<Option<Vec<u8>>>;

/// A result as it should come out.
struct Model {
    columns: usize,
    limits: Limits,
    rows: Vec<Row>,
}

impl Model {
    fn random(dice: &mut Dice) -> Self {
        let columns = match dice.below(20) {
            0 => 0,
            1 => 40 + dice.below(60),
            _ => 1 + dice.below(8),
        };
        let rows = match dice.below(8) {
            0 => 0,
            1 => 1,
            2 => dice.below(400),
            _ => dice.below(40),
        };
        let limits = Limits {
            rows: if dice.once_in(2) {
                usize::MAX
            } else {
                1 + dice.below(12)
            },
            bytes: if dice.once_in(2) {
                usize::MAX
            } else {
                1 + dice.below(9000)
            },
        };
        let mut left = 200_000; // bytes: keeps a case short
        let rows = (0..rows)
            .map(|_| (0..columns).map(|_| value(dice, &mut left)).collect())
            .collect();
        Self {
            columns,
            limits,
            rows,
        }
    }

    /// Appends the messages of the result; what a server may say at any moment stands between them.
    fn write(&self, out: &mut Vec<u8>, dice: &mut Dice) {
        describe(out, self.columns);
        for values in &self.rows {
            if dice.once_in(50) {
                out.extend_from_slice(b"S\0\0\0\x0fTimeZone\0X\0");
            }
            let values: Vec<_> = values.iter().map(Option::as_deref).collect();
            row(out, &values);
        }
        complete(out, "SELECT 0");
    }
}

fn value(dice: &mut Dice, left: &mut usize) -> Option<Vec<u8>> {
    let len = match dice.below(200) {
        0..40 => return None,
        40..60 => 0,
        60..190 => dice.below(20),
        190..199 => dice.below(3000),
        _ => 60_000 + dice.below(12_000),
    };
    if len > *left {
        return Some(vec![b'.']);
    }
    *left -= len;
    // All bytes, NUL too: binary values have them.
    let mut value = Vec::with_capacity(len + 8);
    while value.len() < len {
        value.extend_from_slice(&dice.next().to_ne_bytes());
    }
    value.truncate(len);
    Some(value)
}

/// All batches of a result, held until the end and then compared.
fn check(model: &Model, batches: &[Batch]) {
    assert!(!batches.is_empty(), "an empty result is one empty batch");
    let mut rows = model.rows.iter();
    for (number, batch) in batches.iter().enumerate() {
        assert!(batch.rows() <= model.limits.rows);
        assert!(batch.rows() > 0 || number + 1 == batches.len());
        let body = |row: &Row| {
            2 + row
                .iter()
                .map(|v| 4 + v.as_ref().map_or(0, Vec::len))
                .sum::<usize>()
        };
        let first = model.rows.len() - rows.len();
        for at in 0..batch.rows() {
            same(batch, at, rows.next().unwrap());
        }
        let held: usize = model.rows[first..first + batch.rows()]
            .iter()
            .map(body)
            .sum();
        let last = batch
            .rows()
            .checked_sub(1)
            .map_or(0, |at| body(&model.rows[first + at]));
        assert!(
            held - last < model.limits.bytes,
            "a batch ends with the row that fills it"
        );
        outside(batch);
        addressed_by_hand(batch);
    }
    assert!(rows.next().is_none(), "rows are missing");
}

fn same(batch: &Batch, at: usize, row: &Row) {
    assert_eq!(batch.columns().len(), row.len());
    for (column, expected) in row.iter().enumerate() {
        assert_eq!(
            batch.value(at, column),
            expected.as_deref(),
            "row {at}, column {column}"
        );
        let with_nul = batch.value_with_nul(at, column);
        assert_eq!(
            with_nul.map(|value| value.split_last().unwrap()),
            expected.as_deref().map(|value| (&0, value)),
            "row {at}, column {column} ends with NUL"
        );
    }
}

/// What lies outside is nothing, and no panic.
fn outside(batch: &Batch) {
    let (rows, columns) = (batch.rows(), batch.columns().len());
    for (row, column) in [(rows, 0), (0, columns), (usize::MAX, 0), (0, usize::MAX)] {
        assert_eq!(batch.value(row, column), None);
        assert_eq!(batch.value_with_nul(row, column), None);
    }
    for (_, block) in batch.blocks() {
        assert_eq!(block.value(block.rows(), 0), None);
        assert_eq!(block.value(usize::MAX, 0), None);
        assert_eq!(block.value(0, columns), None);
    }
}

/// The C border reads cells through the raw parts: the same answers.
fn addressed_by_hand(batch: &Batch) {
    let mut first = 0;
    for (start, block) in batch.blocks() {
        assert_eq!(start, first);
        first += block.rows();
        let raw = block.raw();
        for row in 0..raw.rows {
            for column in 0..batch.columns().len() {
                assert_eq!(by_hand(&raw, row, column), batch.value(start + row, column));
            }
        }
    }
    assert_eq!(first, batch.rows());
}

fn by_hand<'a>(raw: &Raw<'a>, row: usize, column: usize) -> Option<&'a [u8]> {
    let entry = &raw.index[row * raw.stride..(row + 1) * raw.stride];
    let start = u32::from_ne_bytes(entry[..4].try_into().unwrap());
    let word = |at: usize| u32::from_be_bytes(raw.data[at - 4..at].try_into().unwrap());
    let aside = |at: usize| {
        let found = raw.aside.iter().find(|(place, _)| *place as usize == at);
        found.map(|(_, len)| *len as usize)
    };
    let length = |at: usize| match word(at) {
        LOOK_ASIDE => aside(at),
        length => Some(length as usize),
    };
    let at = if start & WIDE != 0 {
        let mut at = (start & !WIDE) as usize + 6;
        for _ in 0..column {
            at += length(at).unwrap_or(0) + 4;
        }
        at
    } else if column == 0 {
        start as usize + 6
    } else {
        let cell = entry[2 + 2 * column..4 + 2 * column].try_into().unwrap();
        start as usize + usize::from(u16::from_ne_bytes(cell))
    };
    length(at).map(|len| &raw.data[at..at + len])
}

/// How many cases, and from which seed on.
fn cases(usual: u64) -> impl Iterator<Item = u64> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    match number("PGPOLL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("PGPOLL_CASES").unwrap_or(usual),
    }
}

/// Says which seed failed.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with PGPOLL_SEED={}", self.0);
        }
    }
}

#[test]
fn through_the_engine() {
    let begun = Instant::now();
    let mut rows = 0;
    let mut count = 0;
    for seed in cases(700) {
        let _seed = Seed(seed);
        rows += engine_case(&mut Dice(seed));
        count += 1;
    }
    println!("{count} cases, {rows} rows in {:?}", begun.elapsed());
}

/// Some results on one connection: its later chunks are used ones.
fn engine_case(dice: &mut Dice) -> usize {
    let small = Room {
        items: 1 + dice.below(4),
        ahead: dice.below(8),
        bytes: 1 + dice.below(20_000),
        inbox: usize::MAX,
    };
    let mut engine = up(if dice.once_in(2) { VAST } else { small });
    let models: Vec<Model> = (0..1 + dice.below(3))
        .map(|_| Model::random(dice))
        .collect();
    let mut stream = Vec::new();
    for model in &models {
        engine.set_limits(model.limits);
        let sql = b"table t";
        engine
            .start(
                pgpoll::engine::Command::Query { sql },
                pgpoll::engine::End::Sync,
            )
            .unwrap();
        model.write(&mut stream, dice);
        ready(&mut stream);
    }
    sent(&mut engine);
    let results = receive(&mut engine, &stream, dice);
    assert_eq!(results.len(), models.len());
    // The batches outlive the connection, and what it did with its chunks since.
    drop(engine);
    for (model, batches) in models.iter().zip(&results) {
        check(model, batches);
    }
    models.iter().map(|model| model.rows.len()).sum()
}

/// Feeds the stream as some network would, takes as some caller would; the batches of each result.
fn receive(engine: &mut Engine, mut stream: &[u8], dice: &mut Dice) -> Vec<Vec<Batch>> {
    let most = match dice.below(4) {
        0 if stream.len() < 2000 => 1,
        0 | 1 => 100,
        2 => 5000,
        _ => 1_000_000,
    };
    let lazy = dice.once_in(2);
    let mut results = vec![Vec::new()];
    while !stream.is_empty() || engine.queued() > 0 || engine.has_item() {
        let need = engine.advance(3, 1 + dice.below(100_000));
        if need.read && !stream.is_empty() {
            let count = (1 + dice.below(most)).min(stream.len());
            let count = engine.feed(&stream[..count]);
            assert!(count > 0, "room is never empty");
            stream = &stream[count..];
        } else {
            assert!(
                need.runnable || engine.has_item(),
                "nothing to do: {}",
                engine.inspect(3)
            );
        }
        if lazy && !dice.once_in(9) && need.read {
            continue;
        }
        while let Some(item) = engine.take() {
            match item.reply {
                Reply::Rows(batch) => results.last_mut().unwrap().push(batch),
                Reply::Complete(_) => {}
                Reply::Done(done) => {
                    assert_eq!(done.outcome, Outcome::Ok);
                    results.push(Vec::new());
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(engine.error().is_none());
    assert_eq!(results.pop().map(|rest| rest.len()), Some(0));
    results
}

#[test]
fn sealed_at_any_row() {
    let begun = Instant::now();
    let mut count = 0;
    for seed in cases(2000) {
        let _seed = Seed(seed);
        gather_case(&mut Dice(seed ^ 0x5EA1));
        count += 1;
    }
    println!("{count} cases in {:?}", begun.elapsed());
}

/// The store by itself: rows in chunks that are kept, copied or left at any moment.
fn gather_case(dice: &mut Dice) {
    let model = Model::random(dice);
    let mut described = Vec::new();
    describe(&mut described, model.columns);
    let columns = Arc::new(Columns::read(&described[5..]).unwrap());
    let mut gather = Gather::new();
    gather.begin(columns, Some(1));
    let mut batches = Vec::new();
    // Bytes that mean nothing before the first row, and a byte behind the last one.
    let mut chunk = vec![0xAA; dice.below(50)];
    for values in &model.rows {
        let values: Vec<_> = values.iter().map(Option::as_deref).collect();
        let start = chunk.len() + 5;
        row(&mut chunk, &values);
        chunk[start - 5] = 0; // the tag has been looked at
        let len = chunk.len() - start;
        chunk.push(0xAA);
        gather.row(&mut chunk, start, len).unwrap();
        if gather.is_full(model.limits) {
            batches.push(gather.batch(&chunk).unwrap().unwrap());
            begin_again(&mut gather, &batches, dice);
        }
        match dice.below(12) {
            0 if gather.in_chunk() > 0 => gather.keep(std::mem::take(&mut chunk)).unwrap(),
            1 => {
                gather.copy(&chunk).unwrap();
                chunk.fill(0x55);
                chunk.clear();
            }
            // A message that is no row.
            2 => {
                chunk.pop();
                chunk.extend_from_slice(b"\0\0\0\0\x04");
            }
            _ => {
                chunk.pop();
            }
        }
    }
    if gather.rows() > 0 || batches.is_empty() {
        batches.push(gather.batch(&chunk).unwrap().unwrap());
    }
    chunk.fill(0x55);
    for batch in &batches {
        assert!((0..batch.columns().len()).all(|column| batch.format(column) == 1));
    }
    check(&model, &batches);
}

/// A batch leaves the result open; now and then it is begun again, as after a suspended portal.
fn begin_again(gather: &mut Gather, batches: &[Batch], dice: &mut Dice) {
    assert!(gather.is_open() && gather.rows() == 0 && gather.bytes() == 0);
    if dice.once_in(3) {
        gather.begin(batches[0].columns().clone(), Some(1));
    }
}

/// Around the length that looks like "see the list", each value alone, in the middle and last, beside NULLs.
#[test]
fn values_of_sixteen_megabytes() {
    const EDGE: usize = 16_777_215;
    let zeroes = vec![0xFF_u8; EDGE + 2];
    for (len, limits) in [
        (EDGE - 1, Limits::NONE),
        (EDGE, Limits::NONE),
        (
            EDGE + 1,
            Limits {
                rows: 1,
                bytes: usize::MAX,
            },
        ),
        (
            EDGE + 2,
            Limits {
                rows: usize::MAX,
                bytes: 1,
            },
        ),
    ] {
        let big = Some(zeroes[..len].to_vec());
        let small = Some(b"small".to_vec());
        let model = Model {
            columns: 3,
            limits,
            rows: vec![
                vec![None, small.clone(), None],
                vec![None, big.clone(), None],
                vec![small.clone(), None, big],
                vec![None, None, small],
            ],
        };
        let mut engine = up(VAST);
        engine.set_limits(limits);
        let sql = b"table t";
        engine
            .start(
                pgpoll::engine::Command::Query { sql },
                pgpoll::engine::End::Sync,
            )
            .unwrap();
        let mut stream = Vec::new();
        let mut dice = Dice(1);
        model.write(&mut stream, &mut dice);
        ready(&mut stream);
        feed_split(&mut engine, &stream, |_| CHUNK * 40);
        let mut batches = Vec::new();
        for reply in memory::take_all(&mut engine) {
            if let Reply::Rows(batch) = reply {
                batches.push(batch);
            }
        }
        check(&model, &batches);
    }
}
