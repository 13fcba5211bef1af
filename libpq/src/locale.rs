//! The locale that the program has set, for `client_encoding=auto`. Knows what libc says of it.

use std::ffi::CStr;
use std::io::{Write, stderr};

use pgpoll::conninfo::Surroundings;
use pgpoll::encoding::Encoding;

/// The name of the program's locale for character types, and the name of its character set.
pub(crate) fn of_program() -> (Vec<u8>, Vec<u8>) {
    // SAFETY: asks only; the texts are copied before anything else is called.
    unsafe {
        let name = libc::setlocale(libc::LC_CTYPE, std::ptr::null());
        let name = match name.is_null() {
            true => c"",
            false => CStr::from_ptr(name),
        };
        let name = name.to_bytes().to_vec();
        let codeset = libc::nl_langinfo(libc::CODESET);
        let codeset = match codeset.is_null() {
            true => c"",
            false => CStr::from_ptr(codeset),
        };
        (name, codeset.to_bytes().to_vec())
    }
}

/// The encoding for that; one that PostgreSQL has not is told to standard error, as libpq does.
pub(crate) fn encoding() -> Option<Encoding> {
    let (name, codeset) = of_program();
    let encoding = Encoding::of_locale(&name, &codeset);
    if encoding.is_none() {
        let _ = writeln!(
            stderr(),
            "could not determine encoding for locale \"{}\": codeset is \"{}\"",
            String::from_utf8_lossy(&name),
            String::from_utf8_lossy(&codeset)
        );
    }
    encoding
}

/// What surrounds the process, its own locale included.
pub(crate) fn surroundings() -> Surroundings {
    let (name, codeset) = of_program();
    Surroundings::real().with_locale(name, codeset)
}
