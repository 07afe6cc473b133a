//! Tests of commits: whole or not at all, tags and their history, what a second push changes.

use mcr_oci::{Digest, media_type};
use serde_json::{Value, json};

use crate::testing::{Bed, Pushed, blob_descriptor, commit, image, index, pushed, repository, tag};
use crate::{BlobState, CommitOutcome, DeleteOutcome, SetManifestCorrupt, TagGuard, TagMove};

fn moved(outcome: CommitOutcome) -> (Vec<(String, Option<Digest>)>, bool) {
    let CommitOutcome::Committed { moved, created } = outcome else {
        panic!("{outcome:?}");
    };
    let moved = moved.into_iter().map(|TagMove { tag, previous }| (tag.as_str().to_owned(), previous)).collect();
    (moved, created)
}

#[test]
fn a_push_is_found_under_its_digest_and_its_tags() {
    let bed = Bed::new();
    bed.push_blob("a/b", "c", 1);
    let image = image("c", &[]);
    assert_eq!(
        moved(bed.push("a/b", &image, &["v1", "latest"], 2)),
        (vec![("v1".to_owned(), None), ("latest".to_owned(), None)], true)
    );
    let row = bed.manifest("a/b", &image).unwrap();
    assert_eq!((&row.digest, row.bytes.as_slice()), (&image.digest, &*image.bytes));
    assert_eq!((row.media_type.as_str(), row.size), (media_type::OCI_MANIFEST, image.bytes.len() as u64));
    assert!(row.referenced && !row.corrupt && !row.own_damage && row.damage.is_empty());
    assert_eq!(bed.tagged("a/b", "latest"), Some(row));
    assert_eq!(bed.tagged("a/b", "nope"), None);
    assert_eq!(bed.tagged("c/d", "latest"), None);
    // One for the blob, one for the push, one for each tag.
    assert_eq!(bed.audited(), 4);
}

#[test]
fn a_second_push_changes_nothing_but_tags() {
    let bed = Bed::new();
    let first = bed.push_image("a/b", &["c", "l"], &["v1"], 1);
    assert_eq!(moved(bed.push("a/b", &first, &["v1"], 2)), (vec![], false));
    assert_eq!(moved(bed.push("a/b", &first, &["v2"], 3)), (vec![("v2".to_owned(), None)], false));
    let second = bed.push_image("a/b", &["c", "m"], &[], 4);
    let expected = vec![("v1".to_owned(), Some(first.digest.clone()))];
    assert_eq!(moved(bed.push("a/b", &second, &["v1"], 5)), (expected, false));
    assert_eq!(bed.tagged("a/b", "v1").unwrap().digest, second.digest);
    assert_eq!(bed.count("SELECT count(*) FROM edges"), 4);
    let history = "SELECT group_concat(tag || at || coalesce(substr(previous, 1, 9), '-'), ' ') FROM tag_history";
    let text: String = bed.sql().query_row(history, [], |row| row.get(0)).unwrap();
    assert_eq!(text, format!("v11- v23- v15{}", &first.digest.as_str()[..9]));
    bed.audited();
}

fn refused(bed: &Bed, manifest: &Pushed) {
    let before = bed.count("SELECT (SELECT count(*) FROM audit) + (SELECT count(*) FROM repositories)");
    assert_eq!(bed.push("a/b", manifest, &["v1"], 9), CommitOutcome::ClosureChanged);
    assert_eq!(bed.tagged("a/b", "v1"), None);
    assert_eq!(bed.manifest("a/b", manifest), None);
    assert_eq!(bed.count("SELECT (SELECT count(*) FROM audit) + (SELECT count(*) FROM repositories)"), before);
}

