//! Tells the program for which target it is built, and of which commit where that can be known: in a clone, by git, or in
//! a package of crates.io, by what cargo has put into it. Only for a release: otherwise each commit would be a new build.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=NEST_TARGET={}", env::var("TARGET").unwrap_or_default());
    if env::var("PROFILE").as_deref() != Ok("release") {
        return;
    }
    // The log of HEAD changes with each commit and each checkout.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo:rerun-if-changed={log}");
    }
    if let Some(commit) = packaged().or_else(|| git(&["rev-parse", "HEAD"])) {
        println!("cargo:rustc-env=NEST_COMMIT={}", commit.get(..12).unwrap_or(&commit));
    }
}

fn git(args: &[&str]) -> Option<String> {
    // A package may lie inside another repository, whose commits say nothing about it.
    if !Path::new(".git").exists() {
        return None;
    }
    let output = Command::new("git").args(args).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// `{"git": {"sha1": "…"}, …}`
fn packaged() -> Option<String> {
    let info = fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let (_, after) = info.split_once("\"sha1\"")?;
    Some(after.split('"').nth(1)?.to_owned())
}
