//! The arguments of the commands about nests as Nostr knows them.
#![allow(clippy::doc_markdown, reason = "these comments are the help")]

use clap::Args;

use super::{KeyArgs, RetryArgs, ServerArgs, TEMPLATE, exit_help};

#[derive(Debug, Args)]
#[command(
    help_template = TEMPLATE,
    before_help = "\
Examples:
  nest list                                       the nests of your key
  nest list --inactive                            those that are open and dead
  nest list --host bob@example.com                somebody else's; no key is needed
  nest list --json | jq -r 'select(.state == \"gone\") | .naddr'
",
    after_help = exit_help()
)]
pub struct ListArgs {
    /// Whose nests: npub, nprofile, hex, or a NIP-05 address [default: those of the key]
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// Only those that are open by their event and have no audio room
    #[arg(long)]
    pub inactive: bool,
    /// Print the aliases of the configuration instead; nobody is asked
    #[arg(long, conflicts_with_all = ["host", "inactive"])]
    pub aliases: bool,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub key: KeyArgs,
}

#[derive(Debug, Args)]
#[command(
    help_template = TEMPLATE,
    before_help = "\
Examples:
  nest recreate https://nostrnests.com/naddr1…    asks, then prints the new link
  nest recreate ROOM --dry-run                    show both events, publish nothing
  nest recreate ROOM --yes --json | jq -r .link   for a script; to repeat it does no harm
",
    after_help = exit_help()
)]
pub struct RecreateArgs {
    /// The nest: naddr1…, a link to it, 30312:<pubkey>:<d>, its id, or @ALIAS; at a terminal, without one: choose
    #[arg(value_name = "ROOM")]
    pub room: Option<String>,
    /// Ask nothing
    #[arg(short, long)]
    pub yes: bool,
    /// Create and publish nothing; show the request and both events
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub retry: RetryArgs,
    #[command(flatten)]
    pub key: KeyArgs,
}

#[derive(Debug, Args)]
#[command(
    help_template = TEMPLATE,
    before_help = "\
Examples:
  nest close @weekly                              asks first if a person is at the terminal
  nest close https://nostrnests.com/naddr1… --yes
",
    after_help = exit_help()
)]
pub struct CloseArgs {
    /// The nest: naddr1…, a link to it, 30312:<pubkey>:<d>, its id, or @ALIAS; at a terminal, without one: choose
    #[arg(value_name = "ROOM")]
    pub room: Option<String>,
    /// Ask nothing
    #[arg(short, long)]
    pub yes: bool,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub retry: RetryArgs,
    #[command(flatten)]
    pub key: KeyArgs,
}

#[derive(Debug, Args)]
#[command(
    help_template = TEMPLATE,
    before_help = "\
Examples:
  nest open                                       choose one of your nests
  nest open @weekly
",
    after_help = exit_help()
)]
pub struct OpenArgs {
    /// The nest: naddr1…, 30312:<pubkey>:<d>, its id, or @ALIAS; at a terminal, without one: choose
    #[arg(value_name = "ROOM")]
    pub room: Option<String>,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub key: KeyArgs,
}
