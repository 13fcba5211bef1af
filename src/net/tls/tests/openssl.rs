//! The `openssl` program, where there is one. Knows its options.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder that is gone afterwards, in which `openssl` works.
pub(crate) struct Workshop(PathBuf);

impl Workshop {
    /// None where there is no such program; that is told.
    pub(crate) fn open() -> Option<Workshop> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let version = Command::new("openssl").arg("version").output();
        if !version.is_ok_and(|output| output.status.success()) {
            eprintln!("SKIPPED: there is no openssl program here; \"make setup\" installs it");
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = format!("pgpoll-openssl-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        Some(Workshop(folder))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        std::fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// Runs it with these words, and what it printed.
    pub(crate) fn run(&self, words: &[&str]) -> Result<String, String> {
        let output = Command::new("openssl")
            .args(words)
            .current_dir(Path::new(&self.0))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        if output.status.success() {
            Ok(text)
        } else {
            Err(text)
        }
    }

    /// The same, with the words in one line; it must work.
    pub(crate) fn must(&self, line: &str) -> String {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        self.run(&words)
            .unwrap_or_else(|text| panic!("openssl {line}: {text}"))
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
