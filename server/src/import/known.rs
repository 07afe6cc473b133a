//! What the registry holds before a dry run: its rows, read only, and its rules; never a file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use mcr_metadata::ReadOnly;
use mcr_oci::{Digest, RepositoryName, Tag};
use mcr_registry::Settings;
use mcr_transfer::{Known, TagHere, Trouble};

use crate::cli::Failure;
use crate::files;

/// Tags read at once.
const PAGE: usize = 1_000;

/// The rows of a database, and what is configured for them.
pub(super) struct Rows {
    /// `None` where there is no database yet.
    rows: Option<Mutex<ReadOnly>>,
    settings: Settings,
}

impl Rows {
    /// Opens the database at `path`, if there is one.
    pub(super) fn open(path: &Path, settings: Settings) -> Result<Self, Failure> {
        let is_there = files::exists(path).map_err(|error| Failure::refused(format!("{}: {error}", path.display())))?;
        let open = || ReadOnly::open(path).map(Mutex::new).map_err(Failure::refused);
        Ok(Self { rows: is_there.then(open).transpose()?, settings })
    }

    fn read<T: Default>(&self, read: impl FnOnce(&ReadOnly) -> Result<T, mcr_metadata::Error>) -> Result<T, Trouble> {
        let Some(rows) = &self.rows else { return Ok(T::default()) };
        read(&rows.lock().unwrap_or_else(PoisonError::into_inner)).map_err(Trouble::of)
    }
}

impl Known for Rows {
    fn tags(&self, repository: &RepositoryName) -> Result<BTreeMap<String, TagHere>, Trouble> {
        self.read(|rows| {
            let mut tags = BTreeMap::new();
            let mut last = String::new();
            loop {
                let page = rows.tag_origins(repository, &last, PAGE)?;
                let Some(end) = page.last() else { return Ok(tags) };
                last.clone_from(&end.tag);
                for tag in page {
                    let imported = Some(tag.is_imported());
                    tags.insert(tag.tag, TagHere { digest: tag.digest, moved_ms: Some(tag.moved_ms), imported });
                }
            }
        })
    }

    fn holds(&self, repository: &RepositoryName, digest: &Digest) -> Result<bool, Trouble> {
        self.read(|rows| {
            let Some(repository) = rows.repository(repository.as_str())? else { return Ok(false) };
            Ok(rows.manifest(repository, digest)?.is_some_and(|manifest| !manifest.deleted))
        })
    }

    fn has_blob(&self, digest: &Digest) -> Result<bool, Trouble> {
        self.read(|rows| rows.has_blob(digest))
    }

    fn held_tags(&self, repository: &RepositoryName, root: &Digest, tags: &[Tag]) -> Result<Vec<Tag>, Trouble> {
        let Some(guard) = self.settings.held(repository) else { return Ok(Vec::new()) };
        self.read(|rows| rows.held_tags(repository, root, tags, &guard))
    }

    fn repositories(&self) -> Result<Vec<RepositoryName>, Trouble> {
        self.read(|rows| {
            Ok(rows.repositories()?.iter().filter_map(|(_, name)| RepositoryName::parse(name).ok()).collect())
        })
    }

    fn takes_partial(&self, repository: &RepositoryName) -> bool {
        self.settings.is_sparse(repository.as_str())
    }
}
