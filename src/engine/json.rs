//! Writes members of a JSON object. Knows no values but numbers and texts.

use std::fmt::{self, Write};

/// Appends `"name":"value",`.
pub(super) fn text(line: &mut String, name: &str, value: &str) {
    // Writing to a String does not fail.
    let _ = write!(line, "\"{name}\":\"{}\",", Escaped(value));
}

/// Appends `"name":value,`.
pub(super) fn number(line: &mut String, name: &str, value: u64) {
    let _ = write!(line, "\"{name}\":{value},");
}

/// Appends `"name":value,` with three digits behind the point.
pub(super) fn fraction(line: &mut String, name: &str, value: f64) {
    let _ = write!(line, "\"{name}\":{value:.3},");
}

/// Closes an object whose last member ends with a comma.
pub(super) fn close(line: &mut String) {
    if line.ends_with(',') {
        line.pop();
    }
    line.push('}');
}

/// A text as it stands between quotes.
pub(super) struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                control if control.is_control() => write!(f, "\\u{:04x}", control as u32)?,
                plain => f.write_char(plain)?,
            }
        }
        Ok(())
    }
}
