//! Undo: what was deleted and not yet collected comes back as it was, closure by closure; never a byte that is gone.
//!
//! Contract section 9. Each closure (a tag with everything its manifest reaches, its signatures and referrers) comes
//! back in one transaction, after its rows and files were looked at as for a push.

use mcr_access::{Administer, GlobalPermit, Permit, Push};
use mcr_oci::{Digest, RepositoryName, Tag};

use crate::error::Error;
use crate::registry::Registry;

/// Tags, and refusals, that the report of an undo names; more are counted.
pub const MAX_UNDONE_LISTED: usize = 1000;

/// A tag that points again where it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoredTag {
    /// The repository.
    pub repository: RepositoryName,
    /// The tag.
    pub tag: Tag,
    /// Where it points now.
    pub digest: Digest,
    /// Where it pointed before; none where it was deleted.
    pub previous: Option<Digest>,
}

/// Which deletes shall be undone: those of a run, or all since a time.
#[derive(Debug, Clone, Default)]
pub struct RestoreRun {
    /// A run: a plan's id, or that of a deleted repository.
    pub run: Option<String>,
    /// Everything deleted since then, in Unix milliseconds.
    pub since_ms: Option<i64>,
    /// With `since_ms`: only what this account deleted.
    pub by: Option<String>,
    /// Only say what would come back.
    pub dry_run: bool,
}

/// Something that was not brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unrestored {
    /// `repository:tag` or `repository@digest`.
    pub what: String,
    /// Why, and what to do.
    pub why: String,
}

/// What an undo brought back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestoredRun {
    /// Tags; at most [`MAX_UNDONE_LISTED`].
    pub tags: Vec<RestoredTag>,
    /// How many tags came back.
    pub tags_restored: u64,
    /// How many manifests came back.
    pub manifests_restored: u64,
    /// Repositories in which something came back.
    pub repositories: u64,
    /// What did not come back; at most [`MAX_UNDONE_LISTED`].
    pub refused: Vec<Unrestored>,
    /// How many did not come back.
    pub refused_total: u64,
}

/// What came back with a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestoredRepository {
    /// Tags.
    pub tags: u64,
    /// Manifests.
    pub manifests: u64,
    /// Links to blobs.
    pub blobs: u64,
    /// What did not come back; at most [`MAX_UNDONE_LISTED`].
    pub refused: Vec<Unrestored>,
}

impl Registry {
    /// Points a tag again where it pointed before its last move, or at `to`, a digest of its history, and brings back
    /// what that needs.
    ///
    /// # Errors
    /// [`Error::NoSuch`] where it has no such past; [`Error::Denied`] where it is immutable and points elsewhere;
    /// [`Error::Conflict`] where content was collected or is damaged; [`Error::ReadOnly`]; inability.
    pub async fn restore_tag(
        &self,
        _permit: &Permit<Push>,
        _tag: &Tag,
        _to: Option<&Digest>,
    ) -> Result<RestoredTag, Error> {
        self.may_write()?;
        Err(Error::unavailable("undo is not there yet"))
    }

    /// Brings back a manifest that was deleted, with its closure and its referrers, without tags.
    ///
    /// # Errors
    /// As [`restore_tag`](Self::restore_tag).
    pub async fn restore_manifest(&self, _permit: &Permit<Push>, _digest: &Digest) -> Result<u64, Error> {
        self.may_write()?;
        Err(Error::unavailable("undo is not there yet"))
    }

    /// Undoes a whole run, or every delete since a time. A tag that meanwhile points elsewhere is reported, not moved.
    /// Undoing a run of retention makes its rules wait for a confirmation again.
    ///
    /// # Errors
    /// [`Error::Invalid`] unless exactly one of run and time is given; [`Error::NoSuch`] where nothing of such a run is
    /// known; [`Error::ReadOnly`]; inability.
    pub async fn restore_run(
        &self,
        _permit: &GlobalPermit<Administer>,
        _what: RestoreRun,
    ) -> Result<RestoredRun, Error> {
        self.may_write()?;
        Err(Error::unavailable("undo is not there yet"))
    }

    /// Undoes the delete of a repository. What was pushed there since then stays as it is.
    ///
    /// # Errors
    /// [`Error::NameUnknown`] where nothing deleted is known of it; [`Error::ReadOnly`]; inability.
    pub async fn restore_repository(
        &self,
        _permit: &GlobalPermit<Administer>,
        _name: &RepositoryName,
    ) -> Result<RestoredRepository, Error> {
        self.may_write()?;
        Err(Error::unavailable("undo is not there yet"))
    }
}
