//! Values of fixed width, from text and from binary: truth, integers, floats, UUIDs. Knows one value at a time.

use std::str::FromStr;

use super::error::Problem;

const BOOL: Problem = Problem::Value("is not a bool");
const INTEGER: Problem = Problem::Value("is not an integer of the column's type");
const FLOAT: Problem = Problem::Value("is not a float");
const UUID: Problem = Problem::Value("is not a uuid");
const LENGTH: Problem =
    Problem::Value("has not as many bytes as a binary value of the column's type");

/// A binary value of just `N` bytes.
#[inline(always)]
pub(super) fn exactly<const N: usize>(value: &[u8]) -> Result<[u8; N], Problem> {
    value.try_into().map_err(|_| LENGTH)
}

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

/// An integer in decimal digits, as the server writes it.
#[inline(always)]
pub(super) fn integer<T: TryFrom<i128>>(text: &[u8]) -> Result<T, Problem> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    // No number of 20 digits fits into 64 bits with sign; without sign all that begin with 1 may.
    if digits.is_empty() || digits.len() > 20 {
        return Err(INTEGER);
    }
    let mut number = 0_u64;
    for &digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return Err(INTEGER);
        }
        number = match digits.len() {
            20 => number
                .checked_mul(10)
                .and_then(|number| number.checked_add(digit.into()))
                .ok_or(INTEGER)?,
            _ => number * 10 + u64::from(digit),
        };
    }
    let number = i128::from(number);
    T::try_from(if negative { -number } else { number }).map_err(|_| INTEGER)
}

/// A float as the server writes it: NaN, Infinity and -Infinity too.
#[inline(always)]
pub(super) fn float<T: FromStr>(text: &[u8]) -> Result<T, Problem> {
    let text = str::from_utf8(text).map_err(|_| FLOAT)?;
    text.parse().map_err(|_| FLOAT)
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
