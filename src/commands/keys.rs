//! The keys of one run: each is loaded once, however many rooms it restarts.

use std::collections::HashMap;
use std::sync::Arc;

use nostr::PublicKey;
use tokio::sync::Mutex;

use super::Settings;
use crate::key::{self, HostKey};
use crate::reporter::Reporter;

type Loaded = Result<Arc<HostKey>, Arc<key::Error>>;

/// Loads on first use; whoever comes second waits for the first and gets the same, failures included.
pub(super) struct Keys<'a> {
    settings: &'a Settings,
    reporter: &'a dyn Reporter,
    loaded: Mutex<HashMap<Option<PublicKey>, Loaded>>,
}

impl<'a> Keys<'a> {
    pub fn new(settings: &'a Settings, reporter: &'a dyn Reporter) -> Self {
        Self { settings, reporter, loaded: Mutex::default() }
    }

    /// The key for a room of `host`, where the host is known.
    pub async fn of(&self, host: Option<PublicKey>) -> Loaded {
        let plan = &self.settings.key;
        // An explicit key is the same for all rooms, and standard input can be read only once.
        let wanted = if plan.named().is_some() { None } else { host };
        let mut loaded = self.loaded.lock().await;
        if let Some(key) = loaded.get(&wanted) {
            return key.clone();
        }
        let key = key::load(plan, wanted, self.reporter).await.map(Arc::new).map_err(Arc::new);
        loaded.insert(wanted, key.clone());
        key
    }

    /// The same, where there is one to be found without asking anybody to type it.
    pub async fn found(&self, host: Option<PublicKey>) -> Option<Loaded> {
        let plan = &self.settings.key;
        let kept = || plan.keyring.as_ref().is_some_and(|keyring| !matches!(keyring.choose(host), Ok(None)));
        if plan.named().is_some() || kept() { Some(self.of(host).await) } else { None }
    }
}
