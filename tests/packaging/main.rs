//! What the repository keeps beside the program is current and works: generated files, schemas, units, pages.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic, and show what it saw")]

mod automation;
mod generated;
mod layout;
mod schema;
mod serve;
#[path = "../support/mod.rs"]
mod support;
mod words;
