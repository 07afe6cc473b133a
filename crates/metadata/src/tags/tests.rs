//! Tests of tag lists: bytewise order, pages, repositories that are not there.

use crate::testing::{Bed, repository};

#[test]
fn tags_come_sorted_bytewise_and_in_pages() {
    let bed = Bed::new();
    let name = repository("a/b");
    assert_eq!(bed.metadata.tags(&name, None, 10).unwrap(), None);
    bed.push_blob("a/b", "x", 1);
    assert_eq!(bed.metadata.tags(&name, None, 10).unwrap(), Some(vec![]));
    bed.push_image("a/b", &["c"], &["b", "a", "B", "_x", "10", "9", "a.1", "a-1"], 2);
    bed.push_image("c/d", &["c"], &["other"], 2);
    let list = |last, limit| bed.metadata.tags(&name, last, limit).unwrap().unwrap();
    assert_eq!(list(None, 100), ["10", "9", "B", "_x", "a", "a-1", "a.1", "b"]);
    assert_eq!(list(None, 3), ["10", "9", "B"]);
    assert_eq!(list(Some("B"), 3), ["_x", "a", "a-1"]);
    // One that is no tag goes on where it would stand.
    assert_eq!(list(Some("a-0"), 2), ["a-1", "a.1"]);
    assert_eq!(list(Some("zzz"), 3), [""; 0]);
    assert_eq!(list(None, 0), [""; 0]);
}
