//! Connection options in the form of C: the array of PQconninfo. Knows their table, not their meaning.

use std::ffi::{CString, c_char, c_int};
use std::ptr;
use std::sync::OnceLock;

use pgpoll::conninfo::{OPTIONS, Options, Surroundings};

use crate::arguments::text;
use crate::conn::PGconn;
use crate::free;
use crate::guard::{guard, look};

/// One option; all but `val` is static, `val` comes from malloc.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct PQconninfoOption {
    /// The name in connection strings.
    pub keyword: *const c_char,
    /// The environment variable, or NULL.
    pub envvar: *const c_char,
    /// The default, or NULL.
    pub compiled: *const c_char,
    /// The value, or NULL.
    pub val: *mut c_char,
    /// The label for a dialog.
    pub label: *const c_char,
    /// How a dialog shows it.
    pub dispchar: *const c_char,
    /// The width of its field.
    pub dispsize: c_int,
}

/// The texts of one option, ended by NULs.
struct Texts {
    keyword: CString,
    envvar: Option<CString>,
    compiled: Option<CString>,
    label: CString,
    dispchar: CString,
}

fn table() -> &'static [Texts] {
    static TABLE: OnceLock<Vec<Texts>> = OnceLock::new();
    let c = |text: &str| CString::new(text).unwrap_or_default();
    TABLE.get_or_init(|| {
        let texts = OPTIONS.iter().map(|option| Texts {
            keyword: c(option.keyword),
            envvar: option.envvar.map(c),
            compiled: option.compiled.map(c),
            label: c(option.label),
            dispchar: c(option.dispchar),
        });
        texts.collect()
    })
}

/// The array for C; NULL without memory.
fn array(options: &Options) -> *mut PQconninfoOption {
    let pointer = |text: &Option<CString>| text.as_ref().map_or(ptr::null(), |text| text.as_ptr());
    let count = OPTIONS.len();
    // SAFETY: calloc checks the product; the array is written within its length, its end is all NULLs.
    unsafe {
        let array: *mut PQconninfoOption =
            libc::calloc(count + 1, size_of::<PQconninfoOption>()).cast();
        if array.is_null() {
            return array;
        }
        for (index, (option, texts)) in OPTIONS.iter().zip(table()).enumerate() {
            let value = options.get(option.keyword);
            array.add(index).write(PQconninfoOption {
                keyword: texts.keyword.as_ptr(),
                envvar: pointer(&texts.envvar),
                compiled: pointer(&texts.compiled),
                val: value.map_or(ptr::null_mut(), free::string),
                label: texts.label.as_ptr(),
                dispchar: texts.dispchar.as_ptr(),
                dispsize: c_int::from(option.dispsize),
            });
        }
        array
    }
}

/// What each option is when nothing is said of it: from the service, the environment, the build, the account. NULL without
/// memory. Free them with [`PQconninfoFree`].
#[unsafe(no_mangle)]
pub extern "C" fn PQconndefaults() -> *mut PQconninfoOption {
    let defaults =
        guard(|| Options::defaults(&Surroundings::real()).map(|options| array(&options)));
    match defaults {
        Some(Ok(array)) => array,
        _ => ptr::null_mut(),
    }
}

/// The options that a connection string sets, the others with NULL as value. NULL if it makes no sense; then the reason is
/// at `message` unless that is NULL: free it with [`PQfreemem`](crate::free::PQfreemem). Free the options with [`PQconninfoFree`].
///
/// # Safety
/// `conninfo` is NULL or a string; `message` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQconninfoParse(
    conninfo: *const c_char,
    message: *mut *mut c_char,
) -> *mut PQconninfoOption {
    // SAFETY: the caller's promise.
    let message = unsafe { message.as_mut() };
    let parsed = guard(|| {
        // SAFETY: the caller's promise.
        let conninfo = unsafe { text(conninfo) }.unwrap_or_default();
        match Options::parse(conninfo) {
            Ok(options) => (array(&options), ptr::null_mut()),
            Err(error) => {
                let text = free::string(&[error.as_bytes(), b"\n"].concat());
                (ptr::null_mut(), text)
            }
        }
    });
    let (options, text) = parsed.unwrap_or((ptr::null_mut(), ptr::null_mut()));
    match message {
        Some(message) => *message = text,
        // SAFETY: from malloc, or NULL.
        None => unsafe { libc::free(text.cast()) },
    }
    options
}

/// The options of a connection, ended by one with a NULL keyword. Free them with [`PQconninfoFree`].
///
/// # Safety
/// `conn` is NULL or a connection.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQconninfo(conn: *mut PGconn) -> *mut PQconninfoOption {
    // SAFETY: the caller's promise.
    unsafe { look(conn, ptr::null_mut(), |conn| array(conn.link.options())) }
}

/// Frees an array of options. NULL is fine.
///
/// # Safety
/// `options` is NULL or such an array, not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQconninfoFree(options: *mut PQconninfoOption) {
    if options.is_null() {
        return;
    }
    // SAFETY: the caller's promise.
    unsafe {
        let mut at = options;
        while !(*at).keyword.is_null() {
            libc::free((*at).val.cast());
            at = at.add(1);
        }
        libc::free(options.cast());
    }
}
