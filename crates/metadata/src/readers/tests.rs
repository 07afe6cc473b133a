//! Tests of the pool: bounded, consistent, and whole again after what breaks in it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;

use crate::error::Error;
use crate::readers::Readers;
use crate::testing::Bed;

#[test]
fn more_callers_than_connections_all_get_their_turn() {
    let bed = Bed::new();
    bed.push_blob("a/b", "x", 1);
    let readers = Readers::new(&bed.path(), 2);
    let start = Barrier::new(8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                start.wait();
                for _ in 0..50 {
                    let blobs: i64 = readers
                        .read(
                            |connection| Ok(connection.query_row("SELECT count(*) FROM blobs", [], |row| row.get(0))?),
                        )
                        .unwrap();
                    assert_eq!(blobs, 1);
                }
            });
        }
    });
    let idle = readers.lock();
    assert_eq!(idle.connections.len() + idle.unopened, 2);
}

#[test]
fn one_read_sees_one_moment() {
    let bed = Bed::new();
    bed.push_blob("a/b", "x", 1);
    let counts = bed
        .metadata
        .readers
        .read(|connection| {
            let count = || connection.query_row("SELECT count(*) FROM blobs", [], |row| row.get::<_, i64>(0));
            let before = count()?;
            bed.push_blob("a/b", "y", 2);
            Ok((before, count()?))
        })
        .unwrap();
    assert_eq!(counts, (1, 1));
    assert_eq!(bed.metadata.summary().unwrap().blobs, 2);
}

#[test]
fn a_query_that_panics_or_errs_loses_no_connection() {
    let bed = Bed::new();
    let readers = Readers::new(&bed.path(), 1);
    let panicked = catch_unwind(AssertUnwindSafe(|| readers.read(|_| -> Result<(), Error> { panic!("on purpose") })));
    assert!(panicked.is_err());
    for _ in 0..3 {
        assert!(readers.read(|_| Err::<(), _>(Error::Io("lost".to_owned()))).is_err());
        assert!(readers.read(|_| Err::<(), _>(Error::ClosureTooLarge(String::new()))).is_err());
    }
    assert_eq!(readers.read(|_| Ok(7)), Ok(7));
}

#[test]
fn readers_cannot_write() {
    let bed = Bed::new();
    let refused = bed.metadata.readers.read(|connection| Ok(connection.execute_batch("DELETE FROM meta")?));
    assert!(refused.is_err_and(|error| error.is_read_only()));
}
