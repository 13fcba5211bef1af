//! Every function of libpq-fe.h with NULL for its pointers, each call in a process of its own: where libpq survives it, ours does
//! the same; where libpq does not, ours is free.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use testkit::{Cluster, ClusterOptions, Server, built};

use crate::declarations::{Headers, cut_attribute, fed, pieces, text, without_name};

/// What they return differs from session to session, and from library to library.
const UNLIKE: [&str; 6] = [
    "PQbackendPID",
    "PQresultMemorySize",
    "PQsocket",
    "PQsslAttribute",
    "lo_creat",
    "lo_create",
];

/// Differences that are wanted: the beginning of the line, and why.
const WANTED: &[(&str, &str)] = &[
    (
        "PQresetStart(conn)",
        "steps on the way are each library's own",
    ),
    (
        "PQescapeByteaConn(conn, NULL, -1, NULL)",
        "no bytes are none, however many they are said to be",
    ),
];

/// Objects for the calls that get some, made by each process for itself, and what shows an answer.
const TOOLS: &str = r#"
static const char *conninfo;
static PGconn *conn;
static PGresult *res;
static PGcancel *cancel;
static PGcancelConn *cancelling;
static PQExpBuffer buffer;
static char room[4096];

static void show_number(const char *call, long long number) { printf("%s: %lld\n", call, number); }
static void show_text(const char *call, const char *said)
{
    printf("%s: [", call);
    for (said = said ? said : "(null)"; *said; said++)
        putchar(*said == '\n' ? '|' : *said);
    printf("]\n");
}
static void show_pointer(const char *call, const void *said) { printf("%s: %s\n", call, said ? "something" : "NULL"); }
static void show_result(const char *call, const PGresult *said)
{
    show_pointer(call, said);
    if (said) {
        printf("  status %d rows %d ", PQresultStatus(said), PQntuples(said));
        show_text("error", PQresultErrorMessage(said));
    }
}
#define SHOW(call) _Generic((call), char *: show_text, const char *: show_text, PGresult *: show_result, \
    int: show_number, unsigned: show_number, long: show_number, unsigned long: show_number, default: show_pointer)
#define CALL(call) if (child(#call)) { SHOW(call)(#call, call); leave(#call); }
#define VOID(call) if (child(#call)) { call; printf("%s: it returns\n", #call); leave(#call); }

static int child(const char *call)
{
    int status;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        alarm(60);
        if (strstr(call, "conn") || strstr(call, "cancel"))
            conn = PQconnectdb(conninfo);
        if (strstr(call, "res"))
            res = PQexec(conn ? conn : (conn = PQconnectdb(conninfo)), "select 1 as a, null::text as b");
        if (strstr(call, "(cancel,") || strstr(call, "(cancel)"))
            cancel = PQgetCancel(conn);
        if (strstr(call, "(cancelling"))
            cancelling = PQcancelCreate(conn);
        buffer = createPQExpBuffer();
        return 1;
    }
    waitpid(pid, &status, 0);
    if (status)
        printf("%s: it dies\n", call);
    return 0;
}

static void leave(const char *call)
{
    if (conn && !strstr(call, "PQfinish")) {
        printf("  status %d transaction %d ", PQstatus(conn), PQtransactionStatus(conn));
        show_text("error", PQerrorMessage(conn));
    }
    fflush(stdout);
    _exit(0);
}
"#;

/// The calls of one function.
fn calls(declaration: &str, out: &mut String) {
    let Some(function) = declaration.trim().strip_prefix("extern ") else {
        return;
    };
    let (name, _) = without_name(cut_attribute(function));
    let (before, after) = function.split_once(name).unwrap();
    let parameters = after.trim_start().trim_start_matches('(');
    let parameters = pieces(&parameters[..parameters.rfind(')').unwrap()], ',');
    let variadic = ["...", "va_list"].iter().any(|more| after.contains(more));
    if UNLIKE.contains(&name) || variadic || !parameters.iter().any(|p| is_pointer(p)) {
        return;
    }
    let call = if before.trim() == "void" {
        "VOID"
    } else {
        "CALL"
    };
    let mut written: Vec<String> = Vec::new();
    for (handle, pointers, number) in [
        (false, false, "0"),
        (false, false, "-1"),
        (false, true, "1"),
        (true, false, "0"),
        (true, false, "1"),
        (true, false, "-1"),
    ] {
        let arguments: Vec<&str> = parameters
            .iter()
            .map(|parameter| argument(parameter, handle, pointers, number))
            .collect();
        let line = format!("    {call}({name}({}))", arguments.join(", "));
        if !written.contains(&line) {
            writeln!(out, "{line}").unwrap();
            written.push(line);
        }
    }
}

