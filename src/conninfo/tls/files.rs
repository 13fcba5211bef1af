//! Finds and reads the files that TLS needs, by libpq's rules and in its words. Knows no certificate's content.

use nix::errno::Errno;

use super::{CertificateMode, File, Identity, Roots, Tls, Verify};
use crate::conninfo::encryption::TlsVersions;
use crate::conninfo::plan::{Secret, SslMode};
use crate::conninfo::surroundings::Surroundings;
use crate::conninfo::values::Options;

/// No more lists than this are read from `sslcrldir`.
const MAX_LISTS: usize = 1000;

/// Nor more bytes.
const MAX_LIST_BYTES: usize = 64 << 20;

/// Reads what the options say, and what is below `~/.postgresql` where they say nothing.
///
/// What is wrong with the files is no error here but [`Tls::problem`], for a connection that never begins TLS need not know.
pub(in crate::conninfo) fn read(
    options: &Options,
    mode: SslMode,
    (min_version, max_version): TlsVersions,
    certificate_mode: CertificateMode,
    from: &Surroundings,
) -> Tls {
    let mut tls = Tls {
        verify: Verify::Nothing,
        roots: Roots::None,
        check_revocation: false,
        revocations: Vec::new(),
        identity: None,
        certificate_mode,
        sni: options
            .get("sslsni")
            .is_none_or(|value| value.starts_with(b"1")),
        min_version,
        max_version,
        keylog: options.filled("sslkeylogfile").map(Into::into),
        direct: options.get("sslnegotiation") == Some(b"direct"),
        problem: None,
    };
    let files = Files {
        options,
        from,
        home: from.home(),
    };
    // The order is libpq's: of several problems the same one is told.
    tls.problem = files
        .add_roots(&mut tls, mode)
        .and_then(|()| files.add_identity(&mut tls))
        .err();
    tls
}

struct Files<'a> {
    options: &'a Options,
    from: &'a Surroundings,
    home: Option<Vec<u8>>,
}

