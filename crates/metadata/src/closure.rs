//! Everything live that some digests reach in a repository, in one read: what the verifier walks; never its verdict.

use std::collections::{HashSet, VecDeque};

use mcr_oci::{Digest, RepositoryName};
use rusqlite::{Connection, OptionalExtension as _, Row};

use crate::Metadata;
use crate::blobs;
use crate::error::Error;
use crate::repositories;
use crate::revive::any_repository;
use crate::rows::{ClosureManifest, ClosureRows};
use crate::sql;

/// Manifests that one closure may hold.
pub const MAX_CLOSURE_MANIFESTS: usize = 20_000;

/// Bytes of manifests that one closure may hold. Edges and blobs are bounded by it too: each is written out there.
pub const MAX_CLOSURE_BYTES: u64 = 64 * 1024 * 1024;

impl Metadata {
    /// Everything live that `digests` and their edges reach in the repository, each once. What is not there is not
    /// in the answer; a repository that does not exist holds nothing.
    ///
    /// # Errors
    /// `ClosureTooLarge`, and whatever the files answer.
    pub fn closure(&self, repository: &RepositoryName, digests: &[Digest]) -> Result<ClosureRows, Error> {
        self.readers.read(|connection| {
            let mut walk = Walk::default();
            if let Some(repository) = repositories::find(connection, repository)? {
                walk.roots(connection, repository, digests)?;
                walk.rest(connection, repository)?;
            }
            Ok(walk.rows)
        })
    }

    /// The same with tombstones, and in a deleted repository too: what there would be if they were lifted.
    ///
    /// # Errors
    /// `ClosureTooLarge`, and whatever the files answer.
    pub fn closure_with_tombstones(
        &self,
        repository: &RepositoryName,
        digests: &[Digest],
    ) -> Result<ClosureRows, Error> {
        self.readers.read(|connection| {
            let mut walk = Walk { tombstones: true, ..Walk::default() };
            if let Some(repository) = any_repository(connection, repository)? {
                walk.roots(connection, repository, digests)?;
                walk.rest(connection, repository)?;
            }
            Ok(walk.rows)
        })
    }
}

/// A breadth-first walk: a manifest is read when it is met, its edges when its turn comes.
#[derive(Default)]
struct Walk {
    rows: ClosureRows,
    queue: VecDeque<i64>,
    manifests: HashSet<i64>,
    blobs: HashSet<i64>,
    bytes: u64,
    /// Whether tombstones are met as if they were live.
    tombstones: bool,
}

impl Walk {
    fn roots(&mut self, connection: &Connection, repository: i64, digests: &[Digest]) -> Result<(), Error> {
        for digest in digests {
            if self.rows.manifests.contains_key(digest) || self.rows.blobs.contains_key(digest) {
                continue;
            }
            let manifest = connection
                .prepare_cached(
                    "SELECT m.id, m.digest, m.media_type, m.size, m.state = 'corrupt', c.bytes
                     FROM manifests m CROSS JOIN manifest_contents c ON c.manifest_id = m.id
                     WHERE m.repository_id = ?1 AND m.digest = ?2 AND (m.deleted_at IS NULL OR ?3)",
                )?
                .query_row((repository, digest.as_str(), self.tombstones), |row| Ok(manifest(row)))
                .optional()?;
            if let Some((id, manifest)) = manifest.transpose()? {
                self.manifests.insert(id);
                self.meet(id, manifest)?;
            }
            // The same digest may be a blob as well.
            if let Some(blob) = blobs::linked(connection, repository, digest)? {
                self.rows.blobs.insert(digest.clone(), blob);
            }
        }
        Ok(())
    }

    fn rest(&mut self, connection: &Connection, repository: i64) -> Result<(), Error> {
        while let Some(id) = self.queue.pop_front() {
            self.children(connection, id)?;
            self.blobs(connection, repository, id)?;
        }
        Ok(())
    }

    fn children(&mut self, connection: &Connection, parent: i64) -> Result<(), Error> {
        let mut statement = connection.prepare_cached(
            "SELECT m.id, m.digest, m.media_type, m.size, m.state = 'corrupt', c.bytes
             FROM edges e
             CROSS JOIN manifests m ON m.id = e.target_manifest
             CROSS JOIN manifest_contents c ON c.manifest_id = m.id
             WHERE e.manifest_id = ?1 AND (m.deleted_at IS NULL OR ?2)
             ORDER BY e.position",
        )?;
        let mut rows = statement.query((parent, self.tombstones))?;
        while let Some(row) = rows.next()? {
            if self.manifests.insert(row.get(0)?) {
                let (id, manifest) = manifest(row)?;
                self.meet(id, manifest)?;
            }
        }
        Ok(())
    }

    fn blobs(&mut self, connection: &Connection, repository: i64, parent: i64) -> Result<(), Error> {
        let mut statement = connection.prepare_cached(
            "SELECT b.id, b.digest, b.size, b.inode, b.mtime_ns, b.ctime_ns, b.hashed_at, b.state,
                    b.scrub_requested_at IS NOT NULL, l.unreferenced_since
             FROM edges e
             CROSS JOIN repository_blobs l ON l.repository_id = ?2 AND l.blob_id = e.target_blob
             CROSS JOIN blobs b ON b.id = e.target_blob
             WHERE e.manifest_id = ?1 AND (l.deleted_at IS NULL OR ?3)",
        )?;
        let mut rows = statement.query((parent, repository, self.tombstones))?;
        while let Some(row) = rows.next()? {
            if self.blobs.insert(row.get(0)?) {
                let (_, mut blob) = blobs::blob_row(connection, row)?;
                // The manifest that led here is live.
                blob.referenced = true;
                self.rows.blobs.insert(blob.digest.clone(), blob);
            }
        }
        Ok(())
    }

    fn meet(&mut self, id: i64, manifest: ClosureManifest) -> Result<(), Error> {
        self.bytes = self.bytes.saturating_add(manifest.size);
        if self.rows.manifests.len() >= MAX_CLOSURE_MANIFESTS {
            return Err(Error::ClosureTooLarge(format!("{MAX_CLOSURE_MANIFESTS} manifests")));
        }
        if self.bytes > MAX_CLOSURE_BYTES {
            return Err(Error::ClosureTooLarge(format!("{MAX_CLOSURE_BYTES} bytes of manifests")));
        }
        self.rows.manifests.insert(manifest.digest.clone(), manifest);
        self.queue.push_back(id);
        Ok(())
    }
}

fn manifest(row: &Row<'_>) -> Result<(i64, ClosureManifest), Error> {
    let manifest = ClosureManifest {
        digest: sql::digest(row, 1)?,
        media_type: row.get(2)?,
        size: sql::unsigned(row, 3)?,
        corrupt: row.get(4)?,
        bytes: row.get(5)?,
    };
    Ok((row.get(0)?, manifest))
}

#[cfg(test)]
mod tests;
