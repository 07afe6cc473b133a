//! Tests of uploads and mounts: what is recorded, lifted, healed, and from where one may mount.

use mcr_oci::{Digest, media_type};
use serde_json::json;

use crate::testing::{Bed, blob_descriptor, pushed, repository, stat};
use crate::{BlobState, Lookup};

#[test]
fn a_blob_is_its_repositorys_alone() {
    let bed = Bed::new();
    bed.push_blob("a/b", "x", 7);
    let blob = bed.blob("a/b", "x").unwrap();
    assert_eq!((blob.size, blob.hashed_at_ms, blob.state), (1, 7, BlobState::Sound));
    assert_eq!(blob.stat, stat(1));
    assert!(!blob.referenced && !blob.scrub_requested && blob.detail.is_none());
    let digest = Digest::sha256(b"x");
    assert_eq!(bed.metadata.blob(&repository("a/c"), &digest).unwrap(), Lookup::NoRepository);
    bed.push_blob("a/c", "y", 8);
    assert_eq!(bed.metadata.blob(&repository("a/c"), &digest).unwrap(), Lookup::NotFound);
    assert_eq!(bed.metadata.blob_anywhere(&digest).unwrap().map(|blob| blob.size), Some(1));
    assert_eq!(bed.metadata.blob_anywhere(&Digest::sha256(b"z")).unwrap(), None);
    assert_eq!(bed.count("SELECT count(*) FROM audit WHERE event = 'blob_uploaded'"), 2);
    bed.audited();
}

#[test]
fn an_upload_heals_what_was_damaged() {
    let bed = Bed::new();
    assert!(!bed.push_blob("a/b", "x", 1).healed);
    assert!(!bed.push_blob("a/b", "x", 2).healed);
    for state in [BlobState::Quarantined, BlobState::Missing] {
        assert!(bed.set_state("x", state, "it shrank", 3));
        let blob = bed.blob("a/b", "x").unwrap();
        assert_eq!((blob.state, blob.detail.as_deref()), (state, Some("it shrank")));
        assert_eq!(bed.metadata.integrity(10).unwrap().len(), 1);
        // Into another repository: the bytes are the same.
        assert!(bed.push_blob("c/d", "x", 4).healed);
        assert_eq!(bed.blob("a/b", "x").unwrap().state, BlobState::Sound);
        assert_eq!(bed.metadata.integrity(10).unwrap(), []);
    }
    assert_eq!(bed.count("SELECT count(*) FROM audit WHERE event = 'blob_healed'"), 2);
    bed.audited();
}

#[test]
fn a_mount_takes_only_what_is_live_and_sound() {
    let bed = Bed::new();
    assert!(!bed.mount(Some("a/b"), "c/d", "x", 1));
    assert!(!bed.mount(None, "c/d", "x", 1));
    bed.push_blob("a/b", "x", 2);
    assert!(!bed.mount(Some("e/f"), "c/d", "x", 3));
    // A mount that failed has made no repository.
    assert_eq!(bed.metadata.tags(&repository("c/d"), None, 10).unwrap(), None);
    assert!(bed.mount(Some("a/b"), "c/d", "x", 4));
    assert_eq!(bed.blob("c/d", "x").unwrap().unreferenced_since_ms, Some(4));
    assert!(bed.mount(None, "e/f", "x", 5));
    bed.set_state("x", BlobState::Quarantined, "flipped", 6);
    assert!(!bed.mount(Some("a/b"), "g/h", "x", 7));
    assert!(!bed.mount(None, "g/h", "x", 7));
    bed.push_blob("a/b", "x", 8);
    for name in ["a/b", "c/d", "e/f"] {
        bed.delete_blob(name, "x", 9);
    }
    // The file is still there, but nobody holds it.
    assert!(!bed.mount(None, "g/h", "x", 10));
    assert_eq!(bed.metadata.blob_anywhere(&Digest::sha256(b"x")).unwrap().map(|blob| blob.size), Some(1));
}

#[test]
fn a_mount_and_an_upload_lift_a_tombstone() {
    let bed = Bed::new();
    bed.push_blob("a/b", "x", 1);
    bed.push_blob("c/d", "x", 1);
    bed.delete_blob("a/b", "x", 2);
    assert_eq!(bed.blob("a/b", "x"), None);
    assert!(bed.mount(Some("c/d"), "a/b", "x", 3));
    assert_eq!(bed.blob("a/b", "x").unwrap().unreferenced_since_ms, Some(3));
    bed.delete_blob("a/b", "x", 4);
    bed.push_blob("a/b", "x", 5);
    assert_eq!(bed.blob("a/b", "x").unwrap().unreferenced_since_ms, Some(5));
}

#[test]
fn a_foreign_layer_that_comes_later_is_held_by_the_manifest_that_waits() {
    let bed = Bed::new();
    bed.push_blob("a/b", "c", 1);
    let foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    let mut layer = blob_descriptor(foreign, "windows");
    // Clients write what they like there.
    layer["size"] = json!(4711);
    let json = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": blob_descriptor("application/vnd.oci.image.config.v1+json", "c"),
        "layers": [layer],
    });
    let image = pushed(&json, media_type::OCI_MANIFEST);
    bed.pushed("a/b", &image, &["v1"], 2);
    assert_eq!(bed.count("SELECT count(*) FROM edges WHERE target_blob IS NULL AND weak = 1"), 1);
    // In another repository it is nobody's.
    bed.push_blob("c/d", "windows", 3);
    assert_eq!(bed.count("SELECT count(*) FROM edges WHERE target_blob IS NULL"), 1);
    bed.push_blob("a/b", "windows", 4);
    assert_eq!(bed.count("SELECT count(*) FROM edges WHERE target_blob IS NULL"), 0);
    assert!(bed.blob("a/b", "windows").unwrap().referenced);
    let again = bed.push("a/b", &image, &["v1"], 5);
    assert!(matches!(again, crate::CommitOutcome::Committed { created: false, .. }));
    assert_eq!(bed.count("SELECT count(*) FROM edges WHERE target_blob IS NULL"), 0);
}

#[test]
fn the_holders_of_a_blob_are_those_with_a_live_link() {
    let bed = Bed::new();
    let digest = Digest::sha256(b"x");
    for name in ["a", "b", "c"] {
        bed.push_blob(name, "x", 1);
    }
    bed.delete_blob("b", "x", 2);
    assert_eq!(bed.metadata.holders_of_blob(&digest, 9).unwrap(), [repository("a"), repository("c")]);
    assert_eq!(bed.metadata.holders_of_blob(&digest, 1).unwrap().len(), 1);
    assert_eq!(bed.metadata.holders_of_blob(&Digest::sha256(b"y"), 9).unwrap(), []);
}
