//! Tests of opening: whose file it is, who may read it, how it is set up.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rusqlite::Connection;

use crate::testing::Bed;
use crate::{Error, Metadata, Options, SCHEMA};

fn open(path: &Path) -> Result<Metadata, Error> {
    Metadata::open(path, Options::default())
}

/// Every file of a directory with its bytes.
fn tree(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let mut files: Vec<_> =
        entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect();
    files.sort();
    files
}

#[test]
fn the_files_are_their_owners_alone() {
    let bed = Bed::new();
    bed.push_blob("a/b", "x", 1);
    assert!(bed.metadata.has_blobs().unwrap());
    let files = tree(bed.directory.path());
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["mcr.db", "mcr.db-shm", "mcr.db-wal"]);
    for (name, _) in &files {
        let mode = fs::metadata(bed.directory.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_second_opening_finds_what_the_first_wrote() {
    let bed = Bed::new();
    assert!(bed.metadata.is_new());
    assert_eq!(bed.metadata.registry_id().unwrap(), None);
    bed.metadata.set_registry_id("abc").unwrap();
    let bed = bed.reopen();
    assert!(!bed.metadata.is_new());
    assert_eq!(bed.metadata.registry_id().unwrap().as_deref(), Some("abc"));
}

#[test]
fn settings_are_those_of_the_contract() {
    let bed = Bed::new();
    let writer = super::open_writer(&bed.path()).unwrap();
    let pragma = |name: &str| writer.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(pragma("synchronous"), 2);
    assert_eq!(pragma("foreign_keys"), 1);
    assert_eq!(pragma("wal_autocheckpoint"), 0);
    let mode: String = writer.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
    let reader = super::open_reader(&bed.path()).unwrap();
    assert!(reader.execute_batch("INSERT INTO meta VALUES ('a', 'b')").is_err());
}

#[test]
fn an_odd_path_is_only_a_path() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a?mode=memory&x#y%41.db");
    open(&path).unwrap().close();
    assert!(path.exists());
    assert!(!open(&path).unwrap().is_new());
}

#[test]
fn a_file_that_was_made_and_never_filled_is_new() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mcr.db");
    fs::write(&path, b"").unwrap();
    assert!(open(&path).unwrap().is_new());
}

#[test]
fn a_missing_directory_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let error = open(&directory.path().join("no/mcr.db")).err().unwrap();
    assert!(matches!(&error, Error::Io(text) if text.contains("no/mcr.db")), "{error}");
}

#[test]
fn another_programs_database_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("other.db");
    let other = Connection::open(&path).unwrap();
    other.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE repositories (id INTEGER)").unwrap();
    drop(other);
    let before = tree(directory.path());
    let error = open(&path).err().unwrap();
    assert!(matches!(&error, Error::NotOurs { reason, .. } if reason.contains("another program")), "{error}");
    assert_eq!(tree(directory.path()), before);
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mcr.db");
    fs::write(&path, "not a database, but long enough to be taken for the header of one, perhaps\n".repeat(100))
        .unwrap();
    let before = tree(directory.path());
    assert!(matches!(open(&path), Err(Error::NotOurs { .. })));
    assert_eq!(tree(directory.path()), before);
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let bed = Bed::new();
    let path = bed.path();
    let directory = bed.directory;
    bed.metadata.close();
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", SCHEMA + 1).unwrap();
    drop(newer);
    let before = tree(directory.path());
    let error = open(&path).err().unwrap();
    assert_eq!(error, Error::NewerSchema { found: SCHEMA + 1, known: SCHEMA, snapshot: None });
    assert_eq!(tree(directory.path()), before);
}

#[test]
fn a_killed_program_leaves_a_database_that_opens() {
    let bed = Bed::new();
    bed.push_blob("a/b", "x", 1);
    // What `kill -9` leaves: the files as they are, nothing copied out of the log.
    let copy = tempfile::tempdir().unwrap();
    for (name, bytes) in tree(bed.directory.path()) {
        if name != "mcr.db-shm" {
            fs::write(copy.path().join(name), bytes).unwrap();
        }
    }
    let again = open(&copy.path().join("mcr.db")).unwrap();
    assert!(!again.is_new());
    assert_eq!(again.summary().unwrap().blobs, 1);
}