#[test]
fn an_edge_that_leads_nowhere_good_refuses_the_whole() {
    let bed = Bed::new();
    refused(&bed, &image("c", &["l"]));
    bed.push_blob("a/b", "c", 1);
    refused(&bed, &image("c", &["l"]));
    // In another repository only.
    bed.push_blob("c/d", "l", 1);
    refused(&bed, &image("c", &["l"]));
    // A tombstone.
    bed.push_blob("a/b", "l", 2);
    bed.delete_blob("a/b", "l", 3);
    refused(&bed, &image("c", &["l"]));
    // Known to be damaged.
    bed.push_blob("a/b", "l", 4);
    bed.set_state("l", BlobState::Quarantined, "flipped", 5);
    refused(&bed, &image("c", &["l"]));
    bed.push_blob("a/b", "l", 6);
    // Of another size.
    let mut layer = blob_descriptor("application/octet-stream", "l");
    layer["size"] = json!(2);
    let config = blob_descriptor("application/vnd.oci.image.config.v1+json", "c");
    let wrong = json!({ "schemaVersion": 2, "config": config, "layers": [layer] });
    refused(&bed, &pushed(&wrong, media_type::OCI_MANIFEST));
    // An index over what is no manifest here.
    let child = image("c", &["l"]);
    refused(&bed, &index(&[child.descriptor()]));
    bed.pushed("a/b", &child, &[], 7);
    bed.delete("a/b", &child, 8);
    refused(&bed, &index(&[child.descriptor()]));
    bed.pushed("a/b", &child, &[], 9);
    bed.pushed("a/b", &index(&[child.descriptor()]), &["v1"], 10);
    bed.audited();
}

#[test]
fn a_corrupt_child_refuses_and_a_push_heals_it() {
    let bed = Bed::new();
    let child = bed.push_image("a/b", &["c"], &[], 1);
    let corrupt = |at_ms| SetManifestCorrupt {
        repository: repository("a/b"),
        digest: child.digest.clone(),
        detail: "flipped".to_owned(),
        at_ms,
    };
    assert!(bed.wait(|metadata, done| metadata.set_manifest_corrupt(corrupt(2), done)).unwrap());
    assert!(bed.manifest("a/b", &child).unwrap().corrupt);
    refused(&bed, &index(&[child.descriptor()]));
    bed.sql().execute_batch("UPDATE manifest_contents SET bytes = x'00'").unwrap();
    assert_eq!(moved(bed.push("a/b", &child, &[], 3)), (vec![], false));
    let row = bed.manifest("a/b", &child).unwrap();
    assert!(!row.corrupt);
    assert_eq!(row.bytes.as_slice(), &*child.bytes);
    assert_eq!(bed.metadata.integrity(10).unwrap(), []);
    bed.pushed("a/b", &index(&[child.descriptor()]), &["v1"], 4);
}

#[test]
fn children_that_are_no_manifests_may_be_blobs_or_manifests() {
    let bed = Bed::new();
    bed.push_blob("a/b", "cache", 1);
    let odd = |digest: &str, size: usize| json!({ "mediaType": "application/x", "digest": digest, "size": size });
    let blob = odd(Digest::sha256(b"cache").as_str(), 5);
    let image = bed.push_image("a/b", &["c"], &[], 1);
    let manifest = odd(image.digest.as_str(), image.bytes.len());
    bed.pushed("a/b", &index(&[blob.clone(), manifest.clone()]), &["v1"], 2);
    assert!(bed.blob("a/b", "cache").unwrap().referenced);
    assert!(bed.manifest("a/b", &image).unwrap().referenced);
    // One that is both: the manifest, whose own closure is then held.
    let bytes = String::from_utf8(image.bytes.to_vec()).unwrap();
    bed.push_blob("a/b", &bytes, 3);
    bed.pushed("a/b", &index(std::slice::from_ref(&manifest)), &["v2"], 4);
    assert!(!bed.blob("a/b", &bytes).unwrap().referenced);
    // And where the manifest is damaged, the blob.
    bed.sql().execute_batch("UPDATE manifests SET state = 'corrupt' WHERE kind = 'image'").unwrap();
    bed.pushed("a/b", &index(&[manifest, blob]), &["v3"], 5);
    assert!(bed.blob("a/b", &bytes).unwrap().referenced);
    let nothing = index(&[odd(Digest::sha256(b"none").as_str(), 4)]);
    refused(&Bed::new(), &nothing);
}

