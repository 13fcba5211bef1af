//! Values of fixed width, from text and from binary: truth, integers, floats, UUIDs. Knows one value at a time.

use std::str::FromStr;

use super::cells::Cell;
use super::error::Problem;

const BOOL: Problem = Problem::Value("is not a bool");
const INTEGER: Problem = Problem::Value("is not an integer of the column's type");
const FLOAT: Problem = Problem::Value("is not a float");
const UUID: Problem = Problem::Value("is not a uuid");
#[inline(always)]
pub(super) fn bool_text(text: &[u8]) -> Result<bool, Problem> {
    match text {
        b"t" => Ok(true),
        b"f" => Ok(false),
        _ => Err(BOOL),
    }
}

#[inline(always)]
pub(super) fn bool_binary(value: &[u8]) -> Result<bool, Problem> {
    match value {
        [0] => Ok(false),
        [1] => Ok(true),
        _ => Err(BOOL),
    }
}

/// An integer in decimal digits, as the server writes it, from `-least` to `most`; a negative one as its two's complement.
#[inline(always)]
pub(super) fn integer(cell: Cell<'_>, most: u64, least: u64) -> Result<u64, Problem> {
    let negative = cell.value().first() == Some(&b'-');
    let digits = if negative { cell.skip_first() } else { cell };
    let number = match digits.chunk() {
        Some(chunk) if matches!(digits.len, 1..=8) => few(*chunk, digits.len).ok_or(INTEGER)?,
        _ => many(digits.value())?,
    };
    match negative {
        false if number <= most => Ok(number),
        true if number <= least => Ok(number.wrapping_neg()),
        _ => Err(INTEGER),
    }
}

/// A number of one to eight digits, all at once: each byte a digit, then each two bytes two digits, and so on.
#[inline(always)]
fn few(text: [u8; 8], len: usize) -> Option<u64> {
    // What is behind the digits goes, and zeros come before them.
    let digits = (u64::from_le_bytes(text) ^ 0x3030_3030_3030_3030) << (64 - 8 * len);
    if (digits.wrapping_add(0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    let twos = digits.wrapping_mul(10).wrapping_add(digits >> 8) & 0x00FF_00FF_00FF_00FF;
    let fours = twos.wrapping_mul(100).wrapping_add(twos >> 16) & 0x0000_FFFF_0000_FFFF;
    Some(fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xFFFF_FFFF)
}

/// A number of any length that fits into 64 bits.
#[inline(always)]
fn many(mut digits: &[u8]) -> Result<u64, Problem> {
    // 64 bits end in the twentieth digit.
    if digits.is_empty() || digits.len() > 20 {
        return Err(INTEGER);
    }
    let mut number = 0_u64;
    while let Some((chunk, rest)) = digits.split_first_chunk::<8>() {
        let eight = few(*chunk, 8).ok_or(INTEGER)?;
        number = number * 100_000_000 + eight;
        digits = rest;
    }
    for &digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return Err(INTEGER);
        }
        let next = number.checked_mul(10);
        number = next
            .and_then(|next| next.checked_add(digit.into()))
            .ok_or(INTEGER)?;
    }
    Ok(number)
}

/// A float as the server writes it: NaN, Infinity and -Infinity too.
#[inline(always)]
pub(super) fn float<T: FromStr>(text: &[u8]) -> Result<T, Problem> {
    let text = str::from_utf8(text).map_err(|_| FLOAT)?;
    text.parse().map_err(|_| FLOAT)
}

/// The same of 64 bits, which are what there is most of.
#[inline(always)]
pub(super) fn float8(text: &[u8]) -> Result<f64, Problem> {
    match short_float(text) {
        Some(float) => Ok(float),
        None => float(text),
    }
}

/// A float of at most fifteen digits without an exponent. Both these digits and the power of ten are exact, so that the division rounds
/// once, as it should.
#[inline(always)]
fn short_float(text: &[u8]) -> Option<f64> {
    const POWERS: [f64; 16] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
    ];
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 15 {
        return None;
    }
    let mut number = 0_u64;
    let mut point = None;
    for (place, &letter) in digits.iter().enumerate() {
        match letter.wrapping_sub(b'0') {
            digit @ 0..=9 => number = number * 10 + u64::from(digit),
            _ if letter == b'.' && point.is_none() && place > 0 => point = Some(place),
            _ => return None,
        }
    }
    let behind = point.map_or(0, |point| digits.len() - 1 - point);
    let float = number as f64 / POWERS.get(behind)?;
    Some(if negative { -float } else { float })
}

/// A UUID in the form that the server writes: 8-4-4-4-12 digits.
pub(super) fn uuid_text(text: &[u8]) -> Result<[u8; 16], Problem> {
    let text: &[u8; 36] = text.try_into().map_err(|_| UUID)?;
    let mut uuid = [0; 16];
    let mut at = 0;
    for (place, byte) in uuid.iter_mut().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            if text[at] != b'-' {
                return Err(UUID);
            }
            at += 1;
        }
        *byte = hex(text[at])
            .zip(hex(text[at + 1]))
            .map(|(high, low)| high << 4 | low)
            .ok_or(UUID)?;
        at += 2;
    }
    Ok(uuid)
}

/// The value of a hexadecimal digit.
#[inline(always)]
pub(super) fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}
