//! Tests of deletes: tombstones, refusals that name the holders, history.

use crate::testing::{Bed, actor, image, index, repository};
use crate::{DeleteManifest, DeleteOutcome, Holder};

fn deleted(tags: &[&str]) -> DeleteOutcome {
    DeleteOutcome::Deleted { tags: tags.iter().map(|tag| (*tag).to_owned()).collect() }
}

#[test]
fn a_deleted_manifest_takes_its_tags_and_stays_as_a_tombstone() {
    let bed = Bed::new();
    let image = bed.push_image("a/b", &["c", "l"], &["v1", "latest"], 1);
    assert_eq!(bed.delete("a/b", &image, 2), deleted(&["latest", "v1"]));
    assert_eq!(bed.delete("a/b", &image, 3), DeleteOutcome::NotFound);
    assert_eq!(bed.manifest("a/b", &image), None);
    assert_eq!(bed.tagged("a/b", "v1"), None);
    assert_eq!(bed.metadata.tags(&repository("a/b"), None, 10).unwrap(), Some(vec![]));
    assert_eq!(bed.count("SELECT count(*) FROM manifests WHERE deleted_at = 2"), 1);
    assert_eq!(bed.count("SELECT count(*) FROM edges"), 2);
    assert_eq!(bed.count("SELECT count(*) FROM tag_history WHERE current IS NULL AND previous IS NOT NULL"), 2);
    assert_eq!(bed.count("SELECT count(*) FROM audit WHERE event = 'tag_deleted'"), 2);
    assert_eq!(bed.count("SELECT count(*) FROM audit WHERE event = 'manifest_deleted'"), 1);
    bed.audited();
}

#[test]
fn a_push_lifts_the_tombstone_after_a_new_check() {
    let bed = Bed::new();
    let image = bed.push_image("a/b", &["c", "l"], &["v1"], 1);
    bed.delete("a/b", &image, 2);
    assert_eq!(bed.delete_blob("a/b", "l", 3), deleted(&[]));
    assert_eq!(bed.push("a/b", &image, &["v1"], 4), crate::CommitOutcome::ClosureChanged);
    assert_eq!(bed.manifest("a/b", &image), None);
    bed.push_blob("a/b", "l", 5);
    bed.pushed("a/b", &image, &["v1"], 6);
    assert!(bed.tagged("a/b", "v1").is_some());
}

#[test]
fn a_live_index_keeps_its_children_and_is_named() {
    let bed = Bed::new();
    let child = bed.push_image("a/b", &["c"], &["child"], 1);
    let one = index(&[child.descriptor()]);
    bed.pushed("a/b", &one, &["v2", "v1"], 2);
    // Twice in the same index: named once. An index of the index does not name the child.
    let two = index(&[child.descriptor(), child.descriptor()]);
    bed.pushed("a/b", &two, &[], 3);
    bed.pushed("a/b", &index(&[one.descriptor()]), &["top"], 4);
    let mut holders = vec![
        Holder { digest: one.digest.clone(), tags: vec!["v1".to_owned(), "v2".to_owned()] },
        Holder { digest: two.digest.clone(), tags: vec![] },
    ];
    holders.sort_by(|one, other| one.digest.cmp(&other.digest));
    assert_eq!(bed.delete("a/b", &child, 5), DeleteOutcome::NamedBy(holders));
    assert!(bed.tagged("a/b", "child").is_some());
    // The tag alone may go.
    assert_eq!(bed.delete_tag("a/b", "child", 6), deleted(&["child"]));
    assert_eq!(bed.delete("a/b", &two, 7), deleted(&[]));
    assert!(matches!(bed.delete("a/b", &one, 8), DeleteOutcome::NamedBy(_)));
    assert!(matches!(bed.delete("a/b", &child, 9), DeleteOutcome::NamedBy(holders) if holders.len() == 1));
}

#[test]
fn a_tombstone_holds_nothing_against_a_delete() {
    let bed = Bed::new();
    let child = bed.push_image("a/b", &["c"], &[], 1);
    let parent = index(&[child.descriptor()]);
    bed.pushed("a/b", &parent, &["v1"], 2);
    bed.delete("a/b", &parent, 3);
    assert_eq!(bed.delete("a/b", &child, 4), deleted(&[]));
    assert_eq!(bed.delete_blob("a/b", "c", 5), deleted(&[]));
    assert_eq!(bed.blob("a/b", "c"), None);
    // Another repository's manifest neither.
    bed.push_image("c/d", &["c"], &["v1"], 6);
    bed.push_blob("a/b", "c", 7);
    assert_eq!(bed.delete_blob("a/b", "c", 8), deleted(&[]));
    assert!(bed.blob("c/d", "c").is_some());
}

#[test]
fn a_blob_in_use_is_kept_and_its_users_named() {
    let bed = Bed::new();
    let image = bed.push_image("a/b", &["c", "l"], &["v1"], 1);
    let holder = Holder { digest: image.digest.clone(), tags: vec!["v1".to_owned()] };
    assert_eq!(bed.delete_blob("a/b", "l", 2), DeleteOutcome::NamedBy(vec![holder]));
    assert_eq!(bed.delete_blob("a/b", "nope", 2), DeleteOutcome::NotFound);
    assert_eq!(bed.delete_blob("c/d", "l", 2), DeleteOutcome::NoRepository);
    bed.delete("a/b", &image, 3);
    assert_eq!(bed.delete_blob("a/b", "l", 4), deleted(&[]));
    assert_eq!(bed.delete_blob("a/b", "l", 5), DeleteOutcome::NotFound);
    assert_eq!(bed.count("SELECT count(*) FROM audit WHERE event = 'blob_deleted'"), 1);
}

#[test]
fn a_deleted_tag_is_remembered() {
    let bed = Bed::new();
    let image = bed.push_image("a/b", &["c"], &["v1", "v2"], 1);
    assert_eq!(bed.delete_tag("a/b", "v1", 2), deleted(&["v1"]));
    assert_eq!(bed.delete_tag("a/b", "v1", 3), DeleteOutcome::NotFound);
    assert_eq!(bed.delete_tag("c/d", "v1", 3), DeleteOutcome::NoRepository);
    assert!(bed.manifest("a/b", &image).is_some());
    let sql = format!(
        "SELECT count(*) FROM tag_history WHERE tag = 'v1' AND previous = '{}' AND current IS NULL AND actor = 'ann'",
        image.digest
    );
    assert_eq!(bed.count(&sql), 1);
}

#[test]
fn a_refusal_names_a_bounded_number_of_holders() {
    let bed = Bed::new();
    for number in 0..30 {
        bed.push_image("a/b", &[&format!("config {number}"), "l"], &[], 1);
    }
    assert!(matches!(bed.delete_blob("a/b", "l", 2), DeleteOutcome::NamedBy(holders) if holders.len() == 20));
    let digest = image("c", &[]).digest;
    let request = DeleteManifest { repository: repository("c/d"), digest, immutable: None, actor: actor(), at_ms: 3 };
    let outcome = bed.wait(|metadata, done| metadata.delete_manifest(request, done)).unwrap();
    assert_eq!(outcome, DeleteOutcome::NoRepository);
}
