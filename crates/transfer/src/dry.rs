//! A sink that takes nothing and says what it would take; never more of a blob than its beginning.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mcr_oci::{Digest, RepositoryName, Tag};
use mcr_verifier::Look;

use crate::origin::{Blob, BlobBytes, Origin, Place, Trouble};
use crate::pieces::Pieces;
use crate::sink::{Brought, Image, Landed, Means, RefusedTag, Sink, TagHere, TagMoved};

/// What a registry holds now, and what it takes.
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

    /// Those of `tags` that are immutable here and would not come to point at `root`.
    ///
    /// # Errors
    /// Inability to look.
    fn held_tags(&self, repository: &RepositoryName, root: &Digest, tags: &[Tag]) -> Result<Vec<Tag>, Trouble>;

    /// The repositories it holds.
    ///
    /// # Errors
    /// Inability to look.
    fn repositories(&self) -> Result<Vec<RepositoryName>, Trouble>;

    /// Whether a repository takes indexes that lack children.
    fn takes_partial(&self, repository: &RepositoryName) -> bool;
}

/// What a run would do.
#[derive(Debug)]
pub struct DrySink<K> {
    known: K,
    counted: Mutex<HashSet<Digest>>,
}

impl<K: Known> DrySink<K> {
    /// Over what a registry holds.
    #[must_use]
    pub fn new(known: K) -> Self {
        Self { known, counted: Mutex::default() }
    }

    fn would_land(&self, repository: &RepositoryName, image: &Image) -> Result<Landed, Trouble> {
        if image.absent > 0 && !self.known.takes_partial(repository) {
            return Ok(Landed::Incomplete(Vec::new()));
        }
        let Some(root) = image.manifests.last().map(|piece| &piece.digest) else { return Ok(Landed::nothing()) };
        let tags: Vec<Tag> = image.tags.iter().map(|tag| tag.tag.clone()).collect();
        let held = self.known.held_tags(repository, root, &tags)?;
        let refused: Vec<RefusedTag> = held.iter().map(RefusedTag::held).collect();
        if let Some(first) = refused.first().filter(|_| held.len() == tags.len()) {
            return Ok(Landed::Refused(first.why.clone()));
        }
        let mut created = 0;
        for piece in &image.manifests {
            created += u64::from(!self.known.holds(repository, &piece.digest)?);
        }
        let here = self.known.tags(repository)?;
        let moved = tags.iter().filter(|tag| !held.contains(tag)).filter_map(|tag| {
            let previous = here.get(tag.as_str()).map(|at| at.digest.clone());
            (previous.as_ref() != Some(root)).then(|| TagMoved { tag: tag.to_string(), previous })
        });
        Ok(Landed::Whole { moved: moved.collect(), created, refused })
    }
}

impl<K: Known> Sink for DrySink<K> {
    async fn tags(&self, repository: &RepositoryName) -> Result<BTreeMap<String, TagHere>, Trouble> {
        self.known.tags(repository)
    }

    async fn repositories(&self) -> Result<Vec<RepositoryName>, Trouble> {
        self.known.repositories()
    }

    fn takes_partial(&self, repository: &RepositoryName) -> bool {
        self.known.takes_partial(repository)
    }

    async fn holds(&self, repository: &RepositoryName, root: &Digest) -> Result<bool, Trouble> {
        self.known.holds(repository, root)
    }

    async fn bring<O: Origin>(&self, origin: &O, place: &Place, blob: &Blob) -> Result<Brought, Trouble> {
        if self.counted().contains(&blob.digest) {
            return Ok(Brought::Known);
        }
        let brought = match self.known.has_blob(&blob.digest)? {
            true => Brought::Already,
            false => would_bring(origin, place, blob).await?,
        };
        if !matches!(brought, Brought::Broken(_)) {
            self.counted().insert(blob.digest.clone());
        }
        Ok(brought)
    }

    async fn land(&self, repository: &RepositoryName, images: Vec<Image>) -> Result<Vec<Landed>, Trouble> {
        images.iter().map(|image| self.would_land(repository, image)).collect()
    }
}

impl<K> DrySink<K> {
    fn counted(&self) -> MutexGuard<'_, HashSet<Digest>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What bringing a blob would come to, as far as its first bytes tell, or its file's length: nothing else says of a
/// registry's blob that it is there.
pub(crate) async fn would_bring<O: Origin>(origin: &O, place: &Place, blob: &Blob) -> Result<Brought, Trouble> {
    let (means, problem) = match origin.blob(place, blob).await? {
        // Walking the closure looked at it already.
        Look::Whole(BlobBytes::File { .. }) => (Means::Copied, None),
        Look::Whole(stream @ BlobBytes::Stream(_)) => {
            (Means::Sent, Pieces::new(stream, &blob.digest, blob.size).begins().await?)
        }
        Look::Broken(problem) => (Means::Copied, Some(problem)),
    };
    Ok(problem.map_or(Brought::Now(means, blob.size), Brought::Broken))
}
