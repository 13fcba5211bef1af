//! TLS as a filter of bytes over the transport. Knows no protocol but TLS.

mod cipher;
mod config;
mod verify;
