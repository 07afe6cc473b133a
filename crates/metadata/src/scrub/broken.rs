//! Which tags stand above a damaged blob or manifest, so that a person learns what is broken; never the damage itself.

use mcr_oci::{Digest, RepositoryName};
use rusqlite::{Connection, params};

use crate::Metadata;
use crate::error::Error;
use crate::sql;

/// Manifests that are climbed at most: a base layer may be below everything.
pub const MAX_CLIMBED: i64 = 10_000;

/// What cannot be pulled whole because of one digest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokenBy {
    /// Tags, as repository and name, sorted.
    pub tags: Vec<(String, String)>,
    /// Whether there may be more.
    pub more: bool,
}

impl Metadata {
    /// The tags that a blob is below of, in every repository, at most `limit`.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn broken_by_blob(&self, digest: &Digest, limit: usize) -> Result<BrokenBy, Error> {
        self.readers.read(|connection| {
            let begin = "SELECT e.repository_id, e.manifest_id
                 FROM blobs b
                 CROSS JOIN repository_blobs l ON l.blob_id = b.id
                 CROSS JOIN edges e ON e.repository_id = l.repository_id AND e.target_blob = b.id
                 WHERE b.digest = ?1 AND ?4 IS NULL";
            climb(connection, begin, digest, None, limit)
        })
    }

    /// The tags at and above a manifest of a repository, at most `limit`.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn broken_by_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        limit: usize,
    ) -> Result<BrokenBy, Error> {
        self.readers.read(|connection| {
            let begin = "SELECT m.repository_id, m.id
                 FROM repositories r
                 CROSS JOIN manifests m ON m.repository_id = r.id
                 WHERE m.digest = ?1 AND r.name = ?4";
            climb(connection, begin, digest, Some(repository.as_str()), limit)
        })
    }
}

fn climb(
    connection: &Connection,
    begin: &str,
    digest: &Digest,
    repository: Option<&str>,
    limit: usize,
) -> Result<BrokenBy, Error> {
    let mut statement = connection.prepare_cached(&format!(
        "WITH RECURSIVE above (repository_id, id) AS (
             {begin}
             UNION
             SELECT e.repository_id, e.manifest_id
             FROM above CROSS JOIN edges e ON e.repository_id = above.repository_id AND e.target_manifest = above.id
             LIMIT ?3
         )
         SELECT r.name, t.name
         FROM above
         CROSS JOIN manifests m ON m.id = above.id
         CROSS JOIN tags t ON t.repository_id = above.repository_id AND t.manifest_id = above.id
         CROSS JOIN repositories r ON r.id = above.repository_id
         WHERE m.deleted_at IS NULL AND r.deleted_at IS NULL
         LIMIT ?2"
    ))?;
    let asked = params![digest.as_str(), sql::limit(limit.saturating_add(1)), MAX_CLIMBED, repository];
    let rows = statement.query_map(asked, |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut tags = rows.collect::<Result<Vec<(String, String)>, _>>()?;
    let more = tags.len() > limit;
    tags.truncate(limit);
    tags.sort();
    Ok(BrokenBy { tags, more })
}
