//! What a run was shown: repositories, their tags, and how each stood; never what there should have been.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use mcr_metadata::{ProbedTag, TagState};
use mcr_oci::{Digest, FindingKind};
use mcr_probe::{TagOutcome, Watch};

/// How one tag stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stood {
    pub(super) digest: Option<Digest>,
    pub(super) state: TagState,
    pub(super) findings: u64,
}

/// Everything that was shown, by repository and tag.
#[derive(Debug, Default)]
pub(super) struct Seen {
    repositories: HashMap<String, HashMap<String, Stood>>,
}

impl Seen {
    /// Whether the repository was listed.
    pub(super) fn has_repository(&self, repository: &str) -> bool {
        self.repositories.contains_key(repository)
    }

    /// Whether the tag was listed.
    pub(super) fn has_tag(&self, repository: &str, tag: &str) -> bool {
        self.repositories.get(repository).is_some_and(|tags| tags.contains_key(tag))
    }

    /// Adds a repository.
    pub(super) fn repository(&mut self, repository: &str) {
        if !self.has_repository(repository) {
            self.repositories.insert(repository.to_owned(), HashMap::new());
        }
    }

    /// Adds a tag, or says anew how it stands.
    pub(super) fn tag(&mut self, repository: &str, tag: &str, stood: Stood) {
        self.repository(repository);
        if let Some(tags) = self.repositories.get_mut(repository) {
            tags.insert(tag.to_owned(), stood);
        }
    }

    /// Takes a tag out again.
    pub(super) fn forget(&mut self, repository: &str, tag: &str) {
        if let Some(tags) = self.repositories.get_mut(repository) {
            tags.remove(tag);
        }
    }

    /// The tags as rows.
    pub(super) fn into_rows(self) -> Vec<ProbedTag> {
        let mut rows = Vec::new();
        for (repository, tags) in self.repositories {
            rows.extend(tags.into_iter().map(|(tag, stood)| ProbedTag {
                repository: repository.clone(),
                tag,
                digest: stood.digest,
                state: stood.state,
                findings: stood.findings,
            }));
        }
        rows
    }
}

/// Collects what a walk under way is shown.
#[derive(Debug, Default)]
pub(super) struct Collector {
    seen: Mutex<Seen>,
}

impl Collector {
    /// What was collected.
    pub(super) fn into_seen(self) -> Seen {
        self.seen.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch for Collector {
    fn repository_done(&self, repository: &str, _tags: u64) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).repository(repository);
    }

    fn tag(&self, outcome: &TagOutcome<'_>) {
        let wrong = outcome.findings.iter().filter(|finding| finding.kind != FindingKind::Unreachable).count();
        let stood = Stood {
            digest: outcome.digest.cloned(),
            state: match outcome.state() {
                mcr_probe::TagState::Sound => TagState::Sound,
                mcr_probe::TagState::Broken => TagState::Broken,
                mcr_probe::TagState::Undetermined => TagState::Undetermined,
            },
            findings: wrong as u64,
        };
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).tag(outcome.repository, outcome.tag, stood);
    }
}
