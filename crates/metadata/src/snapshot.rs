//! Taking a snapshot: one view of the database as a file that needs no other, checked and synced; never of blobs.
//!
//! `VACUUM INTO` and not SQLite's backup: it reads in one transaction however much is written meanwhile (a backup
//! begins anew after each write of another process), and its copy has no log beside it and no free pages.

#![expect(clippy::disallowed_methods, reason = "the database's files, and copies of it, have their home in this crate")]

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::connection;
use crate::error::Error;
use crate::migrate;
use crate::snapshot_folder::{self, SnapshotFile, SnapshotFolder, Unfinished};
use crate::snapshot_read::Snapshot;
use crate::switch;

/// How often a copy is made again that may mix two moments.
const TRIES: usize = 5;

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
    copy_out(database, &unfinished, &mut || {})?;
    let snapshot = Snapshot::open(&copy)?;
    snapshot.check()?;
    let (schema, blobs) = (snapshot.schema(), snapshot.blob_count()?);
    drop(snapshot);
    Ok(TakenSnapshot { file: unfinished.finish()?, schema, blobs })
}

/// Copies one moment of the database into the file of a snapshot; `copied` is called after each try.
///
/// A database without a log beside it is read as a file that nobody changes, without a lock. Where somebody began to
/// change it meanwhile (a server was started on what a restore had just put in place), the copy may mix two moments and
/// is made again.
fn copy_out(database: &Path, unfinished: &Unfinished, copied: &mut dyn FnMut()) -> Result<(), Error> {
    for _ in 0..TRIES {
        switch::refuse_unfinished(database)?;
        let before = stat(database)?;
        let is_logged = has_log(database)?;
        let done = copy_once(database, is_logged, unfinished);
        copied();
        if is_logged || (!has_log(database)? && stat(database)? == before) {
            return done;
        }
        unfinished.empty()?;
    }
    Err(Error::Busy("the database was put in place or opened while it was read; try again".to_owned()))
}

fn copy_once(database: &Path, is_logged: bool, unfinished: &Unfinished) -> Result<(), Error> {
    let source = if is_logged { open_beside_log(database)? } else { connection::open_immutable_to_copy(database)? };
    if migrate::recognise(&source, database)? == 0 {
        let reason = "it is empty".to_owned();
        return Err(Error::NotOurs { path: database.display().to_string(), reason });
    }
    let copy = unfinished.path();
    let Some(into) = copy.to_str() else {
        return Err(Error::Io(format!("{}: the path is not UTF-8", copy.display())));
    };
    source.execute("VACUUM INTO ?1", [into])?;
    Ok(())
}

fn has_log(database: &Path) -> Result<bool, Error> {
    snapshot_folder::is_there(&switch::beside(database, "-wal"))
}

/// What tells whether a file was changed or replaced.
fn stat(path: &Path) -> Result<(u64, u64, i64, i64, i64, i64), Error> {
    let found = fs::metadata(path).map_err(|error| snapshot_folder::about(path, &error))?;
    Ok((found.ino(), found.len(), found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()))
}

/// As a reader of the log; without `query_only`, which would refuse the copy.
fn open_beside_log(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(connection::BUSY_TIMEOUT)?;
    Ok(connection)
}

#[cfg(test)]
mod tests;
