//! The port of the walk: what it asks of the place where manifests and blobs are; never how that place works.

use std::future::Future;
use std::sync::Arc;

use mcr_oci::{Descriptor, FindingKind};

/// A manifest as its place holds it.
#[derive(Debug, Clone)]
pub struct StoredManifest {
    /// The media type it is served with; `None` where the place keeps none (an OCI layout).
    pub media_type: Option<String>,
    /// Its bytes, not yet trusted: the walk hashes them.
    pub bytes: Arc<[u8]>,
}

/// A blob as its place holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredBlob {
    /// Bytes that can be served now.
    pub size: u64,
}

/// Why something cannot be served: the finding it makes, without the place in the closure.
#[derive(Debug, Clone)]
pub struct Problem {
    /// What is wrong, in the vocabulary of findings.
    pub kind: FindingKind,
    /// The HTTP status that showed it, where there was one.
    pub status: Option<u16>,
    /// One clause for people.
    pub detail: Option<String>,
}

impl Problem {
    /// A problem of this kind with one clause of explanation.
    pub fn new(kind: FindingKind, detail: impl Into<String>) -> Self {
        Self { kind, status: None, detail: Some(detail.into()) }
    }

    /// A problem that needs no explanation: the thing is not there.
    #[must_use]
    pub fn bare(kind: FindingKind) -> Self {
        Self { kind, status: None, detail: None }
    }
}

/// What a look at one digest found.
#[derive(Debug, Clone)]
pub enum Look<T> {
    /// It is there and can be served.
    Whole(T),
    /// It is not, and this is why.
    Broken(Problem),
}

/// Where a closure is looked for: a repository's rows and files, a registry on the wire, a tree on disk.
///
/// Implementations answer with a [`Look`]; an `Err` means that the place as a whole could not be
/// looked at, and ends the walk.
pub trait Source: Sync {
    /// The inability to look.
    type Error: Send;

    /// Fetches the manifest that `descriptor` names. At most [`mcr_oci::MANIFEST_MAX`] bytes.
    fn manifest(
        &self,
        descriptor: &Descriptor,
    ) -> impl Future<Output = Result<Look<StoredManifest>, Self::Error>> + Send;

    /// Looks how the blob that `descriptor` names is: present, and how long.
    fn blob(&self, descriptor: &Descriptor) -> impl Future<Output = Result<Look<StoredBlob>, Self::Error>> + Send;
}
