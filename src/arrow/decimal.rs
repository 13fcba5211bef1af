//! numeric: as a scaled integer of 128 bits, or as text; from text and from its binary form (numeric_recv in the server's numeric.c).

use super::error::Problem;

const NUMERIC: Problem = Problem::Value("is not a numeric");
const FIT: Problem = Problem::Value(
    "does not fit a decimal of the column's precision and scale: export numerics as text (CONN_ARROW_NUMERIC_TEXT)",
);

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const MINUS_INFINITY: u16 = 0xF000;
/// The most digits behind the point.
const MOST_SCALE: u16 = 0x3FFF;

/// Powers of ten up to the most digits of a decimal.
const POWERS: [i128; 39] = {
    let mut powers = [1; 39];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// A number in text times ten to the power of `scale`, of at most `precision` digits.
#[inline(always)]
pub(super) fn decimal_text(text: &[u8], precision: u8, scale: u8) -> Result<i128, Problem> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let mut number = 0_i128;
    // Digits of the fraction still to come; none yet is more than there can be.
    let mut missing = None;
    let mut any = false;
    for &digit in digits {
        let digit = match digit.wrapping_sub(b'0') {
            digit @ 0..=9 => digit,
            _ if digit == b'.' && missing.is_none() => {
                missing = Some(scale);
                continue;
            }
            _ => return Err(unfit(text)),
        };
        any = true;
        if let Some(missing) = &mut missing {
            match *missing {
                0 if digit == 0 => continue,
                0 => return Err(FIT),
                _ => *missing -= 1,
            }
        }
        if number >= POWERS[37] {
            return Err(FIT);
        }
        number = number * 10 + i128::from(digit);
    }
    if !any {
        return Err(NUMERIC);
    }
    let missing = missing.unwrap_or(scale);
    scaled(negative, number, missing, precision)
}

/// What is not a number is no numeric, or one that no decimal holds.
#[cold]
fn unfit(text: &[u8]) -> Problem {
    match text {
        b"NaN" | b"Infinity" | b"-Infinity" => FIT,
        _ => NUMERIC,
    }
}

#[inline(always)]
fn scaled(negative: bool, number: i128, missing: u8, precision: u8) -> Result<i128, Problem> {
    let power = POWERS.get(usize::from(missing)).ok_or(FIT)?;
    let number = match missing {
        0 => number,
        _ => number.checked_mul(*power).ok_or(FIT)?,
    };
    if POWERS
        .get(usize::from(precision))
        .is_none_or(|&limit| number >= limit)
    {
        return Err(FIT);
    }
    Ok(if negative { -number } else { number })
}

/// A numeric in binary: digits to the base of 10,000.
struct Binary<'a> {
    /// Two bytes each.
    digits: &'a [u8],
    /// The power of 10,000 that the first digit counts.
    weight: i16,
    sign: u16,
    /// Decimal digits to show behind the point.
    scale: u16,
}

impl<'a> Binary<'a> {
    #[inline(always)]
    fn read(value: &'a [u8]) -> Result<Self, Problem> {
        let (&[n1, n2, w1, w2, s1, s2, d1, d2], digits) =
            value.split_first_chunk::<8>().ok_or(NUMERIC)?;
        let read = Self {
            digits,
            weight: i16::from_be_bytes([w1, w2]),
            sign: u16::from_be_bytes([s1, s2]),
            scale: u16::from_be_bytes([d1, d2]),
        };
        let is_known = matches!(read.sign, 0 | NEGATIVE | NAN | INFINITY | MINUS_INFINITY);
        if digits.len() != 2 * usize::from(u16::from_be_bytes([n1, n2]))
            || read.scale > MOST_SCALE
            || !is_known
        {
            return Err(NUMERIC);
        }
        Ok(read)
    }

    fn is_finite(&self) -> bool {
        self.sign & NAN != NAN
    }

    #[inline(always)]
    fn digits(&self) -> impl Iterator<Item = u16> + use<'a> {
        let (pairs, _) = self.digits.as_chunks::<2>();
        pairs.iter().map(|pair| u16::from_be_bytes(*pair))
    }
}

/// The same from binary.
#[inline(always)]
pub(super) fn decimal_binary(value: &[u8], precision: u8, scale: u8) -> Result<i128, Problem> {
    let binary = Binary::read(value)?;
    if !binary.is_finite() {
        return Err(FIT);
    }
    // The power of ten that the digit counts in the scaled integer.
    let mut power = i32::from(binary.weight) * 4 + i32::from(scale);
    let mut number = 0_i128;
    for digit in binary.digits() {
        if digit > 9999 {
            return Err(NUMERIC);
        }
        let digit = i128::from(digit);
        number += match power {
            0..=34 => digit * POWERS[power as usize],
            _ if digit == 0 => 0,
            // Of the first digit only a part can be there.
            35..=38 if digit < POWERS[38 - power as usize] => digit * POWERS[power as usize],
            -3..=-1 if digit % POWERS[-power as usize] == 0 => digit / POWERS[-power as usize],
            _ => return Err(FIT),
        };
        power -= 4;
    }
    scaled(binary.sign == NEGATIVE, number, 0, precision)
}

/// A binary numeric as the server writes it in text (numeric_out), appended.
pub(super) fn text(value: &[u8], out: &mut Vec<u8>) -> Result<(), Problem> {
    let binary = Binary::read(value)?;
    let special: &[u8] = match binary.sign {
        NAN => b"NaN",
        INFINITY => b"Infinity",
        MINUS_INFINITY => b"-Infinity",
        _ => b"",
    };
    let whole = usize::try_from(i32::from(binary.weight) + 1).unwrap_or(0);
    let scale = usize::from(binary.scale);
    out.try_reserve(2 + (4 * whole).max(1) + scale + 4 + special.len())?;
    if !special.is_empty() {
        out.extend_from_slice(special);
        return Ok(());
    }
    if binary.digits().any(|digit| digit > 9999) {
        return Err(NUMERIC);
    }
    if binary.sign == NEGATIVE {
        out.push(b'-');
    }
    let mut digits = binary.digits();
    let start = out.len();
    for _ in 0..whole {
        let digit = digits.next().unwrap_or(0);
        for unit in [1000, 100, 10, 1] {
            // No zeros at the beginning.
            if out.len() > start || digit >= unit {
                out.push(b'0' + (digit / unit % 10) as u8);
            }
        }
    }
    if out.len() == start {
        out.push(b'0');
    }
    if scale == 0 {
        return Ok(());
    }
    out.push(b'.');
    let end = out.len() + scale;
    let before = usize::try_from(-1 - i32::from(binary.weight)).unwrap_or(0);
    let zeros = std::iter::repeat_n(0, before);
    for digit in zeros.chain(digits).take(scale.div_ceil(4)) {
        for unit in [1000, 100, 10, 1] {
            out.push(b'0' + (digit / unit % 10) as u8);
        }
    }
    // What the digits do not say, or say beyond the scale.
    out.resize(end, b'0');
    Ok(())
}
