//! A push that names what retention took a moment ago: the client may have been told that it is here, so it comes back; never what a person deleted.
//!
//! Contract section 2.8: an answer is a lease. What a tag or an index named needed no write when it was promised, so the
//! lease shows only here, when the promise is called in.

use std::sync::Arc;

use mcr_access::{Permit, Push};
use mcr_metadata::{ReviveManifest, ReviveOutcome};
use mcr_oci::{Digest, FindingKind, RepositoryName};
use mcr_verifier::Report;

use crate::error::Error;
use crate::registry::{Registry, actor};
use crate::settings::millis;

/// Manifests that one push brings back at most.
const MAX_PROMISED: usize = 256;

impl Registry {
    /// Brings back the manifests that a push lacks, where they are all that it lacks and a run took them within the
    /// lease. Says whether any came: then it is worth to walk again.
    ///
    /// # Errors
    /// Inability.
    pub(crate) async fn bring_promised(&self, permit: &Permit<Push>, report: &Report) -> Result<bool, Error> {
        let missing = |finding: &mcr_oci::Finding| {
            finding.digest.clone().filter(|_| finding.kind == FindingKind::ManifestMissing)
        };
        let lacking: Option<Vec<Digest>> = report.findings.iter().map(|located| missing(&located.finding)).collect();
        let Some(lacking) = lacking.filter(|lacking| lacking.len() <= MAX_PROMISED) else { return Ok(false) };
        let now = self.parts.clock.now_ms();
        let mut any = false;
        for digest in lacking {
            if self.can_return(permit.repository(), &digest).await?.is_err() {
                return Ok(any);
            }
            let asked = digest.clone();
            let write = ReviveManifest {
                repository: permit.repository().clone(),
                digest,
                buried_since_ms: Some(now.saturating_sub(millis(self.parts.settings.gc.lease))),
                run_id: None,
                actor: actor(permit.identity()),
                at_ms: now,
            };
            match self.revive_manifest(write).await? {
                ReviveOutcome::Revived(_) => any = true,
                // It came along with one before it, or by another push since the walk looked, and then it is worth to
                // walk again; or a person deleted it.
                ReviveOutcome::There => any |= self.is_live(permit.repository(), asked).await?,
                ReviveOutcome::Refused(_) => return Ok(any),
            }
        }
        Ok(any)
    }

    /// Whether the manifest is here now.
    async fn is_live(&self, repository: &RepositoryName, digest: Digest) -> Result<bool, Error> {
        let (metadata, name) = (Arc::clone(&self.parts.metadata), repository.clone());
        let rows = self.parts.blocking.run(move || metadata.closure(&name, std::slice::from_ref(&digest))).await??;
        Ok(!rows.manifests.is_empty())
    }
}
