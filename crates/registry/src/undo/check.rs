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
                // What followed it comes along if it is whole. The walk books what is damaged, so that the rows know.
                let named = match registry.parts.metadata.would_return(&repository, &digest)? {
                    Ok(along) => std::iter::once(digest).chain(along).collect::<Vec<_>>(),
                    Err(why) => return Ok(Err(why.to_string())),
                };
                let source = LocalSource::read_deleted(&registry, &repository, &named)?;
                let mut verdict = Ok(());
                for (at, digest) in named.iter().enumerate() {
                    let Some(root) = source.descriptor(digest) else { continue };
                    let report = runtime.block_on(walk(&Root::Named(Box::new(root)), &source, &options))?;
                    if let Some(located) = report.findings.first().filter(|_| at == 0) {
                        verdict = Err(broken(&located.finding, report.findings.len()));
                    }
                }
                Ok(verdict)
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
    let heal = if detail.contains("push it again") { "" } else { "; push it again to heal it" };
    format!("{} {digest}{detail}{heal}{more}, then restore", finding.kind.as_str())
}
