//! Tests of errors: which of SQLite's means what.

use std::io;

use rusqlite::ffi;

use super::Error;

fn of(extended: i32) -> Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(extended), Some("words".to_owned())).into()
}

#[test]
fn causes_around_the_database_are_told_apart() {
    assert!(of(ffi::SQLITE_FULL).is_disk_full());
    assert!(of(ffi::SQLITE_IOERR_SHMSIZE).is_disk_full());
    assert!(of(ffi::SQLITE_READONLY).is_read_only());
    assert!(of(ffi::SQLITE_READONLY_DBMOVED).is_read_only());
    assert!(matches!(of(ffi::SQLITE_IOERR_FSYNC), Error::Io(_)));
    assert!(matches!(of(ffi::SQLITE_CANTOPEN), Error::Io(_)));
    assert!(matches!(of(ffi::SQLITE_BUSY), Error::Busy(_)));
    assert!(matches!(of(ffi::SQLITE_NOTADB), Error::Corrupt(_)));
    assert!(!of(ffi::SQLITE_CORRUPT).is_retryable());
    assert!(matches!(of(ffi::SQLITE_CONSTRAINT_FOREIGNKEY), Error::Constraint { foreign_key: true, .. }));
    assert!(matches!(of(ffi::SQLITE_CONSTRAINT_CHECK), Error::Constraint { foreign_key: false, .. }));
    assert!(matches!(of(ffi::SQLITE_TOOBIG), Error::Sqlite { code: 18, .. }));
}

#[test]
fn fault_points_speak_the_same_words() {
    let from = |errno| Error::from_io(&io::Error::from_raw_os_error(errno));
    assert!(from(28).is_disk_full());
    assert!(from(122).is_disk_full());
    assert!(from(30).is_read_only());
    assert!(matches!(from(5), Error::Io(_)));
}

#[test]
fn a_value_that_is_never_written_is_damage() {
    let wrong = rusqlite::Error::InvalidColumnType(1, "size".to_owned(), rusqlite::types::Type::Text);
    assert!(matches!(Error::from(wrong), Error::Corrupt(_)));
}
