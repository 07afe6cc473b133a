//! The values this crate hands out and takes: rows as plain data; never a connection, a statement or an iterator.

use std::collections::{BTreeMap, HashMap};

use mcr_oci::{Digest, Finding, FindingKind};

use crate::probe_rows::ProbeRun;

/// The answer to a look-up by name: which part of the name is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup<T> {
    /// No such repository.
    NoRepository,
    /// The repository holds no such thing, or only its tombstone.
    NotFound,
    /// Here it is.
    Found(T),
}

/// Who does something, for history and audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The account.
    pub name: String,
    /// The client's address, where there is a client.
    pub address: Option<String>,
}

/// A file's stat as of the moment its bytes last hashed to its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedStat {
    /// The inode number.
    pub inode: u64,
    /// The length in bytes.
    pub size: u64,
    /// The time of the last change of content, in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// The time of the last change of the inode, in nanoseconds since 1970.
    pub ctime_ns: i64,
}

/// What is known about a blob's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobState {
    /// Nothing against it.
    Sound,
    /// Its bytes are damaged and have been put aside.
    Quarantined,
    /// Its file is gone.
    Missing,
}

impl BlobState {
    /// The state as the database spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::Quarantined => "quarantined",
            Self::Missing => "missing",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Sound, Self::Quarantined, Self::Missing].into_iter().find(|state| state.as_str() == text)
    }
}

/// A blob, as one repository (or, without one, the registry) knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobRow {
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Its file's stat when it last hashed right.
    pub stat: RecordedStat,
    /// When it last hashed right, in Unix milliseconds.
    pub hashed_at_ms: i64,
    /// Whether its bytes can be served.
    pub state: BlobState,
    /// Whether the scrub has been asked to look at it next.
    pub scrub_requested: bool,
    /// Whether a live manifest of the repository names it. False without a repository.
    pub referenced: bool,
    /// From when on the collector counts, in Unix milliseconds; none while it is referenced.
    pub unreferenced_since_ms: Option<i64>,
    /// What kind of thing was found, where it is not sound.
    pub damage: Option<FindingKind>,
    /// What was found, where it is not sound.
    pub detail: Option<String>,
}

/// A live manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestRow {
    /// Its digest.
    pub digest: Digest,
    /// The media type it was pushed with, without parameters.
    pub media_type: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its bytes, as they were pushed.
    pub bytes: Vec<u8>,
    /// What it is about, if it says so.
    pub subject: Option<Digest>,
    /// Whether a tag or a live index of the repository names it.
    pub referenced: bool,
    /// From when on the collector counts, in Unix milliseconds; none while it is referenced.
    pub unreferenced_since_ms: Option<i64>,
    /// Whether its bytes are known not to hash to its digest.
    pub corrupt: bool,
    /// Everything unsound in its closure, itself included, on every path that leads there (bounded by
    /// [`MAX_DAMAGE`](crate::MAX_DAMAGE)). Empty for a sound one.
    pub damage: Vec<Finding>,
    /// Whether it is damaged itself: corrupt, or a config or layer of its own is unsound.
    pub own_damage: bool,
}

/// A live manifest inside a closure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosureManifest {
    /// Its digest.
    pub digest: Digest,
    /// The media type it was pushed with, without parameters.
    pub media_type: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its bytes, as they were pushed.
    pub bytes: Vec<u8>,
    /// Whether its bytes are known not to hash to its digest.
    pub corrupt: bool,
}

/// Everything live that some digests reach in one repository. What is not in it is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClosureRows {
    /// The manifests, by digest.
    pub manifests: HashMap<Digest, ClosureManifest>,
    /// The blobs, by digest.
    pub blobs: HashMap<Digest, BlobRow>,
}

/// One entry of a referrers list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferrerRow {
    /// The referring manifest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its artifact type, if it has one.
    pub artifact_type: Option<String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

/// One page of the catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Repositories with a live manifest, sorted bytewise.
    pub names: Vec<String>,
    /// Whether there may be more. A short page can have more: a page costs what it examines.
    pub more: bool,
    /// Where the next page begins, if there may be more: the name to give as `last`.
    pub cursor: Option<String>,
}

/// Counts over all repositories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Repositories with a live manifest.
    pub repositories: u64,
    /// Tags.
    pub tags: u64,
    /// Live manifests.
    pub manifests: u64,
    /// Blob files that should be there, each once however many repositories link it.
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
    /// Blobs in quarantine.
    pub quarantined: u64,
    /// Findings that nothing has put right yet.
    pub open_findings: u64,
    /// The same by kind; kinds without one are left out.
    pub findings_by_kind: Vec<(FindingKind, u64)>,
    /// The last run of the probe that looked at everything, if there was one.
    pub probe: Option<ProbeRun>,
}

/// A finding that nothing has put right yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenFinding {
    /// Its number.
    pub id: i64,
    /// What is wrong, and where.
    pub finding: Finding,
    /// When it was found first, in Unix milliseconds.
    pub opened_at_ms: i64,
    /// When it was found last, in Unix milliseconds.
    pub seen_at_ms: i64,
}
