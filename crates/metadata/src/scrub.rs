//! What the scrub has still to look at, and what it has looked at: candidates, passes, hash times; never the hashing.
//!
//! A pass covers everything that was last hashed before it began: the hash times are its position, so that a restart
//! goes on where it was. No index serves this, since one would cost every push: a page is one walk over the rows.

mod broken;
mod write;

use mcr_oci::{Digest, RepositoryName};
use rusqlite::{OptionalExtension as _, Row};

use crate::Metadata;
use crate::error::Error;
use crate::sql;

pub use broken::{BrokenBy, MAX_CLIMBED};
pub use write::{BeginScrubPass, EndScrubPass, KEEP_PASSES, RecordScrub, ReturnBlob, Scrubbed};

/// A pass of the scrub over everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScrubPass {
    /// Its number; later ones are higher.
    pub id: i64,
    /// When it began, in Unix milliseconds: what was hashed before that is looked at.
    pub started_at_ms: i64,
    /// When it ended; none while it goes on, also over a restart.
    pub ended_at_ms: Option<i64>,
    /// Blobs hashed.
    pub blobs: u64,
    /// Manifests hashed.
    pub manifests: u64,
    /// Bytes hashed, of both.
    pub bytes: u64,
    /// What it found damaged.
    pub findings: u64,
    /// What the disk did not let it read.
    pub unreadable: u64,
}

/// What there is to be scrubbed: sound blobs and manifests that are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrubSurvey {
    /// Sound blobs.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their bytes, small ones counted as the least that a file costs.
    pub cost: u64,
    /// Sound manifests.
    pub manifests: u64,
    /// Their bytes.
    pub manifest_bytes: u64,
    /// The oldest hash of all, in Unix milliseconds; none where there is nothing.
    pub oldest_hashed_at_ms: Option<i64>,
}

/// A blob to be hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScrubBlob {
    /// Its row.
    pub id: i64,
    /// Its digest.
    pub digest: Digest,
    /// Its length.
    pub size: u64,
    /// When it was last hashed, in Unix milliseconds.
    pub hashed_at_ms: i64,
}

/// A manifest to be hashed, without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScrubManifest {
    /// Its row.
    pub id: i64,
    /// When it was last hashed, in Unix milliseconds.
    pub hashed_at_ms: i64,
}

/// A manifest as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBytes {
    /// Its repository.
    pub repository: RepositoryName,
    /// Its digest.
    pub digest: Digest,
    /// Its bytes, whatever they hash to.
    pub bytes: Vec<u8>,
}

/// Where a walk in the order of age goes on: behind this hash time and row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScrubCursor {
    /// The hash time, in Unix milliseconds.
    pub hashed_at_ms: i64,
    /// The row.
    pub id: i64,
}

impl ScrubCursor {
    /// In front of everything.
    pub const START: Self = Self { hashed_at_ms: i64::MIN, id: 0 };
}

