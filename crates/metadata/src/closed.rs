//! Whether a database that was made again from the blobs waits for its policy rules; never what follows from that.

use rusqlite::Connection;

use crate::Metadata;
use crate::error::Error;

/// The key in `meta`; its value is when the database was made again, in Unix milliseconds.
const CLOSED: &str = "closed_until_policy";

impl Metadata {
    /// Whether the rules of this registry are lost and none has been made since.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn is_closed(&self) -> Result<bool, Error> {
        self.readers.read(is_closed)
    }
}

/// Whether [`close`] was said and not [`open`].
pub(crate) fn is_closed(connection: &Connection) -> Result<bool, Error> {
    Ok(connection.prepare_cached("SELECT 1 FROM meta WHERE key = ?1")?.exists([CLOSED])?)
}

/// Notes that rules are lost.
pub(crate) fn close(tx: &Connection, at_ms: i64) -> Result<(), Error> {
    tx.prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?
        .execute([CLOSED, &at_ms.to_string()])?;
    Ok(())
}

/// Notes that there is a rule again.
pub(crate) fn open(tx: &Connection) -> Result<(), Error> {
    tx.prepare_cached("DELETE FROM meta WHERE key = ?1")?.execute([CLOSED])?;
    Ok(())
}
