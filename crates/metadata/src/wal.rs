//! When the write-ahead log is copied into the database: between transactions, never while somebody waits for one.
//!
//! A checkpoint is two syncs and the copied pages. Passive ones wait for nobody: what a reader still needs stays in
//! the log until the next time. Once all is copied, the next write begins the log anew; SQLite then cuts the file
//! back to the limit that `connection.rs` sets, so a log that grew beside a long reader does not stay large.

use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, MAIN_DB};

/// Pages of 4 KiB in the log from which an idle writer copies them.
const IDLE_PAGES: i32 = 512;

/// Pages of 4 KiB in the log from which a busy writer copies them between two transactions.
const BUSY_PAGES: i32 = 2048;

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
