//! Telling the audit trail of what is no write by itself: logins, refusals, changes of configuration; never slowing who causes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mcr_access::{Reason, Refusal};
use mcr_metadata::{Actor, AuditEvent};
use serde_json::{Value, json};

use crate::registry::Registry;

/// The longest account name that is kept, in characters: who fails to log in may have typed anything.
const MAX_ACCOUNT: usize = 255;

/// The account of what the registry does by itself.
pub(crate) const SYSTEM: &str = "mcrsrv";

/// What happened to a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginEvent {
    /// Somebody logged in.
    Login,
    /// Somebody tried to.
    Failed,
    /// Somebody ended a login.
    Logout,
}

impl LoginEvent {
    fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Failed => "login_failed",
            Self::Logout => "logout",
        }
    }
}

/// Events that could not be written, until one row tells how many.
#[derive(Debug, Default)]
pub(crate) struct Gap(AtomicU64);

impl Gap {
    pub(crate) fn add(&self, events: u64) {
        self.0.fetch_add(events, Ordering::Relaxed);
    }

    pub(crate) fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl Registry {
    /// Records a login, a failed one or a logout. Repeats of a failed one are counted into one row a minute.
    /// `details` never hold a secret.
    pub fn record_login(&self, event: LoginEvent, account: &str, address: Option<&str>, details: Value) {
        let actor = Actor { name: shortened(account), address: address.map(str::to_owned) };
        self.record(AuditEvent { details, ..about_nothing(event.as_str(), actor, self.parts.clock.now_ms()) });
    }

    /// Records that rules refused something, with the deciding one. Repeats are counted into one row a minute. What
    /// another token could do is no refusal, and not recorded.
    pub fn record_denied(&self, refusal: &Refusal, address: Option<&str>) {
        let Reason::Policy(rule) = &refusal.reason else { return };
        let actor = Actor { name: shortened(&refusal.account), address: address.map(str::to_owned) };
        self.record(AuditEvent {
            repository: refusal.repository.clone(),
            details: json!({ "action": refusal.action.as_str(), "rule": rule }),
            ..about_nothing("policy_deny", actor, self.parts.clock.now_ms())
        });
    }

    /// Records that other values of these configuration keys hold now.
    pub fn record_config_reloaded(&self, keys: &[String]) {
        let actor = Actor { name: SYSTEM.to_owned(), address: None };
        let details = json!({ "keys": keys });
        self.record(AuditEvent { details, ..about_nothing("config_reloaded", actor, self.parts.clock.now_ms()) });
    }

    /// Appends an event beside whatever caused it. One that cannot be written is counted, and a later row tells it.
    pub(crate) fn record(&self, event: AuditEvent) {
        let gap = Arc::clone(&self.parts.gap);
        self.parts.writes.attempt(
            |m, done| m.record_event(event, done),
            move |written| {
                if !written {
                    gap.add(1);
                }
            },
        );
    }
}

/// An event that is about no repository, tag or digest.
pub(crate) fn about_nothing(event: &'static str, actor: Actor, at_ms: i64) -> AuditEvent {
    AuditEvent { event, actor, repository: None, tag: None, digest: None, details: Value::Null, at_ms }
}

fn shortened(account: &str) -> String {
    account.chars().take(MAX_ACCOUNT).collect()
}
