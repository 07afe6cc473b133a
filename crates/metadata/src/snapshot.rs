//! Taking a snapshot: one view of the database as a file that needs no other, checked and synced; never of blobs.
//!
//! `VACUUM INTO` and not SQLite's backup: it reads in one transaction however much is written meanwhile (a backup
//! begins anew after each write of another process), and its copy has no log beside it and no free pages.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::connection;
use crate::error::Error;
use crate::migrate;
use crate::snapshot_folder::{self, SnapshotFile, SnapshotFolder};
use crate::snapshot_read::Snapshot;

/// A snapshot that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenSnapshot {
    /// Its file.
    pub file: SnapshotFile,
    /// The schema it has.
    pub schema: i64,
    /// The blobs it refers to.
    pub blobs: u64,
}

/// Takes a snapshot of the database at `database` into `folder`, also beside the process that owns it, and checks the copy.
///
/// Blocks for as long as it takes to read the database twice. Writers go on; the write-ahead log grows meanwhile.
///
/// # Errors
/// `NotOurs`, `NewerSchema`, `Corrupt` where the database or the copy is damaged; else whatever the files answer. Nothing
/// is left behind then.
pub fn take_snapshot(database: &Path, folder: &SnapshotFolder, now_ms: i64) -> Result<TakenSnapshot, Error> {
    if !snapshot_folder::is_there(database)? {
        return Err(Error::Io(format!("{}: there is no database to take a snapshot of", database.display())));
    }
    // Before the view of the database begins: see `SnapshotFolder`.
    let unfinished = folder.begin(now_ms)?;
    let copy = unfinished.path();
    let source = open_source(database)?;
    if migrate::recognise(&source, database)? == 0 {
        let reason = "it is empty".to_owned();
        return Err(Error::NotOurs { path: database.display().to_string(), reason });
    }
    let Some(into) = copy.to_str() else {
        return Err(Error::Io(format!("{}: the path is not UTF-8", copy.display())));
    };
    source.execute("VACUUM INTO ?1", [into])?;
    drop(source);
    let snapshot = Snapshot::open(&copy)?;
    snapshot.check()?;
    let (schema, blobs) = (snapshot.schema(), snapshot.blob_count()?);
    drop(snapshot);
    Ok(TakenSnapshot { file: unfinished.finish()?, schema, blobs })
}

/// Beside a log as a reader of it, else as a file that nobody changes; without `query_only`, which would refuse the copy.
fn open_source(path: &Path) -> Result<Connection, Error> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    if !snapshot_folder::is_there(Path::new(&log))? {
        return connection::open_immutable_to_copy(path);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(connection::BUSY_TIMEOUT)?;
    Ok(connection)
}

#[cfg(test)]
mod tests;
