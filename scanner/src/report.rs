//! What a scan answers, as plain data in the form of the contract (section 7); never how it is found or printed.

use std::path::PathBuf;

use mcr_oci::{Digest, Finding};
use serde::Serialize;

use crate::kind::Kind;
use crate::layout::Layout;

/// Most findings that are listed for one registry; the others are counted.
pub const MAX_LISTED: usize = 100_000;

/// The answer of a scan.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// One per registry, in the order they were found.
    pub registries: Vec<Registry>,
    /// Whether nothing at all was found wrong, and everything could be looked at.
    pub sound: bool,
}

/// What was found in one registry.
#[derive(Debug, Clone, Serialize)]
pub struct Registry {
    /// What it is called: its folder, below the path that was given where that holds several.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
    /// How it is laid out.
    pub layout: Layout,
    /// Whether it must be complete.
    pub kind: Kind,
    /// Why it is taken for that kind, in one clause.
    pub kind_reason: String,
    /// How much was looked at.
    pub scanned: Scanned,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What is not wrong, and worth knowing.
    pub information: Information,
    /// What was repaired, or would be.
    pub repaired: Vec<Repaired>,
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Scanned {
    /// Repositories.
    pub repositories: u64,
    /// Tags.
    pub tags: u64,
    /// Image manifests that tags reach, each once a repository.
    pub manifests: u64,
    /// Indexes that tags reach; one within others counts once for each tag's manifest that reaches it.
    pub indexes: u64,
    /// Links: of tags, of manifests, of layers.
    pub links: u64,
    /// Files that hold the content of blobs.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Scanned {
    /// Adds what another part of the registry counted.
    pub(crate) fn add(&mut self, other: Self) {
        self.repositories += other.repositories;
        self.tags += other.tags;
        self.manifests += other.manifests;
        self.indexes += other.indexes;
        self.links += other.links;
        self.blobs += other.blobs;
        self.bytes += other.bytes;
    }
}

/// What is not wrong, and worth knowing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Information {
    /// Blobs that no manifest names; absent where only some repositories were looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreferenced_blobs: Option<u64>,
    /// Their bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreferenced_bytes: Option<u64>,
    /// Blobs that no tag reaches and whose bytes do not hash right (`--deep`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreferenced_corrupt: Option<u64>,
    /// Uploads under way.
    pub uploads: u64,
    /// Those among them that nothing was written to for a day.
    pub stale_uploads: u64,
    /// The bytes of those.
    pub stale_upload_bytes: u64,
    /// Files that no registry looks for: left over from a crash, or put there by hand.
    pub temporary_files: u64,
    /// Manifests that no tag reaches.
    pub untagged_manifests: u64,
    /// Those among them that could not be pulled whole.
    pub untagged_damaged: u64,
    /// Bytes that a registry has set aside as damaged (our own layout).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantined_files: Option<u64>,
    /// Findings beyond those that are listed.
    #[serde(skip_serializing_if = "is_zero")]
    pub findings_not_listed: u64,
    /// What to say in the next scan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Information {
    /// Adds what another part of the registry counted.
    pub(crate) fn add(&mut self, other: &Self) {
        self.uploads += other.uploads;
        self.stale_uploads += other.stale_uploads;
        self.stale_upload_bytes += other.stale_upload_bytes;
        self.temporary_files += other.temporary_files;
        self.untagged_manifests += other.untagged_manifests;
        self.untagged_damaged += other.untagged_damaged;
    }
}

/// The two changes a scan can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// A layer link without bytes behind it is removed.
    RemoveLink,
    /// The revision link of a manifest whose bytes are there is written back.
    WriteRevision,
}

/// How a repair went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Nothing was changed: it was only asked what would be.
    Planned,
    /// It was done, and is durable.
    Done,
    /// The tree had changed, and it is not needed any more.
    NotNeeded,
    /// It could not be done.
    Failed,
}

/// One repair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repaired {
    /// What is changed.
    pub action: Action,
    /// In which repository.
    pub repository: String,
    /// The digest of the layer or manifest.
    pub digest: Digest,
    /// The file, below the root of the registry.
    pub path: String,
    /// How it went.
    pub outcome: Outcome,
    /// Why, where it was not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}
