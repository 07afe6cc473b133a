//! What clients were promised, and what went wrong for them; never a request.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

/// Notes of all clients.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    inner: Mutex<Notes>,
}

/// A tag nobody deletes, pushed by one client alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    /// The digest of its last acknowledged push.
    acknowledged: Option<String>,
    /// Those of pushes since, which nobody answered: they may have happened or not.
    open: BTreeSet<String>,
}

impl Kept {
    /// Whether the tag may point there, or nowhere.
    pub(crate) fn allows(&self, digest: Option<&str>) -> bool {
        self.acknowledged.as_deref() == digest || digest.is_some_and(|digest| self.open.contains(digest))
    }
}

/// What is noted.
#[derive(Debug, Default)]
struct Notes {
    kept: BTreeMap<(String, String), Kept>,
    wrong: Vec<String>,
    counts: BTreeMap<&'static str, u64>,
}

impl Ledger {
    /// A tag that nobody deletes is about to be pushed.
    pub(crate) fn begin(&self, repository: &str, tag: &str, digest: &str) {
        let mut notes = self.inner.lock().unwrap();
        let kept = notes.kept.entry((repository.to_owned(), tag.to_owned())).or_default();
        kept.open.insert(digest.to_owned());
    }

    /// That push was acknowledged, or refused.
    pub(crate) fn answered(&self, repository: &str, tag: &str, digest: &str, taken: bool) {
        let mut notes = self.inner.lock().unwrap();
        let kept = notes.kept.entry((repository.to_owned(), tag.to_owned())).or_default();
        if taken {
            *kept = Kept { acknowledged: Some(digest.to_owned()), open: BTreeSet::new() };
        } else {
            kept.open.remove(digest);
        }
    }

    /// The tags that nobody deletes.
    pub(crate) fn kept(&self) -> BTreeMap<(String, String), Kept> {
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
