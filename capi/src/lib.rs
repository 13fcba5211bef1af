//! The C interface: `conn_*`. Translates between C and the safe Rust API of `pgpoll::conn`; knows no protocol.
//!
//! Each file is one kind of object or call of the header, in the header's order. All that C hands in is checked here;
//! nothing that is decided here is about PostgreSQL.
#![allow(clippy::missing_safety_doc)] // each function's comment is its contract with C: valid pointers, and which may be NULL

mod arguments;
mod border;
mod text;

mod open;

mod drive;

mod start;

mod call;

mod large_object;

mod time;

mod item;

mod copy;

mod result;

mod cells;

mod arrow;

mod error;

mod fields;

mod notice;

mod cancel;

mod stream;

mod group;

mod facts;

mod tls;

mod gss;

mod token;

mod trace;

pub use arrow::*;
pub use call::*;
pub use cancel::*;
pub use cells::*;
pub use copy::*;
pub use drive::*;
pub use error::*;
pub use facts::*;
pub use fields::*;
pub use group::*;
pub use gss::*;
pub use item::*;
pub use large_object::*;
pub use notice::*;
pub use open::*;
pub use result::*;
pub use start::*;
pub use stream::*;
pub use time::*;
pub use tls::*;
pub use token::*;
pub use trace::*;
