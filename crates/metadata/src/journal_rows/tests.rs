//! Tests of what the journal is written from.

use mcr_oci::media_type;

use super::*;
use crate::testing::{Bed, index};

#[test]
fn the_trail_behind_a_place_is_given_in_the_order_of_commits() {
    let bed = Bed::new();
    let start = bed.metadata.audit_position().unwrap();
    assert_eq!(start.seq, 0);
    let image = bed.push_image("demo/app", &["a", "b"], &["1"], 5);
    bed.delete_tag("demo/app", "1", 6);
    let events = bed.metadata.journal_events(start.seq, 100).unwrap();
    let names: Vec<&str> = events.iter().map(|event| event.event.as_str()).collect();
    assert_eq!(names, ["blob_uploaded", "blob_uploaded", "manifest_pushed", "tag_moved", "tag_deleted"]);
    let moved = &events[3];
    assert_eq!((moved.repository.as_deref(), moved.tag.as_deref()), (Some("demo/app"), Some("1")));
    assert_eq!((moved.digest.as_deref(), moved.at_ms), (Some(image.digest.as_str()), 5));
    assert_eq!(bed.metadata.audit_position().unwrap(), events[4].position);
    assert_eq!(bed.metadata.journal_events(3, 1).unwrap()[0].position.seq, 4);
}

#[test]
fn a_place_of_another_history_is_not_held() {
    let bed = Bed::new();
    let place = |position: &AuditPosition| bed.metadata.place_of(position).unwrap();
    let nothing = bed.metadata.audit_position().unwrap();
    assert_eq!(place(&nothing), TrailPlace::Held);
    bed.push_image("demo/app", &["a"], &["1"], 5);
    let here = bed.metadata.audit_position().unwrap();
    assert_eq!(place(&here), TrailPlace::Held);
    assert_eq!(place(&nothing), TrailPlace::Held);
    assert_eq!(place(&AuditPosition { hash: "0".repeat(64), ..here.clone() }), TrailPlace::Foreign);
    assert_eq!(place(&AuditPosition { seq: here.seq + 1, ..here.clone() }), TrailPlace::Foreign);
    let cut =
        "INSERT INTO audit_anchors SELECT seq, hash, at, '' FROM audit WHERE seq = 2; DELETE FROM audit WHERE seq <= 2";
    bed.sql().execute_batch(cut).unwrap();
    assert_eq!(place(&nothing), TrailPlace::AgedOut);
    assert_eq!(place(&here), TrailPlace::Held);
}

#[test]
fn what_is_live_is_given_whole_and_what_is_not_is_left_out() {
    let bed = Bed::new();
    let one = bed.push_image("demo/app", &["a"], &["1"], 5);
    let two = bed.push_image("demo/app", &["b"], &["2", "three"], 6);
    let both = index(&[one.descriptor(), two.descriptor()]);
    bed.pushed("demo/app", &both, &[], 7);
    let gone = bed.push_image("demo/app", &["c"], &[], 8);
    bed.delete("demo/app", &gone, 9);
    let page = bed.metadata.journal_manifests("demo/app", "").unwrap();
    let mut expected = [&one, &two, &both].map(|manifest| manifest.digest.clone());
    expected.sort();
    assert_eq!(page.iter().map(|manifest| manifest.digest.clone()).collect::<Vec<_>>(), expected);
    let index = page.iter().find(|manifest| manifest.digest == both.digest).unwrap();
    assert_eq!((index.media_type.as_str(), index.pushed_at_ms, index.sparse), (media_type::OCI_INDEX, 7, false));
    assert_eq!(*index.bytes, *both.bytes);
    assert!(bed.metadata.journal_manifests("demo/app", expected[2].as_str()).unwrap().is_empty());
    assert!(bed.metadata.journal_manifest("demo/app", gone.digest.as_str()).unwrap().is_none());
    assert!(bed.metadata.journal_manifest("demo/other", one.digest.as_str()).unwrap().is_none());
    let tags = bed.metadata.journal_tags("demo/app", "", 2).unwrap();
    assert_eq!(tags.iter().map(|tag| tag.tag.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!((&tags[1].digest, tags[1].moved_at_ms), (&two.digest, 6));
    assert_eq!(bed.metadata.journal_tags("demo/app", "2", 2).unwrap().len(), 1);
    let age = |tag, of: &Digest| bed.metadata.journal_tag_age("demo/app", tag, of.as_str()).unwrap();
    assert_eq!((age("2", &two.digest), age("2", &one.digest), age("4", &one.digest)), (Some(6), None, None));
    assert_eq!(bed.metadata.journal_repository("").unwrap().as_deref(), Some("demo/app"));
    assert_eq!(bed.metadata.journal_repository("demo/app").unwrap(), None);
    let bytes = (one.bytes.len() + two.bytes.len() + both.bytes.len()) as u64;
    assert_eq!(bed.metadata.journal_weight().unwrap(), (3, bytes, 3));
}
