//! The bindings of other languages, each with a program that uses all of it. Knows what to ask for to see whether it is installed.

use std::path::Path;
use std::process::Command;

use testkit::{built, say};

use crate::run::{cluster, compare, folder, source, works};

/// Runs the program where its binding answers; says so where it does not.
fn with(name: &str, runtime: &str, probe: &[&str], file: &str) {
    if works(Command::new(runtime), probe) {
        compare(name, cluster(), &[], || {
            let mut command = Command::new(runtime);
            command.arg(source(file));
            command
        });
    } else {
        say!("SKIPPED: {name} is not installed; `make setup` tries to");
    }
}

#[test]
fn psycopg_3() {
    let python = built::target().join("python/bin/python");
    let probe = ["-c", "import psycopg"];
    with("psycopg3", python.to_str().unwrap(), &probe, "psycopg3.py");
}

#[test]
fn psycopg2() {
    let probe = ["-c", "import psycopg2"];
    with("psycopg2", "/usr/bin/python3", &probe, "psycopg2.py");
}

#[test]
fn ruby_pg() {
    with("ruby_pg", "ruby", &["-rpg", "-e", ""], "ruby_pg.rb");
}

#[test]
fn dbd_pg() {
    let probe = ["-MDBD::Pg", "-e", ""];
    with("dbd_pg", "/usr/bin/perl", &probe, "dbd_pg.pl");
}

#[test]
fn php() {
    let probe = ["-r", "exit(function_exists('pg_connect') ? 0 : 1);"];
    with("php", "php", &probe, "pgsql.php");
}

#[test]
fn node_libpq() {
    let modules = folder("node").join("node_modules");
    // Only what is built for this version of node loads.
    let load = format!("require('{}/libpq')", modules.display());
    if works(Command::new("node"), &["-e", &load]) {
        compare("node_libpq", cluster(), &[], || {
            let mut node = Command::new("node");
            node.arg(source("node_libpq.js")).env("NODE_PATH", &modules);
            node
        });
    } else {
        say!("SKIPPED: node's libpq is not installed; `make setup` tries to");
    }
}

#[test]
fn libpqxx() {
    let program = folder("libpqxx").join("libpqxx");
    let made = Command::new("c++")
        .args(["-std=c++17", "-Wno-deprecated-declarations", "-o"])
        .args([&program, &source("libpqxx.cpp")])
        .args(["-lpqxx", "-lpq"])
        .output();
    match made {
        Ok(made) if made.status.success() => {
            compare("libpqxx", cluster(), &[], || Command::new(&program));
        }
        Ok(made) if Path::new("/usr/include/pqxx/pqxx").exists() => {
            panic!("{}", String::from_utf8_lossy(&made.stderr));
        }
        _ => say!("SKIPPED: libpqxx is not installed; `make setup` tries to"),
    }
}

/// Too much to build in every test: 30 seconds.
#[test]
fn diesel() {
    let program = folder("diesel").join("debug/dropin-diesel");
    if program.exists() {
        compare("diesel", cluster(), &[], || Command::new(&program));
    } else {
        say!("SKIPPED: Diesel's program is not built; `make dropin` does it");
    }
}
