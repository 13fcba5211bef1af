//! Runs a command beside a throw-away PostgreSQL server. Knows the command line, leaves the server to [`testkit::Cluster`].
#![allow(clippy::panic)]

use std::io::Read;
use std::process::{Command, ExitCode};

use testkit::certificates::certificates;
use testkit::{Cluster, ClusterOptions, ServerTls};

const HELP: &str = "\
usage: pgpoll-cluster [option…] [[--] command argument…]
Starts a throw-away PostgreSQL server, prints the environment that reaches it, runs the command in it and stops it.
Without a command it runs until its standard input ends.
  --version MAJOR     the server's major version (default: the newest installed)
  --tcp               PGHOST is 127.0.0.1 (default: the folder of the Unix socket)
  --tls               TLS is on, with a certificate for localhost; PGSSLROOTCERT is who issued it
  --password TEXT     the role postgres has this password and SCRAM asks for it
  --hba LINE          a line for pg_hba.conf
  --set NAME=VALUE    a setting for postgresql.conf
  --sql TEXT          SQL to run first";

/// What the command line says.
#[derive(Default)]
struct Arguments {
    options: ClusterOptions,
    tcp: bool,
    tls: bool,
    password: Option<String>,
    command: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}\n{HELP}");
            return ExitCode::from(2);
        }
    };
    let cluster = Cluster::start(arguments.options);
    let mut environment = vec![
        ("PGHOST", cluster.socket_dir().display().to_string()),
        ("PGPORT", cluster.port().to_string()),
        ("PGUSER", "postgres".to_owned()),
        ("PGDATABASE", "postgres".to_owned()),
    ];
    if arguments.tcp {
        environment[0].1 = "127.0.0.1".to_owned();
    }
    if arguments.tls {
        let root = certificates().path("root+server_ca.crt");
        environment.push(("PGSSLROOTCERT", root));
    }
    if let Some(password) = arguments.password {
        environment.push(("PGPASSWORD", password));
    }
    let words: Vec<String> = environment
        .iter()
        .map(|(name, value)| format!("{name}='{}'", value.replace('\'', r"'\''")))
        .collect();
    println!("export {}", words.join(" "));
    let Some((program, rest)) = arguments.command.split_first() else {
        // Whatever arrives is ignored: the end of the input is the sign to stop.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        return ExitCode::SUCCESS;
    };
    match Command::new(program).args(rest).envs(environment).status() {
        Ok(status) => ExitCode::from(status.code().map_or(1, |code| code as u8)),
        Err(error) => {
            eprintln!("{program}: {error}");
            ExitCode::from(127)
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments::default();
    while let Some(word) = words.next() {
        if word == "--" {
            arguments.command = words.collect();
            return Ok(arguments);
        }
        if !word.starts_with('-') {
            arguments.command = std::iter::once(word).chain(words).collect();
            return Ok(arguments);
        }
        if word == "--tcp" {
            arguments.tcp = true;
            continue;
        }
        if word == "--tls" {
            arguments.tls = true;
            let options = std::mem::take(&mut arguments.options);
            arguments.options = options.tls(ServerTls::default());
            continue;
        }
        let value = words.next().ok_or(format!("{word}: a value is missing"))?;
        let options = std::mem::take(&mut arguments.options);
        arguments.options = match word.as_str() {
            "--version" => options.version(
                value
                    .parse()
                    .map_err(|_| format!("{value}: not a version"))?,
            ),
            "--hba" => options.hba(&value),
            "--sql" => options.setup(&value),
            "--set" => {
                let (name, value) = value.split_once('=').ok_or("--set wants NAME=VALUE")?;
                options.setting(name, value)
            }
            "--password" => {
                let options = options
                    .superuser_password(&value)
                    .method("all", "scram-sha-256");
                arguments.password = Some(value);
                options
            }
            _ => return Err(format!("{word}: unknown option")),
        };
    }
    Ok(arguments)
}
