//! What a run was asked for, as it stands in its plan; never what it found.

use std::time::Duration;

use mcr_metadata::Due;
use serde_json::{Value, json};

use crate::gc::GcOptions;
use crate::registry::Registry;
use crate::settings::millis;

/// The shortest lease, in milliseconds (contract section 2.8).
const LEASE_MIN_MS: i64 = 10_000;

/// What a run was asked for. Times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) grace_ms: i64,
    pub(crate) lease_ms: i64,
    pub(crate) undo_ms: i64,
    pub(crate) reconcile: bool,
    pub(crate) confirmed: bool,
}

impl Asked {
    /// As it stands in the plan.
    pub(crate) fn to_json(self) -> Value {
        json!({
            "grace": seconds(self.grace_ms),
            "lease": seconds(self.lease_ms),
            "undo": seconds(self.undo_ms),
            "reconcile": self.reconcile,
            "yes": self.confirmed,
        })
    }

    /// As it stood in the plan; what is not there is as `otherwise` says.
    pub(crate) fn from_json(settings: &Value, otherwise: Self) -> Self {
        let time = |key: &str, otherwise: i64| {
            let seconds = settings.get(key).and_then(Value::as_f64).map(Duration::try_from_secs_f64);
            seconds.and_then(Result::ok).map_or(otherwise, millis)
        };
        let flag = |key: &str| settings.get(key).and_then(Value::as_bool).unwrap_or(false);
        Self {
            grace_ms: time("grace", otherwise.grace_ms),
            // Promises hold as long as they do now, though the plan was made when they were shorter.
            lease_ms: time("lease", otherwise.lease_ms).max(otherwise.lease_ms).max(LEASE_MIN_MS),
            undo_ms: time("undo", otherwise.undo_ms),
            reconcile: flag("reconcile"),
            confirmed: flag("yes"),
        }
    }

    /// From when on something may go, at `now_ms`.
    pub(crate) const fn due(self, now_ms: i64) -> Due {
        let wait_ms = if self.grace_ms > self.lease_ms { self.grace_ms } else { self.lease_ms };
        Due { now_ms, wait_ms, lease_ms: self.lease_ms, undo_ms: self.undo_ms }
    }
}

impl Registry {
    /// What `options` ask for, and for the rest what is configured.
    pub(crate) fn asked(&self, options: GcOptions) -> Asked {
        let configured = &self.parts.settings.gc;
        Asked {
            grace_ms: millis(options.grace.unwrap_or(configured.grace)),
            lease_ms: millis(configured.lease).max(LEASE_MIN_MS),
            undo_ms: millis(options.undo.unwrap_or(configured.undo)),
            reconcile: options.reconcile,
            confirmed: options.confirmed,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a time of more than 2⁵³ ms is none")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}
