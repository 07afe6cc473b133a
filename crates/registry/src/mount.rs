//! Mounting a blob from another repository: a link, never a copy, and never of bytes that cannot be promised.

use std::sync::Arc;

use mcr_access::{Permit, Pull, Push};
use mcr_metadata::MountBlob;
use mcr_oci::{Digest, RepositoryName};

use crate::error::Error;
use crate::integrity::{Compared, Judged, compare};
use crate::registry::{Registry, actor};

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
            Ok(_) => self.link(permit, Some(from.repository().clone()), digest).await,
            Err(Error::NameUnknown(_) | Error::BlobUnknown { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Links a blob that is anywhere here (a mount without `from`); for callers who may pull everything.
    ///
    /// # Errors
    /// Inability only.
    pub async fn mount_from_anywhere(&self, permit: &Permit<Push>, digest: &Digest) -> Result<Option<Digest>, Error> {
        self.may_write()?;
        let (registry, asked) = (self.clone(), digest.clone());
        let same = self
            .parts
            .blocking
            .run(move || -> Result<Option<bool>, Error> {
                let Some(row) = registry.parts.metadata.blob_anywhere(&asked)? else { return Ok(None) };
                Ok(Some(compare(&row, registry.parts.blobs.stat(&asked)?) == Compared::Same))
            })
            .await??;
        match same {
            None => return Ok(None),
            Some(true) => {}
            Some(false) if matches!(self.settle(digest).await?, Judged::Sound) => {}
            Some(false) => return Ok(None),
        }
        self.link(permit, None, digest).await
    }

    async fn link(
        &self,
        permit: &Permit<Push>,
        from: Option<RepositoryName>,
        digest: &Digest,
    ) -> Result<Option<Digest>, Error> {
        let write = MountBlob {
            from,
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
