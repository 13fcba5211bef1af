//! Dates and times, from text and from binary. Knows the ISO style of DateStyle, and that PostgreSQL counts from 2000 and Arrow from 1970.
//!
//! The calendar is computed here: PostgreSQL's years end in 5874897, those of date libraries long before.

use super::cells::Cell;
use super::error::Problem;

/// Days from 1970-01-01 to 2000-01-01.
const DAYS: i32 = 10_957;
const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// What infinity becomes, and negative what -infinity: so that DuckDB takes them for what they are.
const NEVER: i32 = i32::MAX;
const NEVER_MICROSECONDS: i64 = i64::MAX;

const DATE: Problem =
    Problem::Value("is not a date in ISO style: SET datestyle TO ISO, or ask for binary results");
const TIMESTAMP: Problem = Problem::Value(
    "is not a timestamp in ISO style: SET datestyle TO ISO, or ask for binary results",
);
const TIME: Problem = Problem::Value("is not a time of day");
const MIDNIGHT: Problem = Problem::Value(
    "is the end of a day, which Arrow's time does not have: cast the column to text",
);
const RANGE: Problem = Problem::Value(
    "is too far from 1970 for Arrow's 64 bits of microseconds: cast the column to text",
);
const DATE_RANGE: Problem =
    Problem::Value("is not a date: too far from 1970 for Arrow's 32 bits of days");

#[inline(always)]
pub(super) fn date_binary(cell: Cell<'_>) -> Result<i32, Problem> {
    match i32::from_be_bytes(cell.exactly()?) {
        i32::MAX => Ok(NEVER),
        i32::MIN => Ok(-NEVER),
        days => days.checked_add(DAYS).ok_or(DATE_RANGE),
    }
}

pub(super) fn date_text(cell: Cell<'_>) -> Result<i32, Problem> {
    let text = cell.value();
    match text {
        b"infinity" => return Ok(NEVER),
        b"-infinity" => return Ok(-NEVER),
        _ => {}
    }
    let (date, rest) = calendar(text).ok_or(DATE)?;
    let days = date.days(rest).ok_or(DATE)?;
    i32::try_from(days).map_err(|_| DATE_RANGE)
}

#[inline(always)]
pub(super) fn time_binary(cell: Cell<'_>) -> Result<i64, Problem> {
    within_day(i64::from_be_bytes(cell.exactly()?))
}

pub(super) fn time_text(cell: Cell<'_>) -> Result<i64, Problem> {
    match clock(cell.value()) {
        Some((time, [])) => within_day(time),
        _ => Err(TIME),
    }
}

#[inline(always)]
fn within_day(time: i64) -> Result<i64, Problem> {
    match time {
        0..DAY => Ok(time),
        DAY => Err(MIDNIGHT),
        _ => Err(TIME),
    }
}

/// Of both kinds: their binary values are the same.
#[inline(always)]
pub(super) fn timestamp_binary(cell: Cell<'_>) -> Result<i64, Problem> {
    match i64::from_be_bytes(cell.exactly()?) {
        i64::MAX => Ok(NEVER_MICROSECONDS),
        i64::MIN => Ok(-NEVER_MICROSECONDS),
        time => time.checked_add(i64::from(DAYS) * DAY).ok_or(RANGE),
    }
}

/// With a zone, which must then be there, or without.
#[inline(always)]
pub(super) fn timestamp_text(cell: Cell<'_>, zone: bool) -> Result<i64, Problem> {
    let text = cell.value();
    match text {
        b"infinity" => return Ok(NEVER_MICROSECONDS),
        b"-infinity" => return Ok(-NEVER_MICROSECONDS),
        _ => {}
    }
    let Some((date, [b' ', rest @ ..])) = calendar(text) else {
        return Err(TIMESTAMP);
    };
    let (mut time, mut rest) = clock(rest).ok_or(TIMESTAMP)?;
    if time >= DAY {
        return Err(TIMESTAMP);
    }
    if zone {
        let (offset, behind) = offset(rest).ok_or(TIMESTAMP)?;
        time -= offset * SECOND;
        rest = behind;
    }
    let days = date.days(rest).ok_or(TIMESTAMP)?;
    let days = days.checked_mul(DAY).ok_or(RANGE)?;
    days.checked_add(time).ok_or(RANGE)
}

