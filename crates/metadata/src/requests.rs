//! What a caller asks to be written, and the outcomes it may get; never how it is written.

use std::sync::Arc;

use mcr_oci::{Digest, Finding, Manifest, RepositoryName, Tag};

use crate::rows::{Actor, BlobState, RecordedStat};

/// A blob whose file is in place, verified and synced: link it to a repository.
#[derive(Clone, Debug)]
pub struct RecordBlob {
    /// The repository it was pushed to; made if there is none.
    pub repository: RepositoryName,
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Its file's stat, taken after its bytes hashed right.
    pub stat: RecordedStat,
    /// When its bytes hashed right, in Unix milliseconds.
    pub hashed_at_ms: i64,
    /// Who pushed it.
    pub actor: Actor,
    /// Now, in Unix milliseconds.
    pub at_ms: i64,
}

/// What [`RecordBlob`] did beside recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedBlob {
    /// Whether the blob was known to be damaged or missing, and is sound again.
    pub healed: bool,
}

/// Link a blob that another repository holds.
#[derive(Clone, Debug)]
pub struct MountBlob {
    /// The repository that holds it; none to take it from whichever does.
    pub from: Option<RepositoryName>,
    /// The repository that gets it; made if there is none.
    pub to: RepositoryName,
    /// Its digest.
    pub digest: Digest,
    /// Who asks.
    pub actor: Actor,
    /// Now, in Unix milliseconds.
    pub at_ms: i64,
}

/// A manifest whose closure has been walked: write it, its edges and its tags.
#[derive(Clone, Debug)]
pub struct CommitManifest {
    /// The repository; made if there is none.
    pub repository: RepositoryName,
    /// The digest of `bytes`, verified by the caller.
    pub reference_digest: Digest,
    /// What `bytes` say.
    pub manifest: Arc<Manifest>,
    /// The manifest as it was pushed.
    pub bytes: Arc<[u8]>,
    /// The tags that shall point at it; may be none.
    pub tags: Vec<Tag>,
    /// Whether index children may be missing (`commit = "sparse"`).
    pub allow_missing_children: bool,
    /// Tags that may not move, unless what they point at is damaged.
    pub immutable: Option<TagGuard>,
    /// Who pushes.
    pub actor: Actor,
    /// Now, in Unix milliseconds.
    pub at_ms: i64,
}

/// Which tags of a repository stay where they are (contract section 9, immutable tags).
#[derive(Clone)]
pub struct TagGuard(pub Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl std::fmt::Debug for TagGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TagGuard")
    }
}

impl TagGuard {
    /// Whether this tag is neither moved nor deleted.
    #[must_use]
    pub fn holds(&self, tag: &str) -> bool {
        (self.0)(tag)
    }
}

/// A tag that has come to point at another manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagMove {
    /// The tag.
    pub tag: Tag,
    /// Where it pointed before; none for a new one.
    pub previous: Option<Digest>,
}

/// What became of a [`CommitManifest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// It is durable.
    Committed {
        /// The tags that moved; one that pointed here already is not among them.
        moved: Vec<TagMove>,
        /// Whether the manifest was not live before.
        created: bool,
    },
    /// This tag is immutable and points elsewhere. Nothing was written.
    Immutable {
        /// The tag.
        tag: Tag,
    },
    /// Something its closure needs went, or broke, since the closure was walked: walk again. Nothing was written.
    ClosureChanged,
    /// The same bytes are live under another media type, which others rely on. Nothing was written.
    MediaTypeConflict {
        /// The media type they are live under.
        stored: String,
    },
}

/// Make a manifest a tombstone, and delete its tags.
#[derive(Clone, Debug)]
pub struct DeleteManifest {
    /// The repository.
    pub repository: RepositoryName,
    /// The manifest.
    pub digest: Digest,
    /// Tags that may not be deleted.
    pub immutable: Option<TagGuard>,
    /// Who asks.
    pub actor: Actor,
    /// Now, in Unix milliseconds.
    pub at_ms: i64,
}

/// Delete a tag, and nothing else.
#[derive(Clone, Debug)]
pub struct DeleteTag {
    /// The repository.
    pub repository: RepositoryName,
    /// The tag.
    pub tag: Tag,
    /// Tags that may not be deleted.
    pub immutable: Option<TagGuard>,
    /// Who asks.
    pub actor: Actor,
    /// Now, in Unix milliseconds.
    pub at_ms: i64,
}

/// Make a repository's link to a blob a tombstone.
#[derive(Clone, Debug)]
pub struct DeleteBlob {
    /// The repository.
    pub repository: RepositoryName,
    /// The blob.
    pub digest: Digest,
    /// Who asks.
    pub actor: Actor,
    /// Now, in Unix milliseconds.
    pub at_ms: i64,
}

/// What became of a delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeleteOutcome {
    /// It is gone.
    Deleted {
        /// The tags that went.
        tags: Vec<String>,
    },
    /// No such repository.
    NoRepository,
    /// The repository holds no such thing, or only its tombstone.
    NotFound,
    /// This tag is immutable, and would go.
    Immutable {
        /// The tag.
        tag: String,
    },
    /// Live manifests of the repository still name it (at most [`MAX_HOLDERS`](crate::MAX_HOLDERS) are given).
    NamedBy(Vec<Holder>),
}

/// A live manifest that names what should be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The manifest.
    pub digest: Digest,
    /// Its tags, sorted (at most [`MAX_HOLDERS`](crate::MAX_HOLDERS)).
    pub tags: Vec<String>,
}

/// What a lease is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A repository's link to a blob.
    Blob,
    /// A manifest.
    Manifest,
}

/// A promise about content that nothing refers to: it is kept, counted from `until_ms`.
#[derive(Clone, Debug)]
pub struct RenewLease {
    /// The repository.
    pub repository: RepositoryName,
    /// The content.
    pub digest: Digest,
    /// What kind of content.
    pub content: Content,
    /// The time from which the collector shall count at the earliest, in Unix milliseconds.
    pub until_ms: i64,
}

/// What was found out about a blob's file.
#[derive(Clone, Debug)]
pub struct SetBlobState {
    /// The blob.
    pub digest: Digest,
    /// How it stands now.
    pub state: BlobState,
    /// The finding to open; one is made from `state` where none is given.
    pub finding: Option<Finding>,
    /// Now, in Unix milliseconds.
    pub at_ms: i64,
}

/// Stored manifest bytes that do not hash to their digest.
#[derive(Clone, Debug)]
pub struct SetManifestCorrupt {
    /// The repository.
    pub repository: RepositoryName,
    /// The manifest.
    pub digest: Digest,
    /// What was seen.
    pub detail: String,
    /// Now, in Unix milliseconds.
    pub at_ms: i64,
}

/// A blob's bytes hashed right.
#[derive(Clone, Debug)]
pub struct RecordHash {
    /// The blob.
    pub digest: Digest,
    /// Its file's stat, as of the hash.
    pub stat: RecordedStat,
    /// When, in Unix milliseconds.
    pub hashed_at_ms: i64,
    /// Now, in Unix milliseconds: what is booked as hashed after this was booked by a clock that was wrong.
    pub now_ms: i64,
}

/// A blob that the scrub shall look at next.
#[derive(Clone, Debug)]
pub struct RequestScrub {
    /// The blob.
    pub digest: Digest,
    /// Now, in Unix milliseconds.
    pub at_ms: i64,
}
