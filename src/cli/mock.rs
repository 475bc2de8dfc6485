//! `nest mock`, between the arguments and the terminal.

use super::args::MockArgs;
use super::context::Context;
use super::error::Failure;
use super::exit::Exit;
use super::ui::Ui;
use crate::commands::Stop;
use crate::key::file;
use crate::secret::Secret;
use crate::server::media::livekit::Config;

async fn livekit(args: &MockArgs) -> Result<Option<Config>, Failure> {
    let (Some(url), Some(key), Some(path)) = (&args.livekit, &args.livekit_key, &args.livekit_secret_file) else {
        return Ok(None);
    };
    let secret = file::read(path).await.map_err(|error| {
        Failure::new(Exit::Usage, format!("cannot read the LiveKit secret: {error}"))
    })?;
    Ok(Some(Config { url: url.clone(), key: key.clone(), secret: Secret::new(secret.expose().trim()) }))
}
