//! Logins that were ended before their time: known at once, across a restart, and forgotten when they would have ended; never who logs in.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use mcr_metadata::RevokeSession;

use crate::error::Error;
use crate::registry::Registry;

/// Ended logins remembered at a time.
const MAX_ENDED: usize = 100_000;
/// The longest number of a login, in bytes.
const MAX_JTI: usize = 128;

/// The ended logins, in step with their rows.
pub(crate) struct Ended(RwLock<HashMap<String, i64>>);

impl Ended {
    pub(crate) fn new(rows: Vec<(String, i64)>) -> Self {
        Self(RwLock::new(rows.into_iter().collect()))
    }

    fn has(&self, jti: &str) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains_key(jti)
    }

    fn add(&self, jti: String, until_ms: i64) {
        let mut ended = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let until = ended.entry(jti).or_insert(until_ms);
        *until = until_ms.max(*until);
    }

    /// Forgets those that have ended by themselves; says how many are left.
    fn forget(&self, now_ms: i64) -> usize {
        let mut ended = self.0.write().unwrap_or_else(PoisonError::into_inner);
        ended.retain(|_, until_ms| *until_ms > now_ms);
        ended.len()
    }

    fn is_full(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).len() >= MAX_ENDED
    }
}

impl Registry {
    /// Ends the login `jti`, which would have ended at `until_ms` by itself. It is known as ended from the answer on.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where too many are remembered; inability.
    pub async fn revoke_session(&self, jti: &str, until_ms: i64) -> Result<(), Error> {
        if jti.is_empty() || jti.len() > MAX_JTI {
            return Err(Error::Invalid("this is no login of this registry".to_owned()));
        }
        let now = self.parts.clock.now_ms();
        if until_ms <= now {
            return Ok(());
        }
        if self.parts.ended.is_full() && self.parts.ended.forget(now) >= MAX_ENDED {
            return Err(Error::unavailable("too many logins were ended lately: try again later"));
        }
        let write = RevokeSession { jti: jti.to_owned(), until_ms, at_ms: now };
        let (parts, ended) = (Arc::clone(&self.parts), jti.to_owned());
        self.parts
            .writes
            .durable(|m, done| m.revoke_session(write, done), move |()| parts.ended.add(ended, until_ms))
            .await
    }

    /// Whether the login `jti` was ended. Looks at memory only.
    #[must_use]
    pub fn is_revoked(&self, jti: &str) -> bool {
        self.parts.ended.has(jti)
    }

    /// Forgets logins that have ended by themselves, in memory and as rows.
    pub(crate) async fn forget_logins(&self) -> Result<(), Error> {
        let now = self.parts.clock.now_ms();
        self.parts.ended.forget(now);
        // A write clears some; what is left goes with the next one.
        while self.parts.writes.durable(|m, done| m.clear_sessions(now, done), |_| ()).await? > 0 {}
        Ok(())
    }
}

#[cfg(test)]
mod tests;
