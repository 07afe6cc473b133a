//! The wall clock, the only place that asks the system for the time; never a timer and never a deadline.

#![expect(clippy::disallowed_methods, reason = "this is the one home of the wall clock")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where the time comes from: the system, or a value that a test sets.
///
/// Clones share the value: setting one clone sets all of them.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    fixed: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The system's wall clock.
    #[must_use]
    pub fn system() -> Self {
        Self { fixed: None }
    }

    /// A clock that stands at `ms` (Unix milliseconds) until it is told otherwise. For tests.
    #[must_use]
    pub fn fixed(ms: i64) -> Self {
        Self { fixed: Some(Arc::new(AtomicI64::new(ms))) }
    }

    /// Sets a fixed clock to `ms` (Unix milliseconds); the system's clock is left alone.
    pub fn set(&self, ms: i64) {
        if let Some(now) = &self.fixed {
            now.store(ms, Ordering::SeqCst);
        }
    }

    /// Moves a fixed clock by `ms` milliseconds, backwards if negative; the system's clock is left alone.
    pub fn advance(&self, ms: i64) {
        if let Some(now) = &self.fixed {
            now.fetch_add(ms, Ordering::SeqCst);
        }
    }

    /// Now, in milliseconds since 1970-01-01T00:00:00Z; negative where the system believes in an earlier year.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        match &self.fixed {
            Some(now) => now.load(Ordering::SeqCst),
            None => system_ms(),
        }
    }
}

/// The system's time; saturates instead of failing, since a wrong clock must not stop a registry.
fn system_ms() -> i64 {
    let saturate = |ms: u128| i64::try_from(ms).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => saturate(since.as_millis()),
        Err(before) => -saturate(before.duration().as_millis()),
    }
}

/// `ms` (Unix milliseconds) as RFC 3339 in UTC with milliseconds, such as `2026-01-02T03:04:05.678Z`.
///
/// A time outside the years that RFC 3339 knows is given as the nearest one inside.
#[must_use]
pub fn rfc3339(ms: i64) -> String {
    let nearest = if ms < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or(nearest);
    format!("{time:.3}")
}

#[cfg(test)]
mod tests;
