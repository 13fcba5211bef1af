//! Passwords as servers store them, so that none travels in clear text. Knows what libpq says; the hashes lie in pgpoll.

use std::ffi::{c_char, c_int};
use std::num::NonZeroU32;
use std::ptr;

use pgpoll::auth::{md5, scram};
use pgpoll::net::entropy;
use zeroize::Zeroizing;

use crate::arguments::text;
use crate::conn::PGconn;
use crate::escape::filled;
use crate::exec::execute;
use crate::free;
use crate::guard::{edit, guard};
use crate::quote::Quoted;
use crate::result::{PGresult, TUPLES_OK, clear};

/// A longer name of an algorithm is not asked for.
const MOST_NAME_BYTES: usize = 50;

/// What a server derives keys with that has not said otherwise.
const ITERATIONS: c_int = 4096;

/// Bytes of the salt of a verifier.
const SALT: usize = 16;

impl PGconn {
    /// The password encrypted by `algorithm`; what is wrong stands in the error buffer.
    fn encrypt(
        &mut self,
        password: Option<&[u8]>,
        user: Option<&[u8]>,
        algorithm: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        let encrypted = match (algorithm, password, user) {
            (b"scram-sha-256", Some(password), _) => self.verifier(password),
            // What the setting was called before there was a choice. Nothing is ever sent in clear text.
            (b"md5" | b"on" | b"off", Some(password), Some(user)) => {
                let hash = md5::hash(password, user);
                Ok(Zeroizing::new(hash.as_slice().to_vec()))
            }
            (b"scram-sha-256" | b"md5" | b"on" | b"off", ..) => {
                Err("password or user is a null pointer".to_owned())
            }
            _ => {
                self.message
                    .push(b"unrecognized password encryption algorithm \"");
                self.message.push(algorithm);
                self.message.push(b"\"\n");
                return None;
            }
        };
        match encrypted {
            Ok(encrypted) => Some(encrypted),
            Err(why) => {
                let text = format!("could not encrypt password: {why}");
                self.message.line(&text);
                None
            }
        }
    }

    fn verifier(&self, password: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
        let said = self.link.facts().parameter(b"scram_iterations");
        let said = said.map_or(ITERATIONS, number);
        let iterations = u32::try_from(said).ok().and_then(NonZeroU32::new);
        let iterations = iterations.filter(|count| count.get() <= scram::MAX_ITERATIONS);
        let Some(iterations) = iterations else {
            let most = scram::MAX_ITERATIONS;
            return Err(format!(
                "scram_iterations of the server is {said}: set it to a number from 1 to {most}"
            ));
        };
        let random = entropy().map_err(|_| "could not generate random salt".to_owned())?;
        let verifier = scram::build_verifier(password, &random[..SALT], iterations);
        Ok(Zeroizing::new(verifier.into_bytes()))
    }

    /// The statement that changes a password, from malloc.
    fn password_statement(&mut self, user: &[u8], encrypted: &[u8]) -> *mut c_char {
        let encoding = self.encoding();
        self.begin_escaping();
        let quoted = Quoted::literal(encrypted, encoding)
            .and_then(|password| Ok((Quoted::identifier(user, encoding)?, password)));
        let (user, password) = match quoted {
            Ok(quoted) => quoted,
            Err(invalid) => {
                self.complain(invalid);
                return ptr::null_mut();
            }
        };
        let parts = [&b"ALTER USER "[..], b" PASSWORD "];
        let length = [user.len(), password.len()]
            .into_iter()
            .try_fold(parts.concat().len(), |all, length| all.checked_add(length?));
        let statement = filled(length, |put| {
            put(parts[0]);
            user.write(put);
            put(parts[1]);
            password.write(put);
        });
        statement.map_or_else(
            |_| {
                self.message.line("out of memory");
                ptr::null_mut()
            },
            |statement| statement.cast(),
        )
    }

    /// What `show password_encryption` gave.
    fn algorithm(&mut self, result: &PGresult) -> Option<Vec<u8>> {
        if result.status != TUPLES_OK {
            return None;
        }
        if result.rows != 1 || result.width != 1 {
            self.message
                .line("unexpected shape of result set returned for SHOW");
            return None;
        }
        let value = result.value(0, 0).unwrap_or_default();
        if value.len() > MOST_NAME_BYTES {
            self.message.line("\"password_encryption\" value too long");
            return None;
        }
        Some(value.to_vec())
    }
}

/// The number that a text begins with, as `atoi` reads it.
fn number(text: &[u8]) -> c_int {
    let text = text.trim_ascii_start();
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number: c_int, digit| {
        number
            .saturating_mul(10)
            .saturating_add(sign * c_int::from(digit - b'0'))
    })
}

