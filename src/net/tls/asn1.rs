//! Reads DER where it lies, element by element. Knows tags and lengths, not what they are for.

/// It is not DER, or not what was expected there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// The tags that certificates, revocation lists and keys are made of.
pub(super) mod tag {
    pub(crate) const BOOLEAN: u8 = 0x01;
    pub(crate) const INTEGER: u8 = 0x02;
    pub(crate) const BIT_STRING: u8 = 0x03;
    pub(crate) const OCTET_STRING: u8 = 0x04;
    pub(crate) const OID: u8 = 0x06;
    pub(crate) const ENUMERATED: u8 = 0x0a;
    pub(crate) const UTC_TIME: u8 = 0x17;
    pub(crate) const GENERALIZED_TIME: u8 = 0x18;
    pub(crate) const SEQUENCE: u8 = 0x30;
    pub(crate) const SET: u8 = 0x31;

    /// `[n]` of a simple type (IMPLICIT).
    pub(crate) const fn simple(n: u8) -> u8 {
        0x80 | n
    }

    /// `[n]` of a constructed type, or EXPLICIT.
    pub(crate) const fn nested(n: u8) -> u8 {
        0xa0 | n
    }
}

/// One element.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    /// With tag and length.
    pub(super) whole: &'a [u8],
    /// Without.
    pub(super) value: &'a [u8],
}

/// What is left of a run of elements.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next element, whatever it is.
    pub(super) fn element(&mut self) -> Result<Element<'a>, Malformed> {
        let (&tag, rest) = self.0.split_first().ok_or(Malformed)?;
        if tag & 0x1f == 0x1f {
            return Err(Malformed); // a tag of several bytes: nothing that is read here has one
        }
        let (length, rest) = length(rest)?;
        let value = rest.get(..length).ok_or(Malformed)?;
        let header = self.0.len() - rest.len();
        let (whole, left) = self.0.split_at_checked(header + length).ok_or(Malformed)?;
        self.0 = left;
        Ok(Element { tag, whole, value })
    }

    /// What the next element, which must have this tag, contains.
    pub(super) fn value(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        self.optional(tag)?.ok_or(Malformed)
    }

    /// The same, if it has this tag.
    pub(super) fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, Malformed> {
        if self.0.first() != Some(&tag) {
            return Ok(None);
        }
        self.element().map(|element| Some(element.value))
    }

    /// The next element, which must be a sequence.
    pub(super) fn sequence(&mut self) -> Result<Reader<'a>, Malformed> {
        self.value(tag::SEQUENCE).map(Reader)
    }

    /// The bytes of a bit string that has whole bytes only.
    pub(super) fn bits(&mut self) -> Result<&'a [u8], Malformed> {
        match self.value(tag::BIT_STRING)?.split_first() {
            Some((0, bytes)) => Ok(bytes),
            _ => Err(Malformed),
        }
    }

    /// `BOOLEAN DEFAULT FALSE`.
    pub(super) fn flag(&mut self) -> Result<bool, Malformed> {
        match self.optional(tag::BOOLEAN)? {
            None | Some([0]) => Ok(false),
            Some([_]) => Ok(true),
            Some(_) => Err(Malformed),
        }
    }

    /// A number that fits.
    pub(super) fn small(&mut self) -> Result<u32, Malformed> {
        number(self.value(tag::INTEGER)?)
    }

    /// Seconds since 1970.
    pub(super) fn time(&mut self) -> Result<i64, Malformed> {
        let element = self.element()?;
        time(element.tag, element.value)
    }

    /// There must be nothing more.
    pub(super) fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Malformed)
        }
    }
}

/// The single element that `bytes` are.
pub(super) fn only(bytes: &[u8], tag: u8) -> Result<&[u8], Malformed> {
    let mut reader = Reader::new(bytes);
    let value = reader.value(tag)?;
    reader.end()?;
    Ok(value)
}

/// A not negative integer of at most four bytes.
pub(super) fn number(value: &[u8]) -> Result<u32, Malformed> {
    let digits = match value {
        [] | [0x80..=0xff, ..] => return Err(Malformed),
        [0, rest @ ..] => rest,
        all => all,
    };
    if digits.len() > 4 {
        return Err(Malformed);
    }
    Ok(digits
        .iter()
        .fold(0, |number, byte| (number << 8) | u32::from(*byte)))
}

