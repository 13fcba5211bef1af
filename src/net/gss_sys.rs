//! The system's GSSAPI library (RFC 2744), loaded when it is first needed: each function wrapped once, with safe arguments. Knows no
//! protocol and no transport; beside `sys.rs` the only unsafe code below the faces.

use std::ffi::{CStr, c_int, c_void};
use std::mem;
use std::ptr;
use std::slice;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

use crate::net::fork;

/// Where the library is looked for: MIT's or Heimdal's.
#[cfg(not(target_vendor = "apple"))]
const NAMES: &[&CStr] = &[c"libgssapi_krb5.so.2", c"libgssapi.so.3"];
#[cfg(target_vendor = "apple")]
const NAMES: &[&CStr] = &[c"/System/Library/Frameworks/GSS.framework/GSS"];

const COMPLETE: u32 = 0;
const CONTINUE_NEEDED: u32 = 1;
/// `GSS_C_INITIATE`.
const INITIATE: c_int = 1;
/// `GSS_C_GSS_CODE` and `GSS_C_MECH_CODE`.
const MAJOR: c_int = 1;
const MINOR: c_int = 2;
/// `GSS_C_QOP_DEFAULT`.
const DEFAULT_QUALITY: u32 = 0;
/// One status may have several texts; so many are asked for.
const MOST_TEXTS: usize = 16;

/// What is asked of a context (RFC 2744, 5.19).
pub(super) mod flags {
    pub(in crate::net) const DELEGATION: u32 = 1;
    pub(in crate::net) const MUTUAL: u32 = 2;
    pub(in crate::net) const REPLAY: u32 = 4;
    pub(in crate::net) const SEQUENCE: u32 = 8;
    pub(in crate::net) const CONFIDENTIALITY: u32 = 16;
    pub(in crate::net) const INTEGRITY: u32 = 32;
}

/// `gss_ctx_id_t` and its like: a pointer to something of the library's.
type Handle = *mut c_void;

/// `gss_buffer_desc`.
#[repr(C)]
struct Buffer {
    length: usize,
    value: *mut c_void,
}

impl Buffer {
    const EMPTY: Buffer = Buffer {
        length: 0,
        value: ptr::null_mut(),
    };

    /// The library only reads what an input buffer has.
    fn of(bytes: &[u8]) -> Buffer {
        Buffer {
            length: bytes.len(),
            value: bytes.as_ptr().cast_mut().cast(),
        }
    }
}

// The functions, as RFC 2744 declares them; `OM_uint32` is 32 bits everywhere.
type AcquireCred = unsafe extern "C" fn(
    *mut u32,
    Handle,
    u32,
    Handle,
    c_int,
    *mut Handle,
    *mut Handle,
    *mut u32,
) -> u32;
type ImportName = unsafe extern "C" fn(*mut u32, *const Buffer, *const c_void, *mut Handle) -> u32;
type InitSecContext = unsafe extern "C" fn(
    *mut u32,
    Handle,
    *mut Handle,
    Handle,
    *const c_void,
    u32,
    u32,
    *const c_void,
    *const Buffer,
    *mut Handle,
    *mut Buffer,
    *mut u32,
    *mut u32,
) -> u32;
type Wrap = unsafe extern "C" fn(
    *mut u32,
    Handle,
    c_int,
    u32,
    *const Buffer,
    *mut c_int,
    *mut Buffer,
) -> u32;
type Unwrap =
    unsafe extern "C" fn(*mut u32, Handle, *const Buffer, *mut Buffer, *mut c_int, *mut u32) -> u32;
type WrapSizeLimit = unsafe extern "C" fn(*mut u32, Handle, c_int, u32, u32, *mut u32) -> u32;
type DisplayStatus =
    unsafe extern "C" fn(*mut u32, u32, c_int, *const c_void, *mut u32, *mut Buffer) -> u32;
type ReleaseBuffer = unsafe extern "C" fn(*mut u32, *mut Buffer) -> u32;
type DeleteSecContext = unsafe extern "C" fn(*mut u32, *mut Handle, *mut Buffer) -> u32;
type Release = unsafe extern "C" fn(*mut u32, *mut Handle) -> u32;

