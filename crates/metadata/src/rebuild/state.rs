//! What stands in a database's place before one is made again: nothing, damage, a registry; never a change to it.

use std::path::Path;

use crate::connection;
use crate::error::Error;
use crate::snapshot_folder::is_there;

/// What there is of a database's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseState {
    /// No file.
    Absent,
    /// A file without a registry in it, such as a start makes that is refused for want of the real one.
    Empty,
    /// It is damaged, or no database.
    Damaged,
    /// That of a registry that was made again from its blobs, and that nobody has given a rule since: nothing was
    /// written to it.
    Closed,
    /// A registry's database.
    Usable,
}

/// Looks what there is at `path`, and reads every page of it.
///
/// # Errors
/// Where that could not be found out: `NewerSchema`, and the inability to read.
pub fn database_state(path: &Path) -> Result<DatabaseState, Error> {
    if !is_there(path)? {
        return Ok(DatabaseState::Absent);
    }
    let looked = crate::ReadOnly::open(path).and_then(|database| {
        let whole = database.is_whole()?;
        Ok((whole, database.registry_id()?.is_some(), database.is_closed()?))
    });
    match looked {
        Ok((false, ..)) | Err(Error::Corrupt(_)) => Ok(DatabaseState::Damaged),
        Ok((true, true, true)) => Ok(DatabaseState::Closed),
        Ok((true, true, false)) => Ok(DatabaseState::Usable),
        Ok((true, false, _)) => Ok(DatabaseState::Empty),
        Err(Error::NotOurs { .. }) => not_ours(path),
        Err(error) => Err(error),
    }
}

/// An empty file is one that a start was killed over; anything else of a foreign form is damaged.
fn not_ours(path: &Path) -> Result<DatabaseState, Error> {
    let connection = connection::open_immutable(path);
    let tables = connection.and_then(|connection| {
        Ok(connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?)
    });
    match tables {
        Ok(0) => Ok(DatabaseState::Empty),
        Ok(_) | Err(Error::Corrupt(_)) => Ok(DatabaseState::Damaged),
        Err(error) => Err(error),
    }
}
