//! What a caller may watch of a walk under way: progress and outcomes; never a decision.

use mcr_oci::{Digest, Finding};
use serde::{Deserialize, Serialize};

/// What a look at one tag came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TagState {
    /// Its closure is complete.
    Sound,
    /// Something is wrong with it.
    Broken,
    /// It could not be looked at whole, and what could be is not wrong.
    Undetermined,
}

impl TagState {
    /// The state that `findings` make.
    #[must_use]
    pub fn of(findings: &[Finding]) -> Self {
        let undetermined = |finding: &Finding| finding.kind == mcr_oci::FindingKind::Unreachable;
        if findings.is_empty() {
            Self::Sound
        } else if findings.iter().all(undetermined) {
            Self::Undetermined
        } else {
            Self::Broken
        }
    }

    /// The word of JSON and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::Broken => "broken",
            Self::Undetermined => "undetermined",
        }
    }
}

/// One tag that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagOutcome<'a> {
    /// The repository's name.
    pub repository: &'a str,
    /// The tag's name as listed.
    pub tag: &'a str,
    /// What the tag names; `None` where it could not be read.
    pub digest: Option<&'a Digest>,
    /// Everything found, with repository and tag set.
    pub findings: &'a [Finding],
}

impl TagOutcome<'_> {
    /// What it came to.
    #[must_use]
    pub fn state(&self) -> TagState {
        TagState::of(self.findings)
    }
}

/// Told of a walk while it goes on. Every method does nothing unless it is written.
pub trait Watch: Send + Sync {
    /// The catalog lists `repositories` that will be looked at.
    fn repositories(&self, repositories: u64) {
        let _ = repositories;
    }

    /// All tags of one more repository were looked at; it has `tags`, as listed.
    fn repository_done(&self, repository: &str, tags: u64) {
        let _ = (repository, tags);
    }

    /// One more tag was looked at.
    fn tag(&self, outcome: &TagOutcome<'_>) {
        let _ = outcome;
    }

    /// One more digest was looked at.
    fn looked(&self, digest: &Digest) {
        let _ = digest;
    }

    /// A manifest was read that names blobs of `bytes` not asked for before: how long a full look will take.
    fn expects(&self, bytes: u64) {
        let _ = bytes;
    }

    /// So many more bytes of blobs were received.
    fn received(&self, bytes: u64) {
        let _ = bytes;
    }
}

/// Nobody watches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unwatched;

impl Watch for Unwatched {}
