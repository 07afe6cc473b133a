//! The port of where images that are saved lie: a registry on the wire, or our own files; never what is made of them.

use std::future::Future;

use bytes::Bytes;
use mcr_oci::{Digest, Finding, Reference, RepositoryName};
use mcr_verifier::{Look, PlatformFilter};

use crate::origin::{BlobBytes, Trouble};

/// What a reference leads to, and whether all of it is there.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The manifest or index.
    pub digest: Option<Digest>,
    /// What is wrong, for the platforms that were asked for.
    pub findings: Vec<Finding>,
}

/// A place that holds images.
///
/// An `Err` is the inability to look at the place as a whole.
pub trait Shelf: Send + Sync {
    /// Looks whether `reference` is there, whole.
    fn check(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        platform: Option<&PlatformFilter>,
    ) -> impl Future<Output = Result<Found, Trouble>> + Send;

    /// The media type and the bytes of a manifest, not hashed; `None` where there is none.
    fn manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> impl Future<Output = Result<Option<(Option<String>, Bytes)>, Trouble>> + Send;

    /// Opens a blob of `size` bytes.
    fn blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        size: u64,
    ) -> impl Future<Output = Result<Look<BlobBytes>, Trouble>> + Send;
}
