//! libpq's headers, ours against PostgreSQL's: each declaration of one is asserted of the other by the C compiler.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use testkit::built::{root, target};

use crate::declarations::{
    HEADERS, Headers, Macro, cut_attribute, fed, pieces, text, without_name,
};

/// What prints a constant, and what uses the macros that take arguments.
const TOOLS: &str = r#"
static void show_text(const char *name, const char *text) { printf("%s \"%s\"\n", name, text); }
static void show_number(const char *name, long long number) { printf("%s %lld\n", name, number); }
#define SHOW(x) _Generic((x), char *: show_text, const char *: show_text, default: show_number)(#x, (x))
#define SAME(a, b) _Static_assert(__builtin_types_compatible_p(a, b), #a " is not " #b)
static int use(PGconn *conn, PQExpBuffer buffer)
{
    PGconn *made = PQsetdb("", "", "", "", "");
    PQfreeNotify(PQnotifies(made));
    return PQExpBufferBroken(buffer) + PQExpBufferDataBroken(*buffer) + (atooid("7") == InvalidOid) + (conn == made);
}
"#;

impl Headers {
    /// A program that prints every number of these headers, and asserts every type.
    fn program(&self) -> String {
        let (declarations, macros) = self.read();
        assert!(declarations.len() > 200, "{}", declarations.len());
        let (mut asserted, mut shown) = (String::new(), String::new());
        for declaration in &declarations {
            declared(declaration, &mut asserted, &mut shown);
        }
        for Macro { name, takes } in macros {
            if takes {
                write!(asserted, "#ifndef {name}\n#error no {name}\n#endif\n").unwrap();
            } else {
                writeln!(shown, "    SHOW({name});").unwrap();
            }
        }
        let all = self.includes();
        format!(
            "{all}{TOOLS}{asserted}int main(void)\n{{\n    (void)use;\n{shown}    return 0;\n}}\n"
        )
    }

    /// Compiles the program with these headers, runs it, and gives what it prints.
    fn run(&self, source: &str, name: &str) -> String {
        let folder = target().join("c_programs");
        fs::create_dir_all(&folder).unwrap();
        let program = folder.join(format!("{name}-{}", std::process::id()));
        let mut cc = self.compiler();
        // Nothing is called: the functions need not be there.
        cc.args([
            "-O1",
            "-Wl,--unresolved-symbols=ignore-all",
            "-x",
            "c",
            "-",
            "-o",
        ]);
        fed(cc.arg(&program), source);
        let said = Command::new(&program).output().unwrap();
        fs::remove_file(&program).unwrap();
        assert!(said.status.success());
        text(&said.stdout)
    }
}

/// The declaration as assertions of types, and as numbers to print.
fn declared(declaration: &str, asserted: &mut String, shown: &mut String) {
    if let Some(function) = declaration.trim().strip_prefix("extern ") {
        let (name, as_type) = without_name(cut_attribute(function));
        writeln!(asserted, "SAME(__typeof__(&{name}), {as_type});").unwrap();
        return;
    }
    let Some(named) = declaration.trim().strip_prefix("typedef ") else {
        panic!("what is this: {declaration}");
    };
    let Some((head, rest)) = named.split_once('{') else {
        let (name, as_type) = without_name(named);
        // A pointer, since the structure behind it is nobody's business.
        writeln!(asserted, "SAME({name} *, __typeof__({as_type}) *);").unwrap();
        return;
    };
    let (body, name) = rest.rsplit_once('}').unwrap();
    let name = name.trim();
    writeln!(shown, "    show_number(\"sizeof {name}\", sizeof({name}));").unwrap();
    if head.trim() == "enum" {
        for constant in pieces(body, ',') {
            let constant = constant.split('=').next().unwrap().trim();
            writeln!(shown, "    SHOW({constant});").unwrap();
        }
        return;
    }
    for field in pieces(body, ';') {
        let (field, as_type) = without_name(&field);
        writeln!(shown, "    SHOW(offsetof({name}, {field}));").unwrap();
        if !as_type.contains('{') {
            writeln!(
                asserted,
                "SAME(__typeof__((({name} *)0)->{field}), {as_type});"
            )
            .unwrap();
        }
    }
}

#[test]
fn each_header_compiles_alone_as_c99_and_as_cpp() {
    let strict = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"];
    for header in HEADERS {
        // No C file may be empty.
        let source = format!("#include <{header}>\nint main(void) {{ return 0; }}\n");
        for (compiler, language, standard) in [
            ("cc", "c", "-std=c99"),
            ("c++", "c++", "-std=c++98"),
            ("c++", "c++", "-std=c++17"),
        ] {
            let mut compiler = Command::new(compiler);
            compiler.args(strict).args([standard, "-x", language]);
            compiler.arg("-I").arg(root().join("include")).arg("-");
            fed(&mut compiler, &source);
        }
    }
}

/// Trap 33, a drop-in is more than PQ*: who compiles with our headers gets what PostgreSQL's give.
#[test]
fn our_headers_declare_what_postgresqls_declare() {
    let ours = Headers::ours();
    let of_ours = ours.program();
    let said = ours.run(&of_ours, "headers-ours");
    assert!(said.lines().count() > 150, "{said}");
    let Some(theirs) = Headers::theirs() else {
        testkit::say!("SKIPPED: no headers of PostgreSQL's libpq, which libpq-dev has");
        return;
    };
    let of_theirs = theirs.program();
    let expected = theirs.run(&of_theirs, "headers-theirs");
    assert_eq!(expected, ours.run(&of_theirs, "headers-theirs-on-ours"));
    if of_theirs.contains("SHOW(LIBPQ_HAS_FULL_PROTOCOL_VERSION)") {
        assert_eq!(said, theirs.run(&of_ours, "headers-ours-on-theirs"));
    } else {
        testkit::say!(
            "SKIPPED: not all of 18's interface is in {:?}",
            theirs.folders
        );
    }
}
