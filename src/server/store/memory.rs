//! The adapter for memory: what a process remembers as long as it lives.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::{BackendError, LEASE_TTL, LeaseAnswer, NAME, Record, RoomStore, UsedSignature};
use crate::server::faults::ActiveFaults;
use crate::server::lock;

/// How many used signatures are remembered at most.
const USED_LEN: usize = 65_536;

pub struct Memory {
    ttl: Duration,
    contents: Arc<Mutex<Contents>>,
    /// What strikes the request that this is for, and whether it has hung.
    faults: ActiveFaults,
    hung: AtomicBool,
}

#[derive(Default)]
struct Contents {
    records: HashMap<String, (Instant, Record)>,
    leases: HashMap<String, Leases>,
    /// Who has used a signature first, and until when that is remembered.
    used: HashMap<String, (IpAddr, Instant)>,
}

#[derive(Default)]
struct Leases {
    last: u64,
    held: Option<(u64, Instant)>,
    restarted: u64,
    failed: u64,
    unfinished: bool,
}

impl Leases {
    fn held(&self) -> Option<u64> {
        self.held.filter(|(_, until)| *until > Instant::now()).map(|(lease, _)| lease)
    }

    /// Ends `lease`; whether it was still held.
    fn end(&mut self, lease: u64) -> bool {
        self.held() == Some(lease) && self.held.take().is_some()
    }
}

impl Memory {
    pub fn new(ttl: Duration) -> Self {
        Self { ttl, contents: Arc::default(), faults: ActiveFaults::default(), hung: AtomicBool::default() }
    }

    /// The same memory, for one request that is struck by faults.
    pub(in crate::server) fn struck_by(&self, faults: ActiveFaults) -> Self {
        Self { ttl: self.ttl, contents: self.contents.clone(), faults, hung: AtomicBool::default() }
    }

    pub(in crate::server) fn peek(&self, id: &str) -> Option<Record> {
        self.lock().records.get(id).map(|(_, record)| record.clone())
    }

    pub(in crate::server) fn write(&self, record: Record) {
        self.lock().records.insert(record.id.clone(), (Instant::now(), record));
    }

    pub(in crate::server) fn forget(&self, id: &str) {
        self.lock().records.remove(id);
    }

    /// The contents, without the records that have expired by now.
    fn lock(&self) -> MutexGuard<'_, Contents> {
        let mut contents = lock(&self.contents);
        contents.records.retain(|_, (written, _)| written.elapsed() < self.ttl);
        contents
    }
}

#[async_trait]
impl RoomStore for Memory {
    async fn get(&self, id: &str) -> Result<Option<Record>, BackendError> {
        self.faults.hang(&self.hung).await;
        Ok(self.peek(id).filter(|_| !self.faults.record_lost()))
    }

    async fn put(&self, record: &Record) -> Result<(), BackendError> {
        self.faults.hang(&self.hung).await;
        self.write(record.clone());
        Ok(())
    }

    async fn replace(&self, old: &Record, new: &Record) -> Result<bool, BackendError> {
        let mut contents = self.lock();
        let Some(place) = contents.records.get_mut(&old.id).filter(|(_, record)| record == old) else {
            return Ok(false);
        };
        *place = (Instant::now(), new.clone());
        Ok(true)
    }

    async fn renew(&self, id: &str) -> Result<(), BackendError> {
        if let Some((written, _)) = self.lock().records.get_mut(id) {
            *written = Instant::now();
        }
        Ok(())
    }

    async fn acquire_lease(&self, id: &str, waited_for: Option<u64>) -> Result<LeaseAnswer, BackendError> {
        let mut contents = self.lock();
        let leases = contents.leases.entry(id.to_owned()).or_default();
        match waited_for {
            Some(lease) if leases.restarted >= lease => return Ok(LeaseAnswer::Restarted),
            Some(lease) if leases.failed >= lease => return Ok(LeaseAnswer::Failed),
            _ => {}
        }
        if let Some(lease) = leases.held() {
            return Ok(LeaseAnswer::Held(lease));
        }
        leases.last += 1;
        leases.held = Some((leases.last, Instant::now() + LEASE_TTL));
        leases.unfinished = true;
        Ok(LeaseAnswer::Granted(leases.last))
    }

    async fn restart_unfinished(&self, id: &str) -> Result<bool, BackendError> {
        Ok(self.lock().leases.get(id).is_some_and(|leases| leases.unfinished))
    }

    async fn finish_restart(&self, lease: u64, _before: &Record, restarted: &Record) -> Result<bool, BackendError> {
        let mut contents = self.lock();
        let leases = contents.leases.entry(restarted.id.clone()).or_default();
        if !leases.end(lease) {
            return Ok(false);
        }
        (leases.restarted, leases.unfinished) = (lease, false);
        let current = contents.records.remove(&restarted.id).map(|(_, current)| current);
        contents.records.insert(restarted.id.clone(), (Instant::now(), restarted.restarted(current)));
        Ok(true)
    }

    async fn fail_restart(&self, id: &str, lease: u64, unfinished: bool) -> Result<(), BackendError> {
        let mut contents = self.lock();
        let leases = contents.leases.entry(id.to_owned()).or_default();
        if leases.end(lease) {
            (leases.failed, leases.unfinished) = (lease, unfinished);
        }
        Ok(())
    }

    async fn delete(&self, id: &str, lease: u64) -> Result<bool, BackendError> {
        let mut contents = self.lock();
        let held = contents.leases.get_mut(id).is_some_and(|leases| leases.end(lease));
        if held {
            contents.records.remove(id);
            contents.leases.remove(id);
        }
        Ok(held)
    }

    async fn first_use(&self, signature: UsedSignature, memory: Duration) -> Result<Option<IpAddr>, BackendError> {
        let mut contents = self.lock();
        let now = Instant::now();
        if contents.used.len() >= USED_LEN {
            contents.used.retain(|_, (_, until)| *until > now);
        }
        if contents.used.len() >= USED_LEN {
            return Err(BackendError::Unreachable(NAME, "too many signatures to remember".into()));
        }
        let first = contents.used.get(&signature.id).filter(|(_, until)| *until > now).map(|(from, _)| *from);
        if first.is_none() {
            contents.used.insert(signature.id, (signature.from, now + memory));
        }
        Ok(first)
    }
}
