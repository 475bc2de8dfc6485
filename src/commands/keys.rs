//! The keys of one run: each is loaded once, however many rooms it restarts.

use std::collections::HashMap;
use std::sync::Arc;

use nostr::PublicKey;
use tokio::sync::Mutex;

use crate::key::{self, HostKey, KeyPlan};
use crate::reporter::Reporter;

pub(super) type LoadedKey = Result<Arc<HostKey>, Arc<key::KeyError>>;

/// Loads on first use; whoever comes second waits for the first and gets the same, failures included.
#[derive(Default)]
pub(super) struct Keys(Mutex<HashMap<Option<PublicKey>, LoadedKey>>);

impl Keys {
    /// The key for a room of `host`, where the host is known.
    pub async fn load(&self, plan: &KeyPlan, host: Option<PublicKey>, reporter: &dyn Reporter) -> LoadedKey {
        // An explicit key is the same for all rooms, and standard input can be read only once.
        let wanted = if plan.named().is_some() { None } else { host };
        let mut loaded = self.0.lock().await;
        if let Some(key) = loaded.get(&wanted) {
            return key.clone();
        }
        let key = key::load(plan, wanted, reporter).await.map(Arc::new).map_err(Arc::new);
        loaded.insert(wanted, key.clone());
        key
    }
}
