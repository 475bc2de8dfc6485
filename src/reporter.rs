//! How work in progress speaks to whoever watches it: steps, warnings, questions. The terminal is one implementation.

use std::future::{Future, ready};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::secret::Secret;

/// What a restart or a check is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// Waiting for another restart of this room on this machine.
    Lock,
    Key,
    /// Asking the API what is the case, before or after the restart.
    Look,
    /// Signing the NIP-98 event.
    Sign,
    /// The request is under way: from here on it may have been carried out.
    Restart,
    /// Waiting before the next attempt.
    Wait,
    Check,
    /// Inside, until somebody else comes.
    Keep,
    Relays,
    /// Creating a room in the API.
    Create,
    /// Letting people speak in a new room.
    Grant,
    Publish,
    /// Closing a room in the API.
    Close,
    /// Removing everybody from a room, and waiting until it has closed.
    Evict,
}

/// How far a request that changes something has come, for whoever has to say it when the work is cut short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    #[default]
    NothingSent,
    /// What was sent was refused.
    Refused,
    /// A request went out, and nobody has said that it was not carried out.
    MayBeDone,
}

/// Something that the user should know although the work goes on. What is text here was said by others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// The clock here is so many seconds ahead of the server's (negative: behind); signed again with the server's time.
    ClockRepaired { ahead_s: i64 },
    /// A later attempt did not reach the server; the answer to an earlier one stands.
    AttemptFailed { attempt: u32, why: String },
    /// The lock file cannot be used; a folder that cannot be written is no reason to leave a nest dead.
    NoLock { why: String },
    /// The event says that the nest is over, and clients believe it.
    EventIsOver { status: String },
    /// The API says that it has deleted a nest, and not whether its audio room has closed.
    PerhapsOpen { why: String },
    /// The answer to the restart was lost, and there is proof that it was carried out.
    AnswerLost { why: String },
    /// The API says that it has restarted a nest, and LiveKit does not say whether its room is new.
    Unproven { nest: String, why: String },
    /// The check has left an empty nest, which closes then (in milliseconds since the Unix epoch), and no restart has
    /// given it a new life.
    NotRenewed { why: String, closes_ms: i64 },
    /// So many people are removed from the old room, and out for so many seconds.
    Evicting { people: usize, out_s: u32 },
    /// The old room was to be closed, and was not.
    NotEvicted { why: String },
    /// Relays were of no use, or have no event.
    Relays { why: String },
    /// A relay that was of no use answers again.
    RelayBack { relay: String },
    /// A relay has not taken an event.
    NotTaken { relay: String, why: String },
    /// A new room cannot be written down for the case that this run is interrupted.
    NotRemembered { why: String },
    /// The server does not let this person (hex public key) speak in a new room.
    MayNotSpeak { person: String, why: String },
    /// A nest of a sweep was not checked.
    NotChecked { nest: String, why: String },
    /// A nest was moved to Media over QUIC, and its old audio room is still at this API.
    OldRoomStays { api: String },
    /// The host's presence could not be signed, or no relay has taken it.
    NotPresent { why: String },
    /// The host's own app says that the host is in the nest: no presence is sent from here.
    HostPresent,
    /// A nest on Media over QUIC is kept open by its host's presence, and the key at hand is not the host's.
    NotHostsPresence,
    /// The host is in another nest: no presence is sent from here.
    HostElsewhere { nest: String },
    /// The passphrase that was typed does not open the key.
    WrongPassphrase,
    /// A remote signer has been asked, and a person may have to allow it there.
    SignerAwaited { limit: Duration },
    /// A remote signer wants to be allowed on this page.
    ApproveAt { url: String },
}

