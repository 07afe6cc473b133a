//! All layers laid over each other: each key's value and where it came from; never whether values fit together.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::file::{Entry, RuleEntries};
use super::problem::{Origin, Problem, Problems};
use super::table::{Fallback, KEYS, Key, ListSection};
use super::value::{self, Raw, Value};

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// `None` when the key is not set and has no default.
    pub value: Option<Value>,
    /// Where it came from.
    pub origin: Origin,
}

/// The value of every key of a list of keys, laid over its default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    values: BTreeMap<&'static str, Setting>,
    rules: BTreeMap<&'static str, Vec<Settings>>,
}

impl Settings {
    /// The defaults of [`KEYS`].
    #[must_use]
    pub fn defaults() -> Self {
        Self::defaults_of(KEYS)
    }

    fn defaults_of(keys: &'static [Key]) -> Self {
        let values = keys
            .iter()
            .map(|key| {
                let value = match key.fallback {
                    // Words in the table are written like environment variables: without quotes.
                    Fallback::Value(text) => value::read(key.kind, &Raw::Bare(text.to_owned())).ok(),
                    Fallback::Required | Fallback::Unset(_) | Fallback::Derived(_) => None,
                };
                let origin = Origin::Default;
                (key.full, Setting { value, origin })
            })
            .collect();
        Self { values, rules: BTreeMap::new() }
    }

    /// Lays `entries` over what is there. A bad value is a problem, also when a later layer would replace it.
    pub fn lay(&mut self, entries: Vec<Entry>, problems: &mut Problems) {
        for Entry { key, raw, origin } in entries {
            // An empty text takes a value back: `grpc_addr = ""`.
            let empty = matches!(&raw, Raw::Text(text) | Raw::Bare(text) if text.is_empty());
            let optional = matches!(key.fallback, Fallback::Unset(_) | Fallback::Derived(_));
            let value = if empty && optional {
                None
            } else {
                match value::read(key.kind, &raw) {
                    Ok(value) => Some(value),
                    Err(expected) => {
                        problems.push(Problem::of(key, &origin, hidden(key, expected)));
                        continue;
                    }
                }
            };
            self.values.insert(key.full, Setting { value, origin });
        }
    }

    /// Replaces the rules of a list section by those of a later file.
    pub fn lay_rules(&mut self, list: &'static ListSection, rules: Vec<RuleEntries>, problems: &mut Problems) {
        let rules = rules.into_iter().map(|rule| {
            let before = problems.0.len();
            let mut settings = Self::defaults_of(list.keys);
            settings.lay(rule.entries, problems);
            if problems.0.len() == before {
                settings.require(list.keys, Some(&rule.origin), problems);
            }
            settings
        });
        let rules = rules.collect();
        self.rules.insert(list.name, rules);
    }

    /// The rules of a list section, each with that section's keys.
    #[must_use]
    pub fn rules(&self, list: &str) -> &[Settings] {
        self.rules.get(list).map_or(&[], Vec::as_slice)
    }

    /// Asks that every required key of `keys` has a value.
    pub fn require(&self, keys: &'static [Key], origin: Option<&Origin>, problems: &mut Problems) {
        for key in keys {
            let told = |problem: &Problem| problem.key.as_deref() == Some(&key.shown());
            let missing = key.fallback == Fallback::Required && self.value(key.full).is_none();
            if missing && !problems.0.iter().any(told) {
                let like = key.example.map(|example| format!(", for example {} = \"{example}\"", key.name()));
                let message = format!("missing; set it{}", like.unwrap_or_default());
                problems.push(Problem::of(key, origin.unwrap_or(&Origin::Default), message));
            }
        }
    }

    /// The setting of a key.
    #[must_use]
    pub fn get(&self, full: &str) -> Option<&Setting> {
        self.values.get(full)
    }

    /// Sets a value that was computed.
    pub fn derive(&mut self, full: &'static str, value: Value) {
        let origin = Origin::Default;
        self.values.insert(full, Setting { value: Some(value), origin });
    }

    /// Where the key's value came from.
    #[must_use]
    pub fn origin(&self, full: &str) -> &Origin {
        self.get(full).map_or(&Origin::Default, |setting| &setting.origin)
    }

    fn value(&self, full: &str) -> Option<&Value> {
        self.get(full)?.value.as_ref()
    }

    // One reader per type. A key of another type reads as not set; a test sets every key and looks for it in `Config`.

    pub(super) fn address(&self, full: &str) -> Option<SocketAddr> {
        match self.value(full) {
            Some(Value::Address(address)) => Some(*address),
            _ => None,
        }
    }

    pub(super) fn path(&self, full: &str) -> Option<PathBuf> {
        match self.value(full) {
            Some(Value::Path(path)) => Some(path.clone()),
            _ => None,
        }
    }

    pub(super) fn flag(&self, full: &str) -> bool {
        self.value(full) == Some(&Value::Flag(true))
    }

    pub(super) fn duration(&self, full: &str) -> Duration {
        self.duration_if_set(full).unwrap_or_default()
    }

    pub(super) fn duration_if_set(&self, full: &str) -> Option<Duration> {
        match self.value(full) {
            Some(Value::Duration(length)) => Some(*length),
            _ => None,
        }
    }

    pub(super) fn size(&self, full: &str) -> u64 {
        match self.value(full) {
            Some(Value::Size(bytes) | Value::Rate(bytes)) => *bytes,
            _ => 0,
        }
    }

    pub(super) fn number(&self, full: &str) -> Option<u64> {
        match self.value(full) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn word(&self, full: &str) -> &'static str {
        match self.value(full) {
            Some(Value::Word(word)) => word,
            _ => "",
        }
    }

    pub(super) fn text(&self, full: &str) -> Option<String> {
        match self.value(full) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }

    pub(super) fn list(&self, full: &str) -> Vec<String> {
        match self.value(full) {
            Some(Value::List(items)) => items.clone(),
            _ => Vec::new(),
        }
    }
}

/// A message about a secret must not repeat it.
fn hidden(key: &Key, message: String) -> String {
    if key.secret { value::expected(key.kind) } else { message }
}
