//! `make install-libpq`: what it leaves, and that build scripts find it. Knows no system's libpq, and that none is touched.

use std::path::Path;
use std::process::Command;

use testkit::built::{libraries, make};

use crate::tools::{Scratch, run};

/// What libpq says of itself, found by the headers, by the linker, and at run time.
const PROGRAM: &str = r#"#include <libpq-events.h>
#include <libpq/libpq-fs.h>
#include <pqexpbuffer.h>
int main(void)
{
    PQExpBuffer buffer = createPQExpBuffer();
    appendPQExpBuffer(buffer, "%d %d", PQlibVersion(), INV_READ);
    puts(buffer->data);
    destroyPQExpBuffer(buffer);
    return 0;
}
"#;

fn files(folder: &Path, found: &mut Vec<String>, root: &Path) {
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            files(&path, found, root);
        } else {
            found.push(path.strip_prefix(root).unwrap().display().to_string());
        }
    }
}

#[test]
fn libpq_is_installed_beside_the_systems_and_found() {
    let folder = Scratch::new("install-libpq");
    libraries();
    let destination = format!("DESTDIR={}", folder.0.display());
    run(make().args(["install-libpq", "PREFIX=/opt/pg", &destination]));
    let mut installed = Vec::new();
    files(&folder.0, &mut installed, &folder.0);
    installed.sort();
    let expected = [
        "include/pgpoll/libpq-events.h",
        "include/pgpoll/libpq-fe.h",
        "include/pgpoll/libpq/libpq-fs.h",
        "include/pgpoll/postgres_ext.h",
        "include/pgpoll/pqexpbuffer.h",
        "lib/pgpoll/bin/pg_config",
        "lib/pgpoll/libpq.a",
        "lib/pgpoll/libpq.so",
        "lib/pgpoll/libpq.so.5",
        "lib/pgpoll/libpq.so.5.18",
        "lib/pgpoll/pkgconfig/libpq.pc",
    ];
    assert_eq!(installed, expected.map(|file| format!("opt/pg/{file}")));

    let lib = folder.0.join("opt/pg/lib/pgpoll");
    let source = folder.write("use.c", PROGRAM);
    let program = folder.0.join("use");
    let by_pkg_config = run(Command::new("pkg-config")
        .env("PKG_CONFIG_PATH", lib.join("pkgconfig"))
        .env("PKG_CONFIG_SYSROOT_DIR", &folder.0)
        .args(["--cflags", "--libs", "libpq >= 18"]));
    let pg_config = |asked: &str| run(Command::new(lib.join("bin/pg_config")).arg(asked));
    let place = |asked| format!("{}{}", folder.0.display(), pg_config(asked).trim());
    let by_pg_config = format!("-I{} -L{} -lpq", place("--includedir"), place("--libdir"));
    for flags in [by_pkg_config, by_pg_config] {
        let mut cc = Command::new("cc");
        cc.arg("-o").arg(&program).arg(&source);
        run(cc.args(flags.split_whitespace()));
        let said = run(Command::new(&program).env("LD_LIBRARY_PATH", &lib));
        assert_eq!(said.trim(), "180006 262144");
    }
    // The version has one home, and the library says the same.
    assert_eq!(pg_config("--version"), "PostgreSQL 18.6\n");
    assert!(pg_config("--ldflags").contains("-Wl,-rpath,/opt/pg/lib/pgpoll"));
    let all = run(&mut Command::new(lib.join("bin/pg_config")));
    assert!(
        all.contains("INCLUDEDIR-SERVER = /opt/pg/include/pgpoll\n"),
        "{all}"
    );
    let unknown = Command::new(lib.join("bin/pg_config"))
        .arg("--nothing")
        .output();
    assert!(!unknown.unwrap().status.success());
}
