//! Tests of the snapshot before a migration, and of who is told of it.

#![expect(clippy::disallowed_methods, reason = "tests look at files behind the program's back")]

use rusqlite::Connection;

use super::*;
use crate::testing::Bed;
use crate::{Metadata, Options};

/// A database as the program before wrote it; its number alone is older.
fn older() -> (tempfile::TempDir, std::path::PathBuf) {
    let bed = Bed::new();
    bed.push_image("a/b", &["c", "l"], &["v1"], 1);
    bed.sql()
        .execute_batch(
            "DROP TABLE plan_steps; DROP TABLE plans; DROP TABLE retention_rules; DROP TABLE manifest_pulls;
             DROP TABLE scrub_passes; DROP TABLE snapshots; DROP INDEX manifests_deleted; DROP INDEX manifests_by_run;
             DROP INDEX repository_blobs_by_run; PRAGMA user_version = 3",
        )
        .unwrap();
    let path = bed.path();
    let Bed { metadata, directory } = bed;
    metadata.close();
    (directory, path)
}

#[test]
fn a_migration_leaves_a_snapshot_of_the_schema_before() {
    let (_directory, path) = older();
    Metadata::open(&path, Options::default()).unwrap().close();
    let folder = SnapshotFolder::beside(&path);
    let snapshots = folder.list().unwrap();
    assert_eq!(snapshots.len(), 1);
    let snapshot = Snapshot::open(&snapshots[0].path).unwrap();
    snapshot.check().unwrap();
    assert_eq!(snapshot.schema(), 3);
    assert_eq!(snapshot.blob_count().unwrap(), 2);
    // Opened again there is nothing to migrate.
    Metadata::open(&path, Options::default()).unwrap().close();
    assert_eq!(folder.list().unwrap().len(), 1);
}

#[test]
fn without_room_for_a_snapshot_nothing_is_migrated() {
    let (_directory, path) = older();
    std::fs::write(path.with_file_name("backups"), "in the way").unwrap();
    let error = Metadata::open(&path, Options::default()).err().unwrap();
    assert!(matches!(error, Error::NotMigrated { found: 3, .. }), "{error}");
    let connection = Connection::open(&path).unwrap();
    assert_eq!(connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)), Ok(3));
}

#[test]
fn an_older_program_names_the_snapshot_it_can_go_back_to() {
    let (_directory, path) = older();
    Metadata::open(&path, Options::default()).unwrap().close();
    let name = SnapshotFolder::beside(&path).list().unwrap()[0].name.clone();
    // A newer program came, took a snapshot of ours, migrated, and took one of its own.
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", SCHEMA + 1).unwrap();
    drop(newer);
    let unreadable = path.with_file_name("backups").join("mcr-20990101-000000.db");
    std::fs::copy(&path, unreadable).unwrap();
    let error = Metadata::open(&path, Options::default()).err().unwrap();
    let told = error.to_string();
    assert!(told.contains(&format!("schema {}", SCHEMA + 1)) && told.contains(&format!("up to {SCHEMA}")), "{told}");
    assert!(told.contains(&format!("mcrsrv restore --config FILE {name}")), "{told}");
}
