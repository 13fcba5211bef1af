//! How large the pieces of a connection are, and that they do not grow unnoticed.
#![allow(clippy::unwrap_used, clippy::panic)]

mod memory;

use memory::{VAST, fresh, up};
use pgpoll::conn::Connection;
use pgpoll::engine::{Engine, Item};
use pgpoll::error::Error;
use pgpoll::rows::{Batch, Block, Columns};

#[test]
fn the_pieces_of_a_connection_are_small() {
    let engine = up(VAST);
    // The bounds are a little above what was measured; what connecting needs is boxed, and gone once the connection is up.
    for (what, size, bound) in [
        ("coroutine", engine.coroutine_size(), 768),
        ("state of an engine", engine.state_size(), 1280),
        ("Engine", size_of::<Engine>(), 32),
        ("Connection", size_of::<Connection>(), 416),
        ("Item", size_of::<Item>(), 128),
        ("Batch", size_of::<Batch>(), 112),
        ("Block", size_of::<Block>(), 64),
        ("Columns", size_of::<Columns>(), 48),
        ("Error", size_of::<Error>(), 64),
    ] {
        println!("{what}: {size} bytes");
        assert!(size <= bound, "{what}: {size} bytes, more than {bound}");
        assert!(size > 0);
    }
    assert_eq!(engine.coroutine_size(), fresh(VAST).coroutine_size());
}
