//! What the registry holds before a dry run: its rows, read only; never a file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mcr_metadata::{IMPORT, ReadOnly};
use mcr_oci::{Digest, RepositoryName};
use mcr_transfer::{Known, TagHere, Trouble};

use crate::cli::Failure;
use crate::files;

/// Tags read at once.
const PAGE: usize = 1_000;

/// The rows of a database.
pub(super) struct Rows(Mutex<ReadOnly>);

impl Rows {
    /// Opens the database at `path`; `None` where there is none yet.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, Failure> {
        if !files::exists(path).map_err(|error| Failure::refused(format!("{}: {error}", path.display())))? {
            return Ok(None);
        }
        ReadOnly::open(path).map(|rows| Some(Self(Mutex::new(rows)))).map_err(Failure::refused)
    }

    fn rows(&self) -> MutexGuard<'_, ReadOnly> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known for Rows {
    fn tags(&self, repository: &RepositoryName) -> Result<BTreeMap<String, TagHere>, Trouble> {
        let rows = self.rows();
        let mut tags = BTreeMap::new();
        let mut last = String::new();
        loop {
            let page = rows.tag_origins(repository, &last, PAGE).map_err(Trouble::of)?;
            let Some(end) = page.last() else { return Ok(tags) };
            last.clone_from(&end.tag);
            for tag in page {
                let imported = tag.actor.as_deref().is_none_or(|actor| actor == IMPORT);
                tags.insert(tag.tag, TagHere { digest: tag.digest, moved_ms: tag.moved_ms, imported });
            }
        }
    }

    fn holds(&self, repository: &RepositoryName, digest: &Digest) -> Result<bool, Trouble> {
        let rows = self.rows();
        let Some(repository) = rows.repository(repository.as_str()).map_err(Trouble::of)? else { return Ok(false) };
        let manifest = rows.manifest(repository, digest).map_err(Trouble::of)?;
        Ok(manifest.is_some_and(|manifest| !manifest.deleted))
    }

    fn has_blob(&self, digest: &Digest) -> Result<bool, Trouble> {
        self.rows().has_blob(digest).map_err(Trouble::of)
    }
}
