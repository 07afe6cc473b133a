//! Switching writes off and on while the server runs, and why they are off; never the refusal of one write.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcr_access::{Administer, GlobalPermit};
use serde_json::json;

use crate::error::Error;
use crate::record::about_nothing;
use crate::registry::{Registry, actor};
use crate::words;

/// The longest reason, in characters.
const MAX_REASON: usize = 500;

/// Why writes are off where the configuration says so.
const CONFIGURED: &str = "an operator set [server] read_only";

/// What is so of a registry that was made again from its blobs, until there is a policy rule.
pub(crate) const CLOSED: &str = "it was made again from its blobs and its policy rules are lost: only administrators are \
                                 served and nothing is taken, until an administrator makes a rule (mcrctl policy create)";

/// The switch.
pub(crate) struct ReadOnly {
    on: AtomicBool,
    /// Whether the policy rules are lost.
    closed: AtomicBool,
    /// What the configuration said last.
    configured: AtomicBool,
    reason: Mutex<String>,
}

/// Whether writes are off, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOnlyState {
    /// Whether they are.
    pub read_only: bool,
    /// Why, where they are.
    pub reason: Option<String>,
}

impl ReadOnly {
    pub(crate) fn new(on: bool, closed: bool) -> Self {
        Self {
            on: AtomicBool::new(on),
            closed: AtomicBool::new(closed),
            configured: AtomicBool::new(on),
            reason: Mutex::new(CONFIGURED.to_owned()),
        }
    }

    /// There is a policy rule: what a registry without any was kept from ends.
    pub(crate) fn open(&self) {
        self.closed.store(false, Ordering::Release);
    }

    fn set(&self, on: bool, reason: &str) {
        let mut kept = self.lock();
        reason.clone_into(&mut kept);
        self.on.store(on, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, String> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why writes are off; none where they are not.
    pub(crate) fn why(&self) -> Option<String> {
        if self.closed.load(Ordering::Acquire) {
            return Some(CLOSED.to_owned());
        }
        self.on.load(Ordering::Acquire).then(|| self.lock().clone())
    }
}

impl Registry {
    /// Switches writes off or on as the configuration says now. Where it says what it said before, what somebody
    /// switched meanwhile stays.
    pub fn set_read_only(&self, read_only: bool) {
        if self.parts.read_only.configured.swap(read_only, Ordering::AcqRel) != read_only {
            self.parts.read_only.set(read_only, CONFIGURED);
        }
    }

    /// Whether writes are switched off.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.parts.read_only.why().is_some()
    }

    /// Whether writes are switched off, and why.
    #[must_use]
    pub fn read_only_state(&self) -> ReadOnlyState {
        let reason = self.parts.read_only.why();
        ReadOnlyState { read_only: reason.is_some(), reason }
    }

    /// Switches writes off or on until somebody does again, the configuration says otherwise, or the server ends.
    /// The audit trail tells it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a reason that is too long; inability, and then nothing was switched.
    pub async fn switch_read_only(
        &self,
        permit: &GlobalPermit<Administer>,
        read_only: bool,
        reason: Option<&str>,
    ) -> Result<ReadOnlyState, Error> {
        let reason = match reason.map(str::trim).filter(|reason| !reason.is_empty()) {
            Some(reason) => {
                words::text("reason", reason, MAX_REASON)?;
                reason.to_owned()
            }
            // Everybody may read it, at `/v1/health`: who it was stands in the audit trail.
            None => "an administrator switched writes off".to_owned(),
        };
        let mut event = about_nothing("config_reloaded", actor(permit.identity()), self.parts.clock.now_ms());
        event.details = json!({ "read_only": read_only, "reason": reason });
        let parts = Arc::clone(&self.parts);
        self.parts
            .writes
            .durable(|m, done| m.record_event(event, done), move |()| parts.read_only.set(read_only, &reason))
            .await?;
        Ok(self.read_only_state())
    }
}
