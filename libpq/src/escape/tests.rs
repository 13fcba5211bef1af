#![allow(clippy::unwrap_used)]

use std::ffi::CStr;

use super::*;

/// A buffer with guards around what may be written.
fn escaped(text: &[u8]) -> Vec<u8> {
    let most = 2 * text.len() + 1;
    let mut buffer = vec![0xee_u8; most + 2];
    let to = buffer[1..].as_mut_ptr().cast();
    // SAFETY: the buffer has so much room behind its first byte.
    let length = unsafe { PQescapeString(to, text.as_ptr().cast(), text.len()) };
    assert_eq!((buffer[0], buffer[most + 1]), (0xee, 0xee));
    assert_eq!(buffer[1 + length], 0);
    buffer[1..=length].to_vec()
}

#[test]
fn texts_are_escaped_without_a_connection() {
    // No other test of this process has a connection that could say otherwise.
    assert_eq!(escaped(b"it's \\ \xff"), b"it''s \\\\ \xff");
    assert_eq!(escaped(b"a\0'"), b"a");
    assert_eq!(escaped(b""), b"");
}

#[test]
fn no_text_overflows_its_buffer() {
    let mut state = 7_u64;
    for encoding in (0..42).filter_map(Encoding::from_id) {
        for _ in 0..200 {
            let mut text = [0; 9];
            for byte in &mut text {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                *byte = match (state >> 56) as u8 {
                    byte @ 0x80.. => byte,
                    byte => b"'\\a\x30\""[usize::from(byte % 5)],
                };
            }
            let mut buffer = [0xee_u8; 20];
            let to = buffer.as_mut_ptr().cast();
            // SAFETY: the buffer has room for twice the text and a NUL.
            let (length, wrong) = unsafe { escape_into(to, &text, encoding, state & 1 == 0) };
            assert_eq!((buffer[length], buffer[19]), (0, 0xee));
            let valid = encoding.valid_up_to(&buffer[..length]) == length;
            assert_eq!(valid, wrong.is_none(), "{:?} {text:?}", encoding.name());
        }
    }
}

#[test]
fn binary_strings_come_from_malloc() {
    // SAFETY: bytes and places of sizes; what is given is freed once.
    unsafe {
        let mut length = 0;
        let escaped = PQescapeBytea(b"\x00'\\a".as_ptr(), 4, &raw mut length);
        let text = CStr::from_ptr(escaped.cast());
        assert_eq!((text, length), (c"\\\\000''\\\\\\\\a", 13));
        libc::free(escaped.cast());
        let bytes = PQunescapeBytea(c"\\x00ff".as_ptr().cast(), &raw mut length);
        assert_eq!(slice::from_raw_parts(bytes, length), [0, 0xff]);
        libc::free(bytes.cast());
        let bytes = PQunescapeBytea(c"".as_ptr().cast(), ptr::null_mut());
        assert!(!bytes.is_null());
        libc::free(bytes.cast());
        assert!(PQunescapeBytea(ptr::null(), &raw mut length).is_null());
    }
}

#[test]
fn without_a_connection_nothing_is_quoted() {
    let none = ptr::null_mut();
    // SAFETY: NULL is allowed.
    unsafe {
        let mut to = [1; 3];
        let mut error = 0;
        let length = PQescapeStringConn(none, to.as_mut_ptr(), c"a".as_ptr(), 1, &raw mut error);
        assert_eq!((length, error, to[0]), (0, 1, 0));
        assert!(PQescapeLiteral(none, c"a".as_ptr(), 1).is_null());
        assert!(PQescapeIdentifier(none, c"a".as_ptr(), 1).is_null());
        assert!(PQescapeByteaConn(none, b"a".as_ptr(), 1, ptr::null_mut()).is_null());
    }
}