/// What is called of the library.
pub(super) struct Library {
    acquire_cred: AcquireCred,
    import_name: ImportName,
    init_sec_context: InitSecContext,
    wrap: Wrap,
    unwrap: Unwrap,
    wrap_size_limit: WrapSizeLimit,
    display_status: DisplayStatus,
    release_buffer: ReleaseBuffer,
    release_name: Release,
    release_cred: Release,
    delete_sec_context: DeleteSecContext,
    /// `GSS_C_NT_HOSTBASED_SERVICE`: how object identifiers are laid out is the library's business.
    host_based_service: *const c_void,
}

// SAFETY: functions that may be called from any thread, and a pointer to a constant of the library, which is never unloaded.
unsafe impl Sync for Library {}

type Loaded = Result<Library, String>;

/// What came of loading it, kept for ever. No lock: a forked child could find it held.
static LOADED: AtomicPtr<Loaded> = AtomicPtr::new(ptr::null_mut());

/// Threads that are inside of the library.
static INSIDE: AtomicUsize = AtomicUsize::new(0);
/// This process was forked while one was: its locks may be held for ever.
static UNUSABLE: AtomicBool = AtomicBool::new(false);
const FORKED: &str = "the process was forked while another thread was inside of the GSSAPI library";

/// To be called in a forked child: the other threads are not there.
pub(super) fn forked() {
    if INSIDE.swap(0, Ordering::SeqCst) > 0 {
        UNUSABLE.store(true, Ordering::SeqCst);
    }
}

/// A thread is inside of the library while it has this.
struct Inside {
    forks: u64,
}