impl Files<'_> {
    /// `sslrootcert`. Where there is such a file the server's issuer is checked, whatever `sslmode` says.
    fn add_roots(&self, tls: &mut Tls, mode: SslMode) -> Result<(), String> {
        let strict = matches!(mode, SslMode::VerifyCa | SslMode::VerifyFull);
        let verify = if mode == SslMode::VerifyFull {
            Verify::Host
        } else {
            Verify::Issuer
        };
        let path = self.path("sslrootcert", "root.crt");
        match path {
            Some(path) if path == b"system" => {
                tls.roots = Roots::System;
                tls.verify = verify;
            }
            Some(path) if self.from.look(&path).is_ok() => {
                tls.roots = Roots::File(self.read(path, "could not read root certificate file")?);
                tls.verify = verify;
                self.add_revocations(tls)?;
            }
            Some(path) if strict => {
                return Err(format!(
                    "root certificate file {} does not exist\n{PROVIDE_ROOTS}",
                    quoted(&path)
                ));
            }
            None if strict => {
                return Err(format!(
                    "could not get home directory to locate root certificate file\n{PROVIDE_ROOTS}"
                ));
            }
            _ => {}
        }
        Ok(())
    }

    /// `sslcrl` and `sslcrldir`. A file that cannot be read, or has nothing of the kind in it, means that nothing is checked, whatever
    /// the directory has; a directory asks for a list of every issuer, whether there is one in it or not.
    fn add_revocations(&self, tls: &mut Tls) -> Result<(), String> {
        let directories = self.options.filled("sslcrldir");
        let file = match (self.options.filled("sslcrl"), directories) {
            (Some(file), _) => Some(file.to_vec()),
            (None, Some(_)) => None,
            (None, None) => self.path("sslcrl", "root.crl"),
        };
        if let Some(path) = file {
            let Ok(mut content) = self.from.read(&path) else {
                return Ok(());
            };
            if !is_of_lists(&content) {
                return Ok(());
            }
            tls.check_revocation = true;
            tls.revocations.push(File {
                path,
                content: std::mem::take(&mut *content),
            });
        }
        if let Some(directories) = directories {
            tls.check_revocation = true;
            for directory in directories.split(|byte| *byte == b':') {
                self.add_directory(tls, directory)?;
            }
        }
        Ok(())
    }

    /// The lists of a directory that are named as `openssl rehash` names them, `xxxxxxxx.rN`. OpenSSL would look for the one of each
    /// issuer; here all are read, as no server is known yet. One that cannot be read is as good as none.
    fn add_directory(&self, tls: &mut Tls, directory: &[u8]) -> Result<(), String> {
        let mut bytes: usize = tls.revocations.iter().map(|list| list.content.len()).sum();
        let names = self.from.names(directory, MAX_LISTS, is_list_name);
        for name in &names {
            let path = [directory, b"/", name].concat();
            let Ok(mut content) = self.from.read(&path) else {
                continue;
            };
            bytes = bytes.saturating_add(content.len());
            tls.revocations.push(File {
                path,
                content: std::mem::take(&mut *content),
            });
            if tls.revocations.len() > MAX_LISTS || bytes > MAX_LIST_BYTES {
                return Err(format!(
                    "certificate revocation list directory {} has more than {MAX_LISTS} lists, or more than {} MB of them: remove those of issuers that are not used here",
                    quoted(directory),
                    MAX_LIST_BYTES >> 20
                ));
            }
        }
        Ok(())
    }

    /// `sslcert` and `sslkey`. A certificate that is not there is none, also if it was asked for by name.
    fn add_identity(&self, tls: &mut Tls) -> Result<(), String> {
        let Some(path) = self
            .path("sslcert", "postgresql.crt")
            .filter(|_| tls.certificate_mode != CertificateMode::Disable)
        else {
            return Ok(());
        };
        match self.from.look(&path) {
            Ok(_) => {}
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(()),
            Err(error) => {
                return Err(failed("could not open certificate file", &path, error));
            }
        }
        let certificate = self.read(path, "could not read certificate file")?;
        let Some(key_path) = self.path("sslkey", "postgresql.key") else {
            return Err(
                "certificate does not match private key file \"\": no private key assigned".into(),
            );
        };
        self.check_key(&key_path)?;
        let mut key = self
            .from
            .read(&key_path)
            .map_err(|error| failed("could not load private key file", &key_path, error))?;
        let password = self.options.filled("sslpassword");
        tls.identity = Some(Identity {
            certificate,
            key_path,
            key: Secret::new(std::mem::take(&mut *key)),
            password: password.map(|password| Secret::new(password.into())),
        });
        Ok(())
    }

    /// That there is a private key and that nobody else can read it. Root's may be readable by its group, so that a service may use
    /// the machine's own.
    fn check_key(&self, path: &[u8]) -> Result<(), String> {
        let facts = match self.from.look(path) {
            Ok(facts) => facts,
            Err(Errno::ENOENT) => {
                if let (Some(_), Some(colon)) = (
                    self.options.filled("sslkey"),
                    path.iter().position(|byte| *byte == b':'),
                ) {
                    let engine = path.get(..colon).unwrap_or_default();
                    return Err(format!(
                        "could not load SSL engine {}: engines are not supported (set sslkey to the name of a file)",
                        quoted(engine)
                    ));
                }
                return Err(format!(
                    "certificate present, but not private key file {}",
                    quoted(path)
                ));
            }
            Err(error) => return Err(failed("could not stat private key file", path, error)),
        };
        if !facts.regular {
            return Err(format!(
                "private key file {} is not a regular file",
                quoted(path)
            ));
        }
        let forbidden = if facts.owner == 0 { 0o037 } else { 0o077 };
        if facts.mode & forbidden != 0 {
            return Err(format!(
                "private key file {} has group or world access; file must have permissions u=rw (0600) or less if owned by the current user, or permissions u=rw,g=r (0640) or less if owned by root",
                quoted(path)
            ));
        }
        Ok(())
    }

    /// What the option names, else the file of that name below `~/.postgresql`; `None` without a home directory.
    fn path(&self, keyword: &str, name: &str) -> Option<Vec<u8>> {
        if let Some(path) = self.options.filled(keyword) {
            return Some(path.into());
        }
        let home = self.home.as_ref()?;
        Some([home, &b"/.postgresql/"[..], name.as_bytes()].concat())
    }

    fn read(&self, path: Vec<u8>, complaint: &str) -> Result<File, String> {
        match self.from.read(&path) {
            Ok(mut content) => Ok(File {
                path,
                content: std::mem::take(&mut *content),
            }),
            Err(error) => Err(failed(complaint, &path, error)),
        }
    }
}

const PROVIDE_ROOTS: &str = "Either provide the file, use the system's trusted roots with sslrootcert=system, or change sslmode to disable server certificate verification.";

/// Whether there is anything in a file that OpenSSL would load as one of lists: an empty one is as good as none.
fn is_of_lists(content: &[u8]) -> bool {
    let has = |part: &[u8]| content.windows(part.len()).any(|window| window == part);
    content.starts_with(&[0x30]) || has(b"X509 CRL-----") || has(b"CERTIFICATE-----")
}

fn is_list_name(name: &[u8]) -> bool {
    name.split_at_checked(8).is_some_and(|(hash, rest)| {
        let number = rest.strip_prefix(b".r").unwrap_or_default();
        hash.iter().all(u8::is_ascii_hexdigit)
            && !number.is_empty()
            && number.iter().all(u8::is_ascii_digit)
    })
}

fn failed(complaint: &str, path: &[u8], error: Errno) -> String {
    format!("{complaint} {}: {}", quoted(path), error.desc())
}

fn quoted(path: &[u8]) -> String {
    format!("\"{}\"", String::from_utf8_lossy(path))
}

#[cfg(test)]
mod tests;
