//! Message layouts of the frontend/backend protocol: bytes to messages and back. No state, no I/O.
#![forbid(unsafe_code)]
