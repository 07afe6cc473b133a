//! How long untagged manifests stay, by the rules that a person confirmed; for the collector, which takes them too.

use std::collections::HashSet;

use super::rules::{self, Prepared};
use crate::registry::Registry;
use crate::settings::millis;

/// The rules with what was confirmed of them, as of one moment.
#[derive(Debug)]
pub(crate) struct UntaggedRules {
    rules: Vec<Prepared>,
    confirmed: HashSet<String>,
    lease_ms: i64,
}

impl UntaggedRules {
    /// How long untagged manifests of a repository stay, in milliseconds and at least a lease, with the fingerprint of
    /// the rule that says so; none where they stay for ever, or no person confirmed the rule.
    pub(crate) fn of(&self, repository: &str) -> Option<(i64, &str)> {
        let rule = rules::of(&self.rules, repository)?;
        let after = millis(rule.rule.delete_untagged_after?);
        let confirmed = self.confirmed.contains(&rule.fingerprint);
        confirmed.then(|| (after.max(self.lease_ms), rule.fingerprint.as_str()))
    }
}

impl Registry {
    /// The rules as they are now. Blocks for one short read; where that fails, none counts as confirmed, and nothing is
    /// taken.
    pub(crate) fn untagged_rules(&self) -> UntaggedRules {
        let states = self.parts.metadata.retention_rules().unwrap_or_else(|error| {
            tracing::warn!(%error, "which rules of retention were confirmed could not be read");
            Vec::new()
        });
        let confirmed = states.into_iter().filter(|state| state.confirmed_at_ms.is_some());
        UntaggedRules {
            rules: rules::prepare(&self.parts.settings),
            confirmed: confirmed.map(|state| state.fingerprint).collect(),
            lease_ms: millis(self.parts.settings.gc.lease),
        }
    }
}
