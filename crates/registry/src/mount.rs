//! Mounting a blob from another repository: a link, never a copy, and never of bytes that cannot be promised.

use std::sync::Arc;

use mcr_access::{Permit, Pull, Push};
use mcr_metadata::MountBlob;
use mcr_oci::{Digest, RepositoryName};

use crate::error::Error;
use crate::registry::{Registry, actor};

/// Repositories that are looked at for a mount without `from`.
const MAX_CANDIDATES: usize = 1000;
/// Those that are tried, where the link or the blob goes meanwhile.
const MAX_TRIED: usize = 3;

impl Registry {
    /// Links a blob of `from` into the permitted repository; `None` when it is not there or cannot
    /// be promised, and the caller begins an upload instead.
    ///
    /// # Errors
    /// Inability only.
    pub async fn mount(
        &self,
        permit: &Permit<Push>,
        from: &Permit<Pull>,
        digest: &Digest,
    ) -> Result<Option<Digest>, Error> {
        self.may_write()?;
        match self.promised_blob(from.repository(), digest).await {
            Ok(_) => self.link(permit, from.repository().clone(), digest).await,
            Err(Error::NameUnknown(_) | Error::BlobUnknown { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Links a blob from whichever repository has it that the caller may pull (a mount without `from`).
    ///
    /// Only `MAX_CANDIDATES` repositories that hold it are looked at: with more, a caller who may pull few of them
    /// may have to upload what could have been mounted.
    ///
    /// # Errors
    /// Inability only.
    pub async fn mount_from_anywhere(&self, permit: &Permit<Push>, digest: &Digest) -> Result<Option<Digest>, Error> {
        self.may_write()?;
        let (metadata, asked) = (Arc::clone(&self.parts.metadata), digest.clone());
        let holders = self.parts.blocking.run(move || metadata.holders_of_blob(&asked, MAX_CANDIDATES)).await??;
        let pullable = holders.iter().filter_map(|name| self.permit::<Pull>(permit.identity(), name).ok());
        for from in pullable.take(MAX_TRIED) {
            if let Some(mounted) = self.mount(permit, &from, digest).await? {
                return Ok(Some(mounted));
            }
        }
        Ok(None)
    }

    async fn link(
        &self,
        permit: &Permit<Push>,
        from: RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Digest>, Error> {
        let write = MountBlob {
            from: Some(from),
            to: permit.repository().clone(),
            digest: digest.clone(),
            actor: actor(permit.identity()),
            at_ms: self.parts.clock.now_ms(),
        };
        let (caches, changed) = (Arc::clone(&self.parts.caches), digest.clone());
        let mounted = self
            .parts
            .writes
            .durable(|m, done| m.mount_blob(write, done), move |_| caches.blob_changed(&changed))
            .await?;
        Ok(mounted.then(|| digest.clone()))
    }
}
