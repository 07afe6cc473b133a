//! Reading the database beside a running server, or without one: what a scan asks; never a write, a checkpoint, a
//! migration or a transaction that lasts.

use std::path::Path;

use mcr_oci::Digest;
use rusqlite::{Connection, OptionalExtension as _, Row};

use crate::connection;
use crate::error::Error;
use crate::migrate;

/// Rows of one page of a list.
const PAGE: i64 = 1_000;

/// The database, for reading only. Every question is a short transaction of its own.
#[derive(Debug)]
pub struct ReadOnly {
    pub(crate) connection: Connection,
}

/// A manifest as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredManifest {
    /// The media type it is served with.
    pub media_type: String,
    /// Its bytes, not hashed here.
    pub bytes: Vec<u8>,
    /// Whether it was deleted, so that it is answered as 404.
    pub deleted: bool,
}

/// A blob as one repository sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoredBlob {
    /// Whether this repository has a live link to it.
    pub linked: bool,
    /// Whether its bytes are known to be damaged or gone, so that it is answered as 404.
    pub unsound: bool,
}

impl ReadOnly {
    /// Opens the database at `path`. Where no log lies beside it nobody has it open, and nothing is made beside it.
    ///
    /// # Errors
    /// `NotOurs` and `NewerSchema`; else whatever the files answer.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let connection = open(path)?;
        let found = migrate::recognise(&connection, path)?;
        if found == 0 {
            let reason = "it is empty".to_owned();
            return Err(Error::NotOurs { path: path.display().to_string(), reason });
        }
        Ok(Self { connection })
    }

    /// The registry's id, which the marker beside its blobs repeats.
    ///
    /// # Errors
    /// Whatever the database answers; so for all below.
    pub fn registry_id(&self) -> Result<Option<String>, Error> {
        let mut query = self.connection.prepare_cached("SELECT value FROM meta WHERE key = 'registry_id'")?;
        Ok(query.query_row([], |row| row.get(0)).optional()?)
    }

    /// Whether it was made again from the blobs and has had no rule since.
    ///
    /// # Errors
    /// As [`registry_id`](Self::registry_id).
    pub fn is_closed(&self) -> Result<bool, Error> {
        crate::closed::is_closed(&self.connection)
    }

    /// Whether every page and index of the database holds together. Reads all of it.
    ///
    /// # Errors
    /// As [`registry_id`](Self::registry_id).
    pub fn is_whole(&self) -> Result<bool, Error> {
        let said: String = self.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        Ok(said == "ok")
    }

    /// The live repositories, by key and name.
    ///
    /// # Errors
    /// As [`registry_id`](Self::registry_id).
    pub fn repositories(&self) -> Result<Vec<(i64, String)>, Error> {
        let mut query = self
            .connection
            .prepare_cached("SELECT id, name FROM repositories WHERE deleted_at IS NULL ORDER BY name")?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The key of the live repository of that name.
    ///
    /// # Errors
    /// As [`registry_id`](Self::registry_id).
    pub fn repository(&self, name: &str) -> Result<Option<i64>, Error> {
        let mut query =
            self.connection.prepare_cached("SELECT id FROM repositories WHERE name = ?1 AND deleted_at IS NULL")?;
        Ok(query.query_row([name], |row| row.get(0)).optional()?)
    }

    /// A page of the tags of a repository behind `after`, with the digests they lead to; an empty one is the end.
    ///
    /// # Errors
    /// As [`registry_id`](Self::registry_id).
    pub fn tags(&self, repository: i64, after: &str) -> Result<Vec<(String, Digest)>, Error> {
        let mut query = self.connection.prepare_cached(
            "SELECT tags.name, manifests.digest FROM tags JOIN manifests ON manifests.id = tags.manifest_id \
             WHERE tags.repository_id = ?1 AND tags.name > ?2 ORDER BY tags.name LIMIT ?3",
        )?;
        let rows = query.query_map((repository, after, PAGE), |row| Ok((row.get(0)?, digest(row, 1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Where one tag leads now.
    ///
    /// # Errors
    /// As [`registry_id`](Self::registry_id).
    pub fn tag(&self, repository: i64, tag: &str) -> Result<Option<Digest>, Error> {
        let mut query = self.connection.prepare_cached(
            "SELECT manifests.digest FROM tags JOIN manifests ON manifests.id = tags.manifest_id \
             WHERE tags.repository_id = ?1 AND tags.name = ?2",
        )?;
        Ok(query.query_row((repository, tag), |row| digest(row, 0)).optional()?)
    }

    /// A page of the live manifests of a repository behind the digest `after`; an empty one is the end.
    ///
    /// # Errors
    /// As [`registry_id`](Self::registry_id).
    pub fn manifests(&self, repository: i64, after: &str) -> Result<Vec<Digest>, Error> {
        let mut query = self.connection.prepare_cached(
            "SELECT digest FROM manifests WHERE repository_id = ?1 AND digest > ?2 AND deleted_at IS NULL \
             ORDER BY digest LIMIT ?3",
        )?;
        let rows = query.query_map((repository, after, PAGE), |row| digest(row, 0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A manifest, deleted or not.
    ///
    /// # Errors
    /// As [`registry_id`](Self::registry_id).
    pub fn manifest(&self, repository: i64, digest: &Digest) -> Result<Option<StoredManifest>, Error> {
        let mut query = self.connection.prepare_cached(
            "SELECT media_type, bytes, deleted_at IS NOT NULL FROM manifests \
             JOIN manifest_contents ON manifest_contents.manifest_id = manifests.id \
             WHERE repository_id = ?1 AND digest = ?2",
        )?;
        let stored = query.query_row((repository, digest.as_str()), |row| {
            Ok(StoredManifest { media_type: row.get(0)?, bytes: row.get(1)?, deleted: row.get(2)? })
        });
        Ok(stored.optional()?)
    }

    /// A blob, if there is a row of it.
    ///
    /// # Errors
    /// As [`registry_id`](Self::registry_id).
    pub fn blob(&self, repository: i64, digest: &Digest) -> Result<Option<StoredBlob>, Error> {
        let mut query = self.connection.prepare_cached(
            "SELECT blobs.state <> 'sound', EXISTS (SELECT 1 FROM repository_blobs WHERE repository_id = ?1 \
             AND blob_id = blobs.id AND deleted_at IS NULL) FROM blobs WHERE digest = ?2",
        )?;
        let stored = query.query_row((repository, digest.as_str()), |row| {
            Ok(StoredBlob { unsound: row.get(0)?, linked: row.get(1)? })
        });
        Ok(stored.optional()?)
    }

    /// Whether `child` may be absent although `parent` names it, as was decided when `parent` was pushed.
    ///
    /// # Errors
    /// As [`registry_id`](Self::registry_id).
    pub fn may_lack(&self, repository: i64, parent: &Digest, child: &Digest) -> Result<bool, Error> {
        let mut query = self.connection.prepare_cached(
            "SELECT min(edges.weak) FROM edges JOIN manifests ON manifests.id = edges.manifest_id \
             WHERE manifests.repository_id = ?1 AND manifests.digest = ?2 AND edges.digest = ?3",
        )?;
        let weak: Option<i64> = query.query_row((repository, parent.as_str(), child.as_str()), |row| row.get(0))?;
        Ok(weak == Some(1))
    }
}

/// Beside a log, as a reader of it; without one as a file that nobody changes, so that SQLite takes no lock and makes
/// no file.
fn open(path: &Path) -> Result<Connection, Error> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    if is_there(Path::new(&log))? { connection::open_reader(path) } else { connection::open_immutable(path) }
}

#[expect(clippy::disallowed_methods, reason = "the database's files have their home in this crate")]
fn is_there(path: &Path) -> Result<bool, Error> {
    std::fs::exists(path).map_err(|error| Error::Io(format!("{}: {error}", path.display())))
}

fn digest(row: &Row<'_>, column: usize) -> rusqlite::Result<Digest> {
    let text: String = row.get(column)?;
    Digest::parse(&text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

#[cfg(test)]
mod tests;
