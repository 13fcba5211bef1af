//! The row store by itself: what it refuses, and where its layouts change.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use super::*;
use crate::wire::{Field, List, Problem, RowDescription};

fn described(names: &[&[u8]]) -> Vec<u8> {
    let fields: Vec<Field<'_>> = names
        .iter()
        .enumerate()
        .map(|(at, name)| Field {
            name,
            table_oid: 10 + at as u32,
            column: 1,
            type_oid: 25,
            type_size: -1,
            type_modifier: -1,
            format: at as i16 & 1,
        })
        .collect();
    let fields = List::from(&fields[..]);
    let mut message = Vec::new();
    RowDescription { fields }.encode(&mut message).unwrap();
    message.split_off(5)
}

fn columns(count: usize) -> Arc<Columns> {
    Arc::new(Columns::read(&described(&vec![&b"c"[..]; count])).unwrap())
}

/// The body of a DataRow.
fn body(values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut body = (values.len() as u16).to_be_bytes().to_vec();
    for value in values {
        match value {
            None => body.extend_from_slice(&[0xFF; 4]),
            Some(value) => {
                body.extend_from_slice(&(value.len() as u32).to_be_bytes());
                body.extend_from_slice(value);
            }
        }
    }
    body
}

/// Puts a row into the chunk, behind a tag that has been looked at, and gathers it.
fn gather_row(gather: &mut Gather, chunk: &mut Vec<u8>, body: &[u8]) -> Result<(), RowError> {
    chunk.extend_from_slice(&[0; 5]);
    let start = chunk.len();
    chunk.extend_from_slice(body);
    gather.row(chunk, start, body.len())
}

fn open(width: usize) -> Gather {
    let mut gather = Gather::new();
    gather.begin(columns(width), None);
    gather
}

#[test]
fn results_go_to_other_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Batch>();
    shared::<Arc<Columns>>();
}

#[test]
fn a_malformed_row_is_named() {
    let long = [0, 1, 0x7F, 0xFF, 0xFF, 0xFF];
    for (bytes, field, problem) in [
        (&b""[..], "cell count", Problem::EndsEarly),
        (b"\0", "cell count", Problem::EndsEarly),
        (b"\0\0", "cell count", Problem::BadValue(0)),
        (b"\xFF\xFF", "cell count", Problem::BadValue(65535)),
        (b"\0\x01", "cell length", Problem::EndsEarly),
        (b"\0\x01\0\0\0", "cell length", Problem::EndsEarly),
        (b"\0\x01\0\0\0\x01", "cell", Problem::EndsEarly),
        (b"\0\x01\0\0\0\x01ab", "cells", Problem::TrailingBytes(1)),
        (
            b"\0\x01\xFF\xFF\xFF\xFFa",
            "cells",
            Problem::TrailingBytes(1),
        ),
        (
            b"\0\x01\xFF\xFF\xFF\xFE",
            "cell length",
            Problem::BadLength(-2),
        ),
        (
            b"\0\x01\x80\0\0\0",
            "cell length",
            Problem::BadLength(i32::MIN.into()),
        ),
        (&long, "cell", Problem::EndsEarly),
    ] {
        let mut gather = open(1);
        let error = gather_row(&mut gather, &mut Vec::new(), bytes).unwrap_err();
        let RowError::Wire(error) = error else {
            panic!("{error}");
        };
        assert_eq!(
            (error.message, error.field, error.problem),
            ("DataRow", field, problem)
        );
    }
    let mut gather = open(1);
    assert!(
        gather.row(&mut [0; 8], 4, 5).is_err(),
        "outside of the chunk"
    );
}

/// What is refused does not lie there: a connection that ends with it asks.
#[test]
fn a_first_row_that_is_refused_leaves_nothing() {
    let mut gather = open(2);
    let mut chunk = vec![0; 100];
    gather_row(&mut gather, &mut chunk, &body(&[None])).unwrap_err();
    assert_eq!(
        (gather.in_chunk(), gather.rows(), gather.bytes()),
        (0, 0, 0)
    );
    gather_row(&mut gather, &mut chunk, &body(&[None, None])).unwrap();
    assert_eq!((gather.in_chunk(), gather.rows()), (10, 1));
    gather_row(&mut gather, &mut chunk, &body(&[None])).unwrap_err();
    assert_eq!((gather.in_chunk(), gather.rows()), (10, 1));
    gather.abandon();
    assert_eq!(gather.in_chunk(), 0);
}

#[test]
fn a_row_is_indexed_up_to_64_kilobytes_and_walked_beyond() {
    for extra in [0, 1] {
        let first = vec![b'f'; 65535 - 2 - 3 * 4 - 4 + extra];
        let body = body(&[Some(&first), None, Some(b"last")]);
        assert_eq!(body.len(), 65535 + extra);
        let mut gather = open(3);
        let mut chunk = Vec::new();
        for _ in 0..2 {
            gather_row(&mut gather, &mut chunk, &body).unwrap();
        }
        let batch = gather.batch(&chunk).unwrap().unwrap();
        let (_, block) = batch.blocks().next().unwrap();
        let word = block.raw().index.first_chunk::<4>().unwrap();
        assert_eq!(u32::from_ne_bytes(*word) & WIDE != 0, extra == 1);
        for row in 0..2 {
            assert!(batch.value(row, 0) == Some(&first));
            assert_eq!(batch.value(row, 1), None);
            assert_eq!(batch.value_with_nul(row, 2), Some(&b"last\0"[..]));
            assert_eq!(batch.value(row, 3), None);
        }
    }
}

