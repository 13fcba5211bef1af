//! GSSAPI against a KDC and a server of their own: who is let in, what goes through the encryption, and with which errors it ends.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod encryption;
mod hostile;
mod letting_in;
mod realm;
#[path = "../live/session.rs"]
#[allow(dead_code)] // it is the other test's
mod session;
