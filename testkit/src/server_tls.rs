//! How a throw-away cluster does TLS: which certificate, key and authorities. Knows configuration lines, starts nothing.

use std::path::Path;

use crate::certificates::certificates;

/// How a cluster does TLS. The files are named as in [`certificates`].
///
/// Unless it is said otherwise, clients' certificates are checked against `root+client_ca.crt` and `root+client.crl`.
#[derive(Clone, Debug)]
pub struct ServerTls {
    certificate: String,
    key: String,
    authority: String,
    settings: Vec<(String, String)>,
}

impl Default for ServerTls {
    /// The certificate for `localhost`, 127.0.0.1 and ::1, followed by that of its issuer.
    fn default() -> ServerTls {
        ServerTls::new("server-localhost")
    }
}

impl ServerTls {
    /// With this certificate, and the key of the same name.
    #[must_use]
    pub fn new(certificate: &str) -> ServerTls {
        ServerTls {
            certificate: certificate.to_owned(),
            key: certificate.to_owned(),
            authority: "root+client_ca".to_owned(),
            settings: Vec::new(),
        }
    }

    /// With the key of another name.
    #[must_use]
    pub fn key(mut self, key: &str) -> ServerTls {
        self.key = key.to_owned();
        self
    }

    /// Checks clients' certificates against these.
    #[must_use]
    pub fn authority(mut self, authority: &str) -> ServerTls {
        self.authority = authority.to_owned();
        self
    }

    /// Checks them against this folder of revocation lists too.
    #[must_use]
    pub fn list_folder(self, folder: &str) -> ServerTls {
        self.setting("ssl_crl_dir", &format!("../tls/{folder}"))
    }

    /// Adds any setting: `ssl_max_protocol_version`, `ssl_ciphers`, ….
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> ServerTls {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The lines for `postgresql.conf`, with the files in `tls` beside the data directory.
    pub(crate) fn lines(&self) -> String {
        let file = |name: &str| format!("../tls/{name}");
        let own = [
            ("ssl", "on".to_owned()),
            ("ssl_cert_file", file(&format!("{}.crt", self.certificate))),
            ("ssl_key_file", file(&format!("{}.key", self.key))),
            ("ssl_ca_file", file(&format!("{}.crt", self.authority))),
            ("ssl_crl_file", file("root+client.crl")),
        ];
        let own = own.iter().map(|(name, value)| (*name, value.as_str()));
        let more = self.settings.iter();
        let more = more.map(|(name, value)| (name.as_str(), value.as_str()));
        let lines = own.chain(more);
        lines
            .map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''")))
            .collect()
    }

    /// Puts the files into `folder`, as `give` wants them owned.
    pub(crate) fn install(folder: &Path, give: &dyn Fn(&Path)) {
        crate::certificates::copy_private(certificates().folder(), folder, give);
    }
}
