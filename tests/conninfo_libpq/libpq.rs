//! A loaded libpq, called as a C program calls it. Knows the functions that are compared with, and no test.

use std::env;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;

use testkit::Server;

/// `PQconninfoOption` of `libpq-fe.h`.
#[repr(C)]
pub(crate) struct RawOption {
    keyword: *const c_char,
    envvar: *const c_char,
    compiled: *const c_char,
    val: *const c_char,
    label: *const c_char,
    dispchar: *const c_char,
    dispsize: c_int,
}

pub(crate) type Conninfo = *mut RawOption;
type Connection = *mut c_void;

/// The functions of a libpq that are compared with.
pub(crate) struct Libpq {
    pub(crate) version: extern "C" fn() -> c_int,
    pub(crate) defaults: extern "C" fn() -> Conninfo,
    parse: extern "C" fn(*const c_char, *mut *mut c_char) -> Conninfo,
    free: extern "C" fn(Conninfo),
    free_text: extern "C" fn(*mut c_void),
    start: extern "C" fn(*const c_char) -> Connection,
    start_pairs: extern "C" fn(*const *const c_char, *const *const c_char, c_int) -> Connection,
    options: extern "C" fn(Connection) -> Conninfo,
    error: extern "C" fn(Connection) -> *const c_char,
    password: extern "C" fn(Connection) -> *const c_char,
    finish: extern "C" fn(Connection),
}

/// One option of libpq's table, with its value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) keyword: Vec<u8>,
    pub(crate) envvar: Option<Vec<u8>>,
    pub(crate) compiled: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) label: Vec<u8>,
    pub(crate) dispchar: Vec<u8>,
    pub(crate) dispsize: c_int,
}