/// The password encrypted as `algorithm` says, or as the server does it when that is NULL; from malloc, NULL when it failed.
///
/// # Safety
/// `conn` is NULL or a connection that nobody else uses now; the others are NULL or strings.
unsafe fn encrypted(
    conn: *mut PGconn,
    password: *const c_char,
    user: *const c_char,
    algorithm: *const c_char,
) -> *mut c_char {
    // SAFETY: the caller's promise; results come from boxes. While callbacks run nothing of ours is on the stack.
    unsafe {
        edit(conn, (), PGconn::clear_error);
        let mut answer = ptr::null_mut();
        if algorithm.is_null() {
            let ask = b"show password_encryption";
            answer = execute(conn, |conn| conn.send_query(Some(ask)));
            if answer.is_null() {
                return ptr::null_mut();
            }
        }
        let encrypted = edit(conn, ptr::null_mut(), |conn| {
            let algorithm = match text(algorithm) {
                Some(algorithm) => Some(algorithm.to_vec()),
                None => conn.algorithm(&*answer),
            };
            let encrypted = algorithm
                .and_then(|algorithm| conn.encrypt(text(password), text(user), &algorithm));
            encrypted.map_or(ptr::null_mut(), |encrypted| free::string(&encrypted))
        });
        clear(answer);
        encrypted
    }
}

/// The md5 hash of a password, from malloc: use [`PQencryptPasswordConn`].
///
/// # Safety
/// The texts are NULL or strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQencryptPassword(
    password: *const c_char,
    user: *const c_char,
) -> *mut c_char {
    // SAFETY: the caller's promise.
    let texts = unsafe { text(password).zip(text(user)) };
    let hash = texts.and_then(|(password, user)| guard(|| md5::hash(password, user)));
    hash.map_or(ptr::null_mut(), |hash| free::string(&**hash))
}

/// A password as a server stores it, for `ALTER ROLE … PASSWORD`. `algorithm` is `scram-sha-256` or `md5`; for NULL the server is
/// asked for its `password_encryption`. NULL when it failed. Free it with [`PQfreemem`](crate::free::PQfreemem).
///
/// # Safety
/// `conn` is NULL or a connection that nobody else uses now; the others are NULL or strings.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQencryptPasswordConn(
    conn: *mut PGconn,
    password: *const c_char,
    user: *const c_char,
    algorithm: *const c_char,
) -> *mut c_char {
    // SAFETY: the caller's promise.
    unsafe { encrypted(conn, password, user, algorithm) }
}

/// Changes a role's password, which is sent encrypted as the server stores it, and waits. NULL when nothing was changed and the
/// server has said nothing about it.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQchangePassword(
    conn: *mut PGconn,
    user: *const c_char,
    password: *const c_char,
) -> *mut PGresult {
    // SAFETY: the caller's promise; both texts come from malloc and are freed once. They lie there because a callback may
    // never return.
    unsafe {
        let encrypted = encrypted(conn, password, user, ptr::null());
        if encrypted.is_null() {
            return ptr::null_mut();
        }
        let statement = edit(conn, ptr::null_mut(), |conn| {
            let texts = text(user).zip(text(encrypted));
            texts.map_or(ptr::null_mut(), |(user, encrypted)| {
                conn.password_statement(user, encrypted)
            })
        });
        free::wipe(encrypted);
        if statement.is_null() {
            return ptr::null_mut();
        }
        let result = execute(conn, |conn| conn.send_query(text(statement)));
        free::wipe(statement);
        result
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    #[test]
    fn md5_needs_no_connection() {
        // SAFETY: strings; the hash is freed once.
        unsafe {
            let hash = PQencryptPassword(c"secret".as_ptr(), c"alice".as_ptr());
            assert_eq!(CStr::from_ptr(hash), c"md54a0a68b43b6cd5cf266fa02f196e2371");
            libc::free(hash.cast());
            assert!(PQencryptPassword(ptr::null(), c"alice".as_ptr()).is_null());
            assert!(PQencryptPassword(c"secret".as_ptr(), ptr::null()).is_null());
        }
    }

    #[test]
    fn without_a_connection_nothing_happens() {
        let (none, text) = (ptr::null_mut(), c"x".as_ptr());
        // SAFETY: NULL is allowed.
        unsafe {
            assert!(PQencryptPasswordConn(none, text, text, text).is_null());
            assert!(PQencryptPasswordConn(none, text, text, ptr::null()).is_null());
            assert!(PQchangePassword(none, text, text).is_null());
        }
    }

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        for (text, read) in [
            (&b"4096"[..], 4096),
            (b" 7x", 7),
            (b"-1", -1),
            (b"", 0),
            (b"99999999999", c_int::MAX),
        ] {
            assert_eq!(number(text), read);
        }
    }
}
