//! What the journal beside the blobs is written from: the audit trail behind a position, and the live manifests and tags.
//! Never the journal itself.
//!
//! The audit trail has what the journal needs: every change of a manifest or tag stands in it, in the order of the
//! commits, in the transaction of what it tells. So a push writes nothing for the journal.

use mcr_oci::Digest;
use rusqlite::{Connection, OptionalExtension as _, Row};

use crate::Metadata;
use crate::audit;
use crate::error::Error;
use crate::sql;

/// Bytes of manifests that one page holds; a single manifest may be larger.
const PAGE_BYTES: usize = 2 * 1024 * 1024;

/// A place in the audit trail: the row's number, and its hash, which tells one history from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditPosition {
    /// The row's number; 0 before the first.
    pub seq: i64,
    /// Its hash in the chain.
    pub hash: String,
}

/// How a position that was noted earlier lies to the trail that is there now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrailPlace {
    /// It is a place of this trail, and everything behind it is still there.
    Held,
    /// Rows behind it have aged out.
    AgedOut,
    /// It is of another history: the database was replaced.
    Foreign,
}

/// As much of an audit row as the journal needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEvent {
    /// Where it stands.
    pub position: AuditPosition,
    /// When, in Unix milliseconds.
    pub at_ms: i64,
    /// Its name.
    pub event: String,
    /// The repository it is about.
    pub repository: Option<String>,
    /// The tag it is about.
    pub tag: Option<String>,
    /// The digest it is about.
    pub digest: Option<String>,
}

/// A live manifest with everything needed to write it anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalManifest {
    /// Its digest.
    pub digest: Digest,
    /// As it is served.
    pub media_type: String,
    /// When it became live, in Unix milliseconds.
    pub pushed_at_ms: i64,
    /// Whether children may be missing, as was decided when it was pushed.
    pub sparse: bool,
    /// As it was pushed; not hashed here.
    pub bytes: Vec<u8>,
}

/// A tag and where it points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalTag {
    /// Its name.
    pub tag: String,
    /// The manifest.
    pub digest: Digest,
    /// When it came to point there, in Unix milliseconds.
    pub moved_at_ms: i64,
}

impl Metadata {
    /// Where the audit trail ends.
    ///
    /// # Errors
    /// Whatever the files answer; so for all below.
    pub fn audit_position(&self) -> Result<AuditPosition, Error> {
        self.readers.read(|connection| {
            let (seq, hash) = audit::head(connection)?;
            Ok(AuditPosition { seq, hash })
        })
    }

    /// How `position` lies to this trail.
    ///
    /// # Errors
    /// As [`audit_position`](Self::audit_position).
    pub fn place_of(&self, position: &AuditPosition) -> Result<TrailPlace, Error> {
        self.readers.read(|connection| {
            let here = connection
                .prepare_cached("SELECT hash FROM audit WHERE seq = ?1")?
                .query_row([position.seq], |row| row.get::<_, String>(0))
                .optional()?;
            let (cut, hash) = audit::anchor(connection)?;
            Ok(match here {
                Some(here) if here == position.hash => TrailPlace::Held,
                None if cut == position.seq && hash == position.hash => TrailPlace::Held,
                None if position.seq < cut => TrailPlace::AgedOut,
                Some(_) | None => TrailPlace::Foreign,
            })
        })
    }

