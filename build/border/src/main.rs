//! Writes `include/pgpoll.h` and `build/pgpoll.exports` from capi's source, or compares them. Knows no function by name.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cbindgen::{Builder, Config};

const USAGE: &str = "usage: border write | border check";

fn main() -> ExitCode {
    let task = std::env::args().nth(1).unwrap_or_default();
    let result = match task.as_str() {
        "write" => write(),
        "check" => check(),
        _ => Err(USAGE.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("border: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A file made from the source, and what should stand in it.
struct Made {
    path: PathBuf,
    text: String,
}

fn write() -> Result<(), Box<dyn Error>> {
    for made in made()? {
        if fs::read_to_string(&made.path).ok().as_deref() != Some(&made.text) {
            fs::create_dir_all(made.path.parent().unwrap_or(Path::new(".")))?;
            fs::write(&made.path, &made.text)?;
            println!("wrote {}", made.path.display());
        }
    }
    Ok(())
}

fn check() -> Result<(), Box<dyn Error>> {
    for made in made()? {
        let there = fs::read_to_string(&made.path).unwrap_or_default();
        if there == made.text {
            continue;
        }
        let line = there
            .lines()
            .zip(made.text.lines())
            .take_while(|(a, b)| a == b)
            .count();
        let path = made.path.display();
        return Err(format!(
            "{path} is not what capi's source says, from line {}: make header",
            line + 1
        )
        .into());
    }
    Ok(())
}

fn made() -> Result<Vec<Made>, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()?;
    let bindings = Builder::new()
        .with_crate(root.join("capi"))
        .with_config(Config::from_file(root.join("cbindgen.toml"))?)
        .generate()?;
    let mut header = Vec::new();
    bindings.write(&mut header);

    let list = std::env::temp_dir().join(format!("pgpoll-symbols-{}", std::process::id()));
    bindings.generate_symfile(&list);
    let symbols = fs::read_to_string(&list);
    fs::remove_file(&list)?;
    let symbols = symbols?;
    let mut names: Vec<&str> = symbols
        .lines()
        .filter_map(|line| line.strip_suffix(';'))
        .collect();
    names.retain(|name| *name != "}");
    names.sort_unstable();
    let exports = names.iter().map(|name| format!("{name}\n")).collect();

    Ok(vec![
        Made {
            path: root.join("include/pgpoll.h"),
            text: String::from_utf8(header)?,
        },
        Made {
            path: root.join("build/pgpoll.exports"),
            text: exports,
        },
    ])
}