fn is_pointer(parameter: &str) -> bool {
    let by_name = [
        "PQExpBuffer ",
        "PQnotice",
        "Hook_",
        "PGEventProc ",
        "pgthreadlock_t ",
    ];
    parameter.contains('*') || by_name.iter().any(|name| parameter.contains(name))
}

fn argument(parameter: &str, handle: bool, pointers: bool, number: &'static str) -> &'static str {
    let parameter = parameter.trim().trim_start_matches("const ");
    if !is_pointer(parameter) {
        return number;
    }
    let handles = [
        ("PGconn *", "conn"),
        ("PGresult *", "res"),
        ("PGcancel *", "cancel"),
        ("PGcancelConn *", "cancelling"),
        ("PQExpBuffer ", "buffer"),
    ];
    for (begin, name) in handles {
        if parameter.starts_with(begin) && !parameter.starts_with(&format!("{begin}*")) {
            return if handle { name } else { "NULL" };
        }
    }
    match parameter {
        _ if !pointers || parameter.contains("**") || parameter.contains("*const *") => "NULL",
        _ if parameter.starts_with("char *") => "room",
        _ if parameter.starts_with("unsigned char *") => "(unsigned char *)room",
        _ => "NULL",
    }
}

/// What each call said, one after the other; the lines behind the first begin with blanks.
fn answers(said: &str) -> Vec<String> {
    let mut answers: Vec<String> = Vec::new();
    for line in said.lines() {
        match answers.last_mut().filter(|_| line.starts_with(' ')) {
            Some(answer) => *answer += line,
            None => answers.push(line.to_owned()),
        }
    }
    answers
}

#[test]
fn every_function_survives_nothing_where_libpq_does() {
    let prefix = testkit::postgres18();
    if !prefix.join("include/libpq-fe.h").exists() || Server::of(18).is_none() {
        testkit::say!("SKIPPED: no PostgreSQL 18 in {}", prefix.display());
        return;
    }
    let (declarations, _) = Headers::ours().read();
    let mut body = String::new();
    for declaration in &declarations {
        calls(declaration, &mut body);
    }
    let source = format!(
        "#include <sys/wait.h>\n#include <unistd.h>\n#include <string.h>\n#include <libpq-events.h>\n#include <pqexpbuffer.h>\n\
         {TOOLS}int main(int argc, char **argv)\n{{\n    (void)argc;\n    conninfo = argv[1];\n{body}    return 0;\n}}\n"
    );
    let folder = built::target().join("c_programs");
    fs::create_dir_all(&folder).unwrap();
    let program = folder.join(format!("nulls-{}", std::process::id()));
    let mut cc = Command::new("cc");
    cc.args(["-std=gnu11", "-w", "-x", "c", "-", "-o"])
        .arg(&program);
    cc.arg("-I").arg(built::root().join("include"));
    fed(cc.arg("-L").arg(prefix.join("lib")).arg("-lpq"), &source);

    let cluster = Cluster::start(ClusterOptions::new().version(18));
    let said = |library| {
        let said = Command::new(&program)
            .arg(cluster.conninfo())
            .env("LD_LIBRARY_PATH", library)
            // What a program without a place connects to.
            .env("PGHOST", "/nonexistent")
            .env("PGUSER", "nobody")
            .current_dir(env::temp_dir())
            .output()
            .unwrap();
        assert!(said.status.success(), "{}", text(&said.stderr));
        text(&said.stdout)
    };
    let (theirs, ours) = (said(prefix.join("lib")), said(built::libraries().into()));
    let _ = fs::remove_file(&program);
    assert!(theirs.lines().count() > 300, "{theirs}");
    let mut different = String::new();
    let (theirs, ours) = (answers(&theirs), answers(&ours));
    assert_eq!(theirs.len(), ours.len());
    for (theirs, ours) in theirs.iter().zip(&ours) {
        let wanted = WANTED.iter().any(|(begin, _)| theirs.starts_with(begin));
        if theirs != ours && !theirs.contains(": it dies") && !wanted {
            writeln!(different, "libpq: {theirs}\nours:  {ours}").unwrap();
        }
        // Where libpq dies, too; the fewer the better.
        if ours.contains(": it dies") {
            println!("{ours}");
        }
    }
    assert!(different.is_empty(), "\n{different}");
}
