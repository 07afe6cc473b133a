//! What an import writes: blobs in bulk, their links, manifests with the times they had elsewhere; never a file, and
//! never another check than a push's.

use std::path::Path;

use mcr_oci::{Digest, RepositoryName, Tag};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::Value;

use crate::audit::{self, Audit};
use crate::connection;
use crate::damage;
use crate::error::Error;
use crate::findings;
use crate::job::{Done, Write, job};
use crate::links;
use crate::repositories;
use crate::requests::{CommitManifest, CommitOutcome, TagGuard};
use crate::rows::{Actor, RecordedStat};
use crate::sql;
use crate::tagging;
use crate::{Metadata, ReadOnly};

/// The account that imports stand under. No account that logs in can have this name.
pub const IMPORT: &str = "import";

/// A blob whose file is in place, verified and synced.
#[derive(Clone, Debug)]
pub struct AdoptedBlob {
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Its file's stat, taken after its bytes hashed right.
    pub stat: RecordedStat,
}

/// Book blobs, for no repository yet.
#[derive(Clone, Debug)]
pub struct AdoptBlobs {
    /// The blobs.
    pub blobs: Vec<AdoptedBlob>,
    /// Now, in Unix milliseconds.
    pub at_ms: i64,
}

/// Link blobs that are booked and sound to a repository.
#[derive(Clone, Debug)]
pub struct LinkBlobs {
    /// The repository; made if there is none.
    pub repository: RepositoryName,
    /// The blobs.
    pub digests: Vec<Digest>,
    /// Now, in Unix milliseconds.
    pub at_ms: i64,
}

/// Commit a manifest that was pushed elsewhere, at another time.
#[derive(Clone, Debug)]
pub struct AdoptManifest {
    /// The commit, as a push makes it. Its `at_ms` is now, and its tags are replaced by [`tags`](Self::tags).
    pub commit: CommitManifest,
    /// When it was pushed, in Unix milliseconds.
    pub pushed_ms: i64,
    /// The tags that shall point at it, and since when, in Unix milliseconds.
    pub tags: Vec<(Tag, i64)>,
}

/// A tag, where it points, and who pointed it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagOrigin {
    /// The tag.
    pub tag: String,
    /// The manifest it points at.
    pub digest: Digest,
    /// When it came to point there, in Unix milliseconds.
    pub moved_ms: i64,
    /// Who pointed it there; none where history does not say.
    pub actor: Option<String>,
}

impl TagOrigin {
    /// Whether an import pointed it there; also where history does not say, so that the origin is followed.
    #[must_use]
    pub fn is_imported(&self) -> bool {
        self.actor.as_deref().is_none_or(|actor| actor == IMPORT)
    }
}

impl Metadata {
    /// Refuses a database of another program before anything is made beside it; nothing is changed, and one that is
    /// not there is none of another program.
    ///
    /// # Errors
    /// [`Error::NotOurs`].
    pub fn refuse_foreign(path: &Path) -> Result<(), Error> {
        match connection::inspect(path) {
            Err(error @ Error::NotOurs { .. }) => Err(error),
            // That there is none, and everything else, is told by whoever opens it.
            _ => Ok(()),
        }
    }

    /// Books blobs whose files are in place, in one transaction. Heals those that were damaged.
    pub fn adopt_blobs(&self, request: AdoptBlobs, done: Done<()>) {
        self.submit(job(request, done));
    }

    /// Links blobs to a repository, in one transaction; `done` learns which of them are not booked, or not sound.
    pub fn link_blobs(&self, request: LinkBlobs, done: Done<Vec<Digest>>) {
        self.submit(job(request, done));
    }

    /// Commits a manifest as a push does, with the times it had elsewhere in its row, its tags' and their history.
    /// The audit trail tells when it was done here.
    pub fn adopt_manifest(&self, request: AdoptManifest, done: Done<CommitOutcome>) {
        self.submit(job(request, done));
    }

    /// Every tag of a repository with whoever pointed it where it points, after `last`, at most `limit`.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn tag_origins(&self, repository: &RepositoryName, last: &str, limit: usize) -> Result<Vec<TagOrigin>, Error> {
        self.readers.read(|connection| tag_origins(connection, repository, last, limit))
    }

    /// Those of `tags` that `guard` holds where they point, and that point elsewhere than at `root`. What is damaged
    /// may move: that is how it is mended. The commit looks again.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn held_tags(
        &self,
        repository: &RepositoryName,
        root: &Digest,
        tags: &[Tag],
        guard: &TagGuard,
    ) -> Result<Vec<Tag>, Error> {
        self.readers.read(|connection| held_tags(connection, repository, root, tags, guard))
    }
}

impl ReadOnly {
    /// The same as [`Metadata::tag_origins`].
    ///
    /// # Errors
    /// Whatever the database answers.
    pub fn tag_origins(&self, repository: &RepositoryName, last: &str, limit: usize) -> Result<Vec<TagOrigin>, Error> {
        tag_origins(&self.connection, repository, last, limit)
    }

    /// The same as [`Metadata::held_tags`].
    ///
    /// # Errors
    /// Whatever the database answers.
    pub fn held_tags(
        &self,
        repository: &RepositoryName,
        root: &Digest,
        tags: &[Tag],
        guard: &TagGuard,
    ) -> Result<Vec<Tag>, Error> {
        held_tags(&self.connection, repository, root, tags, guard)
    }

    /// Whether a blob is booked and sound, in whichever repository.
    ///
    /// # Errors
    /// Whatever the database answers.
    pub fn has_blob(&self, digest: &Digest) -> Result<bool, Error> {
        let mut query = self.connection.prepare_cached("SELECT 1 FROM blobs WHERE digest = ?1 AND state = 'sound'")?;
        Ok(query.exists([digest.as_str()])?)
    }
}

