//! The way back from a migration: a snapshot before it, and its name for a program that is too old (contract section
//! 18); never the migration.

use std::path::Path;

use mcr_seams::Clock;

use crate::error::Error;
use crate::migrate::SCHEMA;
use crate::snapshot::take_snapshot;
use crate::snapshot_folder::SnapshotFolder;
use crate::snapshot_read::Snapshot;

/// Snapshots that are looked at for one that an old program can read.
const LOOKED_AT: usize = 100;

/// Takes a snapshot of a database that is about to be migrated from schema `found`; nothing where it is not.
///
/// # Errors
/// `NotMigrated`.
pub(crate) fn keep(path: &Path, found: i64) -> Result<(), Error> {
    if found == 0 || found == SCHEMA {
        return Ok(());
    }
    take_snapshot(path, &SnapshotFolder::beside(path), Clock::system().now_ms())
        .map(drop)
        .map_err(|error| Error::NotMigrated { found, known: SCHEMA, reason: error.to_string() })
}

/// Adds to "the schema is newer" the newest snapshot that this program can read.
pub(crate) fn name_way_back(error: Error, path: &Path) -> Error {
    let Error::NewerSchema { found, known, .. } = error else { return error };
    // That no snapshot can be looked at is not what is to be told here.
    let snapshots = SnapshotFolder::beside(path).list().unwrap_or_default();
    let readable = snapshots.into_iter().take(LOOKED_AT).find(|file| Snapshot::open(&file.path).is_ok());
    Error::NewerSchema { found, known, snapshot: readable.map(|file| file.name) }
}

#[cfg(test)]
mod tests;
