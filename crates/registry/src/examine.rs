//! Walking one closure that is stored here, over rows and files, because somebody asks; never a repair.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mcr_access::{Permit, Pull};
use mcr_metadata::{Lookup, ManifestRow};
use mcr_oci::{Descriptor, Reference, RepositoryName};
use mcr_verifier::{Absence, Options, Report, Root, walk};

use crate::error::Error;
use crate::local_source::LocalSource;
use crate::manifest_read::unknown_manifest;
use crate::registry::Registry;

/// A closure that was walked.
#[derive(Debug, Clone)]
pub struct Examined {
    /// What was found, with the root's digest.
    pub report: Report,
    /// How long it took.
    pub took: Duration,
}

impl Registry {
    /// Walks what `reference` names: every row, and every file's stat compared with the one recorded when it was last
    /// hashed; a file that differs is hashed. What is broken is in the report.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`], [`Error::NameUnknown`]; inability.
    pub async fn examine(&self, permit: &Permit<Pull>, reference: &Reference) -> Result<Examined, Error> {
        self.volume_present()?;
        let began = Instant::now();
        let (metadata, name, asked) =
            (Arc::clone(&self.parts.metadata), permit.repository().clone(), reference.clone());
        let row = match self.parts.blocking.run(move || metadata.manifest(&name, &asked)).await?? {
            Lookup::Found(row) => row,
            Lookup::NotFound => return Err(unknown_manifest(permit.repository(), reference)),
            Lookup::NoRepository => return Err(Error::NameUnknown(permit.repository().to_string())),
        };
        let root = Descriptor::new(row.media_type, row.digest, row.size);
        let mut report = self.walk_stored(permit.repository(), root).await?;
        for located in &mut report.findings {
            located.finding.repository = Some(permit.repository().to_string());
            if let Reference::Tag(tag) = reference {
                located.finding.tag = Some(tag.to_string());
            }
        }
        Ok(Examined { report, took: began.elapsed() })
    }

    /// Whether nothing is wrong with a manifest that is stored, nor with anything that it names.
    pub(crate) async fn is_whole(&self, repository: &RepositoryName, row: &ManifestRow) -> Result<bool, Error> {
        let root = Descriptor::new(row.media_type.clone(), row.digest.clone(), row.size);
        Ok(self.walk_stored(repository, root).await?.is_sound())
    }

    async fn walk_stored(&self, repository: &RepositoryName, root: Descriptor) -> Result<Report, Error> {
        let sparse = self.parts.settings.is_sparse(repository.as_str());
        let absence = if sparse { Absence::OfChildrenAllowed } else { Absence::Finding };
        let options = Options { absence, ..Options::default() };
        let (registry, repository) = (self.clone(), repository.clone());
        let runtime = tokio::runtime::Handle::current();
        let named = [root.digest.clone()];
        let root = Root::Named(Box::new(root));
        self.parts
            .walking
            .run(move || {
                let source = LocalSource::read(&registry, &repository, &named)?;
                runtime.block_on(walk(&root, &source, &options))
            })
            .await?
    }
}
