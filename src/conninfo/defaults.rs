//! Fills in what the caller left open: service file, environment, compiled defaults, account. Knows precedence, not meanings.

use zeroize::Zeroizing;

use super::error::Error;
use super::options::OPTIONS;
use super::service;
use super::surroundings::Surroundings;
use super::values::Options;

impl Options {
    /// Sets everything that is not set: from the service file, then the environment, then the compiled defaults; `user` from the
    /// operating system's account.
    ///
    /// What has no default stays unset: [`Options::plan`] knows that the database is named like the user, and so on.
    ///
    /// # Errors
    /// libpq's text for a service that is not defined and a service file that is not there or malformed; `out of memory`.
    pub fn fill_defaults(&mut self, from: &Surroundings) -> Result<(), Error> {
        service::fill(self, from)?;
        self.fill_from_environment(from)
    }

    /// The defaults alone, as `PQconndefaults` tells them: a service that cannot be read adds what it can.
    ///
    /// # Errors
    /// `out of memory`.
    pub fn defaults(from: &Surroundings) -> Result<Self, Error> {
        let mut options = Self::default();
        let _ = service::fill(&mut options, from);
        options.fill_from_environment(from)?;
        Ok(options)
    }

    fn fill_from_environment(&mut self, from: &Surroundings) -> Result<(), Error> {
        let mut sslmode_is_open = false;
        for (index, option) in OPTIONS.iter().enumerate() {
            if self.at(index).is_some() {
                continue;
            }
            let variable = option.envvar.and_then(|name| from.variable(name));
            if let Some(value) = variable.map(Zeroizing::new) {
                self.put(index, &value)?;
            } else if option.keyword == "sslmode" && requires_ssl(from) {
                self.put(index, b"require")?;
            } else if let Some(value) = option.compiled {
                sslmode_is_open |= option.keyword == "sslmode";
                self.put(index, value.as_bytes())?;
            } else if option.keyword == "user"
                && let Ok(account) = from.account()
            {
                self.put(index, &account.name)?;
            }
        }
        // Trusting the system's roots means little unless the host's name is checked too.
        if sslmode_is_open && self.get("sslrootcert") == Some(b"system") {
            self.set("sslmode", b"verify-full")?;
        }
        self.shrink()
    }
}

/// `PGREQUIRESSL=1`: an older way to say `PGSSLMODE=require`.
fn requires_ssl(from: &Surroundings) -> bool {
    from.variable("PGREQUIRESSL")
        .is_some_and(|value| value.starts_with(b"1"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn filled(conninfo: &str, from: &Surroundings) -> Options {
        let mut options = Options::parse(conninfo.as_bytes()).unwrap();
        options.fill_defaults(from).unwrap();
        options
    }

    fn surroundings() -> Surroundings {
        Surroundings::empty().with_account("alice", "/home/alice")
    }

    #[test]
    fn string_then_service_then_environment_then_default() {
        let from = surroundings()
            .with_variable("PGHOST", "environment")
            .with_variable("PGPORT", "environment")
            .with_variable("PGDATABASE", "environment")
            .with_file(
                "/home/alice/.pg_service.conf",
                0o644,
                "[s]\nhost=service\nport=service\n",
            );
        let options = filled("service=s host=string", &from);
        assert_eq!(options.get("host"), Some(&b"string"[..]));
        assert_eq!(options.get("port"), Some(&b"service"[..]));
        assert_eq!(options.get("dbname"), Some(&b"environment"[..]));
        assert_eq!(options.get("user"), Some(&b"alice"[..]));
        assert_eq!(options.get("target_session_attrs"), Some(&b"any"[..]));
        assert_eq!(options.get("passfile"), None);
    }

    #[test]
    fn each_option_is_filled_from_its_variable() {
        let mut from = surroundings();
        for option in OPTIONS {
            if let Some(name) = option.envvar.filter(|name| *name != "PGSERVICE") {
                from = from.with_variable(name, format!("<{name}>"));
            }
        }
        let options = filled("", &from);
        for option in OPTIONS {
            let expected = match option.envvar {
                Some("PGSERVICE") => None,
                Some(name) => Some(format!("<{name}>")),
                None => option.compiled.map(str::to_owned),
            };
            assert_eq!(
                options.get(option.keyword),
                expected.as_deref().map(str::as_bytes),
                "{}",
                option.keyword
            );
        }
    }

    #[test]
    fn an_empty_variable_is_a_value() {
        let from = surroundings()
            .with_variable("PGUSER", "")
            .with_variable("PGPORT", "");
        let options = filled("", &from);
        assert_eq!(options.get("user"), Some(&b""[..]));
        assert_eq!(options.get("port"), Some(&b""[..]));
    }

    #[test]
    fn the_old_variable_for_tls_is_weaker_than_the_new_one() {
        let from = surroundings().with_variable("PGREQUIRESSL", "1");
        assert_eq!(filled("", &from).get("sslmode"), Some(&b"require"[..]));
        let from = from.with_variable("PGSSLMODE", "allow");
        assert_eq!(filled("", &from).get("sslmode"), Some(&b"allow"[..]));
        let from = surroundings().with_variable("PGREQUIRESSL", "0");
        assert_eq!(filled("", &from).get("sslmode"), Some(&b"prefer"[..]));
    }

    #[test]
    fn a_service_without_definition_is_an_error_but_for_the_list_of_defaults() {
        let from = surroundings().with_variable("PGSERVICE", "s").with_file(
            "/home/alice/.pg_service.conf",
            0o644,
            "[s]\nhost=h\nwhat\n",
        );
        let error = Options::default().fill_defaults(&from).unwrap_err();
        assert_eq!(
            error.to_string(),
            "syntax error in service file \"/home/alice/.pg_service.conf\", line 3"
        );
        let defaults = Options::defaults(&from).unwrap();
        assert_eq!(defaults.get("host"), Some(&b"h"[..]));
        assert_eq!(defaults.get("port"), Some(&b"5432"[..]));
    }

    #[test]
    fn a_usual_connection_keeps_less_than_600_bytes() {
        let options = filled(
            "postgresql://app_user:correct-horse-battery@db.internal.example.com:6432/app_production?application_name=billing&connect_timeout=10",
            &surroundings(),
        );
        println!(
            "a usual connection's options: {} bytes",
            options.heap_size()
        );
        assert!(options.heap_size() < 600);
    }
}
