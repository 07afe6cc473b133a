//! A database made again from what the journal told: told things collected, what is whole of them written as rows, the
//! new file put in the place of the lost one. Never what the journal looks like, nor a blob's file.

#![expect(clippy::disallowed_methods, reason = "the database's files have their home in this crate")]

mod state;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mcr_oci::{Digest, Manifest, RepositoryName};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::Value;

use crate::audit::{self, Audit, SYSTEM};
use crate::closed;
use crate::commit;
use crate::connection;
use crate::edges;
use crate::error::Error;
use crate::journal_rows::{JournalManifest, JournalTag};
use crate::links;
use crate::references::{self, Target};
use crate::repositories;
use crate::requests::CommitManifest;
use crate::rows::{Actor, RecordedStat};
use crate::snapshot_folder::{about, passed, remove};
use crate::sql;
use crate::switch;

pub use state::{DatabaseState, database_state};

/// Ends the name of the new database until it takes the place of the old one.
const SUFFIX: &str = ".rebuilding";
/// Bytes of manifests of one page.
const PAGE_BYTES: usize = 2 * 1024 * 1024;

/// What was told, apart from the tables of the registry; dropped at the end.
const TABLES: &str = "
    CREATE TABLE told_manifests (
        repository TEXT NOT NULL, digest TEXT NOT NULL, media_type TEXT NOT NULL, pushed_at INTEGER NOT NULL,
        sparse INTEGER NOT NULL, line INTEGER NOT NULL, written INTEGER NOT NULL DEFAULT 0, bytes BLOB NOT NULL,
        PRIMARY KEY (repository, digest)
    ) STRICT;
    CREATE TABLE told_tags (
        repository TEXT NOT NULL, tag TEXT NOT NULL, digest TEXT NOT NULL, moved_at INTEGER NOT NULL,
        line INTEGER NOT NULL,
        PRIMARY KEY (repository, tag)
    ) STRICT, WITHOUT ROWID;";

/// Ends what was told of one repository before a line. By the key: a journal may say so very often.
const FORGET_REPOSITORY: [&str; 2] = [
    "DELETE FROM told_manifests WHERE repository = ?1 AND line < ?2",
    "DELETE FROM told_tags WHERE repository = ?1 AND line < ?2",
];

/// Ends what was told of everything before a line; said once in a generation.
const FORGET_ALL: [&str; 2] = ["DELETE FROM told_manifests WHERE line < ?1", "DELETE FROM told_tags WHERE line < ?1"];

/// A database on its way. Gone with its file unless it is [switched to](Self::switch).
#[derive(Debug)]
pub struct Rebuild {
    connection: Connection,
    file: Unfinished,
    database: PathBuf,
}

/// A file that goes when this does.
#[derive(Debug)]
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // What stays is cleared away by the next one.
        let _ = clear(&self.0);
    }
}

/// What the new database says of itself.
#[derive(Clone, Debug)]
pub struct Rebuilt {
    /// The registry's id, which the marker beside the blobs repeats.
    pub registry_id: String,
    /// Whether it serves only administrators, and takes nothing, until there is a policy rule.
    pub closed: bool,
    /// What the audit trail tells of it; an object.
    pub details: Value,
    /// Now, in Unix milliseconds.
    pub at_ms: i64,
}

impl Rebuild {
    /// Begins a new database beside `database`. The caller holds the lock on the data directory.
    ///
    /// # Errors
    /// Whatever the files answer; so for all below.
    pub fn beside(database: &Path) -> Result<Self, Error> {
        let path = switch::beside(database, SUFFIX);
        clear(&path)?;
        let file = Unfinished(path);
        let (connection, _) = connection::open_first(&file.0)?;
        // Nobody needs it after a crash: it is made again. At the end it is synced as a whole.
        let _: String = connection.pragma_update_and_check(None, "journal_mode", "MEMORY", |row| row.get(0))?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        for end in ["-wal", "-shm"] {
            remove(&switch::beside(&file.0, end))?;
        }
        connection.execute_batch(TABLES)?;
        connection.execute_batch("BEGIN")?;
        Ok(Self { connection, file, database: database.to_owned() })
    }

