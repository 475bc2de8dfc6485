//! What a man page tells beside the arguments: variables, and files.

use clap::Command;

/// A variable or a file, the argument (by its id) that a command has which heeds it, and what it is.
type Row = (&'static str, &'static str, &'static str);

const VARIABLES: [Row; 15] = [
    ("NEST_API", "api", "The Nests API, as --api names it. The API's own link to a room comes first."),
    ("NEST_RELAYS", "relay", "Relays, as --relay names them, with commas between them."),
    ("NEST_KEY_FILE", "key_file", "A file with the host's key, as --key-file names it."),
    (
        "NEST_KEY",
        "key_file",
        "The host's key itself: nsec, hex or ncryptsec. For supervisors that keep secrets: a file is safer where others \
         can look at this user's processes.",
    ),
    (
        "CREDENTIALS_DIRECTORY",
        "key_file",
        "Where systemd puts credentials. One that is named nest-key is the host's key; it counts after the variables above.",
    ),
    (
        "NEST_BUNKER",
        "bunker",
        "A whole bunker:// URI: the signer is paired with in each run, for a run without a home. It counts after NEST_KEY.",
    ),
    ("NEST_CONFIG", "config", "The configuration file, as --config names it."),
    ("NEST_PROFILE", "profile", "The profile, as --profile names it."),
    (
        "HTTPS_PROXY, http_proxy, ALL_PROXY, NO_PROXY",
        "api",
        "The proxies through which the API is asked, and the hosts that are reached without them. Those in small letters \
         are read too; HTTP_PROXY is not, for whoever calls a CGI program can set it.",
    ),
    (
        "SSL_CERT_FILE",
        "cacert",
        "Certificates (PEM) that are trusted in place of the usual ones. --cacert adds to them.",
    ),
    ("NO_COLOR, TERM", "color", "If NO_COLOR is set, or TERM is dumb, nothing is coloured."),
    ("HOME", "config", "Below it are the folders of files, unless the next two name others."),
    ("XDG_CONFIG_HOME", "config", "The folder of configurations."),
    ("XDG_STATE_HOME", "config", "The folder of what is remembered."),
    ("NEST_SERVE_…", "listen", "Every setting of nest serve, such as NEST_SERVE_REDIS: see its man page."),
];

const FILES: [Row; 7] = [
    (
        "~/.config/nest/config.toml",
        "config",
        "The configuration: api, relays, key-file or bunker, passphrase-file, short names for nests below [alias], the same again for \
         a profile below [profile.NAME], and the settings of nest serve below [serve].",
    ),
    ("~/.config/nest/host.key", "key_file", "The key that nest key import --to-file has kept (mode 0600)."),
    (
        "~/.local/state/nest/keys.json",
        "key_file",
        "The public keys of those in the OS keyring, and which is the default.",
    ),
    (
        "~/.local/state/nest/signers/",
        "bunker",
        "One file for each remote signer that was paired with (mode 0600); the key that the signer knows this machine by is in \
         the OS keyring, where there is one.",
    ),
    ("~/.local/state/nest/short-names.json", "api", "The short names of nests that nest list has shown (mode 0600)."),
    ("~/.local/state/nest/rooms/", "retries", "One lock for each nest that was restarted from this machine."),
    ("~/.local/state/nest/recreate/", "retries", "What has to be remembered if nest recreate is interrupted."),
];

/// The variables that the command heeds.
pub(in crate::cli) fn environment(command: &Command) -> Vec<(String, String)> {
    let serves = command.get_arguments().filter_map(|argument| {
        let name = argument.get_env()?.to_str().filter(|name| name.starts_with("NEST_SERVE_"))?;
        Some((name.to_owned(), format!("The same as --{}.", argument.get_long()?)))
    });
    chosen(command, &VARIABLES).chain(serves).collect()
}

/// The files that the command reads or writes.
pub(in crate::cli) fn files(command: &Command) -> Vec<(String, String)> {
    chosen(command, &FILES).collect()
}

/// The page of `nest` itself has all of them.
fn chosen(command: &Command, rows: &'static [Row]) -> impl Iterator<Item = (String, String)> {
    let has = move |id: &str| command.get_arguments().any(|argument| argument.get_id() == id);
    let all = command.get_name() == "nest";
    rows.iter().filter(move |(_, id, _)| all || has(id)).map(|(name, _, what)| ((*name).to_owned(), (*what).to_owned()))
}
