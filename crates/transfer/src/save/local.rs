//! Our own database and blob files, without a server or beside one, as the place that images are saved from; never a
//! change of either.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use mcr_metadata::ReadOnly;
use mcr_oci::{Descriptor, Digest, Finding, FindingKind, Reference, RepositoryName};
use mcr_verifier::{Look, Options, PlatformFilter, Problem, Root, Source, StoredBlob, StoredManifest, walk};

use super::shelf::{Found, Shelf};
use crate::origin::{BlobBytes, Trouble};

/// A registry's own files.
#[derive(Debug)]
pub struct Local {
    rows: Mutex<ReadOnly>,
    blobs: mcr_blobs::ReadOnly,
}

impl Local {
    /// Opens them, for reading alone.
    ///
    /// # Errors
    /// [`Trouble`] where either cannot be opened, or they do not belong together.
    pub fn open(database: &Path, layers: &Path) -> Result<Self, Trouble> {
        let rows = ReadOnly::open(database).map_err(Trouble::of)?;
        let blobs = mcr_blobs::ReadOnly::new(layers);
        let said = blobs.marker().map_err(Trouble::of)?;
        let id = rows.registry_id().map_err(Trouble::of)?;
        match (said, id) {
            (Some(said), Some(id)) if said != id => {
                Err(Trouble(format!("{}: belongs to another registry than the database", layers.display())))
            }
            (None, _) => {
                let hint = "is the volume mounted?";
                Err(Trouble(format!("{}: its marker mcr-registry-id is not there; {hint}", layers.display())))
            }
            _ => Ok(Self { rows: Mutex::new(rows), blobs }),
        }
    }

    /// Whether there is a repository of that name.
    ///
    /// # Errors
    /// [`Trouble`] where the database does not answer.
    pub fn knows(&self, repository: &RepositoryName) -> Result<bool, Trouble> {
        Ok(self.repository(repository)?.is_some())
    }

    fn repository(&self, name: &RepositoryName) -> Result<Option<i64>, Trouble> {
        self.ask(|rows| rows.repository(name.as_str()))
    }

    fn ask<T>(&self, question: impl FnOnce(&ReadOnly) -> Result<T, mcr_metadata::Error>) -> Result<T, Trouble> {
        question(&self.rows.lock().unwrap_or_else(PoisonError::into_inner)).map_err(Trouble::of)
    }

    fn file(&self, digest: &Digest) -> Result<Option<(std::fs::File, u64)>, Problem> {
        self.blobs.open(digest).map_err(|error| {
            Problem::new(FindingKind::Unreachable, format!("its bytes cannot be looked at: {}", error.io_error()))
        })
    }
}

/// One repository, to be walked.
struct Repository<'a> {
    local: &'a Local,
    id: i64,
}

impl Source for Repository<'_> {
    type Error = Trouble;

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Look<StoredManifest>, Trouble> {
        let stored = self.local.ask(|rows| rows.manifest(self.id, &descriptor.digest))?;
        Ok(match stored {
            None => Look::Broken(Problem::bare(FindingKind::ManifestMissing)),
            Some(stored) if stored.deleted => {
                let detail = "it was deleted, and its bytes are still here: mcrctl tag restore brings it back";
                Look::Broken(Problem::new(FindingKind::ManifestMissing, detail))
            }
            Some(stored) => {
                Look::Whole(StoredManifest { media_type: Some(stored.media_type), bytes: Arc::from(stored.bytes) })
            }
        })
    }

    async fn blob(&self, descriptor: &Descriptor) -> Result<Look<StoredBlob>, Trouble> {
        let row = self.local.ask(|rows| rows.blob(self.id, &descriptor.digest))?.unwrap_or_default();
        Ok(match self.local.file(&descriptor.digest) {
            Err(problem) => Look::Broken(problem),
            Ok(_) if row.unsound => {
                let detail = "its bytes were set aside as damaged: push it again";
                Look::Broken(Problem::new(FindingKind::BlobMissing, detail))
            }
            Ok(Some((_, size))) if row.linked => Look::Whole(StoredBlob { size }),
            Ok(Some(_)) => Look::Broken(Problem::new(FindingKind::BlobUnlinked, "its bytes are here")),
            Ok(None) => Look::Broken(Problem::new(FindingKind::BlobMissing, "its file is not there")),
        })
    }
}

impl Shelf for Local {
    async fn check(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        platform: Option<&PlatformFilter>,
    ) -> Result<Found, Trouble> {
        let tag = match reference {
            Reference::Tag(tag) => Some(tag.to_string()),
            Reference::Digest(_) => None,
        };
        let placed =
            |finding: Finding| Finding { repository: Some(repository.to_string()), tag: tag.clone(), ..finding };
        let missing = |detail: &str| {
            let detail = Some(detail.to_owned());
            let finding = placed(Finding { detail, ..Finding::new(FindingKind::ManifestMissing) });
            Ok(Found { digest: None, findings: vec![finding] })
        };
        let Some(id) = self.repository(repository)? else { return missing("there is no such repository") };
        let digest = match reference {
            Reference::Digest(digest) => digest.clone(),
            Reference::Tag(tag) => match self.ask(|rows| rows.tag(id, tag.as_str()))? {
                Some(digest) => digest,
                None => return missing("there is no such tag"),
            },
        };
        let root = Root::Named(Box::new(Descriptor::new("", digest.clone(), 0)));
        let options = Options { jobs: 1, platform: platform.cloned(), ..Options::default() };
        let report = walk(&root, &Repository { local: self, id }, &options).await?;
        let findings = report.findings.into_iter().map(|located| placed(located.finding)).collect();
        Ok(Found { digest: Some(digest), findings })
    }

    async fn manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<(Option<String>, Bytes)>, Trouble> {
        let Some(id) = self.repository(repository)? else { return Ok(None) };
        let stored = self.ask(|rows| rows.manifest(id, digest))?.filter(|stored| !stored.deleted);
        Ok(stored.map(|stored| (Some(stored.media_type), stored.bytes.into())))
    }

    async fn blob(
        &self,
        _repository: &RepositoryName,
        digest: &Digest,
        _size: u64,
    ) -> Result<Look<BlobBytes>, Trouble> {
        Ok(match self.file(digest) {
            Ok(Some((file, size))) => Look::Whole(BlobBytes::File { file, size }),
            Ok(None) => Look::Broken(Problem::new(FindingKind::BlobMissing, "its file is not there")),
            Err(problem) => Look::Broken(problem),
        })
    }
}
