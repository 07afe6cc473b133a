//! One database file in the place of another, so that a kill at any moment leaves the one or the other; never its content.
//!
//! The old log must not outlive the old file (SQLite would apply it to the new one), and what is in it must not be lost
//! before. So it is copied into the old file first. Where that cannot be done because the old database is damaged, old
//! file and log are kept as a pair under another name, and what stands in their place for a moment is no worse.

#![expect(clippy::disallowed_methods, reason = "the database's files have their home in this crate")]

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, FileControl, MAIN_DB, OpenFlags};

use crate::connection;
use crate::error::Error;
use crate::snapshot_folder::{about, is_there, passed, remove, sync_directory};
use crate::snapshot_name;

/// Between a database's name and the moment until which it was in force.
const KEPT: &str = ".before-restore-";

/// Names that are tried for what is kept.
const TRIES: i64 = 100;

/// `path` with `end` behind its name.
pub(crate) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(end);
    text.into()
}

/// Puts `staged`, which is whole and synced, in the place of `database`; answers where the old one is kept.
///
/// # Errors
/// `Busy` where somebody reads the old one; whatever the files answer.
pub(crate) fn switch(staged: &Path, database: &Path, now_ms: i64) -> Result<Option<PathBuf>, Error> {
    let directory = database.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut kept = None;
    if is_there(database)? {
        forget_unfinished(database, directory)?;
        let whole = fold_log(database)?;
        passed("restore.folded")?;
        kept = Some(keep(database, whole, now_ms)?);
        sync_directory(directory)?;
        passed("restore.kept")?;
    }
    for end in ["-wal", "-shm", "-journal"] {
        remove(&beside(database, end))?;
    }
    sync_directory(directory)?;
    passed("restore.log_removed")?;
    fs::rename(staged, database).map_err(|error| about(database, &error))?;
    passed("restore.renamed")?;
    sync_directory(directory)?;
    passed("restore.switched")?;
    Ok(kept)
}

/// Copies the log into the old database; says whether that worked, so that the file alone is the whole of it.
fn fold_log(database: &Path) -> Result<bool, Error> {
    // SQLite removes the log beside a file that it takes for empty.
    if !begins_as_database(database)? {
        return Ok(false);
    }
    match try_fold(database) {
        Ok(()) => Ok(true),
        // Somebody reads it, or there is no space: nothing is wrong with it.
        Err(error @ (Error::Busy(_) | Error::DiskFull(_) | Error::ReadOnly(_))) => Err(error),
        Err(_) => Ok(false),
    }
}

/// Whether a file begins as SQLite's do. An I/O error here is damage: the file is kept as it is.
fn begins_as_database(path: &Path) -> Result<bool, Error> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) => return Err(about(path, &error)),
    };
    let mut head = [0; 512];
    Ok(file.read_exact(&mut head).is_ok() && head.starts_with(b"SQLite format 3\0"))
}

fn try_fold(database: &Path) -> Result<(), Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags)?;
    connection.busy_timeout(connection::BUSY_TIMEOUT)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    // Reading it brings a log that was left behind to be looked at.
    let _: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy != 0 {
        return Err(Error::Busy("a snapshot or a scan reads it; wait until that has ended".to_owned()));
    }
    connection.file_control(Some(MAIN_DB), FileControl::PersistWal(&mut 0))?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(())
}

/// Gives the old database a second name, durably; with its log where that could not be folded.
fn keep(database: &Path, whole: bool, now_ms: i64) -> Result<PathBuf, Error> {
    let kept = free_name(database, now_ms)?;
    if !whole && is_there(&beside(database, "-wal"))? {
        copy(&beside(database, "-wal"), &beside(&kept, "-wal"))?;
    }
    // The name in force is about to lead to another file; this one then has a single name again.
    if fs::hard_link(database, &kept).is_err() {
        copy(database, &kept)?;
    }
    Ok(kept)
}

fn free_name(database: &Path, now_ms: i64) -> Result<PathBuf, Error> {
    for attempt in 0..TRIES {
        let stamp = snapshot_name::stamp(now_ms.saturating_add(attempt * 1000));
        let kept = beside(database, &format!("{KEPT}{stamp}"));
        if !is_there(&kept)? {
            return Ok(kept);
        }
    }
    Err(Error::Io(format!("{}: too many databases of earlier restores lie beside it; remove some", database.display())))
}

/// Removes the second name that a restore which was killed gave to the database in force.
fn forget_unfinished(database: &Path, directory: &Path) -> Result<(), Error> {
    let inode = |path: &Path| fs::symlink_metadata(path).map(|stat| (stat.dev(), stat.ino()));
    let current = inode(database).map_err(|error| about(database, &error))?;
    let name = database.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for entry in fs::read_dir(directory).map_err(|error| about(directory, &error))? {
        let entry = entry.map_err(|error| about(directory, &error))?;
        let kept = entry.file_name().to_string_lossy().starts_with(&format!("{name}{KEPT}"));
        if kept && inode(&entry.path()).is_ok_and(|found| found == current) {
            remove(&entry.path())?;
            remove(&beside(&entry.path(), "-wal"))?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let failed = |error: &io::Error| about(to, error);
    remove(to)?;
    fs::copy(from, to).map_err(|error| failed(&error))?;
    File::open(to).and_then(|file| file.sync_all()).map_err(|error| failed(&error))
}
