//! The rules as retention uses them: which one decides for a repository, and by which fingerprint a person confirmed it.

use std::time::Duration;

use mcr_oci::{Digest, glob};
use regex::Regex;
use serde_json::{Value, json};

use crate::settings::{RetentionRule, Rule, Settings, millis};

/// A rule made ready.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub(crate) rule: RetentionRule,
    /// What it says, and which repositories rules before it take away from it, as a digest's hex.
    pub(crate) fingerprint: String,
    /// The same in words, for the database and the plan.
    pub(crate) words: Value,
    pub(crate) keep_tags: Option<Regex>,
}

/// All rules, in their order.
pub(crate) fn prepare(settings: &Settings) -> Vec<Prepared> {
    let mut before: Vec<&str> = Vec::new();
    let mut prepared = Vec::with_capacity(settings.retention.len());
    for rule in &settings.retention {
        let ms = |time: Option<Duration>| time.map(millis);
        let words = json!({
            "repositories": rule.repositories,
            "keep_last": rule.keep_last,
            "keep_within_ms": ms(rule.keep_within),
            "keep_pulled_within_ms": ms(rule.keep_pulled_within),
            "keep_tags": rule.keep_tags.as_ref().map(Regex::as_str),
            "delete_untagged_after_ms": ms(rule.delete_untagged_after),
        });
        // What a rule reaches depends on those before it: without one of them it reaches more.
        let whole = json!({ "rule": words, "not": before });
        let fingerprint = Digest::sha256(whole.to_string().as_bytes()).hex().to_owned();
        // As a whole, however it was written down.
        let keep_tags = rule
            .keep_tags
            .as_ref()
            .map(|pattern| Rule::tag_pattern(pattern.as_str()).unwrap_or_else(|_| pattern.clone()));
        prepared.push(Prepared { rule: rule.clone(), fingerprint, words, keep_tags });
        before.extend(rule.repositories.iter().map(String::as_str));
    }
    prepared
}

/// The rule that decides for `repository`: the first that names it.
pub(crate) fn of<'a>(rules: &'a [Prepared], repository: &str) -> Option<&'a Prepared> {
    rules.iter().find(|prepared| prepared.rule.repositories.iter().any(|pattern| glob::matches(pattern, repository)))
}

impl Prepared {
    /// Whether it says of tags which are kept; one that does not takes none.
    pub(crate) fn judges_tags(&self) -> bool {
        let rule = &self.rule;
        rule.keep_last.is_some()
            || rule.keep_within.is_some()
            || rule.keep_pulled_within.is_some()
            || rule.keep_tags.is_some()
    }
}