fn tag_origins(
    connection: &Connection,
    repository: &RepositoryName,
    last: &str,
    limit: usize,
) -> Result<Vec<TagOrigin>, Error> {
    let Some(repository) = repositories::find(connection, repository)? else { return Ok(Vec::new()) };
    let mut statement = connection.prepare_cached(
        "SELECT t.name, m.digest, t.moved_at,
                (SELECT h.actor FROM tag_history h
                 WHERE h.repository_id = t.repository_id AND h.tag = t.name ORDER BY h.id DESC LIMIT 1)
         FROM tags t CROSS JOIN manifests m ON m.id = t.manifest_id
         WHERE t.repository_id = ?1 AND t.name > ?2 ORDER BY t.name LIMIT ?3",
    )?;
    let mut rows = statement.query(params![repository, last, sql::limit(limit)])?;
    let mut tags = Vec::new();
    while let Some(row) = rows.next()? {
        let digest = sql::digest(row, 1)?;
        tags.push(TagOrigin { tag: row.get(0)?, digest, moved_ms: row.get(2)?, actor: row.get(3)? });
    }
    Ok(tags)
}

fn held_tags(
    connection: &Connection,
    repository: &RepositoryName,
    root: &Digest,
    tags: &[Tag],
    guard: &TagGuard,
) -> Result<Vec<Tag>, Error> {
    let Some(id) = repositories::find(connection, repository)? else { return Ok(Vec::new()) };
    let mut held = Vec::new();
    for tag in tags.iter().filter(|tag| guard.holds(tag.as_str())) {
        let Some((manifest, digest)) = tagging::current(connection, id, tag.as_str())? else { continue };
        if digest != *root && damage::below(connection, manifest, repository.as_str())?.findings.is_empty() {
            held.push(tag.clone());
        }
    }
    Ok(held)
}

impl Write for AdoptBlobs {
    type Answer = ();

    fn apply(&self, tx: &Connection) -> Result<(), Error> {
        for blob in &self.blobs {
            let before: Option<bool> = tx
                .prepare_cached("SELECT state <> 'sound' FROM blobs WHERE digest = ?1")?
                .query_row([blob.digest.as_str()], |row| row.get(0))
                .optional()?;
            links::upsert(
                tx,
                &links::Bytes {
                    digest: &blob.digest,
                    size: blob.size,
                    stat: &blob.stat,
                    hashed_at_ms: self.at_ms,
                    at_ms: self.at_ms,
                },
            )?;
            if before == Some(true) {
                findings::close_blob(tx, &blob.digest, self.at_ms)?;
                let actor = Actor { name: IMPORT.to_owned(), address: None };
                let healed = Audit {
                    digest: Some(blob.digest.as_str()),
                    details: Value::Null,
                    ..Audit::by(&actor, "blob_healed", self.at_ms)
                };
                audit::append(tx, healed)?;
            }
        }
        Ok(())
    }
}

impl Write for LinkBlobs {
    type Answer = Vec<Digest>;

    fn apply(&self, tx: &Connection) -> Result<Vec<Digest>, Error> {
        let repository = repositories::find_or_make(tx, &self.repository, self.at_ms)?;
        let mut missing = Vec::new();
        for digest in &self.digests {
            let found: Option<(i64, i64)> = tx
                .prepare_cached("SELECT id, size FROM blobs WHERE digest = ?1 AND state = 'sound'")?
                .query_row([digest.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            match found {
                None => missing.push(digest.clone()),
                Some((blob, size)) => {
                    let size = u64::try_from(size).unwrap_or(0);
                    links::link(tx, repository, blob, digest, size, self.at_ms)?;
                }
            }
        }
        Ok(missing)
    }
}

impl Write for AdoptManifest {
    type Answer = CommitOutcome;

    fn apply(&self, tx: &Connection) -> Result<CommitOutcome, Error> {
        let commit =
            CommitManifest { tags: self.tags.iter().map(|(tag, _)| tag.clone()).collect(), ..self.commit.clone() };
        let outcome = commit.apply(tx)?;
        let CommitOutcome::Committed { moved, created } = &outcome else { return Ok(outcome) };
        let Some(repository) = repositories::find(tx, &commit.repository)? else { return Ok(outcome) };
        if *created {
            tx.prepare_cached("UPDATE manifests SET pushed_at = ?3 WHERE repository_id = ?1 AND digest = ?2")?
                .execute(params![repository, commit.reference_digest.as_str(), self.pushed_ms])?;
        }
        for change in moved {
            let said = self.tags.iter().find(|(tag, _)| *tag == change.tag);
            let at_ms = said.map_or(commit.at_ms, |(_, at_ms)| *at_ms);
            tx.prepare_cached("UPDATE tags SET moved_at = ?3 WHERE repository_id = ?1 AND name = ?2")?
                .execute(params![repository, change.tag.as_str(), at_ms])?;
            tx.prepare_cached(
                "UPDATE tag_history SET at = ?3
                 WHERE id = (SELECT max(id) FROM tag_history WHERE repository_id = ?1 AND tag = ?2)",
            )?
            .execute(params![repository, change.tag.as_str(), at_ms])?;
        }
        Ok(outcome)
    }

    fn is_frugal(&self, answer: &CommitOutcome) -> bool {
        self.commit.is_frugal(answer)
    }

    fn rescue(&self, error: &Error) -> Option<CommitOutcome> {
        self.commit.rescue(error)
    }
}

#[cfg(test)]
mod tests;
