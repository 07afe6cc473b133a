//! When the write-ahead log is copied into the database: between transactions, never while somebody waits for one.
//!
//! A checkpoint is two syncs and the copied pages. Passive ones wait for nobody: what a reader still needs stays in
//! the log until the next time. Once all is copied, the next write begins the log anew; SQLite then cuts the file
//! back to the limit that `connection.rs` sets, so a log that grew beside a long reader does not stay large.

use std::time::Duration;

use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, MAIN_DB};

use crate::connection::BUSY_TIMEOUT;
use crate::room;

/// Pages of 4 KiB in the log from which an idle writer copies them.
const IDLE_PAGES: i32 = 512;

/// Pages of 4 KiB in the log from which a busy writer copies them between two transactions.
const BUSY_PAGES: i32 = 2048;

/// How long readers are waited for where the log must begin anew.
const READERS_MAX: Duration = Duration::from_millis(200);

/// Copies the log if it has grown enough for a writer that has, or has not, something else to do.
pub(crate) fn checkpoint_if_due(connection: &Connection, idle: bool) {
    let due = if idle { IDLE_PAGES } else { BUSY_PAGES };
    // A failure to look is left to the next write, which meets the same disk and answers for it.
    if pages(connection).is_some_and(|(pages, copied)| pages >= due && copied < pages) {
        checkpoint(connection);
    }
}

/// Copies what can be copied without waiting. Nothing depends on it: on an error the log merely stays longer.
pub(crate) fn checkpoint(connection: &Connection) {
    let _ = connection.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::PASSIVE);
    take_back_room(connection);
}

/// Copies all of the log and waits a moment for its readers, so that the next write begins it anew in the space it
/// has: for a disk without any other.
pub(crate) fn make_room(connection: &Connection) {
    let patient = connection.busy_timeout(READERS_MAX);
    let _ = connection.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::RESTART);
    take_back_room(connection);
    // The setting can only fail where the next write fails too, and says why.
    let _ = patient.and_then(|()| connection.busy_timeout(BUSY_TIMEOUT));
}

/// A whole checkpoint cuts the database file to its pages; the spare ones are wanted back before anybody else takes
/// the space.
fn take_back_room(connection: &Connection) {
    let _ = room::claim(connection, false);
}

/// Copies all of the log and closes the last connection.
pub(crate) fn finish(connection: Connection) {
    let _ = connection.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::TRUNCATE);
    // Everything committed is durable already; a connection that cannot be closed is closed by the exit.
    let _ = connection.close();
}

/// The pages in the log, and how many of them are copied.
pub(crate) fn pages(connection: &Connection) -> Option<(i32, i32)> {
    connection.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::NOOP).ok().filter(|(pages, _)| *pages >= 0)
}

#[cfg(test)]
mod tests;
