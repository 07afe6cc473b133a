//! Which tags of a repository a rule lets go, and why; pure: facts in, reasons out.

use mcr_metadata::{Follows, RepositoryFacts, TagFacts, TagGuard};

use super::rules::Prepared;
use crate::settings::millis;

/// What of the registry's settings the verdict rests on beside the rule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// Now, in Unix milliseconds.
    pub(crate) now_ms: i64,
    /// How long deletes can be undone, in milliseconds.
    pub(crate) undo_ms: i64,
}

/// For every tag, in the order of `facts.tags`: why it goes; none where it stays.
pub(crate) fn verdicts(
    rule: &Prepared,
    facts: &RepositoryFacts,
    immutable: Option<&TagGuard>,
    times: Times,
) -> Vec<Option<String>> {
    if !rule.judges_tags() {
        return vec![None; facts.tags.len()];
    }
    let newest = newest(rule, facts);
    let judge = |(tag, newest): (&TagFacts, bool)| {
        if immutable.is_some_and(|guard| guard.holds(&tag.name)) {
            return None;
        }
        match tag.follows {
            // It goes when its subject goes.
            Follows::Live | Follows::Absent => None,
            Follows::Deleted { at_ms } => (at_ms.saturating_add(times.undo_ms) <= times.now_ms)
                .then(|| "what it follows was deleted and can no longer be restored".to_owned()),
            Follows::Nobody if newest => None,
            Follows::Nobody => not_kept(rule, facts, tag, times.now_ms),
        }
    };
    facts.tags.iter().zip(newest).map(judge).collect()
}

/// For every tag whether `keep_last` keeps it: those that moved last, of those that count.
fn newest(rule: &Prepared, facts: &RepositoryFacts) -> Vec<bool> {
    let keep = usize::try_from(rule.rule.keep_last.unwrap_or(0)).unwrap_or(usize::MAX);
    let mut counted: Vec<usize> = (0..facts.tags.len())
        .filter(|at| facts.tags.get(*at).is_some_and(|tag| tag.follows == Follows::Nobody))
        .collect();
    // Where two moved in the same moment, the name decides, so that every run decides alike.
    let age = |at: &usize| facts.tags.get(*at).map(|tag| (tag.moved_at_ms, &tag.name));
    counted.sort_by(|one, other| age(other).cmp(&age(one)));
    let mut newest = vec![false; facts.tags.len()];
    for at in counted.into_iter().take(keep) {
        if let Some(kept) = newest.get_mut(at) {
            *kept = true;
        }
    }
    newest
}

/// Why none of the other keys keeps the tag; none where one does.
fn not_kept(rule: &Prepared, facts: &RepositoryFacts, tag: &TagFacts, now_ms: i64) -> Option<String> {
    let mut reasons = Vec::new();
    if let Some(last) = rule.rule.keep_last {
        reasons.push(format!("not among the {last} that moved last"));
    }
    if let Some(within) = rule.rule.keep_within {
        if tag.moved_at_ms.saturating_add(millis(within)) >= now_ms {
            return None;
        }
        reasons.push(format!("did not move within {}", words(millis(within))));
    }
    if let Some(within) = rule.rule.keep_pulled_within {
        // A push counts as a pull, and so does the time from which on pulls are written down: what was pulled before
        // is not known.
        let known = facts.pulls_since_ms.unwrap_or(now_ms);
        let pulled = tag.pulled_at_ms.unwrap_or(0).max(tag.moved_at_ms).max(known);
        if pulled.saturating_add(millis(within)) >= now_ms {
            return None;
        }
        reasons.push(format!("was not pulled within {}", words(millis(within))));
    }
    if let Some(pattern) = &rule.keep_tags {
        if pattern.is_match(&tag.name) {
            return None;
        }
        reasons.push("does not match keep_tags".to_owned());
    }
    let days = now_ms.saturating_sub(tag.moved_at_ms).max(0);
    Some(format!("moved {} ago: {}", words(days), reasons.join(", ")))
}

/// A span of time in its largest fitting unit, rounded down.
pub(crate) fn words(ms: i64) -> String {
    let seconds = ms / 1000;
    let units = [(86_400, "d"), (3600, "h"), (60, "m")];
    units
        .into_iter()
        .find(|(unit, _)| seconds >= *unit)
        .map_or_else(|| format!("{seconds} s"), |(unit, name)| format!("{} {name}", seconds / unit))
}

#[cfg(test)]
mod tests;