    /// At most `limit` rows of the trail behind number `after`. Their numbers have no gaps; where the first is not the
    /// next one, rows between have aged out.
    ///
    /// # Errors
    /// As [`audit_position`](Self::audit_position).
    pub fn journal_events(&self, after: i64, limit: usize) -> Result<Vec<JournalEvent>, Error> {
        self.readers.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT seq, hash, at, event, repository, tag, digest FROM audit WHERE seq > ?1 ORDER BY seq LIMIT ?2",
            )?;
            let rows = statement.query_map((after, sql::limit(limit)), |row| {
                Ok(JournalEvent {
                    position: AuditPosition { seq: row.get(0)?, hash: row.get(1)? },
                    at_ms: row.get(2)?,
                    event: row.get(3)?,
                    repository: row.get(4)?,
                    tag: row.get(5)?,
                    digest: row.get(6)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// A manifest of a repository; `None` where it, or the repository, is not live (any more).
    ///
    /// # Errors
    /// As [`audit_position`](Self::audit_position).
    pub fn journal_manifest(&self, repository: &str, digest: &str) -> Result<Option<JournalManifest>, Error> {
        self.readers.read(|connection| {
            let Some(repository) = live(connection, repository)? else { return Ok(None) };
            let found = connection
                .prepare_cached(
                    "SELECT m.id, m.digest, m.media_type, m.pushed_at, c.bytes
                     FROM manifests m CROSS JOIN manifest_contents c ON c.manifest_id = m.id
                     WHERE m.repository_id = ?1 AND m.digest = ?2 AND m.deleted_at IS NULL",
                )?
                .query_row((repository, digest), |row| Ok(manifest(connection, row)))
                .optional()?;
            found.transpose()
        })
    }

    /// A page of the live manifests of a repository behind the digest `after`; an empty one is the end. A page ends
    /// at 2 MiB.
    ///
    /// # Errors
    /// As [`audit_position`](Self::audit_position).
    pub fn journal_manifests(&self, repository: &str, after: &str) -> Result<Vec<JournalManifest>, Error> {
        self.readers.read(|connection| {
            let Some(repository) = live(connection, repository)? else { return Ok(Vec::new()) };
            let mut statement = connection.prepare_cached(
                "SELECT m.id, m.digest, m.media_type, m.pushed_at, c.bytes
                 FROM manifests m CROSS JOIN manifest_contents c ON c.manifest_id = m.id
                 WHERE m.repository_id = ?1 AND m.digest > ?2 AND m.deleted_at IS NULL
                 ORDER BY m.digest",
            )?;
            let mut rows = statement.query((repository, after))?;
            let (mut page, mut bytes) = (Vec::new(), 0);
            while let Some(row) = rows.next()? {
                let found = manifest(connection, row)?;
                bytes += found.bytes.len();
                page.push(found);
                if bytes >= PAGE_BYTES {
                    break;
                }
            }
            Ok(page)
        })
    }

    /// A page of at most `limit` tags of a repository behind the tag `after`; an empty one is the end.
    ///
    /// # Errors
    /// As [`audit_position`](Self::audit_position).
    pub fn journal_tags(&self, repository: &str, after: &str, limit: usize) -> Result<Vec<JournalTag>, Error> {
        self.readers.read(|connection| {
            let Some(repository) = live(connection, repository)? else { return Ok(Vec::new()) };
            let mut statement = connection.prepare_cached(
                "SELECT t.name, m.digest, t.moved_at FROM tags t CROSS JOIN manifests m ON m.id = t.manifest_id
                 WHERE t.repository_id = ?1 AND t.name > ?2 ORDER BY t.name LIMIT ?3",
            )?;
            let mut rows = statement.query(rusqlite::params![repository, after, sql::limit(limit)])?;
            let mut tags = Vec::new();
            while let Some(row) = rows.next()? {
                tags.push(JournalTag { tag: row.get(0)?, digest: sql::digest(row, 1)?, moved_at_ms: row.get(2)? });
            }
            Ok(tags)
        })
    }

    /// When a tag came to point at `digest`, in Unix milliseconds; `None` where it does not (any more).
    ///
    /// # Errors
    /// As [`audit_position`](Self::audit_position).
    pub fn journal_tag_age(&self, repository: &str, tag: &str, digest: &str) -> Result<Option<i64>, Error> {
        self.readers.read(|connection| {
            let Some(repository) = live(connection, repository)? else { return Ok(None) };
            let found = connection
                .prepare_cached(
                    "SELECT t.moved_at FROM tags t CROSS JOIN manifests m ON m.id = t.manifest_id
                     WHERE t.repository_id = ?1 AND t.name = ?2 AND m.digest = ?3",
                )?
                .query_row((repository, tag, digest), |row| row.get(0))
                .optional()?;
            Ok(found)
        })
    }

    /// The first live repository behind the name `after`.
    ///
    /// # Errors
    /// As [`audit_position`](Self::audit_position).
    pub fn journal_repository(&self, after: &str) -> Result<Option<String>, Error> {
        self.readers.read(|connection| {
            let found = connection
                .prepare_cached("SELECT name FROM repositories WHERE name > ?1 AND deleted_at IS NULL ORDER BY name")?
                .query_row([after], |row| row.get(0))
                .optional()?;
            Ok(found)
        })
    }

    /// Live manifests, their bytes, and tags: what a journal that is told anew would have to hold. Reads every
    /// manifest's row.
    ///
    /// # Errors
    /// As [`audit_position`](Self::audit_position).
    pub fn journal_weight(&self) -> Result<(u64, u64, u64), Error> {
        self.readers.read(|connection| {
            let counts = connection
                .prepare_cached(
                    "SELECT count(*), coalesce(sum(size), 0), (SELECT count(*) FROM tags)
                     FROM manifests WHERE deleted_at IS NULL",
                )?
                .query_row([], |row| Ok((sql::unsigned(row, 0), sql::unsigned(row, 1), sql::unsigned(row, 2))))?;
            Ok((counts.0?, counts.1?, counts.2?))
        })
    }
}

fn live(connection: &Connection, repository: &str) -> Result<Option<i64>, Error> {
    let found = connection
        .prepare_cached("SELECT id FROM repositories WHERE name = ?1 AND deleted_at IS NULL")?
        .query_row([repository], |row| row.get(0))
        .optional()?;
    Ok(found)
}

/// A row of `id, digest, media_type, pushed_at, bytes`.
fn manifest(connection: &Connection, row: &Row<'_>) -> Result<JournalManifest, Error> {
    let id: i64 = row.get(0)?;
    let sparse = connection
        .prepare_cached("SELECT 1 FROM edges WHERE manifest_id = ?1 AND kind = 'child' AND weak = 1")?
        .exists([id])?;
    Ok(JournalManifest {
        digest: sql::digest(row, 1)?,
        media_type: row.get(2)?,
        pushed_at_ms: row.get(3)?,
        sparse,
        bytes: row.get(4)?,
    })
}

#[cfg(test)]
mod tests;
