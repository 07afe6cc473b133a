//! What clients were promised, and what went wrong for them; never a request.

use std::collections::BTreeMap;
use std::sync::Mutex;

/// Notes of all clients.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    inner: Mutex<Notes>,
}

/// What is noted.
#[derive(Debug, Default)]
struct Notes {
    /// Tags nobody deletes, and the digest of their last acknowledged push.
    kept: BTreeMap<(String, String), String>,
    wrong: Vec<String>,
    counts: BTreeMap<&'static str, u64>,
}

impl Ledger {
    /// A push of a tag that nobody deletes was acknowledged.
    pub(crate) fn keep(&self, repository: &str, tag: &str, digest: &str) {
        let place = (repository.to_owned(), tag.to_owned());
        self.inner.lock().unwrap().kept.insert(place, digest.to_owned());
    }

    /// The tags that must be there.
    pub(crate) fn kept(&self) -> BTreeMap<(String, String), String> {
        self.inner.lock().unwrap().kept.clone()
    }

    /// Something that must not happen.
    pub(crate) fn wrong(&self, what: String) {
        eprintln!("race: {what}");
        self.inner.lock().unwrap().wrong.push(what);
    }

    /// Something happened.
    pub(crate) fn count(&self, what: &'static str) {
        *self.inner.lock().unwrap().counts.entry(what).or_default() += 1;
    }

    /// How often it did.
    pub(crate) fn counted(&self, what: &str) -> u64 {
        self.inner.lock().unwrap().counts.get(what).copied().unwrap_or(0)
    }

    /// Everything that was counted, in words.
    pub(crate) fn counts(&self) -> String {
        let notes = self.inner.lock().unwrap();
        let words: Vec<String> = notes.counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
        words.join(", ")
    }

    /// Fails where anything went wrong.
    pub(crate) fn assert_clean(&self) {
        let wrong = self.inner.lock().unwrap().wrong.clone();
        assert!(wrong.is_empty(), "{} promises were broken:\n{}", wrong.len(), wrong.join("\n"));
    }
}
