//! Opening connections to the database file with the settings every one of them has; never a query about content.

#![expect(clippy::disallowed_methods, reason = "the database file is made here, with its mode")]

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, FileControl, MAIN_DB, OpenFlags};

use crate::before_migrating;
use crate::error::Error;
use crate::migrate;
use crate::{room, switch, wal};

/// How long SQLite waits for another process (a snapshot, a scan) before it answers `Busy`.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Prepared statements kept per connection; there are fewer than that in this crate.
const STATEMENTS: usize = 96;

/// Page cache of the writer, in KiB.
const WRITER_CACHE_KIB: i64 = 4096;

/// Page cache of each reader, in KiB.
const READER_CACHE_KIB: i64 = 1024;

/// What the write-ahead log file shrinks to when it begins anew, in bytes. Not zero: the space it holds lets
/// deletes be written on a disk that has none left.
const WAL_KEEPS: i64 = 8 * 1024 * 1024;

/// Opens the database for its one writer, makes and migrates it where needed, and says whether it is new.
///
/// # Errors
/// `NotOurs` (nothing was changed), `NewerSchema` (nothing was changed), and whatever the files answer.
pub(crate) fn open_first(path: &Path) -> Result<(Connection, bool), Error> {
    // Before anything reads it: it may lack its log.
    switch::undo_unfinished(path)?;
    if !create(path)? {
        inspect(path).map_err(|error| before_migrating::name_way_back(error, path))?;
    }
    let mut connection = open_writable(path)?;
    let found = migrate::recognise(&connection, path).map_err(|error| before_migrating::name_way_back(error, path))?;
    let new = found == 0;
    before_migrating::keep(path, found)?;
    set_up_writer(&connection)?;
    migrate::migrate(&mut connection, path)?;
    room::lengthen_log(&connection);
    wal::checkpoint(&connection);
    Ok((connection, new))
}

/// Opens the database for its one writer again, after a connection was given up.
///
/// # Errors
/// `ReadOnly` where the file can be opened for reading only, and whatever the files answer.
pub(crate) fn open_writer(path: &Path) -> Result<Connection, Error> {
    let connection = open_writable(path)?;
    set_up_writer(&connection)?;
    Ok(connection)
}

/// Opens a connection that can only read.
///
/// # Errors
/// Whatever the files answer.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, Error> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    set_up(&connection, READER_CACHE_KIB)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Opens a database that nobody has open, without a lock and without a file beside it.
///
/// # Errors
/// Whatever the files answer.
pub(crate) fn open_immutable(path: &Path) -> Result<Connection, Error> {
    let connection = open_immutable_to_copy(path)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// The same; its tables cannot be changed either, but temporary ones can be made, and copies.
///
/// # Errors
/// Whatever the files answer.
pub(crate) fn open_immutable_to_copy(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(immutable_uri(path)?, flags)?;
    set_up(&connection, READER_CACHE_KIB)?;
    Ok(connection)
}

/// Makes the file, for its owner alone; says whether it was not there.
///
/// SQLite gives its `-wal` and `-shm` the mode of this file.
fn create(path: &Path) -> Result<bool, Error> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => {
            let about = io::Error::new(error.kind(), format!("{}: {error}", path.display()));
            Err(Error::from_io(&about))
        }
    }
}

/// Refuses a file of somebody else before anything could be written to it or beside it: `immutable` makes SQLite
/// take no lock, make no `-shm` and leave a `-wal` alone.
pub(crate) fn inspect(path: &Path) -> Result<(), Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(immutable_uri(path)?, flags)?;
    migrate::recognise(&connection, path).map(|_| ())
}

/// `path` as a URI that SQLite opens without touching anything.
fn immutable_uri(path: &Path) -> Result<String, Error> {
    let Some(text) = path.to_str() else {
        return Err(Error::Io(format!("{}: the path is not UTF-8", path.display())));
    };
    let mut uri = String::from("file:");
    for character in text.chars() {
        match character {
            '%' => uri.push_str("%25"),
            '?' => uri.push_str("%3f"),
            '#' => uri.push_str("%23"),
            other => uri.push(other),
        }
    }
    uri.push_str("?immutable=1");
    Ok(uri)
}

fn open_writable(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // SQLite falls back to reading where the file system is read-only, and would stay there.
    if connection.is_readonly(MAIN_DB)? {
        return Err(Error::ReadOnly(path.display().to_string()));
    }
    Ok(connection)
}

fn set_up_writer(connection: &Connection) -> Result<(), Error> {
    set_up(connection, WRITER_CACHE_KIB)?;
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Error::Io(format!("the database cannot use a write-ahead log (it is in mode {mode})")));
    }
    // Durable at each commit: the write-ahead log is synced before a commit returns.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    let enforced: bool = connection.pragma_query_value(None, "foreign_keys", |row| row.get(0))?;
    if !enforced {
        return Err(Error::Io("this SQLite cannot enforce foreign keys".to_owned()));
    }
    // The writer decides when to checkpoint (see wal.rs): never inside a commit that somebody waits for.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    let _: i64 = connection.pragma_update_and_check(None, "journal_size_limit", WAL_KEEPS, |row| row.get(0))?;
    // The log's files stay when the last connection closes, so that a start needs no space on a full disk.
    connection.file_control(Some(MAIN_DB), FileControl::PersistWal(&mut 1))?;
    room::set_up(connection)
}

fn set_up(connection: &Connection, cache_kib: i64) -> Result<(), Error> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // Without it SQLite plans a prepared statement anew whenever other values are bound to it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(())
}

#[cfg(test)]
mod tests;
