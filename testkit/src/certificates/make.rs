//! Follows the recipe with the `openssl` program. Knows its command lines, not what the certificates are for.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::recipe::{CERTIFICATES, COMBINATIONS, DATED, KEYS, LIST_FOLDERS, LISTS, Recipe, SHAPES};

const INSTALL: &str = "apt-get install openssl (3.0 or later)";

/// Makes everything in `folder`, which must not exist.
pub(super) fn all(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let work = Work {
        folder,
        newer: newer(),
    };
    work.keys();
    for (serial, recipe) in CERTIFICATES.iter().enumerate() {
        work.certificate(recipe, serial + 1000);
    }
    for (serial, dated) in DATED.iter().enumerate() {
        work.dated(dated, serial + 2000);
    }
    for list in LISTS {
        work.list(list);
    }
    for (name, parts) in COMBINATIONS {
        let whole: Vec<u8> = parts.iter().flat_map(|part| work.read(part)).collect();
        work.write(name, &whole);
    }
    for (name, lists) in LIST_FOLDERS {
        work.list_folder(name, lists);
    }
    for (name, from, how) in SHAPES {
        let arguments = [how, &["-in", from, "-out", name][..]].concat();
        work.openssl(&arguments);
    }
    work.tidy();
}

struct Work<'a> {
    folder: &'a Path,
    /// openssl 3.2 or later, which makes certificates of version 1 only if told so.
    newer: bool,
}

