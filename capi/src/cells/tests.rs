//! The accessors against the checked way, on random batches of every shape.
#![allow(clippy::unwrap_used)]

use std::ffi::CStr;
use std::sync::Arc;

use pgpoll::rows::{Batch, Columns, Gather};

use super::*;
use crate::result::{self, Content, conn_result_columns, conn_result_free, conn_result_rows};

type Row = Vec<Option<Vec<u8>>>;

/// Rows in several blocks: `keeps` says of each whether it takes over its chunk or is copied.
fn batch(columns: usize, blocks: &[(bool, Vec<Row>)]) -> Batch {
    let mut description = (columns as u16).to_be_bytes().to_vec();
    for column in 0..columns {
        description.extend(format!("c{column}\0").into_bytes());
        description.extend([0; 18]);
    }
    let described = Arc::new(Columns::read(&description).unwrap());
    let mut gather = Gather::new();
    gather.begin(described, None);
    for (keeps, rows) in blocks {
        let mut chunk = vec![0xee; 7];
        let mut bodies = Vec::new();
        for row in rows {
            // What the reader leaves of the message's head: its tag has been taken out.
            chunk.extend([0, 9, 9, 9, 9]);
            let start = chunk.len();
            chunk.extend((row.len() as u16).to_be_bytes());
            for value in row {
                match value {
                    None => chunk.extend((-1_i32).to_be_bytes()),
                    Some(value) => {
                        chunk.extend((value.len() as u32).to_be_bytes());
                        chunk.extend(value);
                    }
                }
            }
            bodies.push((start, chunk.len() - start));
        }
        chunk.push(b'D');
        for (start, len) in bodies {
            gather.row(&mut chunk, start, len).unwrap();
        }
        if *keeps {
            gather.keep(chunk).unwrap();
        } else {
            gather.copy(&chunk).unwrap();
        }
    }
    gather.batch(&[]).unwrap().unwrap()
}

/// Reads everything in every way and compares.
fn check(columns: usize, blocks: &[(bool, Vec<Row>)], order: &mut Random) {
    let expected: Vec<&Row> = blocks.iter().flat_map(|(_, rows)| rows).collect();
    let batch = batch(columns, blocks);
    assert_eq!(batch.rows(), expected.len());
    let result = result::give(Content::Rows(batch)).unwrap();
    // SAFETY: the result is alive up to the last line.
    unsafe {
        assert_eq!(conn_result_rows(result), expected.len());
        assert_eq!(conn_result_columns(result), columns);
        for (row, cells) in expected.iter().enumerate() {
            for column in 0..columns {
                compare(result, row, column, cells[column].as_deref());
            }
        }
        for _ in 0..expected.len().min(2_000) * usize::from(columns > 0) {
            let (row, column) = (order.below(expected.len()), order.below(columns));
            compare(result, row, column, expected[row][column].as_deref());
        }
        for (row, column) in [
            (expected.len(), 0),
            (0, columns),
            (usize::MAX, 0),
            (0, usize::MAX),
            (usize::MAX, usize::MAX),
        ] {
            compare(result, row, column, None);
        }
        for (first, count) in [
            (0, expected.len() + 5),
            (order.below(expected.len() + 1), order.below(50)),
            (expected.len(), 1),
            (usize::MAX, usize::MAX),
        ] {
            compare_cells(result, first, count, columns, &expected);
        }
        conn_result_free(result);
    }
}

unsafe fn compare(result: *const ConnResult, row: usize, column: usize, expected: Option<&[u8]>) {
    // SAFETY: the caller's promise.
    unsafe {
        let value = conn_result_value(result, row, column);
        let length = conn_result_length(result, row, column);
        assert_eq!(
            conn_result_is_null(result, row, column),
            std::ffi::c_int::from(expected.is_none())
        );
        compare_value(value, length, expected, (row, column));
    }
}

unsafe fn compare_value(
    value: *const c_char,
    length: usize,
    expected: Option<&[u8]>,
    place: (usize, usize),
) {
    let Some(expected) = expected else {
        assert!(value.is_null() && length == 0, "{place:?}");
        return;
    };
    assert!(!value.is_null(), "{place:?}");
    assert_eq!(length, expected.len(), "{place:?}");
    // SAFETY: a value and the NUL behind it.
    let found = unsafe { std::slice::from_raw_parts(value.cast::<u8>(), length + 1) };
    assert!(found[..length] == *expected, "{place:?}");
    assert_eq!(found[length], 0, "{place:?}: a NUL follows");
}