    /// Ends a batch of what was told or written, so that what SQLite keeps for going back stays small.
    ///
    /// # Errors
    /// As [`beside`](Self::beside).
    pub fn batch(&self) -> Result<(), Error> {
        Ok(self.connection.execute_batch("COMMIT; BEGIN")?)
    }

    /// The journal told at `line` that a manifest is live.
    ///
    /// # Errors
    /// As [`beside`](Self::beside).
    pub fn tell_manifest(&self, line: i64, repository: &str, manifest: &JournalManifest) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO told_manifests (repository, digest, media_type, pushed_at, sparse, bytes, line)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                repository,
                manifest.digest.as_str(),
                manifest.media_type,
                manifest.pushed_at_ms,
                manifest.sparse,
                manifest.bytes,
                line
            ])?;
        Ok(())
    }

    /// The journal told at `line` where a tag points.
    ///
    /// # Errors
    /// As [`beside`](Self::beside).
    pub fn tell_tag(&self, line: i64, repository: &str, tag: &JournalTag) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO told_tags (repository, tag, digest, moved_at, line) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![repository, tag.tag, tag.digest.as_str(), tag.moved_at_ms, line])?;
        Ok(())
    }

    /// A tag is gone.
    ///
    /// # Errors
    /// As [`beside`](Self::beside).
    pub fn untell_tag(&self, repository: &str, tag: &str) -> Result<(), Error> {
        self.connection
            .prepare_cached("DELETE FROM told_tags WHERE repository = ?1 AND tag = ?2")?
            .execute([repository, tag])?;
        Ok(())
    }

    /// A manifest is gone.
    ///
    /// # Errors
    /// As [`beside`](Self::beside).
    pub fn untell_manifest(&self, repository: &str, digest: &str) -> Result<(), Error> {
        self.connection
            .prepare_cached("DELETE FROM told_manifests WHERE repository = ?1 AND digest = ?2")?
            .execute([repository, digest])?;
        Ok(())
    }

    /// What was told of a repository before `line` is over.
    ///
    /// # Errors
    /// As [`beside`](Self::beside).
    pub fn forget(&self, repository: &str, line: i64) -> Result<(), Error> {
        for statement in FORGET_REPOSITORY {
            self.connection.prepare_cached(statement)?.execute(params![repository, line])?;
        }
        Ok(())
    }

    /// What was told of any repository before `line` is over.
    ///
    /// # Errors
    /// As [`beside`](Self::beside).
    pub fn forget_all(&self, line: i64) -> Result<(), Error> {
        for statement in FORGET_ALL {
            self.connection.prepare_cached(statement)?.execute([line])?;
        }
        Ok(())
    }

    /// The first repository behind the name `after` that something was told of.
    ///
    /// # Errors
    /// As [`beside`](Self::beside).
    pub fn repository(&self, after: &str) -> Result<Option<String>, Error> {
        let next = self
            .connection
            .prepare_cached(
                "SELECT min(name) FROM (SELECT min(repository) AS name FROM told_manifests WHERE repository > ?1
                                        UNION ALL SELECT min(repository) FROM told_tags WHERE repository > ?1)",
            )?
            .query_row([after], |row| row.get(0))?;
        Ok(next)
    }

    /// A page of the manifests of a repository behind the digest `after` that are not written yet; an empty one is
    /// the end.
    ///
    /// # Errors
    /// As [`beside`](Self::beside).
    pub fn unwritten(&self, repository: &str, after: &str) -> Result<Vec<JournalManifest>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT digest, media_type, pushed_at, sparse, bytes FROM told_manifests
             WHERE repository = ?1 AND digest > ?2 AND written = 0 ORDER BY digest",
        )?;
        let mut rows = statement.query([repository, after])?;
        let (mut page, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let manifest = told(row)?;
            bytes += manifest.bytes.len();
            page.push(manifest);
            if bytes >= PAGE_BYTES {
                break;
            }
        }
        Ok(page)
    }

    /// A manifest that was told, written or not.
    ///
    /// # Errors
    /// As [`beside`](Self::beside).
    pub fn manifest(&self, repository: &str, digest: &Digest) -> Result<Option<JournalManifest>, Error> {
        let found = self
            .connection
            .prepare_cached(
                "SELECT digest, media_type, pushed_at, sparse, bytes FROM told_manifests
                 WHERE repository = ?1 AND digest = ?2",
            )?
            .query_row([repository, digest.as_str()], |row| Ok(told(row)))
            .optional()?;
        found.transpose()
    }

    /// Whether a blob's file is booked.
    ///
    /// # Errors
    /// As [`beside`](Self::beside).
    pub fn books(&self, digest: &Digest) -> Result<bool, Error> {
        Ok(self.blob(digest)?.is_some())
    }

    fn blob(&self, digest: &Digest) -> Result<Option<(i64, u64)>, Error> {
        let found: Option<(i64, i64)> = self
            .connection
            .prepare_cached("SELECT id, size FROM blobs WHERE digest = ?1")?
            .query_row([digest.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        Ok(found.map(|(id, size)| (id, u64::try_from(size).unwrap_or(0))))
    }

    /// Books a blob's file, which last hashed right at `hashed_at_ms`; 0 where that is not known.
    ///
    /// # Errors
    /// As [`beside`](Self::beside).
    pub fn book(&self, digest: &Digest, stat: &RecordedStat, hashed_at_ms: i64, at_ms: i64) -> Result<(), Error> {
        links::upsert(&self.connection, &links::Bytes { digest, size: stat.size, stat, hashed_at_ms, at_ms })?;
        Ok(())
    }

    /// Lets a repository hold a blob that is booked.
    ///
    /// # Errors
    /// As [`beside`](Self::beside).
    pub fn link(&self, repository: &RepositoryName, digest: &Digest, at_ms: i64) -> Result<(), Error> {
        let Some((blob, size)) = self.blob(digest)? else { return Ok(()) };
        let repository = repositories::find_or_make(&self.connection, repository, at_ms)?;
        links::link(&self.connection, repository, blob, digest, size, at_ms)
    }

    /// Writes a manifest whose bytes the caller has hashed, with its edges; false where one of those leads nowhere yet.
    ///
    /// # Errors
    /// As [`beside`](Self::beside).
    pub fn write(
        &self,
        repository: &RepositoryName,
        told: JournalManifest,
        manifest: &Arc<Manifest>,
        at_ms: i64,
    ) -> Result<bool, Error> {
        let tx = &self.connection;
        let known = repositories::find(tx, repository)?;
        let Some(resolved) = edges::resolve(tx, known, manifest, told.sparse)? else { return Ok(false) };
        let id = repositories::find_or_make(tx, repository, at_ms)?;
        let bytes: Arc<[u8]> = told.bytes.into();
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let commit = CommitManifest {
            repository: repository.clone(),
            reference_digest: told.digest,
            manifest: Arc::clone(manifest),
            bytes,
            tags: Vec::new(),
            allow_missing_children: told.sparse,
            immutable: None,
            actor: Actor { name: SYSTEM.to_owned(), address: None },
            at_ms,
        };
        let digest = &commit.reference_digest;
        let written = commit::insert(tx, id, &commit)?;
        tx.prepare_cached("UPDATE manifests SET pushed_at = ?2 WHERE id = ?1")?
            .execute([written, told.pushed_at_ms])?;
        commit::write_contents(tx, written, &commit.manifest, &commit.bytes)?;
        edges::write(tx, id, written, &resolved)?;
        edges::hold_targets(tx, id, &resolved)?;
        edges::fill(tx, id, digest, Target::Manifest(written), size)?;
        if references::manifest_is_named(tx, id, written)? {
            references::hold(tx, id, Target::Manifest(written))?;
        }
        tx.prepare_cached("UPDATE told_manifests SET written = 1 WHERE repository = ?1 AND digest = ?2")?
            .execute([repository.as_str(), digest.as_str()])?;
        Ok(true)
    }

    /// A page of at most `limit` tags that were told of a repository, behind the tag `after`; an empty one is the end.
    ///
    /// # Errors
    /// As [`beside`](Self::beside).
    pub fn tags(&self, repository: &str, after: &str, limit: usize) -> Result<Vec<JournalTag>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT tag, digest, moved_at FROM told_tags WHERE repository = ?1 AND tag > ?2 ORDER BY tag LIMIT ?3",
        )?;
        let mut rows = statement.query(params![repository, after, sql::limit(limit)])?;
        let mut tags = Vec::new();
        while let Some(row) = rows.next()? {
            tags.push(JournalTag { tag: row.get(0)?, digest: sql::digest(row, 1)?, moved_at_ms: row.get(2)? });
        }
        Ok(tags)
    }

    /// Points a tag at its manifest; false where that is not written.
    ///
    /// # Errors
    /// As [`beside`](Self::beside).
    pub fn point(&self, repository: &RepositoryName, tag: &JournalTag) -> Result<bool, Error> {
        let tx = &self.connection;
        let Some(id) = repositories::find(tx, repository)? else { return Ok(false) };
        let manifest: Option<i64> = tx
            .prepare_cached("SELECT id FROM manifests WHERE repository_id = ?1 AND digest = ?2")?
            .query_row((id, tag.digest.as_str()), |row| row.get(0))
            .optional()?;
        let Some(manifest) = manifest else { return Ok(false) };
        tx.prepare_cached("INSERT INTO tags (repository_id, name, manifest_id, moved_at) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![id, tag.tag, manifest, tag.moved_at_ms])?;
        tx.prepare_cached(
            "INSERT INTO tag_history (repository_id, tag, at, actor, previous, current) VALUES (?1, ?2, ?3, ?4, NULL, ?5)",
        )?
        .execute(params![id, tag.tag, tag.moved_at_ms, SYSTEM, tag.digest.as_str()])?;
        references::hold(tx, id, Target::Manifest(manifest))?;
        Ok(true)
    }

    /// Writes what the new database says of itself, and drops what was told.
    ///
    /// # Errors
    /// As [`beside`](Self::beside).
    pub fn finish(&self, rebuilt: &Rebuilt) -> Result<(), Error> {
        let tx = &self.connection;
        tx.prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES ('registry_id', ?1)")?
            .execute([&rebuilt.registry_id])?;
        if rebuilt.closed {
            closed::close(tx, rebuilt.at_ms)?;
        }
        let details = rebuilt.details.clone();
        audit::append(tx, Audit { details, ..Audit::by_system("snapshot_restored", rebuilt.at_ms) })?;
        Ok(tx.execute_batch("DROP TABLE told_manifests; DROP TABLE told_tags; COMMIT; VACUUM; BEGIN")?)
    }

    /// Makes the new database durable and puts it in the place of the old one, which is kept beside it; answers under
    /// which name, where there was one.
    ///
    /// # Errors
    /// Whatever the files answer: then the new one is in force, or none is.
    pub fn switch(self, now_ms: i64) -> Result<Option<PathBuf>, Error> {
        let Self { connection, file, database } = self;
        connection.execute_batch("COMMIT")?;
        connection.close().map_err(|(_, error)| error)?;
        File::open(&file.0).and_then(|file| file.sync_all()).map_err(|error| about(&file.0, &error))?;
        passed("rebuild.synced")?;
        switch::switch(&file.0, &database, now_ms)
    }
}

/// A row of `digest, media_type, pushed_at, sparse, bytes`.
fn told(row: &Row<'_>) -> Result<JournalManifest, Error> {
    Ok(JournalManifest {
        digest: sql::digest(row, 0)?,
        media_type: row.get(1)?,
        pushed_at_ms: row.get(2)?,
        sparse: row.get(3)?,
        bytes: row.get(4)?,
    })
}

fn clear(path: &Path) -> Result<(), Error> {
    ["", "-journal", "-wal", "-shm"].iter().try_for_each(|end| remove(&switch::beside(path, end)))
}

#[cfg(test)]
mod tests;
