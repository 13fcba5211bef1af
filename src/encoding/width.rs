//! How many columns of a screen a character takes. Knows Unicode's ranges; ASCII is the same everywhere.

mod ranges;

use super::form::Form;

/// Columns of the character that `text` begins with.
pub(super) fn of(form: Form, text: &[u8]) -> i32 {
    let first = text.first().copied().unwrap_or(0);
    match (form, first) {
        // Not even control characters are told apart there.
        (Form::Mule, 0x90..=0x99 | 0x9c | 0x9d) => 2,
        (Form::Mule, _) => 1,
        (_, 0) => 0,
        (_, ..0x20 | 0x7f) => -1,
        (_, ..0x80) | (Form::Single, _) => 1,
        (Form::Utf8, _) => code_point(text).map_or(-1, of_code_point),
        // Katakana of half the width.
        (Form::EucJp, 0x8e) | (Form::Sjis, 0xa1..=0xdf) => 1,
        _ => 2,
    }
}

/// The code point in UTF-8; what is missing counts as zeros. `None` when no character begins so.
fn code_point(text: &[u8]) -> Option<u32> {
    let first = *text.first()?;
    let length = Form::Utf8.length(text);
    let head = match length {
        1 if first >= 0x80 => return None,
        1 => u32::from(first),
        _ => u32::from(first & (0x7f >> length)),
    };
    let tail = (1..length).map(|at| text.get(at).map_or(0, |byte| u32::from(byte & 0x3f)));
    Some(tail.fold(head, |all, bits| all << 6 | bits))
}

fn of_code_point(code: u32) -> i32 {
    match code {
        0 => 0,
        ..0x20 | 0x7f..0xa0 | 0x11_0000.. => -1,
        // What is both is written over another character.
        _ if is_among(ranges::NONSPACING, code) => 0,
        _ if is_among(ranges::WIDE, code) => 2,
        _ => 1,
    }
}

/// Whether `code` is in one of `ranges`: their bounds are in order, so that an odd number of them lies before it, or it is a
/// first one.
fn is_among(ranges: &[u32], code: u32) -> bool {
    let before = ranges.partition_point(|&bound| bound < code);
    before % 2 == 1 || ranges.get(before) == Some(&code)
}
