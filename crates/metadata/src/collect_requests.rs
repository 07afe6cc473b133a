//! What is asked of a removal and what becomes of it, and from when on content may go; never how it goes.

use mcr_oci::{Digest, RepositoryName};

use crate::plan_rows::StepAction;
use crate::rows::Actor;

/// The times of one run, in milliseconds: from when on something may go (contract section 2.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Now, in Unix milliseconds.
    pub now_ms: i64,
    /// How long content stays after the last live reference to it, or promise about it: grace or lease, the longer.
    pub wait_ms: i64,
    /// How long a promise holds.
    pub lease_ms: i64,
    /// How long what was deleted can be restored.
    pub undo_ms: i64,
}

impl Due {
    /// From when on a row may go, by its own times: that of its tombstone, if it is one, and that of the last reference
    /// or promise. A row that something live refers to has none.
    pub(crate) fn from(&self, unreferenced_since: Option<i64>, deleted_at: Option<i64>) -> Option<i64> {
        let since = unreferenced_since.or(deleted_at)?.saturating_add(self.wait_ms);
        Some(deleted_at.map_or(since, |at| since.max(at.saturating_add(self.undo_ms))))
    }

    pub(crate) const fn is_past(&self, at_ms: i64) -> bool {
        at_ms <= self.now_ms
    }
}

/// What became of one removal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Its row is gone, and its file must go: so many bytes. Of a manifest or a link: there is no file.
    Gone {
        /// The length of the file.
        bytes: u64,
    },
    /// It is a tombstone now, as was asked.
    Buried,
    /// It stays: this has changed since it was planned.
    Kept(String),
    /// There is more to do beside it than one write may; ask again.
    Again,
}

/// One manifest to be removed, or made a tombstone.
#[derive(Clone, Debug)]
pub struct ManifestStep {
    /// The step's place in its plan.
    pub position: u64,
    /// [`StepAction::Manifest`] or [`StepAction::Bury`].
    pub action: StepAction,
    /// Where.
    pub repository: RepositoryName,
    /// Which.
    pub digest: Digest,
    /// How long untagged manifests of the repository stay, in milliseconds; none: for ever.
    pub untagged_after_ms: Option<i64>,
}

/// Remove manifests for good, in this order, and settle their steps.
///
/// One goes if it is a tombstone whose time is past, and no manifest (live or not) names it. Live untagged manifests
/// whose subject it is become tombstones of the same age in its place; one that is leased keeps it.
#[derive(Clone, Debug)]
pub struct RemoveManifests {
    /// The plan, whose id is the run's.
    pub plan: String,
    /// The steps; few, since pushes wait for this write.
    pub steps: Vec<ManifestStep>,
    /// The times.
    pub due: Due,
    /// On whose behalf.
    pub actor: Actor,
}

/// Note that files did not go whose rows a [`RemoveBlobs`] removed.
#[derive(Clone, Debug)]
pub struct FilesStay {
    /// The plan, which counted their bytes as freed.
    pub plan: String,
    /// How many bytes it did not free.
    pub bytes: u64,
    /// Whether files lie there without a row: a reconcile is wanted.
    pub lie: bool,
}

/// What became of a [`RemoveManifests`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovedManifests {
    /// What became of each step, in order.
    pub removals: Vec<Removal>,
    /// Manifests that were live and are tombstones now, referrers of removed ones among them.
    pub buried: u64,
}

/// One blob to be removed, or one repository's link to it.
#[derive(Clone, Debug)]
pub struct BlobStep {
    /// The step's place in its plan.
    pub position: u64,
    /// Which.
    pub digest: Digest,
    /// The repository whose link goes; none: all links and the blob.
    pub link_of: Option<RepositoryName>,
}

/// Remove blobs' rows, and settle their steps. The caller holds the locks of the digests and unlinks the files after.
///
/// A blob goes if no manifest (live or not) names any of its links, and the time of each is past.
#[derive(Clone, Debug)]
pub struct RemoveBlobs {
    /// The plan, whose id is the run's.
    pub plan: String,
    /// The steps; few, since pushes wait for this write.
    pub steps: Vec<BlobStep>,
    /// The times.
    pub due: Due,
    /// On whose behalf.
    pub actor: Actor,
}
