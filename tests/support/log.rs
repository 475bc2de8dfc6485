//! What the program tells by `tracing`, to look at.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// The events of this thread, and of servers that it starts: the target, then ` field=value` for each field.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// Listens until the guards are dropped. They are two, since a single subscriber would not be asked for all events:
    /// whichever thread comes by one first would decide for all others.
    pub fn listen() -> (Self, (DefaultGuard, Dispatch)) {
        let log = Self::default();
        let subscriber = || Dispatch::new(tracing_subscriber::registry().with(log.clone()));
        let guards = (tracing::dispatcher::set_default(&subscriber()), subscriber());
        (log, guards)
    }

    pub fn of(&self, target: &str) -> Vec<String> {
        let all = self.0.lock().unwrap();
        all.iter().filter_map(|line| Some(line.strip_prefix(target)?.to_owned())).collect()
    }

    pub fn all(&self) -> String {
        self.0.lock().unwrap().join("\n")
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line(event.metadata().target().to_owned());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
}