/// What a person is asked before something that cannot be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Question<'a> {
    /// So many people would be disconnected.
    Restart { people: u64 },
    /// The old room was kept: so many people would be removed from it, and out for so many seconds.
    Evict { people: usize, out_s: u32 },
    /// A check found no audio room, and the key at hand is the host's.
    RestartInactive,
    /// A check of an empty nest, which would shorten its life.
    JoinEmpty,
    /// So many people would be disconnected, for good.
    Close { nest: &'a str, people: u64 },
    /// The server has lost the nest.
    Recreate { nest: &'a str },
    /// There is no keyring: the key would be kept in this new file.
    KeyIntoFile { path: &'a Path, why: &'a str },
    /// Takes the key of this npub out of the keyring.
    RemoveKey { npub: &'a str },
    /// Forgets a remote signer of this name.
    ForgetSigner { name: &'a str },
    /// Shows the secret key of this npub, encrypted or plain.
    ExportKey { npub: &'a str, plain: bool },
}

/// What a person is asked to type unseen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretPrompt<'a> {
    HostKey,
    /// What leads to a remote signer, with the secret that pairs with it.
    Bunker,
    /// What opens the encrypted key that comes from here.
    Passphrase {
        origin: &'a str,
    },
    /// What encrypts a key from now on.
    NewPassphrase,
    /// The same, or nothing for a key that is not encrypted.
    NewPassphraseIfAny,
    NewPassphraseAgain,
}

/// An answer that a person gives later; `None` when there is nobody to ask.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Option<T>> + Send + 'a>>;

/// Hears of progress and asks questions. All methods have a default: silence, and nobody to ask.
pub trait Reporter: Send + Sync {
    /// `room` has come to `step`.
    fn step(&self, _room: &str, _step: Stage) {}

    /// Something that the user should know although the work goes on.
    fn warning(&self, _warning: &Warning) {}

    /// The same where it is also part of the result: for those who asked for detail.
    fn warning_detail(&self, _warning: &Warning) {}

    /// For those who asked for detail: level 1 is for the curious, 2 for whoever looks for a defect.
    fn detail(&self, _level: u8, _text: &str) {}

    /// A yes-or-no question; no answer but yes is a yes.
    fn confirm<'a>(&'a self, _question: Question<'a>) -> Answer<'a, bool> {
        Box::pin(ready(None))
    }

    /// A question whose answer is not shown.
    fn secret<'a>(&'a self, _prompt: SecretPrompt<'a>) -> Answer<'a, Secret> {
        Box::pin(ready(None))
    }
}

/// Says nothing and has nobody to ask.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Reporter for Silent {}

/// Speaks through another reporter, and asks nobody for a secret: for commands that look.
pub(crate) struct NonInteractive<'a> {
    pub reporter: &'a dyn Reporter,
    /// Otherwise warnings are only detail: what they say is part of the result.
    pub warnings: bool,
}

impl Reporter for NonInteractive<'_> {
    fn step(&self, room: &str, step: Stage) {
        self.reporter.step(room, step);
    }

    fn warning(&self, warning: &Warning) {
        if self.warnings {
            self.reporter.warning(warning);
        } else {
            self.reporter.warning_detail(warning);
        }
    }

    fn warning_detail(&self, warning: &Warning) {
        self.reporter.warning_detail(warning);
    }

    fn detail(&self, level: u8, text: &str) {
        self.reporter.detail(level, text);
    }

    fn confirm<'a>(&'a self, question: Question<'a>) -> Answer<'a, bool> {
        self.reporter.confirm(question)
    }
}

/// What the work on one room has to say, and how far it has come. It outlives the work: an interruption reads it.
pub(crate) struct RoomReporter<'a> {
    reporter: &'a dyn Reporter,
    room: &'a str,
    progress: Mutex<Progress>,
    warnings: Mutex<Vec<Warning>>,
}

impl<'a> RoomReporter<'a> {
    pub fn new(reporter: &'a dyn Reporter, room: &'a str) -> Self {
        Self { reporter, room, progress: Mutex::default(), warnings: Mutex::default() }
    }

    pub fn step(&self, step: Stage) {
        self.reporter.step(self.room, step);
    }

    pub fn detail(&self, level: u8, text: &str) {
        self.reporter.detail(level, text);
    }

    /// Tells it now, and keeps it for the result.
    pub fn warn(&self, warning: Warning) {
        self.reporter.warning(&warning);
        locked(&self.warnings).push(warning);
    }

    pub fn take_warnings(&self) -> Vec<Warning> {
        std::mem::take(&mut locked(&self.warnings))
    }

    pub fn progress(&self) -> Progress {
        *locked(&self.progress)
    }

    pub fn advance(&self, progress: Progress) {
        *locked(&self.progress) = progress;
    }

    pub async fn confirm(&self, question: Question<'_>) -> Option<bool> {
        self.reporter.confirm(question).await
    }
}

/// A mutex whose contents hold together even if somebody has panicked with it.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
