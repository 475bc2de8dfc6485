//! Arguments of the commands that keep keys.

use std::path::PathBuf;

use clap::Subcommand;

use super::{KeyArgs, TEMPLATE};

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Put a key into the OS keyring: from a hidden prompt, a file or stdin
    Import(KeyArgs),
    /// Make a new key, and keep it in the OS keyring, or in a file
    #[command(help_template = TEMPLATE, before_help = "\
Examples:
  nest key generate                                into the OS keyring
  nest key generate --to-file host.key             into a new file of yours alone; a passphrase encrypts it
")]
    Generate {
        /// Write it to this new file (mode 0600) instead
        #[arg(long, value_name = "PATH")]
        to_file: Option<PathBuf>,
        /// With --to-file: a file with the passphrase that is to encrypt it, or - for stdin
        #[arg(long, value_name = "PATH", requires = "to_file")]
        passphrase_file: Option<PathBuf>,
    },
    /// Print a secret key of the keyring, encrypted: a copy for safe keeping, or for another machine
    #[command(help_template = TEMPLATE, before_help = "\
Examples:
  nest key export > host.ncryptsec                 asks for a new passphrase; nest key import brings it back
  nest key export --plain --yes | other-program    the bare nsec
")]
    Export {
        /// The public key [default: the key that is the default]
        npub: Option<String>,
        /// As nsec, not encrypted
        #[arg(long)]
        plain: bool,
        /// Ask nothing
        #[arg(short, long)]
        yes: bool,
        /// A file with the passphrase that is to encrypt it, or - for stdin
        #[arg(long, value_name = "PATH", conflicts_with = "plain")]
        passphrase_file: Option<PathBuf>,
    },
    /// Print a key encrypted (ncryptsec): typed, or from --key-file or NEST_KEY_FILE
    #[command(help_template = TEMPLATE, before_help = "\
Examples:
  nest key encrypt > host.ncryptsec                asks for the key and for a new passphrase
  nest key encrypt --key-file host.key --passphrase-file host.pass
")]
    Encrypt(KeyArgs),
    /// Show the public part of the key that would be used
    Show(KeyArgs),
    /// Show the keys in the keyring
    List,
    /// Say which key is used when several would do
    Default {
        /// The public key
        npub: String,
    },
    /// Take a key out of the keyring
    Remove {
        /// The public key; may be left out if there is only one
        npub: Option<String>,
        /// Ask nothing
        #[arg(short, long)]
        yes: bool,
    },
}