impl Metadata {
    /// Counts what there is to be scrubbed, in one walk over the rows; `least` is what a file costs at least, in bytes.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn scrub_survey(&self, least: u64) -> Result<ScrubSurvey, Error> {
        self.readers.read(|connection| {
            let mut survey = ScrubSurvey::default();
            let blobs: Option<i64> = connection
                .prepare_cached(
                    "SELECT count(*), coalesce(sum(size), 0), coalesce(sum(max(size, ?1)), 0), min(hashed_at)
                     FROM blobs WHERE state = 'sound'",
                )?
                .query_row([sql::size(least)], |row| {
                    (survey.blobs, survey.bytes, survey.cost) = (count(row, 0)?, count(row, 1)?, count(row, 2)?);
                    row.get(3)
                })?;
            let manifests: Option<i64> = connection
                .prepare_cached(
                    "SELECT count(*), coalesce(sum(size), 0), min(hashed_at)
                     FROM manifests WHERE state = 'sound' AND deleted_at IS NULL",
                )?
                .query_row([], |row| {
                    (survey.manifests, survey.manifest_bytes) = (count(row, 0)?, count(row, 1)?);
                    row.get(2)
                })?;
            survey.oldest_hashed_at_ms = [blobs, manifests].into_iter().flatten().min();
            Ok(survey)
        })
    }

    /// Sound blobs that were last hashed before `before_ms`, the oldest first, behind `after`, at most `limit`.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn scrub_blobs(&self, before_ms: i64, after: ScrubCursor, limit: usize) -> Result<Vec<ScrubBlob>, Error> {
        self.readers.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, digest, size, hashed_at FROM blobs
                 WHERE state = 'sound' AND hashed_at < ?1 AND (hashed_at, id) > (?2, ?3)
                 ORDER BY hashed_at, id LIMIT ?4",
            )?;
            let asked = (before_ms, after.hashed_at_ms, after.id, sql::limit(limit));
            statement.query_and_then(asked, scrub_blob)?.collect()
        })
    }

    /// Sound blobs that a read asked to be hashed, in the order of asking, at most `limit`.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn scrub_requested(&self, limit: usize) -> Result<Vec<ScrubBlob>, Error> {
        self.readers.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, digest, size, hashed_at FROM blobs INDEXED BY blobs_scrub_requested
                 WHERE scrub_requested_at IS NOT NULL AND state = 'sound' ORDER BY scrub_requested_at LIMIT ?1",
            )?;
            statement.query_and_then([sql::limit(limit)], scrub_blob)?.collect()
        })
    }

    /// Blobs whose bytes are known to be damaged or gone, behind the row `after`, at most `limit`.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn unsound_blobs(&self, after: i64, limit: usize) -> Result<Vec<ScrubBlob>, Error> {
        self.readers.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, digest, size, hashed_at FROM blobs INDEXED BY blobs_unsound
                 WHERE state <> 'sound' AND id > ?1 ORDER BY id LIMIT ?2",
            )?;
            statement.query_and_then((after, sql::limit(limit)), scrub_blob)?.collect()
        })
    }

    /// How many blobs' bytes are known to be damaged or gone.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn unsound_blobs_count(&self) -> Result<u64, Error> {
        self.readers.read(|connection| {
            let mut statement = connection
                .prepare_cached("SELECT count(*) FROM blobs INDEXED BY blobs_unsound WHERE state <> 'sound'")?;
            Ok(statement.query_row([], |row| count(row, 0))?)
        })
    }

    /// Listed manifests that were last hashed before `before_ms`, the oldest first, behind `after`, at most `limit`.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn scrub_manifests(
        &self,
        before_ms: i64,
        after: ScrubCursor,
        limit: usize,
    ) -> Result<Vec<ScrubManifest>, Error> {
        self.readers.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, hashed_at FROM manifests
                 WHERE state = 'sound' AND deleted_at IS NULL AND hashed_at < ?1 AND (hashed_at, id) > (?2, ?3)
                 ORDER BY hashed_at, id LIMIT ?4",
            )?;
            let asked = (before_ms, after.hashed_at_ms, after.id, sql::limit(limit));
            let rows = statement
                .query_and_then(asked, |row| Ok(ScrubManifest { id: row.get(0)?, hashed_at_ms: row.get(1)? }))?;
            rows.collect()
        })
    }

    /// The bytes of a listed manifest; none where it has gone.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn stored_manifest(&self, id: i64) -> Result<Option<StoredBytes>, Error> {
        self.readers.read(|connection| {
            let found = connection
                .prepare_cached(
                    "SELECT r.name, m.digest, c.bytes
                     FROM manifests m
                     CROSS JOIN repositories r ON r.id = m.repository_id
                     CROSS JOIN manifest_contents c ON c.manifest_id = m.id
                     WHERE m.id = ?1 AND m.deleted_at IS NULL",
                )?
                .query_row([id], |row| Ok(stored_bytes(row)))
                .optional()?;
            found.transpose()
        })
    }

    /// The last passes, newest first, at most `limit`.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn scrub_passes(&self, limit: usize) -> Result<Vec<ScrubPass>, Error> {
        self.readers.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, started_at, ended_at, blobs, manifests, bytes, findings, unreadable
                 FROM scrub_passes ORDER BY id DESC LIMIT ?1",
            )?;
            statement.query_and_then([sql::limit(limit)], pass)?.collect()
        })
    }
}

fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.cast_unsigned())
}

fn scrub_blob(row: &Row<'_>) -> Result<ScrubBlob, Error> {
    Ok(ScrubBlob {
        id: row.get(0)?,
        digest: sql::digest(row, 1)?,
        size: sql::unsigned(row, 2)?,
        hashed_at_ms: row.get(3)?,
    })
}

fn stored_bytes(row: &Row<'_>) -> Result<StoredBytes, Error> {
    let name = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
    Ok(StoredBytes {
        repository: RepositoryName::parse(name).map_err(|_| Error::invalid("a repository's name", name))?,
        digest: sql::digest(row, 1)?,
        bytes: row.get(2)?,
    })
}

/// A row of `id, started_at, ended_at, blobs, manifests, bytes, findings, unreadable`.
fn pass(row: &Row<'_>) -> Result<ScrubPass, Error> {
    Ok(ScrubPass {
        id: row.get(0)?,
        started_at_ms: row.get(1)?,
        ended_at_ms: row.get(2)?,
        blobs: sql::unsigned(row, 3)?,
        manifests: sql::unsigned(row, 4)?,
        bytes: sql::unsigned(row, 5)?,
        findings: sql::unsigned(row, 6)?,
        unreadable: sql::unsigned(row, 7)?,
    })
}

#[cfg(test)]
mod tests;
