//! Tests of damage: every path to it, nothing where there is none.

use mcr_oci::{Digest, Finding, FindingKind};
use serde_json::json;

use super::MAX_DAMAGE;
use crate::BlobState;
use crate::testing::{Bed, Pushed, index, repository};

fn on(platform: &str, image: &Pushed) -> serde_json::Value {
    let mut descriptor = image.descriptor();
    descriptor["platform"] = json!({ "os": "linux", "architecture": platform });
    descriptor
}

#[test]
fn every_path_to_a_damaged_layer_is_told() {
    let bed = Bed::new();
    let amd = bed.push_image("a/b", &["c1", "shared", "l1"], &["amd"], 1);
    let arm = bed.push_image("a/b", &["c2", "shared", "l2"], &["arm"], 1);
    let whole = bed.push_image("a/b", &["c3", "l3"], &["whole"], 1);
    let top = index(&[on("amd64", &amd), on("arm64", &arm), on("riscv64", &whole)]);
    bed.pushed("a/b", &top, &["v1"], 2);
    assert!(bed.tagged("a/b", "v1").unwrap().damage.is_empty());
    bed.set_state("shared", BlobState::Quarantined, "it shrank", 3);
    let row = bed.tagged("a/b", "v1").unwrap();
    assert!(!row.own_damage && !row.corrupt);
    let seen: Vec<_> = row
        .damage
        .iter()
        .map(|finding: &Finding| (finding.path.clone(), finding.platform.clone().unwrap_or_default()))
        .collect();
    let expected = vec![
        (vec![top.digest.clone(), amd.digest.clone()], "linux/amd64".to_owned()),
        (vec![top.digest.clone(), arm.digest.clone()], "linux/arm64".to_owned()),
    ];
    assert_eq!(seen, expected);
    let first = &row.damage[0];
    assert_eq!((first.kind, first.digest.clone()), (FindingKind::BlobTruncated, Some(Digest::sha256(b"shared"))));
    assert_eq!((first.size, first.repository.as_deref()), (Some(6), Some("a/b")));
    assert_eq!(first.media_type.as_deref(), Some("application/octet-stream"));
    assert_eq!(first.detail.as_deref(), Some("it shrank"));
    assert!(bed.tagged("a/b", "amd").unwrap().own_damage);
    let row = bed.tagged("a/b", "whole").unwrap();
    assert!(row.damage.is_empty() && !row.own_damage);
    // A push heals every one of them.
    bed.push_blob("c/d", "shared", 4);
    assert!(bed.tagged("a/b", "v1").unwrap().damage.is_empty());
}

#[test]
fn a_missing_blob_child_of_an_index_is_not_its_own_damage() {
    let bed = Bed::new();
    bed.push_blob("a/b", "cache", 1);
    let child = json!({ "mediaType": "application/x", "digest": Digest::sha256(b"cache").as_str(), "size": 5 });
    bed.pushed("a/b", &index(&[child]), &["v1"], 2);
    bed.sql().execute_batch("UPDATE blobs SET state = 'missing'").unwrap();
    let row = bed.tagged("a/b", "v1").unwrap();
    assert_eq!((row.own_damage, row.damage.len()), (false, 1));
    assert_eq!(row.damage[0].kind, FindingKind::BlobMissing);
}

#[test]
fn many_paths_and_great_depth_stay_bounded() {
    let bed = Bed::new();
    let mut below = bed.push_image("a/b", &["c"], &[], 1);
    // Each level doubles the paths: 2^40 of them.
    for _ in 0..40 {
        let descriptor = below.descriptor();
        below = index(&[descriptor.clone(), descriptor]);
        bed.pushed("a/b", &below, &[], 1);
    }
    bed.pushed("a/b", &below, &["deep"], 1);
    bed.set_state("c", BlobState::Missing, "gone", 2);
    let row = bed.tagged("a/b", "deep").unwrap();
    assert_eq!(row.damage.len(), MAX_DAMAGE);
    assert!(row.damage.iter().all(|finding| finding.path.len() == 41));
    assert_eq!(bed.metadata.closure(&repository("a/b"), &[below.digest]).unwrap().manifests.len(), 41);
}