#[test]
fn the_index_grows() {
    let mut gather = open(2);
    let mut chunk = Vec::new();
    for row in 0..20_000_u32 {
        let value = row.to_be_bytes();
        gather_row(&mut gather, &mut chunk, &body(&[Some(&value), None])).unwrap();
    }
    let batch = gather.batch(&chunk).unwrap().unwrap();
    for row in 0..20_000_u32 {
        assert_eq!(batch.value(row as usize, 0), Some(&row.to_be_bytes()[..]));
        assert_eq!(batch.value(row as usize, 1), None);
    }
}

#[test]
fn rows_are_found_in_any_order() {
    let mut gather = open(1);
    for block in 0..20_u8 {
        let mut chunk = Vec::new();
        for row in 0..=block % 3 {
            gather_row(&mut gather, &mut chunk, &body(&[Some(&[block, row])])).unwrap();
        }
        chunk.push(0xAA);
        gather.keep(chunk).unwrap();
    }
    let batch = gather.batch(&[]).unwrap().unwrap();
    assert_eq!(batch.block_count(), 20);
    let all: Vec<[u8; 2]> = (0..20)
        .flat_map(|block| (0..=block % 3).map(move |row| [block, row]))
        .collect();
    assert_eq!(batch.rows(), all.len());
    let there = 0..all.len();
    let back = (0..all.len()).rev();
    let about = (0..all.len()).map(|at| at * 17 % all.len());
    for at in there.chain(back).chain(about) {
        assert_eq!(
            batch.value_with_nul(at, 0),
            Some(&[all[at][0], all[at][1], 0][..])
        );
    }
    assert_eq!(batch.value(all.len(), 0), None);
}

#[test]
fn limits_count_what_is_not_cut_yet() {
    let mut gather = open(1);
    let mut chunk = Vec::new();
    let limits = Limits {
        rows: 3,
        bytes: 100,
    };
    assert!(!gather.is_full(limits));
    for _ in 0..2 {
        gather_row(&mut gather, &mut chunk, &body(&[Some(b"ab")])).unwrap();
    }
    assert!(!gather.is_full(limits) && !gather.is_full(Limits::NONE));
    gather.copy(&chunk).unwrap();
    assert_eq!((gather.rows(), gather.in_chunk()), (2, 0));
    chunk.clear();
    gather_row(&mut gather, &mut chunk, &body(&[None])).unwrap();
    assert!(gather.is_full(limits), "rows in blocks count too");
    assert_eq!(gather.batch(&chunk).unwrap().unwrap().rows(), 3);
    assert!(!gather.is_full(limits) && gather.is_open());
    chunk.clear();
    gather_row(&mut gather, &mut chunk, &body(&[Some(&[7; 94])])).unwrap();
    assert!(gather.is_full(limits), "{} bytes", gather.bytes());
}

#[test]
fn an_abandoned_result_is_gone() {
    let mut gather = open(1);
    let mut chunk = Vec::new();
    gather_row(&mut gather, &mut chunk, &body(&[Some(b"x")])).unwrap();
    gather.abandon();
    assert!(!gather.is_open());
    assert_eq!(
        (gather.rows(), gather.bytes(), gather.in_chunk()),
        (0, 0, 0)
    );
    assert!(gather.batch(&chunk).unwrap().is_none());
    // Another one begins, with other columns.
    gather.begin(columns(2), Some(1));
    gather_row(&mut gather, &mut chunk, &body(&[None, Some(b"")])).unwrap();
    let batch = gather.batch(&chunk).unwrap().unwrap();
    assert_eq!(batch.rows(), 1);
    assert_eq!(
        (batch.value(0, 0), batch.value(0, 1)),
        (None, Some(&b""[..]))
    );
    assert_eq!(batch.value_with_nul(0, 1), Some(&b"\0"[..]));
    assert_eq!(
        (batch.format(0), batch.format(1), batch.format(9)),
        (1, 1, 1)
    );
}

#[test]
fn columns_are_read_once_and_kept_as_they_came() {
    let body = described(&[b"id", b"", b"na\xC3\xAFf", b"id"]);
    let columns = Columns::read(&body).unwrap();
    assert_eq!(columns.len(), 4);
    assert_eq!(columns.name(2), Some("naïf".as_bytes()));
    assert_eq!(columns.name_with_nul(0), Some(&b"id\0"[..]));
    assert_eq!(columns.name_with_nul(1), Some(&b"\0"[..]));
    assert_eq!((columns.name(4), columns.name_with_nul(4)), (None, None));
    assert_eq!(columns.find(b"id"), Some(0), "the first of the name");
    assert_eq!((columns.find(b"ID"), columns.find(b"")), (None, Some(1)));
    assert_eq!(columns.get(3).unwrap().table_oid, 13);
    assert!(columns.is_same(&body) && !columns.is_same(&body[1..]));
    for cut in 0..body.len() {
        assert!(Columns::read(&body[..cut]).is_err(), "cut at {cut}");
    }
    assert!(Columns::read(&[&body[..], b"x"].concat()).is_err());
    assert!(Columns::read(b"\0\0").unwrap().is_empty());
    // Where Bind did not say the format, the columns do.
    let mut gather = Gather::new();
    gather.begin(Arc::new(columns), None);
    let batch = gather.batch(&[]).unwrap().unwrap();
    assert_eq!(
        (batch.format(0), batch.format(1), batch.format(4)),
        (0, 1, 0)
    );
}
