//! Certificates, revocation lists, keys and PEM files of any bytes: read or refused, and nothing else.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| pgpoll::net::fuzz::certificate(data));
