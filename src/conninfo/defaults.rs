//! Fills in what the caller left open: service file, environment, compiled defaults, account. Knows precedence, not meanings.

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
            if let Some(value) = option.envvar.and_then(|name| from.variable(name)) {
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
