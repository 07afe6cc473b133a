//! Reading a finished snapshot: whether it is whole, and what it refers to; never a write.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::connection;
use crate::error::Error;
use crate::judge::{HasConnection, Judge};
use crate::migrate;
use crate::{snapshot_folder, switch};

/// Complaints of SQLite that one check tells.
const COMPLAINTS: usize = 5;

/// A finished snapshot, opened for reading, without a lock and without a file beside it.
#[derive(Debug)]
pub struct Snapshot {
    pub(crate) connection: Connection,
    path: PathBuf,
    schema: i64,
}

impl Snapshot {
    /// Opens the snapshot at `path`.
    ///
    /// # Errors
    /// `NotOurs` (another program's, empty, no database at all), `NewerSchema`, `Corrupt`; else whatever the file answers.
    pub fn open(path: &Path) -> Result<Self, Error> {
        // What was committed last is in the log then, and not in what would be read here.
        let log = switch::beside(path, "-wal");
        if snapshot_folder::length_of(&log)? > 0 {
            let reason = format!(
                "{} beside it holds what was committed last, so it is no finished snapshot; `mcrsrv restore` takes both \
                 together",
                log.display()
            );
            return Err(Error::NotOurs { path: path.display().to_string(), reason });
        }
        // Temporary tables can be made on it, for judging closures.
        let connection = connection::open_immutable_to_copy(path)?;
        let schema = migrate::recognise(&connection, path)?;
        if schema == 0 {
            let reason = "it is empty".to_owned();
            return Err(Error::NotOurs { path: path.display().to_string(), reason });
        }
        Ok(Self { connection, path: path.to_owned(), schema })
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its schema, from 1.
    #[must_use]
    pub const fn schema(&self) -> i64 {
        self.schema
    }

    /// Reads every page and compares every index and every key.
    ///
    /// # Errors
    /// `Corrupt` with what is wrong; else whatever the file answers.
    pub fn check(&self) -> Result<(), Error> {
        check(&self.connection)
    }

    /// The registry it is of.
    ///
    /// # Errors
    /// Whatever the file answers; so for all below.
    pub fn registry_id(&self) -> Result<Option<String>, Error> {
        registry_id(&self.connection)
    }

    /// How many blobs it refers to.
    ///
    /// # Errors
    /// As [`registry_id`](Self::registry_id).
    pub fn blob_count(&self) -> Result<u64, Error> {
        let count: i64 = self.connection.query_row("SELECT count(*) FROM blobs", [], |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}

impl Judge for Snapshot {}

impl HasConnection for Snapshot {
    fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// The registry that a database is of.
pub(crate) fn registry_id(connection: &Connection) -> Result<Option<String>, Error> {
    let mut query = connection.prepare_cached("SELECT value FROM meta WHERE key = 'registry_id'")?;
    let mut rows = query.query([])?;
    Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
}

/// Reads every page of a database and compares every index and every key.
///
/// # Errors
/// `Corrupt` with what is wrong; else whatever the file answers.
pub(crate) fn check(connection: &Connection) -> Result<(), Error> {
    let mut statement = connection.prepare(&format!("PRAGMA integrity_check({COMPLAINTS})"))?;
    let said = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    if said != ["ok"] {
        return Err(Error::Corrupt(said.join("; ")));
    }
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    if let Some(row) = rows.next()? {
        let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
        return Err(Error::Corrupt(format!("a row of {table} names a row of {parent} that is not there")));
    }
    Ok(())
}
