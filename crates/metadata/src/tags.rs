//! Listing a repository's tags; never moving one.

use mcr_oci::RepositoryName;

use crate::Metadata;
use crate::error::Error;
use crate::repositories;

impl Metadata {
    /// The tags that come after `last`, sorted bytewise, at most `limit`; none if there is no such repository.
    /// `last` need not be a tag.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn tags(
        &self,
        repository: &RepositoryName,
        last: Option<&str>,
        limit: usize,
    ) -> Result<Option<Vec<String>>, Error> {
        self.readers.read(|connection| {
            let Some(repository) = repositories::find(connection, repository)? else {
                return Ok(None);
            };
            // Every tag is longer than the empty text.
            let mut statement = connection.prepare_cached(
                "SELECT name FROM tags WHERE repository_id = ?1 AND name > ?2 ORDER BY name LIMIT ?3",
            )?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let names = statement.query_map((repository, last.unwrap_or(""), limit), |row| row.get(0))?;
            Ok(Some(names.collect::<Result<_, _>>()?))
        })
    }
}

#[cfg(test)]
mod tests;