/// A length, in the only form that DER has for it, and what is behind it.
fn length(bytes: &[u8]) -> Result<(usize, &[u8]), Malformed> {
    match bytes {
        [short @ 0..=0x7f, rest @ ..] => Ok((usize::from(*short), rest)),
        [0x81, a @ 0x80..=0xff, rest @ ..] => Ok((usize::from(*a), rest)),
        [0x82, a @ 1..=0xff, b, rest @ ..] => Ok((join(&[*a, *b]), rest)),
        [0x83, a @ 1..=0xff, b, c, rest @ ..] => Ok((join(&[*a, *b, *c]), rest)),
        [0x84, a @ 1..=0x7f, b, c, d, rest @ ..] => Ok((join(&[*a, *b, *c, *d]), rest)),
        _ => Err(Malformed),
    }
}

fn join(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .fold(0, |length, byte| (length << 8) | usize::from(*byte))
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`, the only forms that RFC 5280 allows (section 4.1.2.5).
fn time(tag: u8, value: &[u8]) -> Result<i64, Malformed> {
    let (year, rest) = match tag {
        tag::UTC_TIME => {
            let (year, rest) = digits(value, 2)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        tag::GENERALIZED_TIME => digits(value, 4)?,
        _ => return Err(Malformed),
    };
    let (month, rest) = digits(rest, 2)?;
    let (day, rest) = digits(rest, 2)?;
    let (hour, rest) = digits(rest, 2)?;
    let (minute, rest) = digits(rest, 2)?;
    let (second, rest) = digits(rest, 2)?;
    let in_range = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !in_range || rest != b"Z" {
        return Err(Malformed);
    }
    Ok(days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

fn digits(bytes: &[u8], count: usize) -> Result<(i64, &[u8]), Malformed> {
    let (digits, rest) = bytes.split_at_checked(count).ok_or(Malformed)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(Malformed);
    }
    let number = digits
        .iter()
        .fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
    Ok((number, rest))
}

/// Days from 1970 to a day of the Gregorian calendar; the year is made to begin in March, so that the leap day is its last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Malformed, Reader, length, number, tag, time};

    #[test]
    fn lengths_have_one_form() {
        assert_eq!(length(&[5, 1]), Ok((5, &[1][..])));
        assert_eq!(length(&[0x81, 0x80]), Ok((128, &[][..])));
        assert_eq!(length(&[0x82, 1, 0]), Ok((256, &[][..])));
        assert_eq!(length(&[0x83, 1, 0, 0]), Ok((65_536, &[][..])));
        for bad in [
            &[][..],
            &[0x80],
            &[0x81, 0x7f],
            &[0x82, 0, 0xff],
            &[0x83, 0, 1, 0],
            &[0x84, 0x80, 0, 0, 0],
            &[0x85, 1, 0, 0, 0, 0],
            &[0xff],
        ] {
            assert_eq!(length(bad), Err(Malformed), "{bad:x?}");
        }
    }

    #[test]
    fn an_element_may_not_be_longer_than_what_is_there() {
        let bytes = [tag::SEQUENCE, 3, tag::INTEGER, 1, 7];
        for end in 0..bytes.len() {
            assert!(Reader::new(&bytes[..end]).sequence().is_err());
        }
        let mut inside = Reader::new(&bytes).sequence().unwrap();
        assert_eq!(inside.small(), Ok(7));
        assert!(inside.is_empty() && inside.end().is_ok());
        assert!(Reader::new(&bytes).end().is_err());
    }

    #[test]
    fn numbers_are_not_negative_and_fit() {
        assert_eq!(number(&[0]), Ok(0));
        assert_eq!(number(&[0, 0xff, 0xff, 0xff, 0xff]), Ok(u32::MAX));
        for bad in [&[][..], &[0x80], &[1, 0, 0, 0, 0]] {
            assert_eq!(number(bad), Err(Malformed));
        }
    }

    #[test]
    fn times_are_seconds_since_1970() {
        for (kind, text, seconds) in [
            (tag::UTC_TIME, "700101000000Z", 0),
            (tag::UTC_TIME, "491231235959Z", 2_524_607_999),
            (tag::UTC_TIME, "500101000000Z", -631_152_000),
            (tag::UTC_TIME, "240229120000Z", 1_709_208_000),
            (tag::GENERALIZED_TIME, "20500101000000Z", 2_524_608_000),
            (tag::GENERALIZED_TIME, "99991231235959Z", 253_402_300_799),
            (tag::GENERALIZED_TIME, "00000101000000Z", -62_167_219_200),
        ] {
            assert_eq!(time(kind, text.as_bytes()), Ok(seconds), "{text}");
        }
        for bad in [
            "",
            "7001010000Z",
            "700101000000",
            "701301000000Z",
            "700100000000Z",
            "700101240000Z",
            "7001010000000Z",
            "70010100000aZ",
            "700101000000+0100",
        ] {
            assert_eq!(time(tag::UTC_TIME, bad.as_bytes()), Err(Malformed), "{bad}");
        }
    }
}
