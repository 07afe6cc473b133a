//! What a scan is asked to do, and who watches it; never how.

use std::path::PathBuf;

use mcr_oci::glob;

use crate::kind::KindRules;
use crate::layout::Layout;

/// What a scan is asked to do. The default looks at everything, hashes manifests only, and changes nothing.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The layout, instead of finding it by looking.
    pub layout: Option<Layout>,
    /// Which registries are pull-through caches.
    pub kinds: KindRules,
    /// Whether every blob is hashed.
    pub deep: bool,
    /// Threads.
    pub jobs: usize,
    /// Globs of repositories; all where there are none.
    pub repositories: Vec<String>,
    /// Where a deep scan keeps what it has hashed, so that it can go on after it was interrupted.
    pub state: Option<PathBuf>,
    /// The blobs of a database of ours that do not lie beside it.
    pub layers: Option<PathBuf>,
    /// What to repair.
    pub repair: Repair,
    /// The time, in milliseconds since 1970.
    pub now_ms: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            layout: None,
            kinds: KindRules::default(),
            deep: false,
            jobs: std::thread::available_parallelism().map_or(1, usize::from),
            repositories: Vec::new(),
            state: None,
            layers: None,
            repair: Repair::default(),
            now_ms: i64::MAX,
        }
    }
}

impl Settings {
    /// Whether the repository `name` is looked at.
    pub(crate) fn takes(&self, name: &str) -> bool {
        self.repositories.is_empty() || self.repositories.iter().any(|wanted| glob::matches(wanted, name))
    }
}

/// What to repair.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Repair {
    /// Layer links without bytes behind them are removed.
    pub links: bool,
    /// Revision links of manifests whose bytes are there and hash right are written back.
    pub revisions: bool,
    /// Only say what would be done.
    pub only_plan: bool,
}

impl Repair {
    /// Whether anything is to be repaired, or planned.
    #[must_use]
    pub const fn wanted(self) -> bool {
        self.links || self.revisions
    }
}

/// Who watches a scan. Every call may come from several threads at once.
pub trait Watch: Sync {
    /// Something that whoever waits should know, in one line.
    fn note(&self, _line: &str) {}
    /// Hashing begins: so many files and bytes, `done` of them by an earlier run.
    fn hashing(&self, _files: u64, _bytes: u64, _done: u64) {}
    /// So many more bytes were hashed.
    fn hashed(&self, _bytes: u64) {}
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Watch for Unwatched {}