impl Work<'_> {
    fn keys(&self) {
        for (name, how) in KEYS {
            let file = format!("key-{name}");
            self.openssl(&[&["genpkey", "-out", &file][..], how].concat());
        }
    }

    fn certificate(&self, recipe: &Recipe, serial: usize) {
        let Recipe { name, issuer, .. } = recipe;
        fs::copy(
            self.folder.join(format!("key-{}", recipe.key)),
            self.folder.join(format!("{name}.key")),
        )
        .unwrap();
        self.configure(recipe.subject, recipe.extensions);
        let (key, out) = (format!("{name}.key"), format!("{name}.crt"));
        let (ca, ca_key) = (format!("{issuer}.crt"), format!("{issuer}.key"));
        let (digest, serial) = (format!("-{}", recipe.digest), serial.to_string());
        let mut arguments = vec![
            "req",
            "-new",
            "-x509",
            "-utf8",
            "-config",
            "request.cnf",
            "-days",
            "8000",
            &digest,
            "-set_serial",
            &serial,
            "-key",
            &key,
            "-out",
            &out,
        ];
        if issuer != name {
            arguments.extend(["-CA", &ca, "-CAkey", &ca_key]);
        }
        if self.newer && recipe.extensions.is_empty() {
            arguments.push("-x509v1");
        }
        self.openssl(&arguments);
    }

    fn dated(&self, (name, first, last): &(&str, &str, &str), serial: usize) {
        let model = CERTIFICATES
            .iter()
            .find(|recipe| recipe.name == "server-cn-only")
            .unwrap();
        self.configure(model.subject, &[]);
        let (key, out) = (format!("{name}.key"), format!("{name}.crt"));
        fs::copy(self.folder.join("key-server"), self.folder.join(&key)).unwrap();
        self.openssl(&[
            "req",
            "-new",
            "-config",
            "request.cnf",
            "-key",
            &key,
            "-out",
            "request",
        ]);
        self.authority("server_ca", "");
        self.write("serial", format!("{serial}\n").as_bytes());
        self.openssl(&[
            "ca",
            "-batch",
            "-notext",
            "-config",
            "ca.cnf",
            "-startdate",
            first,
            "-enddate",
            last,
            "-in",
            "request",
            "-out",
            &out,
        ]);
    }

    fn list(&self, (name, issuer, revoked, issued, next): &(&str, &str, &[&str], &str, &str)) {
        let index: String = revoked
            .iter()
            .map(|revoked| {
                let serial = 1000
                    + CERTIFICATES
                        .iter()
                        .position(|recipe| recipe.name == *revoked)
                        .unwrap();
                format!("R\t490101010101Z\t230629010101Z\t{serial:04X}\tunknown\t/CN=whoever\n")
            })
            .collect();
        self.authority(issuer, &index);
        let out = format!("{name}.crl");
        self.openssl(&[
            "ca",
            "-gencrl",
            "-config",
            "ca.cnf",
            "-crl_lastupdate",
            issued,
            "-crl_nextupdate",
            next,
            "-out",
            &out,
        ]);
    }

    fn list_folder(&self, name: &str, lists: &[&str]) {
        fs::create_dir(self.folder.join(name)).unwrap();
        for list in lists {
            let file = format!("{list}.crl");
            let hash = self.openssl(&["crl", "-hash", "-noout", "-in", &file]);
            let hash = String::from_utf8(hash).unwrap();
            self.write(&format!("{name}/{}.r0", hash.trim()), &self.read(&file));
        }
    }

    fn configure(&self, subject: &[&str], extensions: &[&str]) {
        let mut text = "[req]\ndistinguished_name = subject\nprompt = no\nutf8 = yes\nstring_mask = utf8only\n".to_owned();
        if !extensions.is_empty() {
            text += "x509_extensions = extensions\n";
        }
        text += "[subject]\n";
        for (number, part) in subject.iter().enumerate() {
            text += &format!("{number}.{part}\n");
        }
        text += "[extensions]\n";
        for extension in extensions {
            text += &format!("{extension}\n");
        }
        self.write("request.cnf", text.as_bytes());
    }

    fn authority(&self, name: &str, index: &str) {
        self.write("index", index.as_bytes());
        self.write("index.attr", b"unique_subject = no\n");
        let text = format!(
            "[ca]\ndefault_ca = it\n[it]\ndatabase = index\nserial = serial\nnew_certs_dir = .\ncertificate = {name}.crt\n\
             private_key = {name}.key\ndefault_md = sha256\npolicy = any\nunique_subject = no\n\
             [any]\ncommonName = optional\norganizationName = optional\norganizationalUnitName = optional\n"
        );
        self.write("ca.cnf", text.as_bytes());
    }

    fn tidy(&self) {
        for entry in fs::read_dir(self.folder).unwrap() {
            let path = entry.unwrap().path();
            let ending = path.extension().unwrap_or_default();
            if ending == "key" {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            } else if path.is_file() && ending != "crt" && ending != "crl" {
                fs::remove_file(&path).unwrap();
            }
        }
        for recipe in CERTIFICATES {
            assert!(self.folder.join(format!("{}.crt", recipe.name)).is_file());
        }
        fs::copy(
            self.folder.join("client.key"),
            self.folder.join("client_wrongperms.key"),
        )
        .unwrap();
        fs::set_permissions(
            self.folder.join("client_wrongperms.key"),
            fs::Permissions::from_mode(0o644),
        )
        .unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.join(name)).unwrap()
    }

    fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.folder.join(name), content).unwrap();
    }

    fn openssl(&self, arguments: &[&str]) -> Vec<u8> {
        let said = Command::new("openssl")
            .args(arguments)
            .current_dir(self.folder)
            .env_remove("OPENSSL_CONF")
            .env_remove("LD_LIBRARY_PATH")
            .output()
            .unwrap_or_else(|error| panic!("openssl does not run: {error}; {INSTALL}"));
        if !said.status.success() {
            let words = String::from_utf8_lossy(&said.stderr);
            panic!("openssl {}: {words}; {INSTALL}", arguments.join(" "));
        }
        said.stdout
    }
}

fn newer() -> bool {
    let said = Command::new("openssl").arg("version").output();
    let said = said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned());
    let version = said.unwrap_or_default();
    let mut numbers = version
        .split_whitespace()
        .nth(1)
        .unwrap_or_default()
        .split('.')
        .map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(3), Some(2))
}
