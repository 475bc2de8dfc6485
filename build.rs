//! Links the unwinder of GCC into the program that ships: one library less to load at each start.
#![allow(clippy::print_stdout, reason = "how a build script speaks to Cargo")]

use std::env::var;

/// Only `--profile dist` builds for size. A linker that somebody has chosen may not find the static library.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| var(name).is_ok_and(|found| found == value);
    let chosen =
        var("RUSTC_LINKER").is_ok() || var("CARGO_ENCODED_RUSTFLAGS").is_ok_and(|flags| flags.contains("link"));
    if is("OPT_LEVEL", "s") && is("TARGET", "x86_64-unknown-linux-gnu") && !chosen {
        println!("cargo::rustc-link-lib=static:-bundle=gcc_eh");
    }
}
