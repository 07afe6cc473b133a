//! The walk's view of one repository here: rows fetched in one read, each file compared with its row; never a decision.

use std::sync::Arc;

use mcr_metadata::{BlobState, ClosureRows};
use mcr_oci::{Descriptor, Digest, FindingKind, RepositoryName};
use mcr_verifier::{Look, Problem, Source, StoredBlob, StoredManifest};

use crate::error::Error;
use crate::integrity::{Compared, Judged, compare, damage_of};
use crate::registry::Registry;

/// Rows of one closure, with the registry whose files they are compared with.
///
/// Its looks block on the file system: walk it on a thread that may.
pub(crate) struct LocalSource {
    registry: Registry,
    rows: ClosureRows,
}

impl LocalSource {
    /// Reads the rows of everything `named` reaches, in one transaction.
    pub(crate) fn read(registry: &Registry, repository: &RepositoryName, named: &[Digest]) -> Result<Self, Error> {
        let rows = registry.parts.metadata.closure(repository, named)?;
        Ok(Self { registry: registry.clone(), rows })
    }
}

impl Source for LocalSource {
    type Error = Error;

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Look<StoredManifest>, Error> {
        Ok(match self.rows.manifests.get(&descriptor.digest) {
            None => Look::Broken(Problem::bare(FindingKind::ManifestMissing)),
            Some(row) if row.corrupt => Look::Broken(Problem::new(
                FindingKind::ManifestCorrupt,
                "its bytes in the database are damaged; push it again",
            )),
            Some(row) => Look::Whole(StoredManifest {
                media_type: Some(row.media_type.clone()),
                bytes: Arc::from(row.bytes.as_slice()),
            }),
        })
    }

    async fn blob(&self, descriptor: &Descriptor) -> Result<Look<StoredBlob>, Error> {
        let Some(row) = self.rows.blobs.get(&descriptor.digest) else {
            return Ok(Look::Broken(Problem::bare(FindingKind::BlobMissing)));
        };
        if row.state != BlobState::Sound {
            let (kind, detail) = damage_of(row);
            return Ok(Look::Broken(Problem::new(kind, detail)));
        }
        let stat = self.registry.parts.blobs.stat(&descriptor.digest)?;
        if compare(row, stat) == Compared::Same {
            return Ok(Look::Whole(StoredBlob { size: row.size }));
        }
        Ok(match self.registry.settle(&descriptor.digest).await? {
            Judged::Sound => Look::Whole(StoredBlob { size: row.size }),
            Judged::Damaged { kind, detail } => Look::Broken(Problem::new(kind, detail)),
            Judged::Unknown => Look::Broken(Problem::bare(FindingKind::BlobMissing)),
        })
    }
}
