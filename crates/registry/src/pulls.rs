//! Counting pulls in memory and telling the audit trail once a minute, so that no pull waits for it; never a pull itself.
//!
//! One row per account, repository, digest, address and minute, with a count. What finds no place, or cannot be
//! written, is counted too: one `audit_gap` row tells how many as soon as writing works again.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcr_access::Identity;
use mcr_metadata::{Actor, AuditEvent, RecordPulls};
use mcr_oci::{Digest, RepositoryName};
use serde_json::json;

use crate::record::{SYSTEM, about_nothing};
use crate::registry::Registry;

/// Tables that pulls are spread over, so that they seldom wait for each other.
const SHARDS: usize = 16;
/// Different pulls that one table counts at a time.
const SHARD_MAX: usize = 2048;
/// Rows that one write tells of: other writes wait for it.
const ROWS_AT_ONCE: usize = 500;
const MINUTE_MS: i64 = 60_000;

/// The pulls of this minute.
pub(crate) struct Pulls {
    hasher: std::hash::RandomState,
    shards: Vec<Mutex<Shard>>,
}

/// By hash; what shares one stands in one list.
type Shard = HashMap<u64, Vec<Pull>, BuildHasherDefault<AsItIs>>;

/// A hash is a hash already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 << 8) | u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

struct Pull {
    account: Box<str>,
    address: Option<Box<str>>,
    repository: RepositoryName,
    digest: Digest,
    minute: i64,
    last_ms: i64,
    count: u64,
}

impl Pulls {
    pub(crate) fn new() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { hasher: std::hash::RandomState::new(), shards }
    }

    /// Counts one; says whether there was a place for it.
    fn note(&self, identity: &Identity, repository: &RepositoryName, digest: &Digest, now_ms: i64) -> bool {
        let minute = now_ms.div_euclid(MINUTE_MS);
        let (account, address) = (identity.account(), identity.address());
        let hash = self.hasher.hash_one((account, address, repository.as_str(), digest.as_str(), minute));
        // The table's own places come from the low bits.
        let at = usize::try_from(hash >> 60).unwrap_or(0) % SHARDS;
        let Some(shard) = self.shards.get(at) else { return false };
        let mut shard = lock(shard);
        let full = shard.len() >= SHARD_MAX;
        if let Some(pulls) = shard.get_mut(&hash) {
            let same = |pull: &&mut Pull| {
                pull.minute == minute
                    && pull.digest == *digest
                    && pull.repository == *repository
                    && *pull.account == *account
                    && pull.address.as_deref() == address
            };
            if let Some(pull) = pulls.iter_mut().find(same) {
                pull.count += 1;
                pull.last_ms = pull.last_ms.max(now_ms);
                return true;
            }
        }
        if full {
            return false;
        }
        shard.entry(hash).or_default().push(Pull {
            account: account.into(),
            address: address.map(Into::into),
            repository: repository.clone(),
            digest: digest.clone(),
            minute,
            last_ms: now_ms,
            count: 1,
        });
        true
    }

    /// Takes out what belongs to a minute that is over; everything if `all`.
    fn take(&self, now_ms: i64, all: bool) -> Vec<Pull> {
        let minute = now_ms.div_euclid(MINUTE_MS);
        let mut taken = Vec::new();
        for shard in &self.shards {
            let mut shard = lock(shard);
            for (_, pulls) in shard.extract_if(|_, pulls| all || pulls.iter().any(|pull| pull.minute != minute)) {
                taken.extend(pulls);
            }
        }
        taken.sort_by_key(|pull| pull.last_ms);
        taken
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pull {
    fn told(self) -> AuditEvent {
        let actor = Actor { name: self.account.into(), address: self.address.map(Into::into) };
        AuditEvent {
            repository: Some(self.repository),
            digest: Some(self.digest),
            details: json!({ "count": self.count }),
            ..about_nothing("manifest_pulled", actor, self.last_ms)
        }
    }
}

impl Registry {
    /// Counts a pull of a manifest for the audit trail. Never waits for more than a table in memory; what the
    /// registry's own probe reads is not counted.
    pub(crate) fn note_pull(&self, identity: &Identity, repository: &RepositoryName, digest: &Digest) {
        if identity.is_probe() {
            return;
        }
        if !self.parts.pulls.note(identity, repository, digest, self.parts.clock.now_ms()) {
            self.parts.gap.add(1);
        }
    }

    /// Writes down the pulls of minutes that are over, all of them if `all`, and how many events were lost before.
    pub(crate) async fn flush_pulls(&self, all: bool) {
        let now = self.parts.clock.now_ms();
        let mut pulls = self.parts.pulls.take(now, all).into_iter().peekable();
        while pulls.peek().is_some() {
            let rows: Vec<Pull> = pulls.by_ref().take(ROWS_AT_ONCE).collect();
            let lost: u64 = rows.iter().map(|pull| pull.count).sum();
            self.note_last_pulls(&rows, now);
            let events = rows.into_iter().map(Pull::told).collect();
            if let Err(error) = self.parts.writes.durable(|m, done| m.record_events(events, done), |()| ()).await {
                tracing::warn!(%error, pulls = lost, "pulls could not be written to the audit trail");
                self.parts.gap.add(lost);
            }
        }
        self.tell_gap().await;
    }

    /// Notes when manifests were pulled last, for retention; what cannot be written is dropped.
    fn note_last_pulls(&self, rows: &[Pull], at_ms: i64) {
        let pulls = rows.iter().map(|pull| (pull.repository.clone(), pull.digest.clone(), pull.last_ms)).collect();
        let record = RecordPulls { pulls, at_ms };
        self.parts.writes.droppable(|m, done| m.record_pulls(record, done), || ());
    }

    /// Tells the trail how many events it lacks.
    async fn tell_gap(&self) {
        let lost = self.parts.gap.take();
        if lost == 0 {
            return;
        }
        let actor = Actor { name: SYSTEM.to_owned(), address: None };
        let details = json!({ "count": lost });
        let event = AuditEvent { details, ..about_nothing("audit_gap", actor, self.parts.clock.now_ms()) };
        let gap = Arc::clone(&self.parts.gap);
        if self.parts.writes.durable(|m, done| m.record_event(event, done), |()| ()).await.is_err() {
            gap.add(lost);
        }
    }
}

#[cfg(test)]
mod tests;
