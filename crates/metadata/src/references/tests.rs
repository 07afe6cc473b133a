//! Tests of `unreferenced_since`: set when the last live reference goes, cleared when one comes.

use crate::testing::{Bed, index};

fn since(bed: &Bed, content: &str) -> Option<i64> {
    let blob = bed.blob("a/b", content).unwrap();
    assert_eq!(blob.referenced, blob.unreferenced_since_ms.is_none());
    blob.unreferenced_since_ms
}

#[test]
fn a_blob_counts_from_its_push_until_a_manifest_names_it() {
    let bed = Bed::new();
    bed.push_blob("a/b", "c", 5);
    assert_eq!(since(&bed, "c"), Some(5));
    bed.push_blob("a/b", "c", 9);
    assert_eq!(since(&bed, "c"), Some(9));
    let image = bed.push_image("a/b", &["c", "l"], &[], 20);
    assert_eq!((since(&bed, "c"), since(&bed, "l")), (None, None));
    // Pushed again while it is named: still named.
    bed.push_blob("a/b", "c", 30);
    assert_eq!(since(&bed, "c"), None);
    bed.delete("a/b", &image, 40);
    assert_eq!((since(&bed, "c"), since(&bed, "l")), (Some(40), Some(40)));
}

#[test]
fn a_shared_blob_is_held_until_its_last_holder_goes() {
    let bed = Bed::new();
    let one = bed.push_image("a/b", &["c", "shared", "1"], &[], 1);
    let other = bed.push_image("a/b", &["d", "shared", "2"], &[], 2);
    bed.delete("a/b", &one, 3);
    assert_eq!((since(&bed, "shared"), since(&bed, "1")), (None, Some(3)));
    bed.delete("a/b", &other, 4);
    assert_eq!(since(&bed, "shared"), Some(4));
    // The push of a manifest lifts it and takes its blobs back.
    bed.pushed("a/b", &one, &[], 5);
    assert_eq!((since(&bed, "shared"), since(&bed, "1"), since(&bed, "2")), (None, None, Some(4)));
}

#[test]
fn a_manifest_counts_while_no_tag_and_no_live_index_names_it() {
    let bed = Bed::new();
    let image = bed.push_image("a/b", &["c"], &[], 1);
    let row = bed.manifest("a/b", &image).unwrap();
    assert_eq!((row.referenced, row.unreferenced_since_ms), (false, Some(1)));
    let index = index(&[image.descriptor()]);
    bed.pushed("a/b", &index, &["v1"], 2);
    let row = bed.manifest("a/b", &image).unwrap();
    assert_eq!((row.referenced, row.unreferenced_since_ms), (true, None));
    // The tag goes: the index counts, what it names does not.
    bed.delete_tag("a/b", "v1", 3);
    assert_eq!(bed.manifest("a/b", &index).unwrap().unreferenced_since_ms, Some(3));
    assert_eq!(bed.manifest("a/b", &image).unwrap().unreferenced_since_ms, None);
    bed.delete("a/b", &index, 4);
    assert_eq!(bed.manifest("a/b", &image).unwrap().unreferenced_since_ms, Some(4));
    bed.pushed("a/b", &image, &[], 9);
    assert_eq!(bed.manifest("a/b", &image).unwrap().unreferenced_since_ms, Some(9));
    bed.pushed("a/b", &image, &["v2"], 10);
    assert_eq!(bed.manifest("a/b", &image).unwrap().unreferenced_since_ms, None);
}

#[test]
fn a_tag_that_moves_away_lets_go() {
    let bed = Bed::new();
    let old = bed.push_image("a/b", &["c"], &["v1", "v2"], 1);
    let new = bed.push_image("a/b", &["d"], &["v1"], 2);
    assert_eq!(bed.manifest("a/b", &old).unwrap().unreferenced_since_ms, None);
    bed.pushed("a/b", &new, &["v2"], 3);
    assert_eq!(bed.manifest("a/b", &old).unwrap().unreferenced_since_ms, Some(3));
    assert_eq!(bed.manifest("a/b", &new).unwrap().unreferenced_since_ms, None);
}