impl Inside {
    fn enter() -> Self {
        INSIDE.fetch_add(1, Ordering::SeqCst);
        Self {
            forks: fork::generation(),
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        if self.forks == fork::generation() {
            INSIDE.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// The library, loaded if that has not been tried yet: **reads files**. Or why it cannot be used.
pub(super) fn library() -> Result<&'static Library, &'static str> {
    if UNUSABLE.load(Ordering::SeqCst) {
        return Err(FORKED);
    }
    let _inside = Inside::enter();
    let mut loaded = LOADED.load(Ordering::Acquire);
    if loaded.is_null() {
        let fresh = Box::into_raw(Box::new(load(NAMES)));
        let (before, after) = (Ordering::AcqRel, Ordering::Acquire);
        match LOADED.compare_exchange(ptr::null_mut(), fresh, before, after) {
            Ok(_) => loaded = fresh,
            Err(others) => {
                // SAFETY: it came from a box, and nobody has seen it.
                drop(unsafe { Box::from_raw(fresh) });
                loaded = others;
            }
        }
    }
    // SAFETY: not null; what stands there came from a box and is never freed.
    unsafe { &*loaded }.as_ref().map_err(String::as_str)
}

/// Why there is no library to be used, as far as that is known.
pub(super) fn is_missing() -> Option<&'static str> {
    if UNUSABLE.load(Ordering::SeqCst) {
        return Some(FORKED);
    }
    let loaded = LOADED.load(Ordering::Acquire);
    // SAFETY: null or never freed.
    let loaded = unsafe { loaded.as_ref() }?;
    loaded.as_ref().err().map(String::as_str)
}

fn load(names: &[&CStr]) -> Loaded {
    let mut why = None;
    for name in names {
        // SAFETY: a name that ends with NUL. It is never closed.
        let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if !library.is_null() {
            return find_all(library);
        }
        why.get_or_insert_with(last_error);
    }
    Err(why.unwrap_or_default())
}

fn last_error() -> String {
    // SAFETY: NULL or a string of this thread's, which lives until its next such call.
    let words = unsafe { libc::dlerror().as_ref().map(|words| CStr::from_ptr(words)) };
    words.map_or_else(String::new, |words| words.to_string_lossy().into_owned())
}

fn find_all(library: Handle) -> Loaded {
    let find = |name: &CStr| {
        // SAFETY: an open library and a name that ends with NUL.
        let found = unsafe { libc::dlsym(library, name.as_ptr()) };
        match found.is_null() {
            true => Err(format!(
                "the GSSAPI library has no {}",
                name.to_string_lossy()
            )),
            false => Ok(found),
        }
    };
    // SAFETY: each symbol is the function of that name, whose type RFC 2744 says. The name type is a variable that points to an
    // object identifier (MIT), or that is one (Heimdal).
    unsafe {
        Ok(Library {
            acquire_cred: mem::transmute::<Handle, AcquireCred>(find(c"gss_acquire_cred")?),
            import_name: mem::transmute::<Handle, ImportName>(find(c"gss_import_name")?),
            init_sec_context: mem::transmute::<Handle, InitSecContext>(find(
                c"gss_init_sec_context",
            )?),
            wrap: mem::transmute::<Handle, Wrap>(find(c"gss_wrap")?),
            unwrap: mem::transmute::<Handle, Unwrap>(find(c"gss_unwrap")?),
            wrap_size_limit: mem::transmute::<Handle, WrapSizeLimit>(find(c"gss_wrap_size_limit")?),
            display_status: mem::transmute::<Handle, DisplayStatus>(find(c"gss_display_status")?),
            release_buffer: mem::transmute::<Handle, ReleaseBuffer>(find(c"gss_release_buffer")?),
            release_name: mem::transmute::<Handle, Release>(find(c"gss_release_name")?),
            release_cred: mem::transmute::<Handle, Release>(find(c"gss_release_cred")?),
            delete_sec_context: mem::transmute::<Handle, DeleteSecContext>(find(
                c"gss_delete_sec_context",
            )?),
            host_based_service: match find(c"GSS_C_NT_HOSTBASED_SERVICE") {
                Ok(variable) => *variable.cast::<*const c_void>(),
                Err(_) => find(c"__gss_c_nt_hostbased_service_oid_desc")?,
            },
        })
    }
}

impl Library {
    /// Whether there are credentials to begin with. **May read files and talk to others.**
    pub(super) fn has_credentials(&'static self) -> bool {
        let _inside = Inside::enter();
        Credentials::default_ones(self).is_some()
    }

    /// `: what went wrong: and in detail`, as libpq puts it.
    fn words(&self, major: u32, minor: u32) -> String {
        let mut words = String::from(":");
        self.add_texts(&mut words, major, MAJOR);
        words.push(':');
        self.add_texts(&mut words, minor, MINOR);
        words
    }

    fn add_texts(&self, words: &mut String, status: u32, kind: c_int) {
        let (mut minor, mut more) = (0, 0);
        for _ in 0..MOST_TEXTS {
            let mut text = Output::new(self);
            // SAFETY: the library writes to the variables, which live through the call, and allocates the text.
            let major = unsafe {
                (self.display_status)(
                    &raw mut minor,
                    status,
                    kind,
                    ptr::null(),
                    &raw mut more,
                    &raw mut text.buffer,
                )
            };
            if major != COMPLETE {
                return;
            }
            words.push(' ');
            words.push_str(&String::from_utf8_lossy(text.bytes()));
            if more == 0 {
                return;
            }
        }
    }
}

/// Bytes that the library has allocated.
pub(super) struct Output<'a> {
    library: &'a Library,
    buffer: Buffer,
}

impl<'a> Output<'a> {
    fn new(library: &'a Library) -> Self {
        Self {
            library,
            buffer: Buffer::EMPTY,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        if self.buffer.value.is_null() {
            return &[];
        }
        // SAFETY: the library has allocated so many bytes there and leaves them alone until they are released.
        unsafe { slice::from_raw_parts(self.buffer.value.cast(), self.buffer.length) }
    }
}

impl Drop for Output<'_> {
    fn drop(&mut self) {
        if !self.buffer.value.is_null() {
            let mut minor = 0;
            // SAFETY: the library's own buffer, released once.
            unsafe { (self.library.release_buffer)(&raw mut minor, &raw mut self.buffer) };
        }
    }
}

struct Credentials {
    library: &'static Library,
    handle: Handle,
}

impl Credentials {
    /// What the environment has: a ticket cache, a keytab.
    fn default_ones(library: &'static Library) -> Option<Self> {
        let (mut minor, mut handle) = (0, ptr::null_mut());
        // SAFETY: no name and no mechanisms stand for the default ones; what is not wanted back is NULL.
        let major = unsafe {
            (library.acquire_cred)(
                &raw mut minor,
                ptr::null_mut(),
                0,
                ptr::null_mut(),
                INITIATE,
                &raw mut handle,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        let credentials = Self { library, handle };
        (major == COMPLETE).then_some(credentials)
    }
}

impl Drop for Credentials {
    fn drop(&mut self) {
        if !self.handle.is_null() {
            let mut minor = 0;
            // SAFETY: the library's own handle, released once.
            unsafe { (self.library.release_cred)(&raw mut minor, &raw mut self.handle) };
        }
    }
}

/// What one step of an exchange came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Step {
    /// For the peer; empty if there is nothing to say.
    pub(super) token: Vec<u8>,
    /// The context is established.
    pub(super) complete: bool,
}

/// A security context with one peer. Errors are texts that begin with a colon: what failed is the caller's to say.
pub(super) struct Context {
    library: &'static Library,
    handle: Handle,
    name: Handle,
    credentials: Option<Credentials>,
    forks: u64,
}

// SAFETY: the library's objects are bound to no thread; they are used by one at a time, whoever owns this.
unsafe impl Send for Context {}
// SAFETY: without exclusive access it gives away a pointer and calls nothing.
unsafe impl Sync for Context {}

impl Context {
    /// For the peer `service@host`, with what credentials there are. **May read files and talk to others.**
    pub(super) fn new(library: &'static Library, peer: &[u8]) -> Result<Self, String> {
        let _inside = Inside::enter();
        let mut context = Self {
            library,
            handle: ptr::null_mut(),
            name: ptr::null_mut(),
            credentials: Credentials::default_ones(library),
            forks: fork::generation(),
        };
        let mut minor = 0;
        // SAFETY: the library copies the name, and writes to `minor` and to the handle.
        let major = unsafe {
            (library.import_name)(
                &raw mut minor,
                &Buffer::of(peer),
                library.host_based_service,
                &raw mut context.name,
            )
        };
        match major {
            COMPLETE => Ok(context),
            _ => Err(library.words(major, minor)),
        }
    }

    /// Goes on with the exchange, with the peer's token after the first step. **Talks to the KDC.**
    pub(super) fn step(&mut self, flags: u32, token: &[u8]) -> Result<Step, String> {
        let _inside = Inside::enter();
        let (mut minor, mut output) = (0, Output::new(self.library));
        let credentials = self.credentials.as_ref();
        let input = Buffer::of(token);
        // SAFETY: the handles are the library's own or NULL; it reads the token, writes to the variables, which live through the
        // call, and allocates the output.
        let major = unsafe {
            (self.library.init_sec_context)(
                &raw mut minor,
                credentials.map_or(ptr::null_mut(), |credentials| credentials.handle),
                &raw mut self.handle,
                self.name,
                ptr::null(),
                flags,
                0,
                ptr::null(),
                match self.handle.is_null() {
                    true => ptr::null(),
                    false => &raw const input,
                },
                ptr::null_mut(),
                &raw mut output.buffer,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        match major {
            COMPLETE | CONTINUE_NEEDED => Ok(Step {
                token: output.bytes().to_vec(),
                complete: major == COMPLETE,
            }),
            _ => Err(self.library.words(major, minor)),
        }
    }

    /// How much plaintext fits into a packet of `most` bytes.
    pub(super) fn wrap_size_limit(&mut self, most: u32) -> Result<usize, String> {
        let _inside = Inside::enter();
        let (mut minor, mut limit) = (0, 0);
        // SAFETY: an established context; the library writes to the variables.
        let major = unsafe {
            let quality = DEFAULT_QUALITY;
            let wrap_size_limit = self.library.wrap_size_limit;
            wrap_size_limit(
                &raw mut minor,
                self.handle,
                1,
                quality,
                most,
                &raw mut limit,
            )
        };
        match major {
            COMPLETE => Ok(limit as usize),
            _ => Err(self.library.words(major, minor)),
        }
    }

    /// Encrypts: the packet, and whether it is confidential.
    pub(super) fn wrap(&mut self, plain: &[u8]) -> Result<(Output<'_>, bool), String> {
        let _inside = Inside::enter();
        let (mut minor, mut confidential) = (0, 0);
        let mut output = Output::new(self.library);
        // SAFETY: an established context; the library reads `plain`, writes to the variables and allocates the output.
        let major = unsafe {
            (self.library.wrap)(
                &raw mut minor,
                self.handle,
                1,
                DEFAULT_QUALITY,
                &Buffer::of(plain),
                &raw mut confidential,
                &raw mut output.buffer,
            )
        };
        match major {
            COMPLETE => Ok((output, confidential != 0)),
            _ => Err(self.library.words(major, minor)),
        }
    }

    /// Decrypts: the plaintext, and whether it was confidential.
    pub(super) fn unwrap(&mut self, packet: &[u8]) -> Result<(Output<'_>, bool), String> {
        let _inside = Inside::enter();
        let (mut minor, mut confidential) = (0, 0);
        let mut output = Output::new(self.library);
        // SAFETY: as for `wrap`.
        let major = unsafe {
            (self.library.unwrap)(
                &raw mut minor,
                self.handle,
                &Buffer::of(packet),
                &raw mut output.buffer,
                &raw mut confidential,
                ptr::null_mut(),
            )
        };
        match major {
            COMPLETE => Ok((output, confidential != 0)),
            _ => Err(self.library.words(major, minor)),
        }
    }

    /// `gss_ctx_id_t`, which lives as long as this.
    pub(super) fn pointer(&self) -> *mut c_void {
        self.handle
    }
}

impl Drop for Context {
    /// In a forked child nothing is released: a lock of the library's may be held there by a thread that does not exist.
    fn drop(&mut self) {
        if self.forks != fork::generation() {
            mem::forget(self.credentials.take());
            return;
        }
        let _inside = Inside::enter();
        drop(self.credentials.take());
        let mut minor = 0;
        // SAFETY: the library's own handles, or NULL, which it ignores; each is released once.
        unsafe {
            if !self.handle.is_null() {
                let no_token = ptr::null_mut();
                (self.library.delete_sec_context)(&raw mut minor, &raw mut self.handle, no_token);
            }
            if !self.name.is_null() {
                (self.library.release_name)(&raw mut minor, &raw mut self.name);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_not_there_or_is_another_one_is_told() {
        let why = load(&[c"libnosuchlibrary.so.1", c"libnorthis.so.2"]).err();
        assert!(why.unwrap().contains("libnosuchlibrary.so.1"));
        #[cfg(target_os = "linux")]
        {
            let why = load(&[c"libc.so.6"]).err();
            assert_eq!(why.unwrap(), "the GSSAPI library has no gss_acquire_cred");
        }
    }

    #[test]
    fn a_name_that_is_none_and_a_token_that_is_none_are_told_in_the_librarys_words() {
        let Ok(library) = library() else {
            let why = is_missing().unwrap();
            return println!("SKIPPED: there is no GSSAPI library: {why}");
        };
        assert_eq!(is_missing(), None);
        let mut context = Context::new(library, b"postgres@localhost").unwrap();
        assert!(context.pointer().is_null());
        let words = context.wrap_size_limit(16384).unwrap_err();
        assert!(words.starts_with(": ") && words.len() > 10, "{words}");
        let words = context.wrap(b"x").err().unwrap();
        assert!(words.starts_with(": "), "{words}");
        let words = context.unwrap(b"x").err().unwrap();
        assert!(words.starts_with(": "), "{words}");
    }
}
