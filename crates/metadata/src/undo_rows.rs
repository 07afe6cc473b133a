//! What an undo is about: deleted tags and tombstones, of a run or since a time, a page at a time; never what comes back.

use mcr_oci::{Digest, RepositoryName, Tag};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::Metadata;
use crate::error::Error;
use crate::revive::any_repository;
use crate::sql;

/// Rows that one page of an undo looks at, at most: it reads in one transaction.
const STRIDE: usize = 20_000;

/// Which deletes are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deletes {
    /// Those of a run.
    Run(String),
    /// Those since a time, in Unix milliseconds; of one account, if one is given.
    Since {
        /// From when on.
        since_ms: i64,
        /// Whose.
        by: Option<String>,
    },
}

/// A change of a tag that an undo is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostTag {
    /// The line of history.
    pub change: i64,
    /// The repository.
    pub repository: RepositoryName,
    /// The tag.
    pub tag: Tag,
    /// Where it pointed.
    pub digest: Digest,
    /// Where it was moved to; none where it was deleted.
    pub moved_to: Option<Digest>,
}

/// A manifest that is a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// Its row; pages go on behind it.
    pub id: i64,
    /// The repository.
    pub repository: RepositoryName,
    /// The manifest.
    pub digest: Digest,
    /// When it was deleted, in Unix milliseconds.
    pub deleted_at_ms: i64,
}

/// A page, and where the next begins; none: this was the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UndoPage<T> {
    /// What was found; may be empty although there is more.
    pub found: Vec<T>,
    /// What to give as `after`.
    pub next: Option<i64>,
}

