//! Counting repeated refusals, so that a client in a loop fills one audit row a minute; never a row itself.
//!
//! The first of a minute is appended at once, like any event. Those that follow are counted in memory and appended
//! as one row when the minute is over or the database closes. Rows are never changed afterwards: a head that was
//! written down elsewhere stays in the chain.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::audit::{Append, AuditEvent};
use crate::job::{Job, job};

/// The events whose repeats are counted.
const REFUSALS: [&str; 3] = ["push_refused", "login_failed", "policy_deny"];

/// How long repeats are counted into one row.
const MINUTE: Duration = Duration::from_secs(60);
const MINUTE_MS: i64 = 60_000;

/// Different refusals of one minute. What more there are is told as a gap: strangers choose addresses, and must not
/// fill a disk with them.
const REPEATS_MAX: usize = 4096;

/// The refusals of this minute and how often each was repeated.
#[derive(Default)]
pub(crate) struct Repeats {
    counts: Mutex<HashMap<Key, Count>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    event: &'static str,
    address: Option<String>,
    account: String,
    minute: i64,
}

struct Count {
    since: Instant,
    /// The first one, without what is its own.
    first: AuditEvent,
    repeats: u64,
    last_ms: i64,
}

/// What becomes of an event.
pub(crate) enum Admitted {
    /// It is appended now.
    Append(AuditEvent),
    /// It is a repeat, and counted.
    Counted,
    /// It is one refusal too many of this minute.
    TooMany,
}

/// Whether repeats of this event are counted instead of told one by one.
pub(crate) fn is_counted(event: &str) -> bool {
    REFUSALS.contains(&event)
}

impl Repeats {
    /// What is to be done with an event.
    pub(crate) fn admit(&self, event: AuditEvent) -> Admitted {
        if !is_counted(event.event) {
            return Admitted::Append(event);
        }
        let mut counts = self.lock();
        let key = Key::of(&event);
        if let Some(count) = counts.get_mut(&key) {
            count.repeats = count.repeats.saturating_add(1);
            count.last_ms = count.last_ms.max(event.at_ms);
            return Admitted::Counted;
        }
        if counts.len() >= REPEATS_MAX {
            return Admitted::TooMany;
        }
        counts.insert(key, Count::new(event.clone()));
        Admitted::Append(event)
    }

    /// Whether nothing is being counted.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Writes for the counts whose minute is over; for all of them if `all`. A write that fails puts its count back.
    pub(crate) fn take_due(self: &Arc<Self>, all: bool) -> Vec<Job> {
        let mut counts = self.lock();
        let due = counts.extract_if(|_, count| all || count.since.elapsed() >= MINUTE);
        due.filter(|(_, count)| count.repeats > 0).map(|(key, count)| self.write(key, count)).collect()
    }

    fn write(self: &Arc<Self>, key: Key, count: Count) -> Job {
        let event = AuditEvent {
            details: json!({ "count": count.repeats, "since_ms": count.first.at_ms }),
            at_ms: count.last_ms,
            ..count.first.clone()
        };
        let repeats = Arc::clone(self);
        let done = move |answer: Result<(), crate::Error>| {
            if answer.is_err() {
                repeats.put_back(key, count);
            }
        };
        job(Append(event), Box::new(done))
    }

    fn put_back(&self, key: Key, count: Count) {
        let mut counts = self.lock();
        if let Some(newer) = counts.get_mut(&key) {
            newer.repeats = newer.repeats.saturating_add(count.repeats);
        } else if counts.len() < REPEATS_MAX {
            counts.insert(key, count);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Key {
    fn of(event: &AuditEvent) -> Self {
        Self {
            event: event.event,
            address: event.actor.address.clone(),
            account: event.actor.name.clone(),
            minute: event.at_ms.div_euclid(MINUTE_MS),
        }
    }
}

impl Count {
    fn new(event: AuditEvent) -> Self {
        Self {
            since: Instant::now(),
            last_ms: event.at_ms,
            repeats: 0,
            // The repeats may be about other repositories and digests: the row says only what they share.
            first: AuditEvent { repository: None, tag: None, digest: None, ..event },
        }
    }
}

#[cfg(test)]
mod tests;
