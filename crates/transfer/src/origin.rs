//! The port of where images come from: repositories, tags with their times, closures, bytes; never where they go.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use mcr_oci::{Digest, Finding, Manifest, RepositoryName, Tag};
use mcr_verifier::Look;

/// A place as a whole cannot be looked at, or written to: the run ends, and nothing can be said of what is left.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Trouble(pub String);

impl Trouble {
    /// The trouble that something else tells.
    pub fn of(why: impl std::fmt::Display) -> Self {
        Self(why.to_string())
    }
}

/// A repository of an origin, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The name it gets: prefixed, where an origin holds several registries.
    pub here: RepositoryName,
    /// Its name at the origin.
    pub there: String,
    /// Which registry of the origin it is in; 0 where there is one.
    pub registry: usize,
}

/// What an origin lists.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Its repositories, by name.
    pub repositories: Vec<Place>,
    /// What could not be looked at, or has a name that no client could ask for.
    pub findings: Vec<Finding>,
    /// Every name it gives is below this one; anything may be its own where there is none.
    pub below: Option<String>,
}

/// A tag, where it points, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagAt {
    /// The tag.
    pub tag: Tag,
    /// The manifest it points at.
    pub digest: Digest,
    /// When it was last pushed, in Unix milliseconds; `None` where the origin does not say (then the image does).
    pub at_ms: Option<i64>,
}

/// The tags of a repository.
#[derive(Clone, Debug, Default)]
pub struct Tags {
    /// Those that point somewhere.
    pub tags: Vec<TagAt>,
    /// Those that do not, with what is wrong (`tag` says which). One without a tag says that the list is not whole.
    pub findings: Vec<Finding>,
    /// The repository was asked for by its name, and the origin knows none of that name.
    pub absent: bool,
}

/// One manifest of a closure: hashed, and read.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Its digest.
    pub digest: Digest,
    /// Its bytes as the origin holds them.
    pub bytes: Arc<[u8]>,
    /// What they say; its media type is what the origin serves it as.
    pub manifest: Arc<Manifest>,
}

/// A blob that a closure needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Blob {
    /// Its digest.
    pub digest: Digest,
    /// The size its descriptor says, in bytes.
    pub size: u64,
}

/// What one manifest is made of.
#[derive(Clone, Debug, Default)]
pub struct Closure {
    /// Its manifests, children before parents, the root last. Those that could be read, where something is broken.
    pub manifests: Vec<Piece>,
    /// Every blob it needs, each once; their bytes are not hashed yet.
    pub blobs: Vec<Blob>,
    /// What is broken. Without any, all that is left to find out is what the blobs hash to.
    pub findings: Vec<Finding>,
    /// Children that are not there where that is no finding: a pull-through cache holds what was asked for.
    pub absent_children: u64,
    /// The same of configs and layers.
    pub absent_blobs: u64,
    /// When the root was pushed, in Unix milliseconds, where the origin keeps that.
    pub pushed_ms: Option<i64>,
    /// When the image says it was made, in Unix milliseconds.
    pub created_ms: Option<i64>,
}

/// A manifest that no tag need lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loose {
    /// Its digest.
    pub digest: Digest,
    /// What it refers to, if it says so.
    pub subject: Option<Digest>,
}

/// The manifests of a repository that tags need not lead to.
#[derive(Clone, Debug, Default)]
pub struct Untagged {
    /// Those that were found.
    pub loose: Vec<Loose>,
    /// Where could not be looked for more.
    pub findings: Vec<Finding>,
}

/// The bytes of a blob, not hashed yet: whoever takes them hashes them.
pub enum BlobBytes {
    /// A file that is open for reading, at its beginning, and its length.
    File {
        /// The file.
        file: std::fs::File,
        /// Its length when it was opened.
        size: u64,
    },
    /// Bytes from elsewhere, as they are asked for. One that fails ends with an error, and an end without an error
    /// does not mean that the bytes are right.
    Stream(BoxStream<'static, Result<Bytes, StreamEnd>>),
}

impl std::fmt::Debug for BlobBytes {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File { size, .. } => formatter.debug_struct("File").field("size", size).finish_non_exhaustive(),
            Self::Stream(_) => formatter.write_str("Stream(…)"),
        }
    }
}

/// Why a stream of bytes ended early.
#[derive(Clone, Debug)]
pub enum StreamEnd {
    /// This blob is broken.
    Broken(mcr_verifier::Problem),
    /// The origin is gone.
    Gone(Trouble),
}

/// A place that images come from.
///
/// An `Err` is the inability to look at the place as a whole; what is broken in it is a finding or a problem.
pub trait Origin: Send + Sync {
    /// What it is, for people: a path or an address, without credentials.
    fn name(&self) -> &str;

    /// Its repositories.
    fn repositories(&self) -> impl Future<Output = Result<Places, Trouble>> + Send;

    /// The tags of a repository.
    fn tags(&self, place: &Place) -> impl Future<Output = Result<Tags, Trouble>> + Send;

    /// Walks what a manifest is made of.
    fn closure(&self, place: &Place, root: &Digest) -> impl Future<Output = Result<Closure, Trouble>> + Send;

    /// Whether a repository has this manifest, whatever leads to it.
    fn knows(&self, place: &Place, digest: &Digest) -> impl Future<Output = Result<bool, Trouble>> + Send {
        async move {
            let closure = self.closure(place, digest).await?;
            Ok(closure.manifests.iter().any(|piece| piece.digest == *digest))
        }
    }

    /// Whether [`loose`](Self::loose) must be told every subject: a registry is asked for the referrers of one
    /// manifest after the other.
    fn asks_by_subject(&self) -> bool;

    /// Manifests of a repository that tags need not lead to. An origin that can list them gives all there are,
    /// whatever leads to them; one that cannot gives those that refer to one of `subjects`.
    fn loose(&self, place: &Place, subjects: &[Digest]) -> impl Future<Output = Result<Untagged, Trouble>> + Send;

    /// Opens a blob.
    fn blob(&self, place: &Place, blob: &Blob) -> impl Future<Output = Result<Look<BlobBytes>, Trouble>> + Send;
}
