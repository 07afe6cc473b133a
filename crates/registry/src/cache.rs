//! What was read from the database lately, valid until something changes it; never a second source of truth.
//!
//! An entry carries the [`Stamp`] that stood *before* its row was read. Whoever changes a row raises
//! the stamp *before* anybody is told of the change. An entry is used only while its stamp still
//! stands, so nothing acknowledged is ever followed by an older answer, and no reader takes a lock
//! that a writer holds.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use bytes::Bytes;
use mcr_metadata::BlobRow;
use mcr_oci::{Digest, Finding, Reference, RepositoryName};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// Bytes of manifests kept.
const MANIFEST_BYTES: u64 = 4 * 1024 * 1024;
/// Manifests kept.
const MANIFESTS: usize = 4096;
/// Blob rows kept.
const BLOBS: usize = 4096;
/// Counters that stamps are spread over; two keys in one bucket only cost a re-read.
const BUCKETS: usize = 1024;

/// A manifest ready to be served.
#[derive(Debug)]
pub struct CachedManifest {
    /// Its digest.
    pub digest: Digest,
    /// The type it was pushed with.
    pub media_type: String,
    /// Exactly the bytes that were pushed.
    pub bytes: Bytes,
    /// Everything damaged in its closure.
    pub damage: Vec<Finding>,
    /// True when this very manifest cannot be pulled: its own bytes, config or layer are damaged.
    pub own_damage: bool,
    /// True while a tag or a live index names it.
    pub(crate) referenced: bool,
    /// Until when its promise is durable, unix milliseconds; for unreferenced ones.
    pub(crate) promised_until: AtomicI64,
}

/// A blob's row, ready to be compared with its file.
#[derive(Debug)]
pub(crate) struct CachedBlob {
    pub(crate) row: BlobRow,
    pub(crate) promised_until: AtomicI64,
}

/// What stood when an entry's row was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    all: u64,
    one: u64,
}

#[derive(Debug)]
struct Stamped<T> {
    value: Arc<T>,
    stamp: Stamp,
}

impl<T> Clone for Stamped<T> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), stamp: self.stamp }
    }
}

#[derive(Debug, Clone)]
struct ByBytes;

impl Weighter<(RepositoryName, Reference), Stamped<CachedManifest>> for ByBytes {
    fn weight(&self, _: &(RepositoryName, Reference), entry: &Stamped<CachedManifest>) -> u64 {
        entry.value.bytes.len() as u64 + 512
    }
}

/// Both caches and their stamps.
pub(crate) struct Caches {
    manifests: Cache<(RepositoryName, Reference), Stamped<CachedManifest>, ByBytes>,
    blobs: Cache<(RepositoryName, Digest), Stamped<CachedBlob>>,
    all: AtomicU64,
    buckets: Vec<AtomicU64>,
    hasher: std::hash::RandomState,
}

impl std::fmt::Debug for Caches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caches").field("manifests", &self.manifests.len()).field("blobs", &self.blobs.len()).finish()
    }
}

impl Caches {
    pub(crate) fn new() -> Self {
        Self {
            manifests: Cache::with_weighter(MANIFESTS, MANIFEST_BYTES, ByBytes),
            blobs: Cache::new(BLOBS),
            all: AtomicU64::new(0),
            buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
            hasher: std::hash::RandomState::new(),
        }
    }

    fn bucket(&self, key: &impl Hash) -> Option<&AtomicU64> {
        let at = usize::try_from(self.hasher.hash_one(key) % BUCKETS as u64).unwrap_or(0);
        self.buckets.get(at)
    }

    fn stamp(&self, key: &impl Hash) -> Stamp {
        let one = self.bucket(key).map_or(0, |b| b.load(Ordering::Acquire));
        Stamp { all: self.all.load(Ordering::Acquire), one }
    }

    fn raise(&self, key: &impl Hash) {
        if let Some(bucket) = self.bucket(key) {
            bucket.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// A manifest that is still true, or the stamp under which to keep the one about to be read.
    pub(crate) fn manifest(&self, key: &(RepositoryName, Reference)) -> Result<Arc<CachedManifest>, Stamp> {
        let stamp = self.stamp(key);
        match self.manifests.get(key) {
            Some(entry) if entry.stamp == stamp => Ok(entry.value),
            _ => Err(stamp),
        }
    }

    pub(crate) fn keep_manifest(&self, key: (RepositoryName, Reference), value: Arc<CachedManifest>, stamp: Stamp) {
        self.manifests.insert(key, Stamped { value, stamp });
    }

    /// A blob row that is still true, or the stamp under which to keep the one about to be read.
    pub(crate) fn blob(&self, key: &(RepositoryName, Digest)) -> Result<Arc<CachedBlob>, Stamp> {
        let stamp = self.stamp(&key.1);
        match self.blobs.get(key) {
            Some(entry) if entry.stamp == stamp => Ok(entry.value),
            _ => Err(stamp),
        }
    }

    pub(crate) fn keep_blob(&self, key: (RepositoryName, Digest), value: Arc<CachedBlob>, stamp: Stamp) {
        self.blobs.insert(key, Stamped { value, stamp });
    }

    /// A reference was put, moved or healed.
    pub(crate) fn reference_changed(&self, repository: &RepositoryName, reference: Reference) {
        self.raise(&(repository.clone(), reference));
    }

    /// A blob's row changed, in whatever repository.
    pub(crate) fn blob_changed(&self, digest: &Digest) {
        self.raise(digest);
    }

    /// A number that rises with everything that is not one key's change.
    pub(crate) fn generation(&self) -> u64 {
        self.all.load(Ordering::Acquire)
    }

    /// Something changed whose reach is not one key: a delete, damage, healing.
    pub(crate) fn everything_changed(&self) {
        self.all.fetch_add(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(tag: &str) -> (RepositoryName, Reference) {
        (RepositoryName::parse("a").unwrap(), Reference::parse(tag).unwrap())
    }

    fn entry() -> Arc<CachedManifest> {
        Arc::new(CachedManifest {
            digest: Digest::sha256(b""),
            media_type: String::new(),
            bytes: Bytes::new(),
            damage: Vec::new(),
            own_damage: false,
            referenced: true,
            promised_until: AtomicI64::new(0),
        })
    }

    #[test]
    fn a_row_read_before_a_change_is_never_served_after_it() {
        let caches = Caches::new();
        let stamp = caches.manifest(&key("v1")).unwrap_err();
        caches.reference_changed(&key("v1").0, key("v1").1);
        caches.keep_manifest(key("v1"), entry(), stamp);
        let stamp = caches.manifest(&key("v1")).unwrap_err();
        caches.keep_manifest(key("v1"), entry(), stamp);
        assert!(caches.manifest(&key("v1")).is_ok());
        caches.everything_changed();
        assert!(caches.manifest(&key("v1")).is_err());
    }
}
