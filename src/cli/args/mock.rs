//! Arguments of the bundled server, for tests and for trying things out.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::TEMPLATE;
use crate::server::{Fault, faults};

#[derive(Debug, Args)]
#[command(
    help_template = TEMPLATE,
    before_help = "\
Examples:
  nest mock -- nest restart demo --check                    one command against a server of its own
  nest mock --fault old-room-kept -- nest restart demo --check
  nest mock --listen 127.0.0.1:8080                         stay, and print what to paste into a shell
",
    after_help = faults_help()
)]
pub struct MockArgs {
    /// A loopback address; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Let something go wrong; may be given several times
    #[arg(long, value_name = "FAULT", value_parser = fault)]
    pub fault: Vec<Fault>,
    /// Use a real LiveKit server instead of the embedded one
    #[arg(long, value_name = "URL", requires_all = ["livekit_key", "livekit_secret_file"])]
    pub livekit: Option<String>,
    /// Its API key
    #[arg(long, value_name = "NAME", requires = "livekit")]
    pub livekit_key: Option<String>,
    /// A file with its API secret
    #[arg(long, value_name = "PATH", requires = "livekit")]
    pub livekit_secret_file: Option<PathBuf>,
    /// Run this command against the server, and end with its exit code
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

fn fault(text: &str) -> Result<Fault, String> {
    text.parse().map_err(|error: faults::FaultError| match error {
        faults::FaultError::Unknown(_) => format!("{error}; nest mock --help lists them"),
        other => other.to_string(),
    })
}

fn faults_help() -> String {
    let rows =
        faults::TABLE.iter().map(|row| format!("  {:<32}{}", format!("{}{}", row.name, row.argument), row.shows));
    let scope =
        "  Behind each: xN for the first N requests only, @CALL for another call than the usual one (@api, @all)";
    let lines: Vec<_> = rows.chain([String::new(), scope.to_owned()]).collect();
    format!("Faults:\n{}", lines.join("\n"))
}
