//! Options whose value is one of a few words. Knows no option.

use super::error::Error;
use super::values::Options;

/// What the value of `keyword` stands for; `None` if it is not set.
pub(super) fn choose<T: Copy>(
    options: &Options,
    keyword: &str,
    choices: &[(&str, T)],
) -> Result<Option<T>, Error> {
    let Some(value) = options.get(keyword) else {
        return Ok(None);
    };
    choices
        .iter()
        .find(|(name, _)| name.as_bytes() == value)
        .map(|(_, choice)| Some(*choice))
        .ok_or_else(|| Error::invalid_value(keyword, value))
}
