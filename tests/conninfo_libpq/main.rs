//! The same connection strings to libpq and to this library: same options or same error, byte for byte. Needs a libpq and no server;
//! where there is none it says so. `PGPOLL_TEST_LIBPQ` names another one than the newest installed.
#![allow(clippy::unwrap_used)]

mod checks;
mod files;
mod libpq;
mod strings;

use std::ffi::c_int;

use libpq::Libpq;
use pgpoll::conninfo::{OPTIONS, Options, Surroundings};

/// Marsaglia's xorshift: the same strings in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

#[test]
fn the_table_is_libpqs() {
    let Some(libpq) = Libpq::load() else { return };
    let theirs = libpq.take((libpq.defaults)());
    if (libpq.version)() / 10000 != 18 {
        eprintln!("SKIPPED: this libpq has another table than version 18");
        return;
    }
    assert_eq!(theirs.len(), OPTIONS.len());
    let defaults = Options::defaults(&Surroundings::real()).unwrap();
    for (theirs, ours) in theirs.iter().zip(OPTIONS) {
        let keyword = ours.keyword;
        assert_eq!(theirs.keyword, keyword.as_bytes());
        assert_eq!(
            theirs.envvar.as_deref(),
            ours.envvar.map(str::as_bytes),
            "{keyword}"
        );
        assert_eq!(theirs.label, ours.label.as_bytes(), "{keyword}");
        assert_eq!(theirs.dispchar, ours.dispchar.as_bytes(), "{keyword}");
        assert_eq!(theirs.dispsize, c_int::from(ours.dispsize), "{keyword}");
        // Whether a build has GSSAPI decides over this one.
        if keyword != "gssencmode" {
            assert_eq!(
                theirs.compiled.as_deref(),
                ours.compiled.map(str::as_bytes),
                "{keyword}"
            );
            assert_eq!(theirs.value.as_deref(), defaults.get(keyword), "{keyword}");
        }
    }
}
