//! Repositories as people look at them: counts and sizes, tags with what they point at, manifests, and where a tag has been; never bytes.

use mcr_oci::{Digest, RepositoryName, Tag};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::Metadata;
use crate::error::Error;
use crate::repositories;
use crate::sql;

/// Rows that a page of summaries counts before it may be short: a page of huge repositories takes no longer.
const COUNTED_MAX: u64 = 200_000;

/// Tags named with one manifest at most.
pub const MAX_TAGS_OF_MANIFEST: usize = 100;

/// A repository in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositorySummary {
    /// Its name.
    pub name: String,
    /// Its tags.
    pub tags: u64,
    /// Its live manifests.
    pub manifests: u64,
    /// Its live links to blobs.
    pub blobs: u64,
    /// Bytes of its live manifests and of the blobs it links, each once.
    pub size: u64,
    /// When something was first pushed there, in Unix milliseconds.
    pub created_at_ms: i64,
    /// When a live manifest was last pushed or a tag last moved, in Unix milliseconds.
    pub updated_at_ms: i64,
}

/// A page of repositories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SummaryPage {
    /// Sorted bytewise by name.
    pub repositories: Vec<RepositorySummary>,
    /// The name to give as `last` for the next page; none at the end. A short page can have one.
    pub next: Option<String>,
}

/// A tag and the manifest it points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagSummary {
    /// The tag.
    pub name: String,
    /// What it points at.
    pub digest: Digest,
    /// The manifest's media type.
    pub media_type: String,
    /// The manifest's length in bytes.
    pub size: u64,
    /// When it came to point there, in Unix milliseconds.
    pub moved_at_ms: i64,
}

/// A live manifest and its tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestSummary {
    /// Its digest.
    pub digest: Digest,
    /// The media type it was pushed with.
    pub media_type: String,
    /// `image` or `index`.
    pub kind: String,
    /// Its length in bytes.
    pub size: u64,
    /// When it became live, in Unix milliseconds.
    pub pushed_at_ms: i64,
    /// Its tags, sorted, at most [`MAX_TAGS_OF_MANIFEST`].
    pub tags: Vec<String>,
}

/// One move of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagChange {
    /// Its number: a later move has a higher one.
    pub id: i64,
    /// When, in Unix milliseconds.
    pub at_ms: i64,
    /// Who did it.
    pub actor: String,
    /// Where it pointed before; none where it began.
    pub previous: Option<Digest>,
    /// Where it pointed then; none where it was deleted.
    pub current: Option<Digest>,
    /// The run that did it, so that a whole run can be undone.
    pub run_id: Option<String>,
}