/// A date as written: its year may still become one before Christ.
struct Date {
    year: i64,
    month: u32,
    day: u32,
}

impl Date {
    /// Days since 1970-01-01; `rest` is what stands behind the date and time: nothing, or ` BC`.
    #[inline(always)]
    fn days(&self, rest: &[u8]) -> Option<i64> {
        let year = match rest {
            b"" => self.year,
            b" BC" => 1 - self.year,
            _ => return None,
        };
        if self.year == 0
            || !(1..=12).contains(&self.month)
            || self.day == 0
            || self.day > days_of(year, self.month)
        {
            return None;
        }
        // The year begins in March, so that its last day is the one that may be missing; 400 years are 146,097 days.
        let year = year - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let of_era = year.rem_euclid(400);
        let month = (self.month + 9) % 12;
        let of_year = i64::from((153 * month + 2) / 5 + self.day - 1);
        Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
    }
}

#[inline(always)]
fn days_of(year: i64, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// `YYYY-MM-DD` with four to seven digits of the year, and what is behind it.
#[inline(always)]
fn calendar(text: &[u8]) -> Option<(Date, &[u8])> {
    let (year, behind) = match text {
        [y1, y2, y3, y4, behind @ ..] if behind.first() == Some(&b'-') => {
            (two(*y1, *y2)? * 100 + two(*y3, *y4)?, behind)
        }
        _ => long_year(text)?,
    };
    let (&[b'-', m1, m2, b'-', d1, d2], rest) = behind.split_first_chunk::<6>()? else {
        return None;
    };
    let date = Date {
        year: year.into(),
        month: two(m1, m2)?,
        day: two(d1, d2)?,
    };
    Some((date, rest))
}

/// A year of five to seven digits.
#[cold]
fn long_year(text: &[u8]) -> Option<(u32, &[u8])> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit())?;
    let (year, behind) = text.split_at_checked(end)?;
    if !(5..=7).contains(&end) {
        return None;
    }
    let year = str::from_utf8(year).ok()?.parse().ok()?;
    Some((year, behind))
}

/// `HH:MM:SS` with up to six digits behind a point, in microseconds up to the end of the day, and what is behind it.
#[inline(always)]
fn clock(text: &[u8]) -> Option<(i64, &[u8])> {
    let (&[h1, h2, b':', m1, m2, b':', s1, s2], mut rest) = text.split_first_chunk::<8>()? else {
        return None;
    };
    let (hours, minutes, seconds) = (two(h1, h2)?, two(m1, m2)?, two(s1, s2)?);
    let mut fraction = 0;
    if let [b'.', digits @ ..] = rest {
        let mut unit = SECOND;
        rest = digits;
        while let [digit @ b'0'..=b'9', behind @ ..] = rest {
            unit /= 10;
            if unit == 0 {
                return None;
            }
            fraction += i64::from(digit - b'0') * unit;
            rest = behind;
        }
        if unit == SECOND {
            return None;
        }
    }
    let time = i64::from(hours * 3600 + minutes * 60 + seconds) * SECOND + fraction;
    (minutes <= 59 && seconds <= 59 && time <= DAY).then_some((time, rest))
}

/// A zone's distance from UTC in seconds, `+HH`, `+HH:MM` or `+HH:MM:SS`, and what is behind it.
#[inline(always)]
fn offset(text: &[u8]) -> Option<(i64, &[u8])> {
    let (&[sign, h1, h2], mut rest) = text.split_first_chunk::<3>()?;
    let mut offset = i64::from(two(h1, h2)?) * 3600;
    let mut unit = 60;
    while unit > 0
        && let [b':', d1, d2, behind @ ..] = rest
    {
        offset += i64::from(two(*d1, *d2)?) * unit;
        unit /= 60;
        rest = behind;
    }
    match sign {
        b'+' => Some((offset, rest)),
        b'-' => Some((-offset, rest)),
        _ => None,
    }
}

/// The number of two digits.
#[inline(always)]
fn two(tens: u8, ones: u8) -> Option<u32> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then_some(u32::from(tens) * 10 + u32::from(ones))
}
