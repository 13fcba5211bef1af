//! Compiles what stable Rust cannot define: the variadic functions. Knows no other file.

fn main() {
    println!("cargo::rerun-if-changed=src/variadic.c");
    cc::Build::new()
        .file("src/variadic.c")
        .std("c99")
        .warnings_into_errors(true)
        .extra_warnings(true)
        .compile("pq_variadic");
}
