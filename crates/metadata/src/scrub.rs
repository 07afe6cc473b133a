//! What the scrub has still to look at, and what it has looked at: candidates, passes, hash times; never the hashing.
//!
//! A pass covers everything that was last hashed before it began: the hash times are its position, so that a restart
//! goes on where it was. No index serves this, since one would cost every push: a page is one walk over the rows.

mod broken;
mod write;

use mcr_oci::{Digest, RepositoryName};
use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension as _, Row};

use crate::Metadata;
use crate::error::Error;
use crate::sql;

pub use broken::{BrokenBy, MAX_CLIMBED};
pub use write::{BeginScrubPass, EndScrubPass, KEEP_PASSES, RecordScrub, ReturnBlob, Scrubbed};

/// A hash time may lie ahead of now by this many milliseconds, as clocks do that are being set; it is past soon.
const AHEAD_MS: i64 = 60_000;

/// Counted of one blob's bytes at most: a damaged row must not make everything look as if a pass took years.
const COUNTED_MAX: i64 = 1 << 40;

/// The latest hash time that is believed at `now_ms`. A later one was noted by a clock that was ahead: it says nothing
/// of when the bytes were hashed, so that they count as never hashed.
#[must_use]
pub const fn latest_known(now_ms: i64) -> i64 {
    now_ms.saturating_add(AHEAD_MS)
}

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
    /// When it was last hashed, in Unix milliseconds; 0 where that is not known.
    pub hashed_at_ms: i64,
}

/// A row of a blob that does not say what to hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfitBlob {
    /// Its row.
    pub id: i64,
    /// As for [`ScrubBlob`].
    pub hashed_at_ms: i64,
    /// What is wrong with it.
    pub why: String,
}

/// A manifest to be hashed, without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScrubManifest {
    /// Its row.
    pub id: i64,
    /// When it was last hashed, in Unix milliseconds; 0 where that is not known.
    pub hashed_at_ms: i64,
}

