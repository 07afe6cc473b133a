//! Tests of checkpoints: when they happen, and that closing leaves an empty log.

#![expect(clippy::disallowed_methods, reason = "how long the log is, only its file tells")]

use super::{BUSY_PAGES, IDLE_PAGES, checkpoint_if_due, finish, pages};
use crate::connection;
use crate::testing::Bed;

#[test]
fn the_log_is_copied_only_when_it_has_grown() {
    let bed = Bed::new();
    let writer = connection::open_writer(&bed.path()).unwrap();
    writer.execute_batch("INSERT INTO meta VALUES ('some', hex(randomblob(200000)))").unwrap();
    let (small, _) = pages(&writer).unwrap();
    assert!(small < IDLE_PAGES, "{small}");
    checkpoint_if_due(&writer, true);
    assert_eq!(pages(&writer).unwrap().1, 0);
    writer.execute_batch("INSERT INTO meta VALUES ('more', hex(randomblob(2000000)))").unwrap();
    let (large, _) = pages(&writer).unwrap();
    assert!(large > IDLE_PAGES && large < BUSY_PAGES, "{large}");
    checkpoint_if_due(&writer, false);
    assert_eq!(pages(&writer).unwrap().1, 0);
    checkpoint_if_due(&writer, true);
    assert_eq!(pages(&writer), Some((large, large)));
    // The next write begins the log anew.
    writer.execute_batch("INSERT INTO meta VALUES ('one', 'x')").unwrap();
    assert!(pages(&writer).unwrap().0 < 10);
}

#[test]
fn closing_leaves_everything_in_the_database_and_the_logs_files_in_place() {
    let bed = Bed::new();
    bed.push_blob("a/b", "x", 1);
    let directory = bed.directory;
    bed.metadata.close();
    let size = |name: &str| std::fs::metadata(directory.path().join(name)).unwrap().len();
    assert_eq!(size("mcr.db-wal"), 0);
    // A start on a full disk finds its shared memory there already.
    assert!(size("mcr.db-shm") > 0);
    assert!(size("mcr.db") > 0);
    finish(connection::open_writer(&directory.path().join("mcr.db")).unwrap());
    assert_eq!(size("mcr.db-wal"), 0);
}
