//! What a run is asked to do, and who watches it; never how it is done.

use mcr_oci::glob;

/// Where the times of tags come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Times {
    /// From where the origin keeps them: a tree's links; where it keeps none, as [`Times::Created`].
    #[default]
    Pushed,
    /// From what images say of themselves: their config's `created`, else an annotation. For trees whose files were
    /// copied without their times.
    Created,
}

/// What a run is asked to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Globs of repositories, by the names they get here; all where there are none.
    pub repositories: Vec<String>,
    /// Blobs under way at once.
    pub jobs: usize,
    /// Whether manifests are taken that no tag leads to and that refer to nothing that is taken.
    pub untagged: bool,
    /// Where times come from.
    pub times: Times,
    /// Now, in Unix milliseconds: no tag was pushed later.
    pub now_ms: i64,
}

impl Options {
    /// Everything that is tagged, with so many blobs at once.
    #[must_use]
    pub fn new(jobs: usize, now_ms: i64) -> Self {
        Self { repositories: Vec::new(), jobs: jobs.max(1), untagged: false, times: Times::default(), now_ms }
    }

    /// Whether the repository `name` is taken.
    #[must_use]
    pub fn takes(&self, name: &str) -> bool {
        self.repositories.is_empty() || self.repositories.iter().any(|wanted| glob::matches(wanted, name))
    }
}

/// Who watches a run. Calls may come from several threads at once.
pub trait Watch: Send + Sync {
    /// So many more tags will be looked at.
    fn tags(&self, _count: u64) {}
    /// So many more of them are done.
    fn tags_done(&self, _count: u64) {}
    /// So many more bytes were brought and hashed.
    fn bytes(&self, _more: u64) {}
}

/// Nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

impl Watch for Unwatched {}
