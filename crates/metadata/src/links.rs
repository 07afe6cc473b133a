//! How a repository comes to hold a blob: by upload or by mount, and what both lift and fill; never the file.

use mcr_oci::{Digest, RepositoryName};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::{Value, json};

use crate::Metadata;
use crate::audit::About;
use crate::edges;
use crate::error::Error;
use crate::findings;
use crate::job::{Done, Write, job};
use crate::references::{self, Target};
use crate::repositories;
use crate::requests::{MountBlob, RecordBlob, RecordedBlob};
use crate::rows::RecordedStat;
use crate::sql;

impl Metadata {
    /// Records a blob whose file is in place, verified and synced, and links it. Heals one that was damaged.
    pub fn record_blob(&self, request: RecordBlob, done: Done<RecordedBlob>) {
        self.submit(job(request, done));
    }

    /// Links a sound blob that another repository holds a live link to. `done` learns whether there was one.
    pub fn mount_blob(&self, request: MountBlob, done: Done<bool>) {
        self.submit(job(request, done));
    }
}

impl Write for RecordBlob {
    type Answer = RecordedBlob;

    fn apply(&self, tx: &Connection) -> Result<RecordedBlob, Error> {
        let before: Option<bool> = tx
            .prepare_cached("SELECT state <> 'sound' FROM blobs WHERE digest = ?1")?
            .query_row([self.digest.as_str()], |row| row.get(0))
            .optional()?;
        let healed = before == Some(true);
        let bytes = Bytes {
            digest: &self.digest,
            size: self.size,
            stat: &self.stat,
            hashed_at_ms: self.hashed_at_ms,
            at_ms: self.at_ms,
        };
        let blob = upsert(tx, &bytes)?;
        if healed {
            findings::close_blob(tx, &self.digest, self.at_ms)?;
        }
        let repository = repositories::find_or_make(tx, &self.repository, self.at_ms)?;
        link(tx, repository, blob, &self.digest, self.size, self.at_ms)?;
        let told = About { repository: &self.repository, digest: &self.digest, actor: &self.actor, at_ms: self.at_ms };
        told.tell(tx, "blob_uploaded", json!({ "size": self.size }))?;
        if healed {
            told.tell(tx, "blob_healed", Value::Null)?;
        }
        Ok(RecordedBlob { healed })
    }
}

/// What is booked of a blob's file.
pub(crate) struct Bytes<'a> {
    pub(crate) digest: &'a Digest,
    pub(crate) size: u64,
    pub(crate) stat: &'a RecordedStat,
    pub(crate) hashed_at_ms: i64,
    pub(crate) at_ms: i64,
}

/// Books a blob that is sound; answers its row.
pub(crate) fn upsert(tx: &Connection, blob: &Bytes<'_>) -> Result<i64, Error> {
    let id = tx
        .prepare_cached(
            "INSERT INTO blobs (digest, size, state, state_since, inode, mtime_ns, ctime_ns, hashed_at, created_at)
             VALUES (?1, ?2, 'sound', ?7, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (digest) DO UPDATE
             SET size = excluded.size, inode = excluded.inode, mtime_ns = excluded.mtime_ns,
                 ctime_ns = excluded.ctime_ns, hashed_at = excluded.hashed_at, scrub_requested_at = NULL,
                 state_since = iif(state = 'sound', state_since, excluded.state_since), state = 'sound'
             RETURNING id",
        )?
        .query_row(
            params![
                blob.digest.as_str(),
                sql::size(blob.size),
                blob.stat.inode.cast_signed(),
                blob.stat.mtime_ns,
                blob.stat.ctime_ns,
                blob.hashed_at_ms,
                blob.at_ms
            ],
            |row| row.get(0),
        )?;
    Ok(id)
}

impl Write for MountBlob {
    type Answer = bool;

    fn apply(&self, tx: &Connection) -> Result<bool, Error> {
        let from = match &self.from {
            None => None,
            Some(name) => match repositories::find(tx, name)? {
                None => return Ok(false),
                found => found,
            },
        };
        let Some((blob, size)) = mountable(tx, &self.digest, from)? else {
            return Ok(false);
        };
        let repository = repositories::find_or_make(tx, &self.to, self.at_ms)?;
        link(tx, repository, blob, &self.digest, size, self.at_ms)?;
        let told = About { repository: &self.to, digest: &self.digest, actor: &self.actor, at_ms: self.at_ms };
        let from = self.from.as_ref().map(RepositoryName::as_str);
        told.tell(tx, "blob_uploaded", json!({ "size": size, "mounted": true, "from": from }))?;
        Ok(true)
    }
}

/// A sound blob with a live link in `from`, or in any live repository.
fn mountable(tx: &Connection, digest: &Digest, from: Option<i64>) -> Result<Option<(i64, u64)>, Error> {
    let found: Option<(i64, i64)> = tx
        .prepare_cached(
            "SELECT b.id, b.size
             FROM blobs b
             CROSS JOIN repository_blobs l ON l.blob_id = b.id
             CROSS JOIN repositories r ON r.id = l.repository_id
             WHERE b.digest = ?1 AND b.state = 'sound' AND l.deleted_at IS NULL AND r.deleted_at IS NULL
               AND (?2 IS NULL OR l.repository_id = ?2)
             LIMIT 1",
        )?
        .query_row(params![digest.as_str(), from], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(found.map(|(id, size)| (id, u64::try_from(size).unwrap_or(0))))
}

/// Makes the repository hold the blob, lifting a tombstone, and leads to it the edges that waited for it.
pub(crate) fn link(
    tx: &Connection,
    repository: i64,
    blob: i64,
    digest: &Digest,
    size: u64,
    at_ms: i64,
) -> Result<(), Error> {
    tx.prepare_cached(
        "INSERT INTO repository_blobs (repository_id, blob_id, linked_at, unreferenced_since) VALUES (?1, ?2, ?3, ?3)
         ON CONFLICT (repository_id, blob_id) DO UPDATE
         SET deleted_at = NULL, run_id = NULL, unreferenced_since = max(unreferenced_since, excluded.linked_at)",
    )?
    .execute([repository, blob, at_ms])?;
    edges::fill(tx, repository, digest, Target::Blob(blob), size)?;
    if references::blob_is_named(tx, repository, blob)? {
        references::hold(tx, repository, Target::Blob(blob))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
