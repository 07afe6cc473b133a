//! Listing what refers to a digest; never whether that digest is here.

use std::collections::BTreeMap;

use mcr_oci::{Digest, RepositoryName};
use rusqlite::{Row, params};

use crate::Metadata;
use crate::error::Error;
use crate::repositories;
use crate::rows::ReferrerRow;
use crate::sql;

impl Metadata {
    /// The live manifests of the repository whose subject is `subject`, sorted by digest, those after `last`, at
    /// most `limit`; of one artifact type where one is given. Empty for a repository that does not exist.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&str>,
        last: Option<&Digest>,
        limit: usize,
    ) -> Result<Vec<ReferrerRow>, Error> {
        self.readers.read(|connection| {
            let Some(repository) = repositories::find(connection, repository)? else {
                return Ok(Vec::new());
            };
            let mut statement = connection.prepare_cached(
                "SELECT m.digest, m.media_type, m.size, m.artifact_type, c.annotations
                 FROM manifests m CROSS JOIN manifest_contents c ON c.manifest_id = m.id
                 WHERE m.repository_id = ?1 AND m.subject = ?2 AND m.digest > ?3 AND m.deleted_at IS NULL
                   AND (?4 IS NULL OR m.artifact_type = ?4)
                 ORDER BY m.digest LIMIT ?5",
            )?;
            let rows = statement.query_and_then(
                params![
                    repository,
                    subject.as_str(),
                    last.map_or("", Digest::as_str),
                    artifact_type,
                    i64::try_from(limit).unwrap_or(i64::MAX)
                ],
                referrer,
            )?;
            rows.collect()
        })
    }
}

fn referrer(row: &Row<'_>) -> Result<ReferrerRow, Error> {
    let annotations: Option<String> = row.get(4)?;
    let annotations = match annotations {
        Some(text) => serde_json::from_str(&text).map_err(|_| Error::invalid("annotations", &text))?,
        None => BTreeMap::new(),
    };
    Ok(ReferrerRow {
        digest: sql::digest(row, 0)?,
        media_type: row.get(1)?,
        size: sql::unsigned(row, 2)?,
        artifact_type: row.get(3)?,
        annotations,
    })
}

#[cfg(test)]
mod tests;
