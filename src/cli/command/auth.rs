//! `nest auth`.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::json;
use url::Url;

use super::prelude::*;
use crate::cli::args::SignerRelayArgs;
use crate::cli::messages::errors;
use crate::commands::auth::authorization;
use crate::commands::key::KeyCommandError;
use crate::key::{KeySource, on_thread};

/// The longest body that is signed, in bytes.
const BODY_MAX: u64 = 64 << 20;

#[derive(Debug, Args)]
#[command(
    before_help = "\
Examples:
  curl -H \"Authorization: $(nest auth GET $URL)\" $URL
  curl -H \"Authorization: $(nest auth POST $URL --body nest.json)\" --data-binary @nest.json $URL
",
    after_help = "\
Good for one request within about a minute. A server compares the URL letter by letter: sign the one that you send.
curl sends --data without line ends, and --data-binary as it is."
)]
pub struct AuthArgs {
    /// GET, POST, PUT, PATCH, DELETE
    #[arg(value_name = "METHOD", value_parser = method)]
    method: Method,
    /// The whole URL, with its query
    #[arg(value_name = "URL", value_parser = url)]
    url: Url,
    /// The body of the request, to be signed too; - is stdin
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    relays: SignerRelayArgs,
}

fn method(text: &str) -> Result<Method, String> {
    let letters = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphabetic());
    let method = Method::from_bytes(text.to_ascii_uppercase().as_bytes()).ok().filter(|_| letters);
    method.ok_or_else(|| "it is no method of HTTP, such as POST".into())
}

fn url(text: &str) -> Result<Url, String> {
    let whole = |url: &Url| matches!(url.scheme(), "https" | "http") && url.has_host();
    let url = Url::parse(text).ok().filter(whole).ok_or("it has to be a whole https:// URL")?;
    if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err("what follows # is not sent, nor is a name or a password before @: leave them out".into());
    }
    Ok(url)
}

pub(super) async fn run(app: &App<'_>, args: &AuthArgs) -> Result<u8, Failure> {
    let key_on_stdin = app.sources.key_plan(&args.key).named().is_some_and(KeySource::is_stdin);
    if key_on_stdin && args.body.as_deref() == Some(Path::new("-")) {
        return Err(Failure::usage("stdin cannot be both the key and the body").hint("name a file for one of them"));
    }
    let signed = async {
        let body = match args.body.clone() {
            // A pipe may never end.
            Some(path) => Some(on_thread(move || read(&path)).await.map_err(unread)??),
            None => None,
        };
        let key = app.own_key(&args.key, args.relays.clone()).await?;
        let header = authorization(&key, args.method.as_str(), &args.url, body.as_deref()).await;
        let header = header.map_err(|error| errors::of_key_command(&KeyCommandError::Key(error)))?;
        Ok((key.npub(), header))
    };
    let (npub, header) = tokio::select! {
        biased;
        signed = signed => signed?,
        signal = app.stop.requested() => return Err(Failure::new(Exit::from(signal), "interrupted")),
    };
    let terminal = &*app.terminal;
    if terminal.style.format == Format::Json {
        let document = json!({
            "npub": npub, "method": args.method.as_str(), "url": args.url.as_str(), "authorization": header.expose(),
        });
        terminal.document(&document, false);
    } else {
        terminal.result(header.expose());
    }
    Ok(0)
}

fn unread(error: impl std::fmt::Display) -> Failure {
    Failure::usage(format!("the body cannot be read: {error}"))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(BODY_MAX + 1).read_to_end(&mut body)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(BODY_MAX + 1).read_to_end(&mut body))
    };
    read.map_err(|error| unread(format!("{}: {error}", path.display())))?;
    if body.len() as u64 > BODY_MAX {
        return Err(Failure::usage(format!("the body is longer than {} MiB", BODY_MAX >> 20)));
    }
    Ok(body)
}
