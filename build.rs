//! Lays out the program that ships, so that a run reads in less of it: `packaging/startup.sh` says how.
#![allow(clippy::print_stdout, reason = "how a build script speaks to Cargo")]

use std::env::var;

/// Only `--profile dist` builds for size. Where Rust does not bring a linker of its own, or somebody has chosen another, the
/// layout is that linker's: not all of them know scripts.
fn main() {
    println!("cargo::rerun-if-changed=packaging/startup.ld");
    let is = |name: &str, value: &str| var(name).is_ok_and(|found| found == value);
    let chosen =
        var("RUSTC_LINKER").is_ok() || var("CARGO_ENCODED_RUSTFLAGS").is_ok_and(|flags| flags.contains("link"));
    if is("OPT_LEVEL", "s") && is("TARGET", "x86_64-unknown-linux-gnu") && !chosen {
        let root = var("CARGO_MANIFEST_DIR").unwrap_or_default();
        println!("cargo::rustc-link-arg-bin=nest=-T{root}/packaging/startup.ld");
        // One library less to open at each start.
        println!("cargo::rustc-link-lib=static:-bundle=gcc_eh");
    }
}
