//! Tests of the counts and of the registry's id.

use mcr_oci::FindingKind;

use crate::testing::Bed;
use crate::{BlobState, Summary};

#[test]
fn counts_are_of_what_is_live() {
    let bed = Bed::new();
    assert_eq!(bed.metadata.summary().unwrap(), Summary::default());
    assert!(!bed.metadata.has_blobs().unwrap());
    bed.push_image("a/b", &["c", "layer"], &["v1", "v2"], 1);
    let gone = bed.push_image("c/d", &["c", "x"], &["v1"], 1);
    bed.set_state("x", BlobState::Quarantined, "flipped", 2);
    bed.delete("c/d", &gone, 3);
    let expected = Summary {
        repositories: 1,
        tags: 2,
        manifests: 1,
        blobs: 3,
        blob_bytes: 7,
        quarantined: 1,
        open_findings: 1,
        findings_by_kind: vec![(FindingKind::BlobTruncated, 1)],
        probe: None,
    };
    assert_eq!(bed.metadata.summary().unwrap(), expected);
    assert!(bed.metadata.has_blobs().unwrap());
}

#[test]
fn the_id_can_be_given_and_taken_over() {
    let bed = Bed::new();
    bed.metadata.set_registry_id("one").unwrap();
    bed.metadata.set_registry_id("two").unwrap();
    assert_eq!(bed.metadata.registry_id().unwrap().as_deref(), Some("two"));
}
