//! C programs for the tests: compiled strictly, linked to the release libraries, run under a checker and a time limit.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::built;

/// What looks over a program's shoulder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checker {
    /// Nothing: the program as users build it, with the shared library.
    None,
    /// clang's AddressSanitizer with its leak check, with the static library.
    Address,
    /// Valgrind's memcheck with its leak check, with the shared library.
    Valgrind,
}

/// The face that a program is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// `<pgpoll.h>`.
    Pgpoll,
    /// `<libpq-fe.h>`; whoever compiles says where that header is.
    Libpq,
}

/// A program that is compiled. Its file stays in the target folder, so that it can be run by hand after a failure.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    checker: Checker,
}

impl Program {
    /// Compiles one C file as C99 with POSIX, with every warning an error; `more` goes to the compiler as it is.
    ///
    /// # Panics
    /// With the compiler's words if it refuses.
    #[must_use]
    pub fn compile(source: &Path, face: Face, checker: Checker, more: &[&str]) -> Program {
        let libraries = built::libraries();
        let folder = built::target().join("c_programs");
        std::fs::create_dir_all(&folder).unwrap();
        let stem = source.file_stem().unwrap().to_string_lossy();
        let path = folder.join(format!("{stem}-{face:?}-{checker:?}").to_lowercase());
        // Another test may compile the same file at the same time: each moves its own into place.
        let id = format!("{:?}-{}", thread::current().id(), std::process::id());
        let own = path.with_extension(id);
        let name = match face {
            Face::Pgpoll => "pgpoll",
            Face::Libpq => "pq",
        };
        let mut cc = match checker {
            Checker::None | Checker::Valgrind => Command::new("cc"),
            Checker::Address => Command::new("clang"),
        };
        cc.args(["-std=c99", "-D_POSIX_C_SOURCE=200809L", "-g", "-O1"]);
        cc.args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-o"]);
        cc.arg(&own).arg(source);
        cc.arg("-I").arg(built::root().join("include"));
        match checker {
            Checker::Address => {
                cc.args(["-fsanitize=address", "-fno-omit-frame-pointer"]);
                cc.args(more).arg(libraries.join(format!("lib{name}.a")));
                cc.arg("-lm");
            }
            Checker::None | Checker::Valgrind => {
                let path = libraries.display();
                cc.args(more).arg(format!("-L{path}"));
                cc.args([format!("-l{name}"), format!("-Wl,-rpath,{path}")]);
            }
        }
        let said = cc.output().unwrap();
        if !said.status.success() {
            panic!("{cc:?}\n{}", String::from_utf8_lossy(&said.stderr));
        }
        std::fs::rename(&own, &path).unwrap();
        Program { path, checker }
    }

    /// The program under its checker, for a test that talks to it.
    #[must_use]
    pub fn command(&self) -> Command {
        match self.checker {
            Checker::Valgrind => {
                let mut valgrind = Command::new("valgrind");
                valgrind.args(["-q", "--error-exitcode=99", "--leak-check=full"]);
                // What a helper thread still holds at the exit is "possibly lost", and no leak.
                valgrind.arg("--errors-for-leak-kinds=definite");
                valgrind.arg(&self.path);
                valgrind
            }
            Checker::None | Checker::Address => Command::new(&self.path),
        }
    }

    /// Runs the program; what the checker finds makes it fail, with the finding on its standard error.
    ///
    /// # Panics
    /// If it takes longer than two minutes, which no test does: it hangs.
    pub fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        let mut command = self.command();
        let child = command
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let pid = child.id();
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || sender.send(child.wait_with_output()));
        match receiver.recv_timeout(Duration::from_secs(120)) {
            Ok(output) => output.unwrap(),
            Err(_) => {
                let kill = format!("kill -KILL {pid}");
                let _ = Command::new("/bin/sh").args(["-c", &kill]).status();
                panic!("it hangs: {command:?}");
            }
        }
    }

    /// Runs the program and returns what it prints.
    ///
    /// # Panics
    /// With all that it says if it fails.
    pub fn prints(&self, arguments: &[&str], environment: &[(&str, &str)]) -> String {
        let said = self.run(arguments, environment);
        let (out, err) = (
            String::from_utf8_lossy(&said.stdout),
            String::from_utf8_lossy(&said.stderr),
        );
        assert!(
            said.status.success(),
            "{:?}: {}\n{out}{err}",
            self.path,
            said.status
        );
        out.into_owned()
    }
}
