//! Repositories by name: found, made, brought back; never what is in them.

use mcr_oci::RepositoryName;
use rusqlite::{Connection, OptionalExtension as _};

use crate::error::Error;

/// The live repository of that name.
pub(crate) fn find(connection: &Connection, name: &RepositoryName) -> Result<Option<i64>, Error> {
    let id = connection
        .prepare_cached("SELECT id FROM repositories WHERE name = ?1 AND deleted_at IS NULL")?
        .query_row([name.as_str()], |row| row.get(0))
        .optional()?;
    Ok(id)
}

/// The repository of that name, made or brought back where it is not live.
pub(crate) fn find_or_make(tx: &Connection, name: &RepositoryName, at_ms: i64) -> Result<i64, Error> {
    if let Some(id) = find(tx, name)? {
        return Ok(id);
    }
    let id = tx
        .prepare_cached(
            "INSERT INTO repositories (name, created_at) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET deleted_at = NULL
             RETURNING id",
        )?
        .query_row((name.as_str(), at_ms), |row| row.get(0))?;
    Ok(id)
}
