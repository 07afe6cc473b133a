//! Looking blobs up, in a repository or anywhere; never how one comes to be or goes.

use mcr_oci::{Digest, RepositoryName};
use rusqlite::{Connection, OptionalExtension as _, Row};

use crate::Metadata;
use crate::error::Error;
use crate::findings;
use crate::references;
use crate::repositories;
use crate::rows::{BlobRow, BlobState, Lookup, RecordedStat};
use crate::sql;

impl Metadata {
    /// A blob that the repository holds a live link to.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<Lookup<BlobRow>, Error> {
        self.readers.read(|connection| {
            let Some(repository) = repositories::find(connection, repository)? else {
                return Ok(Lookup::NoRepository);
            };
            Ok(linked(connection, repository, digest)?.map_or(Lookup::NotFound, Lookup::Found))
        })
    }

    /// A blob whose file the registry keeps, for whichever repository; `referenced` and `unreferenced_since_ms`
    /// are about no repository and say nothing.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn blob_anywhere(&self, digest: &Digest) -> Result<Option<BlobRow>, Error> {
        self.readers.read(|connection| {
            let found = connection
                .prepare_cached(
                    "SELECT id, digest, size, inode, mtime_ns, ctime_ns, hashed_at, state,
                            scrub_requested_at IS NOT NULL, NULL
                     FROM blobs WHERE digest = ?1",
                )?
                .query_row([digest.as_str()], |row| Ok(blob_row(connection, row)))
                .optional()?;
            Ok(found.transpose()?.map(|(_, blob)| blob))
        })
    }

    /// Repositories that hold a live link to a blob, at most `limit`.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn holders_of_blob(&self, digest: &Digest, limit: usize) -> Result<Vec<RepositoryName>, Error> {
        self.readers.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT r.name
                 FROM blobs b
                 CROSS JOIN repository_blobs l ON l.blob_id = b.id
                 CROSS JOIN repositories r ON r.id = l.repository_id
                 WHERE b.digest = ?1 AND l.deleted_at IS NULL AND r.deleted_at IS NULL
                 LIMIT ?2",
            )?;
            let mut rows = statement.query((digest.as_str(), sql::limit(limit)))?;
            let mut names = Vec::new();
            while let Some(row) = rows.next()? {
                let name = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
                names.push(RepositoryName::parse(name).map_err(|_| Error::invalid("a repository's name", name))?);
            }
            Ok(names)
        })
    }

    /// Whether any blob has ever been recorded and not been collected.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn has_blobs(&self) -> Result<bool, Error> {
        self.readers.read(|connection| Ok(connection.prepare_cached("SELECT 1 FROM blobs")?.exists([])?))
    }
}

/// The blob of that digest, if the repository holds a live link to it.
pub(crate) fn linked(connection: &Connection, repository: i64, digest: &Digest) -> Result<Option<BlobRow>, Error> {
    let found = connection
        .prepare_cached(
            "SELECT b.id, b.digest, b.size, b.inode, b.mtime_ns, b.ctime_ns, b.hashed_at, b.state,
                    b.scrub_requested_at IS NOT NULL, l.unreferenced_since
             FROM blobs b CROSS JOIN repository_blobs l ON l.repository_id = ?1 AND l.blob_id = b.id
             WHERE b.digest = ?2 AND l.deleted_at IS NULL",
        )?
        .query_row((repository, digest.as_str()), |row| Ok(blob_row(connection, row)))
        .optional()?;
    let Some((id, mut blob)) = found.transpose()? else {
        return Ok(None);
    };
    blob.referenced = references::blob_is_named(connection, repository, id)?;
    Ok(Some(blob))
}

/// A row of `id, digest, size, inode, mtime_ns, ctime_ns, hashed_at, state, scrub requested, unreferenced_since`.
pub(crate) fn blob_row(connection: &Connection, row: &Row<'_>) -> Result<(i64, BlobRow), Error> {
    let digest = sql::digest(row, 1)?;
    let size = sql::unsigned(row, 2)?;
    let inode: i64 = row.get(3)?;
    let state = row.get_ref(7)?.as_str().map_err(rusqlite::Error::from)?;
    let state = BlobState::parse(state).ok_or_else(|| Error::invalid("a blob's state", state))?;
    let finding = match state {
        BlobState::Sound => None,
        BlobState::Quarantined | BlobState::Missing => findings::about_blob(connection, &digest)?,
    };
    let damage = finding.as_ref().map(|finding| finding.kind);
    let detail = finding.and_then(|finding| finding.detail);
    let blob = BlobRow {
        digest,
        size,
        stat: RecordedStat { inode: inode.cast_unsigned(), size, mtime_ns: row.get(4)?, ctime_ns: row.get(5)? },
        hashed_at_ms: row.get(6)?,
        state,
        scrub_requested: row.get(8)?,
        referenced: false,
        unreferenced_since_ms: row.get(9)?,
        damage,
        detail,
    };
    Ok((row.get(0)?, blob))
}
