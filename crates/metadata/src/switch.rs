//! One database file in the place of another, so that a kill at any moment leaves the one or the other; never its content.
//!
//! The old log must not outlive the old file (SQLite would apply it to the new one), and what is in it must not be lost
//! before. So it is copied into the old file first. Where that cannot be done because the old database is damaged, old
//! file and log are kept as a pair under another name before the log goes. Whoever finds the old file in force without
//! its log then (a restore was killed in that moment) gives it its log back: a start, and the next restore.

#![expect(clippy::disallowed_methods, reason = "the database's files have their home in this crate")]

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, FileControl, MAIN_DB, OpenFlags};

use crate::connection;
use crate::error::Error;
use crate::snapshot_folder::{about, is_there, passed, remove, same_bytes, sync_directory};
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
    let directory = directory_of(database);
    let mut kept = None;
    undo_unfinished(database)?;
    if is_there(database)? {
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
    let folded = match try_fold(database) {
        // A disk that failed once may do better the next time; damage does not go by itself.
        Err(Error::Io(_)) => try_fold(database),
        folded => folded,
    };
    match folded {
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
    passed("restore.fold")?;
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
        // A log of another one would be taken for this one's.
        if !is_there(&kept)? && !is_there(&beside(&kept, "-wal"))? {
            return Ok(kept);
        }
    }
    Err(Error::Io(format!("{}: too many databases of earlier restores lie beside it; remove some", database.display())))
}

/// Undoes what a restore that was killed before its switch has done: takes away the second name of the database in
/// force, and gives it back its log where that is kept beside the second name alone. The caller owns the data directory.
///
/// # Errors
/// Whatever the files answer.
pub(crate) fn undo_unfinished(database: &Path) -> Result<(), Error> {
    for kept in unfinished(database)? {
        let (log, kept_log) = (beside(database, "-wal"), beside(&kept, "-wal"));
        if !is_there(&log)? && is_there(&kept_log)? {
            fs::rename(&kept_log, &log).map_err(|error| about(&kept_log, &error))?;
            sync_directory(directory_of(database))?;
        }
        remove(&kept)?;
        remove(&kept_log)?;
    }
    Ok(())
}

/// Refuses a database whose log a restore that was killed has put aside: what is in the file alone was never in force.
///
/// # Errors
/// `Busy`; whatever the files answer.
pub(crate) fn refuse_unfinished(database: &Path) -> Result<(), Error> {
    if is_there(&beside(database, "-wal"))? {
        return Ok(());
    }
    for kept in unfinished(database)? {
        if is_there(&beside(&kept, "-wal"))? {
            return Err(Error::Busy(format!(
                "a restore was cut off before it was done, and the log of the database is kept as {}-wal: run `mcrsrv \
                 restore` again, or start the server",
                kept.display()
            )));
        }
    }
    Ok(())
}

/// The second names of the database in force.
fn unfinished(database: &Path) -> Result<Vec<PathBuf>, Error> {
    if !is_there(database)? {
        return Ok(Vec::new());
    }
    let directory = directory_of(database);
    let name = format!("{}{KEPT}", database.file_name().unwrap_or_default().to_string_lossy());
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| about(directory, &error))? {
        let entry = entry.map_err(|error| about(directory, &error))?;
        let path = entry.path();
        let is_kept =
            entry.file_name().to_str().is_some_and(|entry| entry.starts_with(&name) && !entry.ends_with("-wal"));
        if is_kept && is_second_name(&path, database)? {
            found.push(path);
        }
    }
    Ok(found)
}

/// Whether a kept database is the one in force: the same file, or, where a file has no second name, its copy with the log
/// that the one in force lacks.
fn is_second_name(kept: &Path, database: &Path) -> Result<bool, Error> {
    let stat = |path: &Path| fs::symlink_metadata(path).map_err(|error| about(path, &error));
    let (one, other) = (stat(kept)?, stat(database)?);
    if (one.dev(), one.ino()) == (other.dev(), other.ino()) {
        return Ok(true);
    }
    let lacks_log = !is_there(&beside(database, "-wal"))? && is_there(&beside(kept, "-wal"))?;
    Ok(lacks_log && one.len() == other.len() && same_bytes(kept, database)?)
}

fn directory_of(database: &Path) -> &Path {
    database.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let failed = |error: &io::Error| about(to, error);
    remove(to)?;
    fs::copy(from, to).map_err(|error| failed(&error))?;
    File::open(to).and_then(|file| file.sync_all()).map_err(|error| failed(&error))
}
