//! Room inside the database's own files, so that deletes can be written on a disk that has none left; never who may use it.
//!
//! Three things make it hold. No transaction commits unless the database file already has a place for every page it
//! made, so the log can always be copied and begin anew in its own space. Writes that bring content leave some pages
//! of that place free; writes that give space back, or note what was found, may use them. And the log is made long
//! once, at the start, while there is space.

use rusqlite::{Connection, FileControl, MAIN_DB};

use crate::error::Error;

/// The length of a page in bytes: SQLite's default, which this crate never changes.
const PAGE: i64 = 4096;

/// The database file grows and shrinks in steps of this many bytes.
const STEP: i32 = 256 * 1024;

/// Pages that writes which bring content leave to those that do not: enough for some hundred deletes.
const SPARE_PAGES: i64 = 64;

/// The length that the log is given at the start, in bytes: more than one transaction that deletes a large index.
const LOG: usize = 1024 * 1024;

/// Tells SQLite the step.
///
/// # Errors
/// Whatever SQLite answers.
pub(crate) fn set_up(connection: &Connection) -> Result<(), Error> {
    Ok(connection.file_control(Some(MAIN_DB), FileControl::ChunkSize(&mut { STEP }))?)
}

/// Sees to it that the database file has a place for every page of the open transaction, and for the spare ones too
/// unless the transaction is `frugal`. It costs one look at the file's length, and writes only where it must grow.
///
/// # Errors
/// `DiskFull` where the file cannot grow.
pub(crate) fn claim(connection: &Connection, frugal: bool) -> Result<(), Error> {
    let pages: i64 = connection.prepare_cached("PRAGMA page_count")?.query_row([], |row| row.get(0))?;
    let spare = if frugal { 0 } else { SPARE_PAGES };
    let mut bytes = (pages + spare) * PAGE;
    // SQLite calls any failure to grow an I/O error; a disk that fails otherwise says so at the next sync.
    connection
        .file_control(Some(MAIN_DB), FileControl::SizeHint(&mut bytes))
        .map_err(|error| Error::DiskFull(format!("the database file cannot grow: {error}")))
}

/// Makes the log long, so that it needs no space later. Nothing depends on it while the disk has space.
pub(crate) fn lengthen_log(connection: &Connection) {
    let text = "x".repeat(LOG);
    let write = |sql: &str, text: &[&str]| connection.execute(sql, rusqlite::params_from_iter(text));
    // On a disk that is full already there is nothing to be had; the next start tries again.
    let _ = write("INSERT OR REPLACE INTO meta (key, value) VALUES ('room', ?1)", &[&text])
        .and_then(|_| write("DELETE FROM meta WHERE key = 'room'", &[]));
}

#[cfg(test)]
mod tests;