#[test]
fn sparse_children_may_be_missing_and_are_held_when_they_come() {
    let bed = Bed::new();
    let image = image("c", &["l"]);
    let index = index(&[image.descriptor()]);
    let sparse = |at_ms| {
        let mut request = commit("a/b", &index, &["v1"], at_ms);
        request.allow_missing_children = true;
        bed.wait(|metadata, done| metadata.commit_manifest(request, done)).unwrap()
    };
    assert!(moved(sparse(1)).1);
    assert_eq!(bed.count("SELECT weak FROM edges"), 1);
    // Never a config or a layer.
    let mut incomplete = commit("a/b", &image, &[], 2);
    incomplete.allow_missing_children = true;
    let outcome = bed.wait(|metadata, done| metadata.commit_manifest(incomplete, done)).unwrap();
    assert_eq!(outcome, CommitOutcome::ClosureChanged);
    bed.push_image("a/b", &["c", "l"], &[], 3);
    assert!(bed.manifest("a/b", &image).unwrap().referenced);
    assert_eq!(bed.manifest("a/b", &image).unwrap().unreferenced_since_ms, None);
    // Pushed again where nothing may be missing: the edge is as strong as any.
    bed.pushed("a/b", &index, &["v1"], 4);
    assert_eq!(bed.count("SELECT count(*) FROM edges WHERE weak = 1"), 0);
}

#[test]
fn a_strong_edge_weakens_only_where_a_child_may_be_missing() {
    let bed = Bed::new();
    let child = bed.push_image("a/b", &["c"], &[], 1);
    let index = index(&[child.descriptor()]);
    bed.pushed("a/b", &index, &["v1"], 2);
    bed.delete("a/b", &index, 3);
    bed.delete("a/b", &child, 4);
    assert_eq!(bed.push("a/b", &index, &["v1"], 5), CommitOutcome::ClosureChanged);
    let mut sparse = commit("a/b", &index, &["v1"], 6);
    sparse.allow_missing_children = true;
    let outcome = bed.wait(|metadata, done| metadata.commit_manifest(sparse, done)).unwrap();
    assert!(moved(outcome).1);
    assert_eq!(bed.manifest("a/b", &child), None);
    bed.pushed("a/b", &child, &[], 7);
    assert!(bed.manifest("a/b", &child).unwrap().referenced);
}

#[test]
fn a_key_that_fails_says_walk_again() {
    let bed = Bed::new();
    bed.push_blob("a/b", "c", 1);
    // A target that goes between the look and the key: made to happen by hand.
    bed.sql()
        .execute_batch(
            "CREATE TRIGGER gone BEFORE INSERT ON edges BEGIN
                 DELETE FROM repository_blobs WHERE blob_id = NEW.target_blob;
             END",
        )
        .unwrap();
    assert_eq!(bed.push("a/b", &image("c", &[]), &["v1"], 2), CommitOutcome::ClosureChanged);
    assert_eq!(bed.count("SELECT count(*) FROM manifests"), 0);
    assert_eq!(bed.count("SELECT count(*) FROM repository_blobs"), 1);
}

