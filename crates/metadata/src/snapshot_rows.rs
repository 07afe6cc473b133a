//! Which snapshots the server has met: a row each, and the event that tells of it; never their files.

use rusqlite::{Connection, params};
use serde_json::json;

use crate::Metadata;
use crate::audit::{self, Audit};
use crate::error::Error;
use crate::job::{Done, Write, job};
use crate::rows::Actor;
use crate::sql;

/// Rows that are kept; the oldest go.
const ROWS_MAX: i64 = 1_000;

/// A snapshot that the server has met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRow {
    /// Its name in the folder.
    pub name: String,
    /// When it was taken, in Unix milliseconds.
    pub taken_at_ms: i64,
    /// Its length in bytes.
    pub bytes: u64,
    /// The blobs it refers to; none where that cannot be told.
    pub blobs: Option<u64>,
    /// Why it cannot be relied on; none while it is sound.
    pub trouble: Option<String>,
}

/// Book a snapshot that lies in the folder. One of that name, moment and length that is booked already is left alone.
#[derive(Clone, Debug)]
pub struct BookSnapshot {
    /// It.
    pub row: SnapshotRow,
    /// Who took it.
    pub actor: Actor,
    /// Now, in Unix milliseconds.
    pub at_ms: i64,
}

impl Metadata {
    /// Books a snapshot and tells the audit trail; answers whether it was new.
    pub fn book_snapshot(&self, request: BookSnapshot, done: Done<bool>) {
        self.submit(job(request, done));
    }

    /// When the newest sound snapshot was taken, in Unix milliseconds; none while there never was one. A name from a clock
    /// that was ahead says no later than when it was booked.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn last_snapshot_success(&self) -> Result<Option<i64>, Error> {
        self.readers.read(|connection| {
            let mut query = connection
                .prepare_cached("SELECT max(min(taken_at, booked_at)) FROM snapshots WHERE trouble IS NULL")?;
            Ok(query.query_row([], |row| row.get(0))?)
        })
    }

    /// The snapshots that were booked, the newest first, also those that have gone since.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn snapshots(&self) -> Result<Vec<SnapshotRow>, Error> {
        self.readers.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT name, taken_at, bytes, blobs, trouble FROM snapshots ORDER BY taken_at DESC, name",
            )?;
            let mut rows = statement.query([])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let blobs: Option<i64> = row.get(3)?;
                found.push(SnapshotRow {
                    name: row.get(0)?,
                    taken_at_ms: row.get(1)?,
                    bytes: sql::unsigned(row, 2)?,
                    blobs: blobs.and_then(|blobs| u64::try_from(blobs).ok()),
                    trouble: row.get(4)?,
                });
            }
            Ok(found)
        })
    }
}

impl Write for BookSnapshot {
    type Answer = bool;

    fn apply(&self, tx: &Connection) -> Result<bool, Error> {
        let SnapshotRow { name, taken_at_ms, bytes, blobs, trouble } = &self.row;
        let known = tx
            .prepare_cached(
                "SELECT 1 FROM snapshots WHERE name = ?1 AND taken_at = ?2 AND bytes = ?3 AND trouble IS ?4",
            )?
            .exists(params![name, taken_at_ms, sql::size(*bytes), trouble])?;
        if known {
            return Ok(false);
        }
        tx.prepare_cached(
            "INSERT OR REPLACE INTO snapshots (name, taken_at, booked_at, bytes, blobs, trouble)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![name, taken_at_ms, self.at_ms, sql::size(*bytes), blobs.map(sql::size), trouble])?;
        tx.prepare_cached(
            "DELETE FROM snapshots WHERE name IN (SELECT name FROM snapshots ORDER BY taken_at DESC LIMIT -1 OFFSET ?1)",
        )?
        .execute([ROWS_MAX])?;
        let mut details = json!({ "snapshot": name, "taken_at": mcr_seams::rfc3339(*taken_at_ms), "bytes": bytes });
        if let (Some(blobs), Some(details)) = (blobs, details.as_object_mut()) {
            details.insert("blobs".to_owned(), json!(blobs));
        }
        if let (Some(trouble), Some(details)) = (trouble, details.as_object_mut()) {
            details.insert("trouble".to_owned(), json!(trouble));
        }
        audit::append(tx, Audit { details, ..Audit::by(&self.actor, "snapshot_taken", self.at_ms) })?;
        Ok(true)
    }

    fn is_frugal(&self, _answer: &bool) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
