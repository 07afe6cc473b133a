//! Tests of booking snapshots.

use super::*;
use crate::AuditQuery;
use crate::testing::{Bed, actor};

fn book(bed: &Bed, name: &str, taken_at_ms: i64, trouble: Option<&str>) -> bool {
    let trouble = trouble.map(str::to_owned);
    let row = SnapshotRow { name: name.to_owned(), taken_at_ms, bytes: 4096, blobs: Some(7), trouble };
    bed.wait(|m, done| m.book_snapshot(BookSnapshot { row, actor: actor(), at_ms: 99 }, done)).unwrap()
}

#[test]
fn a_snapshot_is_booked_and_told_once() {
    let bed = Bed::new();
    assert!(book(&bed, "one", 10, None));
    assert!(!book(&bed, "one", 10, None));
    assert!(book(&bed, "two", 20, None));
    // One that has become unreadable is told again.
    assert!(book(&bed, "one", 10, Some("cut")));
    let rows = bed.metadata.snapshots().unwrap();
    assert_eq!(rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["two", "one"]);
    assert_eq!(rows[1].trouble.as_deref(), Some("cut"));
    let query = AuditQuery { event: Some("snapshot_taken".to_owned()), limit: 100, ..AuditQuery::default() };
    assert_eq!(bed.metadata.audit(&query).unwrap().events.len(), 3);
}

#[test]
fn a_name_from_the_future_says_no_later_than_when_it_was_booked() {
    let bed = Bed::new();
    assert_eq!(bed.metadata.last_snapshot_success().unwrap(), None);
    assert!(book(&bed, "broken", 50, Some("cut")));
    assert_eq!(bed.metadata.last_snapshot_success().unwrap(), None);
    assert!(book(&bed, "one", 10, None));
    assert_eq!(bed.metadata.last_snapshot_success().unwrap(), Some(10));
    assert!(book(&bed, "ahead", 5_000, None));
    assert_eq!(bed.metadata.last_snapshot_success().unwrap(), Some(99));
}
