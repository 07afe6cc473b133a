//! A sink that takes nothing and says what it would take; never a byte read.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};

use mcr_oci::{Digest, RepositoryName};

use crate::origin::{Blob, Origin, Place, Trouble};
use crate::sink::{Brought, Image, Landed, Means, Sink, TagHere, TagMoved};

/// What a registry holds now.
pub trait Known: Send + Sync {
    /// The tags of a repository.
    ///
    /// # Errors
    /// Inability to look.
    fn tags(&self, repository: &RepositoryName) -> Result<BTreeMap<String, TagHere>, Trouble>;

    /// Whether a manifest is in a repository.
    ///
    /// # Errors
    /// Inability to look.
    fn holds(&self, repository: &RepositoryName, digest: &Digest) -> Result<bool, Trouble>;

    /// Whether a blob is anywhere in the registry, as far as its rows say.
    ///
    /// # Errors
    /// Inability to look.
    fn has_blob(&self, digest: &Digest) -> Result<bool, Trouble>;
}

/// What a run would do.
#[derive(Debug)]
pub struct DrySink<K> {
    known: Option<K>,
    counted: Mutex<HashSet<Digest>>,
}

impl<K: Known> DrySink<K> {
    /// Over what a registry holds; `None` where there is none yet.
    #[must_use]
    pub fn new(known: Option<K>) -> Self {
        Self { known, counted: Mutex::default() }
    }

    fn would_land(&self, repository: &RepositoryName, image: &Image) -> Result<Landed, Trouble> {
        let mut created = 0;
        for piece in &image.manifests {
            created += u64::from(!self.has(repository, &piece.digest)?);
        }
        let here = self.known.as_ref().map_or_else(|| Ok(BTreeMap::new()), |known| known.tags(repository))?;
        let root = image.manifests.last().map(|piece| &piece.digest);
        let moved = image.tags.iter().filter_map(|tag| {
            let previous = here.get(tag.tag.as_str()).map(|at| at.digest.clone());
            (previous.as_ref() != root).then(|| TagMoved { tag: tag.tag.to_string(), previous })
        });
        Ok(Landed::Whole { moved: moved.collect(), created })
    }

    fn has(&self, repository: &RepositoryName, digest: &Digest) -> Result<bool, Trouble> {
        self.known.as_ref().map_or(Ok(false), |known| known.holds(repository, digest))
    }
}

impl<K: Known> Sink for DrySink<K> {
    async fn tags(&self, repository: &RepositoryName) -> Result<BTreeMap<String, TagHere>, Trouble> {
        self.known.as_ref().map_or_else(|| Ok(BTreeMap::new()), |known| known.tags(repository))
    }

    async fn holds(&self, repository: &RepositoryName, root: &Digest) -> Result<bool, Trouble> {
        self.has(repository, root)
    }

    async fn bring<O: Origin>(&self, _origin: &O, _place: &Place, blob: &Blob) -> Result<Brought, Trouble> {
        let new = self.counted.lock().unwrap_or_else(PoisonError::into_inner).insert(blob.digest.clone());
        if !new {
            return Ok(Brought::Known);
        }
        let here = self.known.as_ref().map_or(Ok(false), |known| known.has_blob(&blob.digest))?;
        Ok(if here { Brought::Already } else { Brought::Now(Means::Copied, blob.size) })
    }

    async fn land(&self, repository: &RepositoryName, images: Vec<Image>) -> Result<Vec<Landed>, Trouble> {
        images.iter().map(|image| self.would_land(repository, image)).collect()
    }
}
