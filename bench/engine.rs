//! The engine's round trips on memory transport, to be counted by callgrind: `engine prepared|simple N`.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod memory;

use std::hint::black_box;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let work = arguments.next().unwrap();
    let count: usize = arguments.next().unwrap().parse().unwrap();
    let mut memory = memory::Memory::connected();
    let mut bytes = 0;
    for _ in 0..count {
        bytes += match work.as_str() {
            "prepared" => memory.prepared(black_box(b"12345")),
            "simple" => memory.simple(black_box(b"select 1")),
            _ => panic!("prepared or simple"),
        };
    }
    println!("{bytes}");
}

#[cfg(test)]
mod tests {
    use super::memory::Memory;

    #[test]
    fn what_is_counted_is_a_round_trip() {
        let mut memory = Memory::connected();
        for _ in 0..3 {
            assert_eq!(memory.prepared(b"12345"), 5);
            assert_eq!(memory.simple(b"select 1"), 5);
        }
    }
}
