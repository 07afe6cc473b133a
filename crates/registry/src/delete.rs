//! Deleting tags, manifests and blobs of a repository: tombstones, at once invisible; never a file.
//!
//! Contract section 9: what a live manifest still names is not deleted, and the refusal says what
//! to delete first.

use std::sync::Arc;

use mcr_access::{Delete, Permit};
use mcr_metadata::{DeleteBlob, DeleteManifest, DeleteOutcome, DeleteTag, Holder};
use mcr_oci::{Digest, Reference, RepositoryName, Tag};

use crate::blob_read::unknown_blob;
use crate::error::Error;
use crate::manifest_read::unknown_manifest;
use crate::registry::{Registry, actor};

/// Holders named in one message.
const MAX_NAMED: usize = 5;

/// What a delete took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted {
    /// The tags that went with it.
    pub tags: Vec<String>,
}

impl Registry {
    /// Deletes a manifest by digest, its tags with it, or a tag alone.
    ///
    /// # Errors
    /// [`Error::StillNamed`] while a live index names it; [`Error::ManifestUnknown`],
    /// [`Error::NameUnknown`]; inability.
    pub async fn delete_manifest(&self, permit: &Permit<Delete>, reference: Reference) -> Result<Deleted, Error> {
        self.may_write()?;
        let outcome = match &reference {
            Reference::Digest(digest) => self.tombstone_manifest(permit, digest).await?,
            Reference::Tag(tag) => self.remove_tag(permit, tag).await?,
        };
        match outcome {
            DeleteOutcome::Deleted { tags } => Ok(Deleted { tags }),
            DeleteOutcome::NoRepository => Err(Error::NameUnknown(permit.repository().to_string())),
            DeleteOutcome::NotFound => Err(unknown_manifest(permit.repository(), &reference)),
            DeleteOutcome::Immutable { tag } => {
                Err(Error::Denied(format!("{}:{tag} is immutable: it cannot be deleted", permit.repository())))
            }
            DeleteOutcome::NamedBy(holders) => Err(still_named(permit.repository(), "index", &holders)),
        }
    }

    /// Deletes a repository's link to a blob.
    ///
    /// # Errors
    /// [`Error::StillNamed`] while a live manifest of the repository names it;
    /// [`Error::BlobUnknown`], [`Error::NameUnknown`]; inability.
    pub async fn delete_blob(&self, permit: &Permit<Delete>, digest: &Digest) -> Result<(), Error> {
        self.may_write()?;
        let write = DeleteBlob {
            repository: permit.repository().clone(),
            digest: digest.clone(),
            actor: actor(permit.identity()),
            at_ms: self.parts.clock.now_ms(),
        };
        let caches = Arc::clone(&self.parts.caches);
        let outcome = self
            .parts
            .writes
            .durable(|m, done| m.delete_blob(write, done), move |_| caches.everything_changed())
            .await?;
        match outcome {
            DeleteOutcome::Deleted { .. } => Ok(()),
            DeleteOutcome::NoRepository => Err(Error::NameUnknown(permit.repository().to_string())),
            DeleteOutcome::NotFound | DeleteOutcome::Immutable { .. } => Err(unknown_blob(permit.repository(), digest)),
            DeleteOutcome::NamedBy(holders) => Err(still_named(permit.repository(), "manifest", &holders)),
        }
    }

    async fn tombstone_manifest(&self, permit: &Permit<Delete>, digest: &Digest) -> Result<DeleteOutcome, Error> {
        let write = DeleteManifest {
            repository: permit.repository().clone(),
            digest: digest.clone(),
            immutable: self.parts.settings.immutable_tags(permit.repository().as_str()),
            actor: actor(permit.identity()),
            at_ms: self.parts.clock.now_ms(),
        };
        let caches = Arc::clone(&self.parts.caches);
        self.parts.writes.durable(|m, done| m.delete_manifest(write, done), move |_| caches.everything_changed()).await
    }

    async fn remove_tag(&self, permit: &Permit<Delete>, tag: &Tag) -> Result<DeleteOutcome, Error> {
        let write = DeleteTag {
            repository: permit.repository().clone(),
            tag: tag.clone(),
            immutable: self.parts.settings.immutable_tags(permit.repository().as_str()),
            actor: actor(permit.identity()),
            at_ms: self.parts.clock.now_ms(),
        };
        let caches = Arc::clone(&self.parts.caches);
        self.parts.writes.durable(|m, done| m.delete_tag(write, done), move |_| caches.everything_changed()).await
    }
}

fn still_named(repository: &RepositoryName, what: &str, holders: &[Holder]) -> Error {
    let named: Vec<String> = holders
        .iter()
        .take(MAX_NAMED)
        .map(|holder| match holder.tags.as_slice() {
            [] => format!("{what} {} (no tags)", holder.digest),
            tags => format!("{what} {} (tags {})", holder.digest, tags.join(", ")),
        })
        .collect();
    let more =
        if holders.len() > MAX_NAMED { format!(" and {} more", holders.len() - MAX_NAMED) } else { String::new() };
    Error::StillNamed {
        message: format!("{repository}: still named by {}{more}; delete that first", named.join(", ")),
        holders: holders.iter().map(|h| h.digest.to_string()).collect(),
    }
}
