//! The walk's view of one repository here: rows fetched in one read, each file compared with its row; never a decision.

use std::collections::HashMap;
use std::sync::Arc;

use mcr_blobs::FileStat;
use mcr_metadata::{BlobState, ClosureRows};
use mcr_oci::{Descriptor, Digest, FindingKind, RepositoryName};
use mcr_verifier::{Look, Problem, Source, StoredBlob, StoredManifest};

use crate::error::Error;
use crate::integrity::{Compared, Judged, compare, damage_of};
use crate::registry::Registry;

/// Files above which they are looked at from two threads: of a large index that is most of the time.
const SHARED_ABOVE: usize = 64;

/// Rows of one closure and the stats of its files, with the registry they belong to.
///
/// What differs from its row is judged anew when the walk asks, and that may block: walk it on a
/// thread that may.
pub(crate) struct LocalSource {
    registry: Registry,
    rows: ClosureRows,
    stats: HashMap<Digest, Option<FileStat>>,
}

impl LocalSource {
    /// Reads the rows of everything `named` reaches, in one transaction, then looks at every file once.
    pub(crate) fn read(registry: &Registry, repository: &RepositoryName, named: &[Digest]) -> Result<Self, Error> {
        Self::of(registry, registry.parts.metadata.closure(repository, named)?)
    }

    /// The same with what was deleted and not collected: how things would be if it were brought back.
    pub(crate) fn read_deleted(
        registry: &Registry,
        repository: &RepositoryName,
        named: &[Digest],
    ) -> Result<Self, Error> {
        Self::of(registry, registry.parts.metadata.closure_with_tombstones(repository, named)?)
    }

    fn of(registry: &Registry, rows: ClosureRows) -> Result<Self, Error> {
        let stats = stats(registry, &rows)?;
        Ok(Self { registry: registry.clone(), rows, stats })
    }

    /// A descriptor of a manifest that was read.
    pub(crate) fn descriptor(&self, digest: &Digest) -> Option<Descriptor> {
        let row = self.rows.manifests.get(digest)?;
        Some(Descriptor::new(row.media_type.clone(), digest.clone(), row.size))
    }
}

type Stats = Vec<(Digest, Option<FileStat>)>;

fn stats(registry: &Registry, rows: &ClosureRows) -> Result<HashMap<Digest, Option<FileStat>>, Error> {
    let digests: Vec<&Digest> = rows.blobs.keys().collect();
    let (mine, other) = digests.split_at(if digests.len() > SHARED_ABOVE { digests.len() / 2 } else { digests.len() });
    let look = |digests: &[&Digest]| -> Result<Stats, mcr_blobs::Error> {
        digests.iter().map(|digest| Ok(((*digest).clone(), registry.parts.blobs.stat(digest)?))).collect()
    };
    let mut stats = HashMap::with_capacity(digests.len());
    std::thread::scope(|scope| -> Result<(), Error> {
        let other = (!other.is_empty()).then(|| scope.spawn(|| look(other)));
        stats.extend(look(mine)?);
        if let Some(other) = other {
            stats.extend(other.join().map_err(|_| Error::stopping())??);
        }
        Ok(())
    })?;
    Ok(stats)
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
        let stat = self.stats.get(&descriptor.digest).copied().flatten();
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
