//! PEM (RFC 7468, and RFC 1421 for the headers of old keys): blocks of base64 between lines. Knows labels, not what is inside.
//!
//! As OpenSSL does, what stands outside the blocks is passed over: certificates often have their text before them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::net::tls::asn1::Malformed;

/// One block.
pub(super) struct Block<'a> {
    /// What `-----BEGIN …-----` says.
    pub(super) label: &'a [u8],
    /// `DEK-Info`: how an old key is encrypted.
    pub(super) encryption: Option<&'a [u8]>,
    /// The bytes, which may be a key.
    pub(super) bytes: Zeroizing<Vec<u8>>,
}

/// The blocks of a file, in its order. One that does not end, or is not base64, is an error, and the last.
pub(super) fn blocks(content: &[u8]) -> impl Iterator<Item = Result<Block<'_>, Malformed>> {
    let mut lines = content
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii_end);
    let mut is_over = false;
    std::iter::from_fn(move || {
        if is_over {
            return None;
        }
        let label = lines.find_map(|line| between(line, b"-----BEGIN "))?;
        let block = block(label, &mut lines);
        is_over = block.is_err();
        Some(block)
    })
}

/// Whether there is any block in it.
pub(super) fn is_pem(content: &[u8]) -> bool {
    content
        .split(|byte| *byte == b'\n')
        .any(|line| between(line.trim_ascii_end(), b"-----BEGIN ").is_some())
}

fn block<'a>(
    label: &'a [u8],
    lines: &mut impl Iterator<Item = &'a [u8]>,
) -> Result<Block<'a>, Malformed> {
    let mut encryption = None;
    let mut text = Zeroizing::new(Vec::new());
    for line in lines {
        if let Some(end) = between(line, b"-----END ") {
            if end != label {
                break;
            }
            let mut bytes = Zeroizing::new(Vec::new());
            let room = text.len() / 4 * 3 + 3;
            bytes.try_reserve_exact(room).map_err(|_| Malformed)?;
            bytes.resize(room, 0);
            let length = STANDARD
                .decode_slice(&*text, &mut bytes)
                .map_err(|_| Malformed)?;
            bytes.truncate(length);
            return Ok(Block {
                label,
                encryption,
                bytes,
            });
        }
        if let Some(value) = line.strip_prefix(b"DEK-Info:") {
            encryption = Some(value.trim_ascii());
        } else if !line.contains(&b':') {
            let digits = line.iter().filter(|byte| !byte.is_ascii_whitespace());
            // Growing would leave copies behind: room for the whole file at once.
            text.try_reserve(line.len()).map_err(|_| Malformed)?;
            text.extend(digits);
        }
    }
    Err(Malformed)
}

/// What stands between `begin` and `-----`.
fn between<'a>(line: &'a [u8], begin: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(begin)?.strip_suffix(b"-----")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{blocks, is_pem};

    #[test]
    fn what_is_outside_blocks_is_passed_over() {
        let text = b"Certificate:\n  Data: x\n-----BEGIN A-----\r\nAQID\r\nBA==\r\n-----END A-----\n\ntext\n-----BEGIN B C-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAQ==\n-----END B C-----";
        let found: Vec<_> = blocks(text).map(Result::unwrap).collect();
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[0].label, &found[0].bytes[..]),
            (&b"A"[..], &[1, 2, 3, 4][..])
        );
        assert_eq!(found[0].encryption, None);
        assert_eq!(
            (found[1].label, &found[1].bytes[..]),
            (&b"B C"[..], &[1][..])
        );
        assert_eq!(found[1].encryption, Some(&b"AES-128-CBC,00"[..]));
        assert!(is_pem(text) && !is_pem(b"\x30\x03-----BEGIN"));
    }

    #[test]
    fn a_block_that_does_not_end_or_is_no_base64_is_an_error() {
        for text in [
            &b"-----BEGIN A-----\nAQID"[..],
            b"-----BEGIN A-----\nAQID\n-----END B-----\n",
            b"-----BEGIN A-----\nAQI\n-----END A-----\n",
            b"-----BEGIN A-----\n!!!!\n-----END A-----\n-----BEGIN B-----\nAQID\n-----END B-----\n",
        ] {
            let mut found = blocks(text);
            assert!(found.next().unwrap().is_err());
            assert!(found.next().is_none());
        }
        assert!(blocks(b"").next().is_none());
    }
}