unsafe fn compare_cells(
    result: *const ConnResult,
    first: usize,
    count: usize,
    columns: usize,
    expected: &[&Row],
) {
    let room = count.min(expected.len() + 8) * columns + 1;
    let mut values = vec![c"untouched".as_ptr(); room];
    let mut lengths = vec![usize::MAX; room];
    // SAFETY: there is room for the rows that the result has.
    let filled = unsafe {
        conn_result_cells(
            result,
            first,
            count,
            values.as_mut_ptr(),
            lengths.as_mut_ptr(),
        )
    };
    assert_eq!(filled, count.min(expected.len().saturating_sub(first)));
    for row in 0..filled {
        for column in 0..columns {
            let at = row * columns + column;
            let expected = expected[first + row][column].as_deref();
            // SAFETY: filled from the result.
            unsafe { compare_value(values[at], lengths[at], expected, (first + row, column)) };
        }
    }
    let behind = filled * columns;
    // SAFETY: a C string of this test.
    let text = unsafe { CStr::from_ptr(values[behind]) };
    assert_eq!((text, lengths[behind]), (c"untouched", usize::MAX));
}

/// xorshift64: the same rows in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        if end == 0 {
            0
        } else {
            (self.0 % end as u64) as usize
        }
    }

    fn value(&mut self) -> Option<Vec<u8>> {
        let length = match self.below(20) {
            0..4 => return None,
            4..7 => 0,
            7..18 => self.below(40),
            18 => self.below(3_000),
            _ => 60_000 + self.below(12_000),
        };
        let byte = self.below(256) as u8;
        Some((0..length).map(|at| byte.wrapping_add(at as u8)).collect())
    }

    fn rows(&mut self, columns: usize, most: usize) -> Vec<Row> {
        let count = 1 + self.below(most);
        (0..count)
            .map(|_| (0..columns).map(|_| self.value()).collect())
            .collect()
    }
}

#[test]
fn random_batches_read_the_same_by_every_accessor() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..120 {
        let columns = random.below(9);
        let blocks: Vec<_> = (0..1 + round % 6)
            .map(|_| (random.below(2) == 0, random.rows(columns, 30)))
            .collect();
        check(columns, &blocks, &mut random);
    }
}

#[test]
fn one_column_and_a_thousand_columns() {
    let mut random = Random(77);
    for columns in [1, 2, 1_000] {
        let blocks = [
            (true, random.rows(columns, 5)),
            (false, random.rows(columns, 5)),
        ];
        check(columns, &blocks, &mut random);
    }
}

#[test]
fn values_whose_length_needs_the_fourth_byte() {
    let mut random = Random(5);
    let sizes = [0x00ff_fffe, 0x00ff_ffff, 0x0100_0000, 0x0100_0001];
    let mut huge: Row = sizes.iter().map(|&size| Some(vec![b'x'; size])).collect();
    huge.insert(2, None);
    huge.push(Some(b"last".to_vec()));
    let small: Row = vec![
        None,
        Some(b"a".to_vec()),
        None,
        Some(Vec::new()),
        None,
        None,
    ];
    for keeps in [true, false] {
        let blocks = [
            (true, vec![small.clone()]),
            (keeps, vec![small.clone(), huge.clone(), small.clone()]),
        ];
        check(6, &blocks, &mut random);
    }
}

#[test]
fn an_empty_batch_has_no_cells() {
    check(3, &[], &mut Random(1));
    let rows = vec![vec![], vec![], vec![]];
    check(0, &[(false, rows)], &mut Random(1));
}

#[test]
fn several_threads_read_one_result() {
    let mut random = Random(3);
    let blocks: Vec<_> = (0..40).map(|_| (false, random.rows(3, 10))).collect();
    let expected: Vec<&Row> = blocks.iter().flat_map(|(_, rows)| rows).collect();
    let result = result::give(Content::Rows(batch(3, &blocks))).unwrap();
    let shared = result.expose_provenance();
    std::thread::scope(|scope| {
        for seed in 1..5 {
            let expected = &expected;
            scope.spawn(move || {
                let result = std::ptr::with_exposed_provenance(shared);
                let mut random = Random(seed);
                for _ in 0..20_000 {
                    let (row, column) = (random.below(expected.len()), random.below(3));
                    // SAFETY: the result lives until the threads have ended.
                    unsafe { compare(result, row, column, expected[row][column].as_deref()) };
                }
            });
        }
    });
    // SAFETY: nobody reads it any more.
    unsafe { conn_result_free(result) };
}

#[test]
fn nothing_is_read_of_null() {
    let none = std::ptr::null();
    // SAFETY: NULL is allowed.
    unsafe {
        assert!(conn_result_value(none, 0, 0).is_null());
        assert_eq!(conn_result_length(none, 0, 0), 0);
        assert_eq!(conn_result_is_null(none, 0, 0), 1);
        let (mut value, mut length) = (std::ptr::null(), 0);
        assert_eq!(conn_result_cells(none, 0, 1, &mut value, &mut length), 0);
    }
    let result = result::give(Content::Rows(batch(1, &[(true, vec![vec![None]])]))).unwrap();
    // SAFETY: without room nothing is written.
    unsafe {
        let nowhere = std::ptr::null_mut();
        assert_eq!(conn_result_cells(result, 0, 1, nowhere, nowhere.cast()), 0);
        conn_result_free(result);
    }
}
