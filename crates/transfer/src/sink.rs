//! The port of where images go: blobs first, then images whole; never where they come from.

mod here;

use std::collections::BTreeMap;
use std::future::Future;

use mcr_oci::{Digest, Finding, RepositoryName, Tag};
use mcr_verifier::Problem;
use serde::Serialize;

use crate::origin::{Blob, Origin, Piece, Place, Trouble};

/// A tag of the sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagHere {
    /// Where it points.
    pub digest: Digest,
    /// When it came to point there, in Unix milliseconds; `None` where the sink does not know.
    pub moved_ms: Option<i64>,
    /// Whether an import pointed it there; somebody else did, where not. `None` where the sink does not know.
    pub imported: Option<bool>,
}

/// How bytes came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Means {
    /// The file system shares them until one side changes them; no room is taken.
    Reflinked,
    /// The same file under a second name.
    Hardlinked,
    /// Copied from a file.
    Copied,
    /// Sent over a network.
    Sent,
}

/// What became of a blob.
#[derive(Clone, Debug)]
pub enum Brought {
    /// It was there, sound.
    Already,
    /// It was asked for before in this run, and is there.
    Known,
    /// It is there now, hashed: so many bytes.
    Now(Means, u64),
    /// Its bytes at the origin are broken.
    Broken(Problem),
}

/// A tag that an image shall get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageTag {
    /// The tag.
    pub tag: Tag,
    /// Since when it is said to point there, in Unix milliseconds.
    pub at_ms: i64,
}

/// A whole image: all its blobs have been brought.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its manifests, children before parents, the root last.
    pub manifests: Vec<Piece>,
    /// Its blobs, each once.
    pub blobs: Vec<Blob>,
    /// The tags of its root, the oldest first; none for a referrer.
    pub tags: Vec<ImageTag>,
    /// When it was pushed, in Unix milliseconds.
    pub pushed_ms: i64,
    /// Children that are not there where that is no finding; a sink that takes no such index keeps nothing of it.
    pub absent: u64,
}

/// A tag that came to point elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TagMoved {
    /// The tag.
    pub tag: String,
    /// Where it pointed before; `None` for a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<Digest>,
}

/// A tag that was to point at an image, and does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedTag {
    /// The tag.
    pub tag: String,
    /// Why, in one clause.
    pub why: String,
}

impl RefusedTag {
    /// One that is immutable.
    pub(crate) fn held(tag: &Tag) -> Self {
        Self { tag: tag.to_string(), why: "it is immutable here and points elsewhere".to_owned() }
    }
}

/// What became of an image.
#[derive(Clone, Debug)]
pub enum Landed {
    /// It is there, whole.
    Whole {
        /// The tags that are new or moved.
        moved: Vec<TagMoved>,
        /// Manifests that were not there before.
        created: u64,
        /// Those of its tags that stay as they are; not all of them, unless it has none.
        refused: Vec<RefusedTag>,
    },
    /// The sink finds it incomplete, and holds nothing of it but blobs.
    Incomplete(Vec<Finding>),
    /// The sink does not want it, by none of its tags: one clause that says why.
    Refused(String),
}

impl Landed {
    /// Of an image without a manifest.
    pub(crate) const fn nothing() -> Self {
        Self::Whole { moved: Vec::new(), created: 0, refused: Vec::new() }
    }
}

/// A place that images go to.
///
/// An `Err` is the inability to write there at all (a full disk, a registry that is gone).
pub trait Sink: Send + Sync {
    /// The tags that a repository has here; empty where there is no such repository.
    fn tags(
        &self,
        repository: &RepositoryName,
    ) -> impl Future<Output = Result<BTreeMap<String, TagHere>, Trouble>> + Send;

    /// The repositories that it holds; none where it cannot know which of them an import brought.
    fn repositories(&self) -> impl Future<Output = Result<Vec<RepositoryName>, Trouble>> + Send {
        std::future::ready(Ok(Vec::new()))
    }

    /// Whether a repository takes an index that lacks children, asked before anything of one is brought.
    fn takes_partial(&self, _repository: &RepositoryName) -> bool {
        true
    }

    /// Whether this manifest is in the repository with all of its closure, sound.
    fn holds(&self, repository: &RepositoryName, root: &Digest) -> impl Future<Output = Result<bool, Trouble>> + Send;

    /// Makes sure that a blob is here for a repository: asks the origin for its bytes where it is not, and hashes
    /// them. Never called twice at the same time for the same digest.
    fn bring<O: Origin>(
        &self,
        origin: &O,
        place: &Place,
        blob: &Blob,
    ) -> impl Future<Output = Result<Brought, Trouble>> + Send;

    /// Commits images whose blobs were brought, in their order; one answer each. Images of one call are of one
    /// repository.
    fn land(
        &self,
        repository: &RepositoryName,
        images: Vec<Image>,
    ) -> impl Future<Output = Result<Vec<Landed>, Trouble>> + Send;
}
