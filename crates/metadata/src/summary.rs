//! Counts over everything, and what the database says about itself; never a row of content.

use rusqlite::{Connection, OptionalExtension as _};

use crate::Metadata;
use crate::error::Error;
use crate::findings;
use crate::job::{Done, Write, job};
use crate::probe_list;
use crate::rows::Summary;
use crate::sql;

/// The key of the registry's id in `meta`.
const REGISTRY_ID: &str = "registry_id";

impl Metadata {
    /// Counts over all repositories. It reads every blob row: for a scrape that is seconds apart, not for requests.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn summary(&self) -> Result<Summary, Error> {
        self.readers.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT (SELECT count(DISTINCT repository_id) FROM manifests WHERE deleted_at IS NULL),
                        (SELECT count(*) FROM tags),
                        (SELECT count(*) FROM manifests WHERE deleted_at IS NULL),
                        count(*), coalesce(sum(size), 0), count(*) FILTER (WHERE state = 'quarantined'),
                        (SELECT count(*) FROM findings WHERE closed_at IS NULL)
                 FROM blobs",
            )?;
            let mut rows = statement.query([])?;
            let Some(row) = rows.next()? else {
                return Ok(Summary::default());
            };
            Ok(Summary {
                repositories: sql::unsigned(row, 0)?,
                tags: sql::unsigned(row, 1)?,
                manifests: sql::unsigned(row, 2)?,
                blobs: sql::unsigned(row, 3)?,
                blob_bytes: sql::unsigned(row, 4)?,
                quarantined: sql::unsigned(row, 5)?,
                open_findings: sql::unsigned(row, 6)?,
                findings_by_kind: findings::open_by_kind(connection)?,
                probe: probe_list::last_complete(connection)?,
            })
        })
    }

    /// The registry's id, which the marker beside the blobs repeats; none in a database that has none yet.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn registry_id(&self) -> Result<Option<String>, Error> {
        self.readers.read(|connection| {
            let id = connection
                .prepare_cached("SELECT value FROM meta WHERE key = ?1")?
                .query_row([REGISTRY_ID], |row| row.get(0))
                .optional()?;
            Ok(id)
        })
    }

    /// Gives the database the registry's id. Waits until it is durable: for the start of the program.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn set_registry_id(&self, id: &str) -> Result<(), Error> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let done: Done<()> = Box::new(move |answer| {
            // The receiver waits below until this has been called.
            let _ = sender.send(answer);
        });
        self.submit(job(SetRegistryId(id.to_owned()), done));
        receiver.recv().unwrap_or(Err(Error::Closed))
    }
}

struct SetRegistryId(String);

impl Write for SetRegistryId {
    type Answer = ();

    fn apply(&self, tx: &Connection) -> Result<(), Error> {
        tx.prepare_cached(
            "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )?
        .execute([REGISTRY_ID, &self.0])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