impl Metadata {
    /// A page of [`catalog`](Self::catalog), with numbers.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn repository_summaries(
        &self,
        last: Option<&str>,
        limit: usize,
        shown: &dyn Fn(&str) -> bool,
    ) -> Result<SummaryPage, Error> {
        let names = self.catalog(last, limit, shown)?;
        let mut page = SummaryPage { next: names.cursor, ..SummaryPage::default() };
        let (mut counted, of) = (0, names.names.len());
        for (at, name) in names.names.into_iter().enumerate() {
            // Each in a transaction of its own, so that the write-ahead log need not wait for the page.
            let Some(summary) = self.readers.read(|connection| summary(connection, &name))? else { continue };
            counted += summary.tags + summary.manifests + summary.blobs;
            page.repositories.push(summary);
            if counted > COUNTED_MAX && at + 1 < of {
                page.next = Some(name);
                break;
            }
        }
        Ok(page)
    }

    /// The numbers of one repository; none if it is not live.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn repository_summary(&self, name: &RepositoryName) -> Result<Option<RepositorySummary>, Error> {
        self.readers.read(|connection| summary(connection, name.as_str()))
    }

    /// The tags of a repository that come after `last`, with what they point at, sorted bytewise, at most `limit`;
    /// none if there is no such repository.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn tag_summaries(
        &self,
        name: &RepositoryName,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Option<Vec<TagSummary>>, Error> {
        self.readers.read(|connection| {
            let Some(repository) = repositories::find(connection, name)? else {
                return Ok(None);
            };
            let mut statement = connection.prepare_cached(
                "SELECT t.name, m.digest, m.media_type, m.size, t.moved_at
                 FROM tags t CROSS JOIN manifests m ON m.id = t.manifest_id
                 WHERE t.repository_id = ?1 AND t.name > ?2 ORDER BY t.name LIMIT ?3",
            )?;
            let mut rows = statement.query(params![repository, last.unwrap_or(""), sql::limit(limit)])?;
            let mut tags = Vec::new();
            while let Some(row) = rows.next()? {
                tags.push(TagSummary {
                    name: row.get(0)?,
                    digest: sql::digest(row, 1)?,
                    media_type: row.get(2)?,
                    size: sql::unsigned(row, 3)?,
                    moved_at_ms: row.get(4)?,
                });
            }
            Ok(Some(tags))
        })
    }

    /// The live manifests of a repository whose digests come after `last`, sorted by digest, at most `limit`; none if
    /// there is no such repository.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn manifest_summaries(
        &self,
        name: &RepositoryName,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Option<Vec<ManifestSummary>>, Error> {
        self.readers.read(|connection| {
            let Some(repository) = repositories::find(connection, name)? else {
                return Ok(None);
            };
            let mut statement = connection.prepare_cached(
                "SELECT id, digest, media_type, kind, size, pushed_at FROM manifests
                 WHERE repository_id = ?1 AND digest > ?2 AND deleted_at IS NULL ORDER BY digest LIMIT ?3",
            )?;
            let mut rows = statement.query(params![repository, last.unwrap_or(""), sql::limit(limit)])?;
            let mut manifests = Vec::new();
            while let Some(row) = rows.next()? {
                manifests.push(ManifestSummary {
                    tags: tags_of(connection, repository, row.get(0)?)?,
                    digest: sql::digest(row, 1)?,
                    media_type: row.get(2)?,
                    kind: row.get(3)?,
                    size: sql::unsigned(row, 4)?,
                    pushed_at_ms: row.get(5)?,
                });
            }
            Ok(Some(manifests))
        })
    }

    /// Where a tag has been, the newest move first, at most `limit` of those before the move `before`. What was
    /// deleted is remembered too, the repository as well.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn tag_history(
        &self,
        name: &RepositoryName,
        tag: &Tag,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<TagChange>, Error> {
        self.readers.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT h.id, h.at, h.actor, h.previous, h.current, h.run_id
                 FROM repositories r CROSS JOIN tag_history h ON h.repository_id = r.id
                 WHERE r.name = ?1 AND h.tag = ?2 AND h.id < ?3 ORDER BY h.id DESC LIMIT ?4",
            )?;
            let before = before.unwrap_or(i64::MAX);
            let mut rows = statement.query(params![name.as_str(), tag.as_str(), before, sql::limit(limit)])?;
            let mut changes = Vec::new();
            while let Some(row) = rows.next()? {
                changes.push(TagChange {
                    id: row.get(0)?,
                    at_ms: row.get(1)?,
                    actor: row.get(2)?,
                    previous: sql::optional_digest(row, 3)?,
                    current: sql::optional_digest(row, 4)?,
                    run_id: row.get(5)?,
                });
            }
            Ok(changes)
        })
    }
}

fn summary(connection: &Connection, name: &str) -> Result<Option<RepositorySummary>, Error> {
    let found: Option<(i64, i64)> = connection
        .prepare_cached("SELECT id, created_at FROM repositories WHERE name = ?1 AND deleted_at IS NULL")?
        .query_row([name], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((repository, created_at_ms)) = found else {
        return Ok(None);
    };
    let (tags, moved) = totals(
        connection,
        "SELECT count(*), coalesce(max(moved_at), 0) FROM tags WHERE repository_id = ?1",
        repository,
    )?;
    let (manifests, size) = totals(
        connection,
        "SELECT count(*), coalesce(sum(size), 0) FROM manifests WHERE repository_id = ?1 AND deleted_at IS NULL",
        repository,
    )?;
    let (_, pushed) = totals(
        connection,
        "SELECT 0, coalesce(max(pushed_at), 0) FROM manifests WHERE repository_id = ?1 AND deleted_at IS NULL",
        repository,
    )?;
    let (blobs, bytes) = totals(
        connection,
        "SELECT count(*), coalesce(sum(b.size), 0)
         FROM repository_blobs l CROSS JOIN blobs b ON b.id = l.blob_id
         WHERE l.repository_id = ?1 AND l.deleted_at IS NULL",
        repository,
    )?;
    Ok(Some(RepositorySummary {
        name: name.to_owned(),
        tags,
        manifests,
        blobs,
        size: size.saturating_add(bytes),
        created_at_ms,
        updated_at_ms: created_at_ms.max(i64::try_from(moved.max(pushed)).unwrap_or(i64::MAX)),
    }))
}

/// Two numbers about a repository that are not negative.
fn totals(connection: &Connection, sql: &str, repository: i64) -> Result<(u64, u64), Error> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([repository])?;
    match rows.next()? {
        Some(row) => Ok((sql::unsigned(row, 0)?, sql::unsigned(row, 1)?)),
        None => Ok((0, 0)),
    }
}

fn tags_of(connection: &Connection, repository: i64, manifest: i64) -> Result<Vec<String>, Error> {
    let mut statement = connection
        .prepare_cached("SELECT name FROM tags WHERE repository_id = ?1 AND manifest_id = ?2 ORDER BY name LIMIT ?3")?;
    let limit = sql::limit(MAX_TAGS_OF_MANIFEST);
    let tags = statement.query_map([repository, manifest, limit], |row| row.get(0))?;
    Ok(tags.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests;
