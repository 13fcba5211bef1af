//! Connection options in the form of C: the array of PQconninfo. Knows their table, not their meaning.

use std::ffi::{CString, c_char, c_int};
use std::ptr;
use std::sync::OnceLock;

use pgpoll::conninfo::{OPTIONS, Options};

use crate::conn::PGconn;
use crate::free;
use crate::guard::look;

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