impl Metadata {
    /// Tags that were deleted (and, of one account, moved elsewhere), oldest first, behind the line `after`.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn lost_tags(&self, of: &Deletes, after: i64, limit: usize) -> Result<UndoPage<LostTag>, Error> {
        self.readers.read(|connection| match of {
            Deletes::Run(run) => {
                let mut statement = connection.prepare_cached(
                    "SELECT h.id, r.name, h.tag, h.previous, h.current
                     FROM tag_history h CROSS JOIN repositories r ON r.id = h.repository_id
                     WHERE h.run_id = ?1 AND h.id > ?2 AND h.current IS NULL AND h.previous IS NOT NULL
                     ORDER BY h.id LIMIT ?3",
                )?;
                let found = collect(statement.query(params![run, after, sql::limit(limit)])?, lost_tag)?;
                let next = (found.len() >= limit).then(|| found.last().map(|tag| tag.change)).flatten();
                Ok(UndoPage { found, next })
            }
            Deletes::Since { since_ms, by } => {
                let end = stride(
                    connection,
                    "SELECT id FROM tag_history WHERE id > ?1 ORDER BY id LIMIT 1 OFFSET ?2",
                    after,
                )?;
                let mut statement = connection.prepare_cached(
                    "SELECT h.id, r.name, h.tag, h.previous, h.current
                     FROM tag_history h CROSS JOIN repositories r ON r.id = h.repository_id
                     WHERE h.id > ?1 AND h.id <= ?2 AND h.at >= ?3 AND h.previous IS NOT NULL
                       AND (?4 IS NULL OR h.actor = ?4)
                       AND (h.current IS NULL OR (?4 IS NOT NULL AND EXISTS (
                           SELECT 1 FROM tags t CROSS JOIN manifests m ON m.id = t.manifest_id
                           WHERE t.repository_id = h.repository_id AND t.name = h.tag AND m.digest = h.current)))
                     ORDER BY h.id LIMIT ?5",
                )?;
                let to = end.unwrap_or(i64::MAX);
                let found = collect(statement.query(params![after, to, since_ms, by, sql::limit(limit)])?, lost_tag)?;
                let full = (found.len() >= limit).then(|| found.last().map(|tag| tag.change)).flatten();
                Ok(UndoPage { found, next: full.or(end) })
            }
        })
    }

    /// Manifests that are tombstones, behind the row `after`.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn tombstones(&self, of: &Deletes, after: i64, limit: usize) -> Result<UndoPage<Tombstone>, Error> {
        self.readers.read(|connection| {
            let found = match of {
                Deletes::Run(run) => {
                    let mut statement = connection.prepare_cached(
                        "SELECT m.id, r.name, m.digest, m.deleted_at
                         FROM manifests m CROSS JOIN repositories r ON r.id = m.repository_id
                         WHERE m.run_id = ?1 AND m.id > ?2 AND m.deleted_at IS NOT NULL ORDER BY m.id LIMIT ?3",
                    )?;
                    collect(statement.query(params![run, after, sql::limit(limit)])?, tombstone)?
                }
                Deletes::Since { since_ms, by } => {
                    // The trail tells who: the row of the manifest, or that of its whole repository.
                    let mut statement = connection.prepare_cached(
                        "SELECT m.id, r.name, m.digest, m.deleted_at
                         FROM manifests m CROSS JOIN repositories r ON r.id = m.repository_id
                         WHERE m.deleted_at >= ?1 AND m.id > ?2
                           AND (?3 IS NULL OR EXISTS (
                               SELECT 1 FROM audit a WHERE a.at = m.deleted_at AND a.actor = ?3
                                 AND a.repository = r.name
                                 AND ((a.event = 'manifest_deleted' AND a.digest = m.digest)
                                      OR a.event = 'repo_deleted')))
                         ORDER BY m.id LIMIT ?4",
                    )?;
                    collect(statement.query(params![since_ms, after, by, sql::limit(limit)])?, tombstone)?
                }
            };
            let next = (found.len() >= limit).then(|| found.last().map(|row| row.id)).flatten();
            Ok(UndoPage { found, next })
        })
    }

    /// Whether anything of such a run is known: a plan, a line of history, a tombstone.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn knows_run(&self, run: &str) -> Result<bool, Error> {
        self.readers.read(|connection| {
            Ok(connection
                .prepare_cached(
                    "SELECT 1 FROM plans WHERE id = ?1
                     UNION ALL SELECT 1 FROM tag_history WHERE run_id = ?1
                     UNION ALL SELECT 1 FROM manifests WHERE run_id = ?1
                     UNION ALL SELECT 1 FROM repository_blobs WHERE run_id = ?1",
                )?
                .exists([run])?)
        })
    }

    /// The run that deleted a repository last, as far as something of it is still a tombstone.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn run_of_deleted(&self, name: &RepositoryName) -> Result<Option<String>, Error> {
        self.readers.read(|connection| {
            let Some(repository) = any_repository(connection, name)? else { return Ok(None) };
            // Nothing else buries links in runs. Where all of them were pushed again, tags are lost still.
            let of_links_and_tags = connection
                .prepare_cached(
                    "SELECT run_id FROM
                         (SELECT run_id, deleted_at AS at FROM repository_blobs
                          WHERE repository_id = ?1 AND deleted_at IS NOT NULL AND run_id IS NOT NULL
                          UNION ALL
                          SELECT h.run_id, h.at FROM tag_history h
                          WHERE h.repository_id = ?1 AND h.run_id IS NOT NULL AND h.current IS NULL
                            AND h.id = (SELECT max(id) FROM tag_history l WHERE l.repository_id = ?1 AND l.tag = h.tag)
                            AND EXISTS (SELECT 1 FROM audit a
                                        WHERE a.at = h.at AND a.event = 'repo_deleted' AND a.repository = ?2))
                     ORDER BY at DESC LIMIT 1",
                )?
                .query_row(params![repository, name.as_str()], |row| row.get(0))
                .optional()?;
            if of_links_and_tags.is_some() {
                return Ok(of_links_and_tags);
            }
            // One without any is known by when it went.
            Ok(connection
                .prepare_cached(
                    "SELECT m.run_id FROM repositories r CROSS JOIN manifests m ON m.repository_id = r.id
                     WHERE r.id = ?1 AND m.deleted_at = r.deleted_at AND m.run_id IS NOT NULL LIMIT 1",
                )?
                .query_row([repository], |row| row.get(0))
                .optional()?)
        })
    }

    /// Repositories with links to blobs that a run made tombstones of.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn repositories_of_links(&self, run: &str) -> Result<Vec<RepositoryName>, Error> {
        self.readers.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT DISTINCT r.name FROM repository_blobs l CROSS JOIN repositories r ON r.id = l.repository_id
                 WHERE l.run_id = ?1 AND l.deleted_at IS NOT NULL",
            )?;
            collect(statement.query([run])?, |row| name(row, 0))
        })
    }
}

/// The last row of a stride behind `after`, if rows go on behind it.
fn stride(connection: &Connection, sql: &str, after: i64) -> Result<Option<i64>, Error> {
    Ok(connection.prepare_cached(sql)?.query_row([after, sql::limit(STRIDE)], |row| row.get(0)).optional()?)
}

fn collect<T>(mut rows: rusqlite::Rows<'_>, read: impl Fn(&Row<'_>) -> Result<T, Error>) -> Result<Vec<T>, Error> {
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

fn name(row: &Row<'_>, column: usize) -> Result<RepositoryName, Error> {
    let text = row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?;
    RepositoryName::parse(text).map_err(|_| Error::invalid("a repository's name", text))
}

fn lost_tag(row: &Row<'_>) -> Result<LostTag, Error> {
    let text: String = row.get(2)?;
    Ok(LostTag {
        change: row.get(0)?,
        repository: name(row, 1)?,
        tag: Tag::parse(&text).map_err(|_| Error::invalid("a tag", &text))?,
        digest: sql::digest(row, 3)?,
        moved_to: sql::optional_digest(row, 4)?,
    })
}

fn tombstone(row: &Row<'_>) -> Result<Tombstone, Error> {
    Ok(Tombstone {
        id: row.get(0)?,
        repository: name(row, 1)?,
        digest: sql::digest(row, 2)?,
        deleted_at_ms: row.get(3)?,
    })
}
