//! The adapter for memory: what a process remembers as long as it lives.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::{Error, Record, RoomStore, TURN, Turn};

/// How many used things are remembered at most.
const USED_LEN: usize = 65_536;

/// Remembers nests as long as the process lives.
#[derive(Debug)]
pub struct Memory {
    ttl: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    records: HashMap<String, (Instant, Record)>,
    turns: HashMap<String, Turns>,
    used: HashMap<String, Instant>,
}

/// The turns of one nest.
#[derive(Debug, Default)]
struct Turns {
    last: u64,
    holder: Option<(u64, Instant)>,
    done: u64,
    failed: u64,
    unfinished: bool,
}

impl Turns {
    fn holder(&self) -> Option<u64> {
        self.holder.filter(|(_, until)| *until > Instant::now()).map(|(turn, _)| turn)
    }

    /// Ends `turn`; whether it was still the holder's.
    fn end(&mut self, turn: u64) -> bool {
        let held = self.holder() == Some(turn);
        if held {
            self.holder = None;
        }
        held
    }
}

impl Memory {
    /// A store whose records live for `ttl` after each write.
    #[must_use]
    pub fn new(ttl: Duration) -> Self {
        Self { ttl, state: Mutex::default() }
    }

    /// The record of a nest, without waiting.
    #[must_use]
    pub fn peek(&self, id: &str) -> Option<Record> {
        let mut state = self.lock();
        if state.records.get(id).is_some_and(|(written, _)| written.elapsed() >= self.ttl) {
            state.records.remove(id);
        }
        state.records.get(id).map(|(_, record)| record.clone())
    }

    /// Writes a record, without waiting.
    pub fn write(&self, record: Record) {
        self.lock().records.insert(record.id.clone(), (Instant::now(), record));
    }

    /// Forgets a nest, without waiting.
    pub fn forget(&self, id: &str) {
        self.lock().records.remove(id);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl RoomStore for Memory {
    async fn get(&self, id: &str) -> Result<Option<Record>, Error> {
        Ok(self.peek(id))
    }

    async fn put(&self, record: &Record) -> Result<(), Error> {
        self.write(record.clone());
        Ok(())
    }

    async fn replace(&self, old: &Record, new: &Record) -> Result<bool, Error> {
        let mut state = self.lock();
        let Some(place) = state.records.get_mut(&old.id).filter(|(_, record)| record == old) else { return Ok(false) };
        *place = (Instant::now(), new.clone());
        Ok(true)
    }

    async fn renew(&self, id: &str) -> Result<(), Error> {
        if let Some((written, _)) = self.lock().records.get_mut(id) {
            *written = Instant::now();
        }
        Ok(())
    }

    async fn turn(&self, id: &str, after: Option<u64>) -> Result<Turn, Error> {
        let mut state = self.lock();
        let turns = state.turns.entry(id.to_owned()).or_default();
        if after.is_some_and(|after| turns.done >= after) {
            return Ok(Turn::Done);
        }
        if after.is_some_and(|after| turns.failed >= after) {
            return Ok(Turn::Failed);
        }
        if let Some(holder) = turns.holder() {
            return Ok(Turn::Taken(holder));
        }
        turns.last += 1;
        turns.holder = Some((turns.last, Instant::now() + TURN));
        turns.unfinished = true;
        Ok(Turn::Mine(turns.last))
    }

    async fn unfinished(&self, id: &str) -> Result<bool, Error> {
        Ok(self.lock().turns.get(id).is_some_and(|turns| turns.unfinished))
    }

    async fn finish(&self, turn: u64, restarted: &Record) -> Result<bool, Error> {
        let mut state = self.lock();
        let turns = state.turns.entry(restarted.id.clone()).or_default();
        if !turns.end(turn) {
            return Ok(false);
        }
        (turns.done, turns.unfinished) = (turn, false);
        let record = match state.records.remove(&restarted.id) {
            Some((_, current)) => {
                Record { status: restarted.status.clone(), restarted_at: restarted.restarted_at, ..current }
            }
            None => restarted.clone(),
        };
        state.records.insert(record.id.clone(), (Instant::now(), record));
        Ok(true)
    }

    async fn fail(&self, id: &str, turn: u64, retry: bool) -> Result<(), Error> {
        let mut state = self.lock();
        let turns = state.turns.entry(id.to_owned()).or_default();
        if turns.end(turn) {
            (turns.failed, turns.unfinished) = (turn, retry);
        }
        Ok(())
    }

    async fn close(&self, id: &str, turn: u64) -> Result<bool, Error> {
        let mut state = self.lock();
        let held = state.turns.get_mut(id).is_some_and(|turns| turns.end(turn));
        if held {
            state.records.remove(id);
            state.turns.remove(id);
        }
        Ok(held)
    }

    async fn first_use(&self, what: &str, memory: Duration) -> Result<bool, Error> {
        let mut state = self.lock();
        let now = Instant::now();
        if state.used.len() >= USED_LEN {
            state.used.retain(|_, until| *until > now);
        }
        if state.used.len() >= USED_LEN {
            return Err(Error::Unreachable("too many signatures to remember".into()));
        }
        let before = state.used.insert(what.to_owned(), now + memory);
        Ok(before.is_none_or(|until| until <= now))
    }

    async fn ping(&self) -> Result<(), Error> {
        Ok(())
    }
}