impl Libpq {
    /// Loads the newest libpq there is, or says that there is none.
    pub(crate) fn load() -> Option<Self> {
        let chosen = env::var("PGPOLL_TEST_LIBPQ").ok();
        let installed = Server::installed()
            .into_iter()
            .map(|server| server.bin.join("../lib/libpq.so.5"))
            .filter(|path| path.exists())
            .map(|path| path.to_string_lossy().into_owned());
        let candidates = chosen.into_iter().chain(installed);
        for name in candidates.chain(["libpq.so.5".to_owned()]) {
            let name = CString::new(name).unwrap();
            // SAFETY: a C string; libpq's constructors have no precondition.
            let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW) };
            if !handle.is_null() {
                eprintln!("comparing with {}", name.to_string_lossy());
                return Some(Self::of(handle));
            }
        }
        eprintln!("SKIPPED: no libpq.so.5 to compare with: apt-get install libpq5");
        None
    }

    fn of(handle: *mut c_void) -> Self {
        let symbol = |name: &CStr| {
            // SAFETY: the handle is open and stays so.
            let symbol = unsafe { libc::dlsym(handle, name.as_ptr()) };
            assert!(!symbol.is_null(), "{name:?}");
            symbol
        };
        // SAFETY: these are the signatures of libpq-fe.h.
        unsafe {
            Self {
                version: std::mem::transmute::<*mut c_void, extern "C" fn() -> c_int>(symbol(
                    c"PQlibVersion",
                )),
                defaults: std::mem::transmute::<*mut c_void, extern "C" fn() -> Conninfo>(symbol(
                    c"PQconndefaults",
                )),
                parse: std::mem::transmute::<
                    *mut c_void,
                    extern "C" fn(*const c_char, *mut *mut c_char) -> Conninfo,
                >(symbol(c"PQconninfoParse")),
                free: std::mem::transmute::<*mut c_void, extern "C" fn(Conninfo)>(symbol(
                    c"PQconninfoFree",
                )),
                free_text: std::mem::transmute::<*mut c_void, extern "C" fn(*mut c_void)>(symbol(
                    c"PQfreemem",
                )),
                start: std::mem::transmute::<*mut c_void, extern "C" fn(*const c_char) -> Connection>(
                    symbol(c"PQconnectStart"),
                ),
                start_pairs: std::mem::transmute::<
                    *mut c_void,
                    extern "C" fn(*const *const c_char, *const *const c_char, c_int) -> Connection,
                >(symbol(c"PQconnectStartParams")),
                options: std::mem::transmute::<*mut c_void, extern "C" fn(Connection) -> Conninfo>(
                    symbol(c"PQconninfo"),
                ),
                error: std::mem::transmute::<*mut c_void, extern "C" fn(Connection) -> *const c_char>(
                    symbol(c"PQerrorMessage"),
                ),
                password: std::mem::transmute::<
                    *mut c_void,
                    extern "C" fn(Connection) -> *const c_char,
                >(symbol(c"PQpass")),
                finish: std::mem::transmute::<*mut c_void, extern "C" fn(Connection)>(symbol(
                    c"PQfinish",
                )),
            }
        }
    }

    /// The options of an array, which is freed.
    pub(crate) fn take(&self, options: Conninfo) -> Vec<Shown> {
        let mut shown = Vec::new();
        let mut next = options;
        loop {
            // SAFETY: the array ends with an element whose keyword is null, and is freed below only.
            let option = unsafe { &*next };
            let Some(keyword) = text(option.keyword) else {
                break;
            };
            shown.push(Shown {
                keyword,
                envvar: text(option.envvar),
                compiled: text(option.compiled),
                value: text(option.val),
                label: text(option.label).unwrap(),
                dispchar: text(option.dispchar).unwrap(),
                dispsize: option.dispsize,
            });
            // SAFETY: not at the end yet.
            next = unsafe { next.add(1) };
        }
        (self.free)(options);
        shown
    }

    /// `PQconninfoParse`, with the error without its newline.
    pub(crate) fn parse(&self, conninfo: &[u8]) -> Result<Vec<Shown>, Vec<u8>> {
        let conninfo = CString::new(conninfo).unwrap();
        let mut error = ptr::null_mut();
        let options = (self.parse)(conninfo.as_ptr(), &raw mut error);
        if !options.is_null() {
            return Ok(self.take(options));
        }
        let message = text(error).unwrap();
        (self.free_text)(error.cast());
        Err(message.strip_suffix(b"\n").unwrap().to_vec())
    }

    /// What is said at once when connecting is started with pairs, and the options of the connection.
    pub(crate) fn start_pairs(
        &self,
        pairs: &[(&str, Option<&str>)],
        expand_dbname: bool,
    ) -> (String, Vec<Shown>) {
        let owned: Vec<_> = pairs
            .iter()
            .map(|(keyword, value)| {
                let value = value.map(|value| CString::new(value).unwrap());
                (CString::new(*keyword).unwrap(), value)
            })
            .collect();
        let mut keywords: Vec<_> = owned.iter().map(|(keyword, _)| keyword.as_ptr()).collect();
        let mut values: Vec<_> = owned
            .iter()
            .map(|(_, value)| value.as_ref().map_or(ptr::null(), |value| value.as_ptr()))
            .collect();
        keywords.push(ptr::null());
        values.push(ptr::null());
        let connection =
            (self.start_pairs)(keywords.as_ptr(), values.as_ptr(), expand_dbname.into());
        let error = text((self.error)(connection)).unwrap();
        let options = self.take((self.options)(connection));
        (self.finish)(connection);
        (String::from_utf8(error).unwrap(), options)
    }

    /// What is said at once when connecting is started, empty if nothing is wrong yet, and the password for the first host.
    pub(crate) fn start(&self, conninfo: &[u8]) -> (String, Vec<u8>) {
        let conninfo = CString::new(conninfo).unwrap();
        let connection = (self.start)(conninfo.as_ptr());
        let error = text((self.error)(connection)).unwrap();
        let password = text((self.password)(connection)).unwrap_or_default();
        (self.finish)(connection);
        (String::from_utf8(error).unwrap(), password)
    }
}

fn text(pointer: *const c_char) -> Option<Vec<u8>> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: libpq's strings end with NUL and live until their owner is freed.
    Some(unsafe { CStr::from_ptr(pointer) }.to_bytes().to_vec())
}
