//! Whether what was deleted can be pulled whole if it comes back: the same walk over rows and files as for a push.

use mcr_metadata::{ReviveManifest, ReviveOutcome, ReviveTag};
use mcr_oci::{Digest, RepositoryName};
use mcr_verifier::{Absence, Options, Root, walk};
use std::sync::Arc;

use crate::error::Error;
use crate::local_source::LocalSource;
use crate::registry::Registry;

impl Registry {
    /// Walks a closure as it would be without tombstones. The inner error says why it cannot come back.
    pub(super) async fn can_return(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Result<(), String>, Error> {
        let sparse = self.parts.settings.is_sparse(repository.as_str());
        let absence = if sparse { Absence::OfChildrenAllowed } else { Absence::Finding };
        let options = Options { absence, ..Options::default() };
        let (registry, repository, digest) = (self.clone(), repository.clone(), digest.clone());
        let runtime = tokio::runtime::Handle::current();
        self.parts
            .walking
            .run(move || {
                let named = [digest];
                let source = LocalSource::read_deleted(&registry, &repository, &named)?;
                let [digest] = named;
                let Some(root) = source.descriptor(&digest) else {
                    return Ok(Err(format!("{digest} was collected: its time for undo is past; push it again")));
                };
                let report = runtime.block_on(walk(&Root::Named(Box::new(root)), &source, &options))?;
                Ok(match report.findings.first() {
                    None => Ok(()),
                    Some(located) => Err(broken(&located.finding, report.findings.len())),
                })
            })
            .await?
    }

    pub(super) async fn revive_tag(&self, write: ReviveTag) -> Result<ReviveOutcome, Error> {
        let caches = Arc::clone(&self.parts.caches);
        self.parts.writes.durable(|m, done| m.revive_tag(write, done), move |_| caches.everything_changed()).await
    }

    pub(super) async fn revive_manifest(&self, write: ReviveManifest) -> Result<ReviveOutcome, Error> {
        let caches = Arc::clone(&self.parts.caches);
        self.parts.writes.durable(|m, done| m.revive_manifest(write, done), move |_| caches.everything_changed()).await
    }
}

fn broken(finding: &mcr_oci::Finding, all: usize) -> String {
    let digest = finding.digest.as_ref().map_or("a piece of it", |digest| digest.as_str());
    let detail = finding.detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default();
    let more = if all > 1 { format!(" (and {} more findings)", all - 1) } else { String::new() };
    format!("{} {digest}{detail}{more}; push it again to heal it, then restore", finding.kind.as_str())
}