/// What a walk in the order of age asks for.
#[derive(Clone, Copy, Debug)]
pub struct ScrubAsk {
    /// What was last hashed before this, in Unix milliseconds.
    pub before_ms: i64,
    /// Now, in Unix milliseconds: hash times that are not known by then count as 0.
    pub now_ms: i64,
    /// Behind this.
    pub after: ScrubCursor,
    /// Rows at most.
    pub limit: usize,
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
    /// Counts what there is to be scrubbed, in one walk over the rows; `least` is what a file costs at least, in bytes,
    /// and a hash time that is not known at `now_ms` counts as 0.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn scrub_survey(&self, least: u64, now_ms: i64) -> Result<ScrubSurvey, Error> {
        self.readers.read(|connection| {
            let mut survey = ScrubSurvey::default();
            let blobs: Option<i64> = connection
                .prepare_cached(
                    "SELECT count(*), coalesce(sum(min(max(size, 0), ?3)), 0),
                            coalesce(sum(min(max(size, ?1), ?3)), 0), min(iif(hashed_at > ?2, 0, hashed_at))
                     FROM blobs WHERE state = 'sound'",
                )?
                .query_row([sql::size(least), latest_known(now_ms), COUNTED_MAX], |row| {
                    (survey.blobs, survey.bytes, survey.cost) = (count(row, 0)?, count(row, 1)?, count(row, 2)?);
                    row.get(3)
                })?;
            let manifests: Option<i64> = connection
                .prepare_cached(
                    "SELECT count(*), coalesce(sum(min(max(size, 0), ?2)), 0), min(iif(hashed_at > ?1, 0, hashed_at))
                     FROM manifests WHERE state = 'sound' AND deleted_at IS NULL",
                )?
                .query_row([latest_known(now_ms), COUNTED_MAX], |row| {
                    (survey.manifests, survey.manifest_bytes) = (count(row, 0)?, count(row, 1)?);
                    row.get(2)
                })?;
            survey.oldest_hashed_at_ms = [blobs, manifests].into_iter().flatten().min();
            Ok(survey)
        })
    }

    /// Sound blobs, the longest unseen first. A row that is damaged stands in its place among the others.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn scrub_blobs(&self, ask: &ScrubAsk) -> Result<Vec<Result<ScrubBlob, UnfitBlob>>, Error> {
        self.readers.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, digest, size, iif(hashed_at > ?5, 0, hashed_at) AS known FROM blobs
                 WHERE state = 'sound' AND known < ?1 AND (known, id) > (?2, ?3)
                 ORDER BY known, id LIMIT ?4",
            )?;
            statement.query_and_then(ask.values(), scrub_blob)?.collect()
        })
    }

    /// Sound blobs that a read asked to be hashed, in the order of asking, at most `limit`. Rows that are damaged are
    /// left to the pass.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn scrub_requested(&self, limit: usize) -> Result<Vec<ScrubBlob>, Error> {
        self.readers.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, digest, size, hashed_at FROM blobs INDEXED BY blobs_scrub_requested
                 WHERE scrub_requested_at IS NOT NULL AND state = 'sound' ORDER BY scrub_requested_at LIMIT ?1",
            )?;
            let rows: Result<Vec<_>, Error> = statement.query_and_then([sql::limit(limit)], scrub_blob)?.collect();
            Ok(rows?.into_iter().flatten().collect())
        })
    }

    /// Blobs whose bytes are known to be damaged or gone, behind the row `after`, at most `limit`.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn unsound_blobs(&self, after: i64, limit: usize) -> Result<Vec<Result<ScrubBlob, UnfitBlob>>, Error> {
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

    /// Listed manifests, the longest unseen first.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn scrub_manifests(&self, ask: &ScrubAsk) -> Result<Vec<ScrubManifest>, Error> {
        self.readers.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, iif(hashed_at > ?5, 0, hashed_at) AS known FROM manifests
                 WHERE state = 'sound' AND deleted_at IS NULL AND known < ?1 AND (known, id) > (?2, ?3)
                 ORDER BY known, id LIMIT ?4",
            )?;
            let rows = statement
                .query_and_then(ask.values(), |row| Ok(ScrubManifest { id: row.get(0)?, hashed_at_ms: row.get(1)? }))?;
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

    /// What the rows call a manifest, right or wrong: its repository and digest. For who cannot read it.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn manifest_called(&self, id: i64) -> Result<Option<String>, Error> {
        self.readers.read(|connection| {
            let found = connection
                .prepare_cached(
                    "SELECT r.name, m.digest FROM manifests m CROSS JOIN repositories r ON r.id = m.repository_id
                     WHERE m.id = ?1",
                )?
                .query_row([id], |row| {
                    let text = |value: ValueRef<'_>| match value {
                        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                            String::from_utf8_lossy(bytes).escape_default().to_string()
                        }
                        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => "?".to_owned(),
                    };
                    Ok(format!("{}@{}", text(row.get_ref(0)?), text(row.get_ref(1)?)))
                })
                .optional()?;
            Ok(found)
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

impl ScrubAsk {
    fn values(&self) -> (i64, i64, i64, i64, i64) {
        let after = self.after;
        (self.before_ms, after.hashed_at_ms, after.id, sql::limit(self.limit), latest_known(self.now_ms))
    }
}

/// A row of `id, digest, size, hashed_at`. One damaged row must not hide the others.
fn scrub_blob(row: &Row<'_>) -> Result<Result<ScrubBlob, UnfitBlob>, Error> {
    let (id, hashed_at_ms) = (row.get(0)?, row.get(3)?);
    let read = sql::digest(row, 1).and_then(|digest| Ok((digest, sql::unsigned(row, 2)?)));
    Ok(read.map(|(digest, size)| ScrubBlob { id, digest, size, hashed_at_ms }).map_err(|error| UnfitBlob {
        id,
        hashed_at_ms,
        why: error.to_string(),
    }))
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