#[test]
fn bytes_that_are_live_keep_the_reading_they_came_with() {
    let bed = Bed::new();
    bed.push_blob("a/b", "c", 1);
    let json = json!({
        "schemaVersion": 2,
        "config": blob_descriptor("application/vnd.oci.image.config.v1+json", "c"),
    });
    let oci = pushed(&json, media_type::OCI_MANIFEST);
    let docker = pushed(&json, media_type::DOCKER_MANIFEST);
    assert_eq!(oci.digest, docker.digest);
    bed.pushed("a/b", &oci, &["v1"], 2);
    let stored = media_type::OCI_MANIFEST.to_owned();
    assert_eq!(bed.push("a/b", &docker, &["v2"], 3), CommitOutcome::MediaTypeConflict { stored });
    assert_eq!(bed.tagged("a/b", "v2"), None);
    bed.delete("a/b", &oci, 4);
    bed.pushed("a/b", &docker, &["v2"], 5);
    assert_eq!(bed.tagged("a/b", "v2").unwrap().media_type, media_type::DOCKER_MANIFEST);
    assert_eq!(bed.count("SELECT count(*) FROM edges"), 1);
}

#[test]
fn one_blob_may_stand_in_many_places() {
    let bed = Bed::new();
    bed.push_image("a/b", &["c", "c", "c", "l", "l"], &["v1"], 1);
    assert_eq!(bed.count("SELECT count(*) FROM edges"), 5);
    let empty = index(&[] as &[Value]);
    bed.pushed("a/b", &empty, &["empty"], 2);
    assert_eq!(bed.tagged("a/b", "empty").unwrap().digest, empty.digest);
    assert_eq!(tag("empty").as_str(), "empty");
}

fn guard() -> Option<TagGuard> {
    Some(TagGuard(std::sync::Arc::new(|tag| tag.starts_with('v'))))
}

#[test]
fn an_immutable_tag_moves_only_away_from_damage() {
    let bed = Bed::new();
    let first = bed.push_image("a/b", &["c", "x"], &["v1"], 1);
    bed.push_blob("a/b", "d", 1);
    let second = image("d", &[]);
    let push = |manifest: &Pushed| {
        let mut request = commit("a/b", manifest, &["v1"], 2);
        request.immutable = guard();
        bed.run(request).unwrap()
    };
    assert_eq!(push(&second), CommitOutcome::Immutable { tag: tag("v1") });
    assert_eq!(bed.manifest("a/b", &second), None, "nothing was written");
    assert!(matches!(push(&first), CommitOutcome::Committed { .. }), "the same digest again is no move");
    bed.set_state("x", BlobState::Quarantined, "flipped", 3);
    assert!(matches!(push(&second), CommitOutcome::Committed { .. }), "a broken one may be replaced");
}

#[test]
fn an_immutable_tag_holds_its_manifest() {
    let bed = Bed::new();
    let first = bed.push_image("a/b", &["c", "x"], &["v1", "latest"], 1);
    let (repository, digest) = (repository("a/b"), first.digest.clone());
    let by_digest = crate::DeleteManifest {
        repository: repository.clone(),
        digest,
        immutable: guard(),
        actor: crate::testing::actor(),
        at_ms: 2,
    };
    assert_eq!(bed.run(by_digest).unwrap(), DeleteOutcome::Immutable { tag: "v1".to_owned() });
    let by_tag = |name: &str| crate::DeleteTag {
        repository: repository.clone(),
        tag: tag(name),
        immutable: guard(),
        actor: crate::testing::actor(),
        at_ms: 2,
    };
    assert_eq!(bed.run(by_tag("v1")).unwrap(), DeleteOutcome::Immutable { tag: "v1".to_owned() });
    assert!(matches!(bed.run(by_tag("latest")).unwrap(), DeleteOutcome::Deleted { .. }));
}

#[test]
fn a_push_replaces_bytes_that_rotted_unseen() {
    let bed = Bed::new();
    let image = bed.push_image("a/b", &["c", "x"], &["v1"], 1);
    let _ = bed.sql().execute("UPDATE manifest_contents SET bytes = x'00'", []).unwrap();
    bed.pushed("a/b", &image, &["v1"], 2);
    assert_eq!(bed.manifest("a/b", &image).unwrap().bytes.as_slice(), &*image.bytes);
}
