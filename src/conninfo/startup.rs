//! What the startup packet asks for: protocol versions and session parameters. Knows names and order, not the message.

use super::choice::choose;
use super::error::{Error, copy};
use super::surroundings::Surroundings;
use super::values::Options;
use crate::encoding::Encoding;

const PROTOCOL_3_0: u32 = 3 << 16;
const PROTOCOL_3_2: u32 = 3 << 16 | 2;

/// What the older variables set in the session, unless they say `default`.
const SESSION_VARIABLES: [(&str, &str); 3] = [
    ("PGDATESTYLE", "datestyle"),
    ("PGTZ", "timezone"),
    ("PGGEQO", "geqo"),
];

/// `min_protocol_version` and `max_protocol_version`. Many poolers cannot yet be asked for a newer one, so 3.0 is the limit unless
/// more is wanted.
pub(super) fn protocols(options: &Options) -> Result<(u32, u32), Error> {
    // There never was a 3.1.
    let known = [
        ("latest", PROTOCOL_3_2),
        ("3.0", PROTOCOL_3_0),
        ("3.2", PROTOCOL_3_2),
    ];
    let minimum = choose(options, "min_protocol_version", &known)?.unwrap_or(PROTOCOL_3_0);
    // Without a maximum: 3.0, or the latest one if 3.0 is not enough, which is the minimum itself.
    let maximum = choose(options, "max_protocol_version", &known)?.unwrap_or(minimum);
    if minimum > maximum {
        return Err(Error::of(&[
            b"\"min_protocol_version\" is greater than \"max_protocol_version\"",
        ]));
    }
    Ok((minimum, maximum))
}

/// A parameter of the session: name and value.
type Parameter = (Vec<u8>, Vec<u8>);

/// What goes into the startup packet besides user and database.
pub(super) fn parameters(
    options: &Options,
    from: &Surroundings,
    warnings: &mut Vec<String>,
) -> Result<Vec<Parameter>, Error> {
    let mut parameters = Vec::new();
    let mut add = |name: &str, value: &[u8]| -> Result<(), Error> {
        parameters.push((name.into(), copy(value)?));
        Ok(())
    };
    for keyword in ["replication", "options"] {
        if let Some(value) = options.filled(keyword) {
            add(keyword, value)?;
        }
    }
    let name = options
        .get("application_name")
        .or_else(|| options.get("fallback_application_name"));
    if let Some(name) = name.filter(|name| !name.is_empty()) {
        add("application_name", name)?;
    }
    match options.filled("client_encoding") {
        Some(b"auto") => match locale_encoding(from) {
            Some(encoding) => add("client_encoding", encoding.name().to_bytes())?,
            None => warnings.push(no_encoding(from)),
        },
        Some(encoding) => add("client_encoding", encoding)?,
        None => {}
    }
    for (variable, parameter) in SESSION_VARIABLES {
        if let Some(value) = from
            .variable(variable)
            .filter(|value| !value.eq_ignore_ascii_case(b"default"))
        {
            add(parameter, &value)?;
        }
    }
    Ok(parameters)
}

/// PostgreSQL's name for the locale's character set.
pub(super) fn locale_encoding(from: &Surroundings) -> Option<Encoding> {
    let (name, codeset) = from.locale();
    Encoding::of_locale(&name, &codeset)
}

fn no_encoding(from: &Surroundings) -> String {
    let (name, codeset) = from.locale();
    format!(
        "could not determine encoding for locale \"{}\": codeset is \"{}\"",
        String::from_utf8_lossy(&name),
        String::from_utf8_lossy(&codeset)
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn options(conninfo: &str) -> Options {
        Options::parse(conninfo.as_bytes()).unwrap()
    }

    #[test]
    fn the_oldest_protocol_that_is_enough() {
        for (conninfo, minimum, maximum) in [
            ("", PROTOCOL_3_0, PROTOCOL_3_0),
            ("max_protocol_version=latest", PROTOCOL_3_0, PROTOCOL_3_2),
            ("min_protocol_version=3.2", PROTOCOL_3_2, PROTOCOL_3_2),
            (
                "min_protocol_version=3.0 max_protocol_version=3.2",
                PROTOCOL_3_0,
                PROTOCOL_3_2,
            ),
        ] {
            let found = protocols(&options(conninfo));
            assert_eq!(found, Ok((minimum, maximum)), "{conninfo}");
        }
    }

    fn shown(conninfo: &str, from: &Surroundings) -> (Vec<String>, Vec<String>) {
        let mut warnings = Vec::new();
        let parameters = parameters(&options(conninfo), from, &mut warnings)
            .unwrap()
            .iter()
            .map(|(name, value)| {
                format!(
                    "{}={}",
                    String::from_utf8_lossy(name),
                    String::from_utf8_lossy(value)
                )
            })
            .collect();
        (parameters, warnings)
    }

    #[test]
    fn parameters_come_in_libpqs_order() {
        let from = Surroundings::empty()
            .with_variable("PGTZ", "UTC")
            .with_variable("PGDATESTYLE", "ISO")
            .with_variable("PGGEQO", "Default")
            .with_variable("LANG", "de_DE.UTF-8");
        let conninfo = "client_encoding=auto fallback_application_name=f options='-c x=1' replication=database";
        let (parameters, warnings) = shown(conninfo, &from);
        assert_eq!(
            parameters,
            [
                "replication=database",
                "options=-c x=1",
                "application_name=f",
                "client_encoding=UTF8",
                "datestyle=ISO",
                "timezone=UTC",
            ]
        );
        assert!(warnings.is_empty());
    }

    #[test]
    fn what_is_empty_is_not_sent() {
        for conninfo in [
            "",
            "options='' replication='' client_encoding=''",
            "application_name='' fallback_application_name=f",
        ] {
            assert_eq!(
                shown(conninfo, &Surroundings::empty()),
                (vec![], vec![]),
                "{conninfo}"
            );
        }
    }

    #[test]
    fn a_locale_without_an_encoding_is_worth_a_warning() {
        let from = Surroundings::empty().with_locale("xx_XX.VISCII", "VISCII");
        let (parameters, warnings) = shown("client_encoding=auto", &from);
        assert!(parameters.is_empty());
        assert_eq!(
            warnings,
            ["could not determine encoding for locale \"xx_XX.VISCII\": codeset is \"VISCII\""]
        );
    }
}
