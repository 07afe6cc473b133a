//! Tests of the referrers list: order, filter, pages, subjects that never came.

use std::collections::BTreeMap;

use mcr_oci::{Digest, media_type};
use serde_json::json;

use crate::testing::{Bed, Pushed, blob_descriptor, pushed, repository};

fn referrer(subject: &Digest, artifact_type: Option<&str>, note: &str) -> Pushed {
    let mut json = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": blob_descriptor("application/vnd.example.config", "c"),
        "layers": [],
        "subject": { "mediaType": media_type::OCI_MANIFEST, "digest": subject.as_str(), "size": 7 },
        "annotations": { "note": note },
    });
    if let Some(artifact_type) = artifact_type {
        json["artifactType"] = json!(artifact_type);
    }
    pushed(&json, media_type::OCI_MANIFEST)
}

#[test]
fn referrers_are_listed_at_once_by_digest_and_type() {
    let bed = Bed::new();
    let name = repository("a/b");
    let subject = Digest::sha256(b"it never comes");
    let list = |kind, last, limit| bed.metadata.referrers(&name, &subject, kind, last, limit).unwrap();
    assert_eq!(list(None, None, 10), []);
    bed.push_blob("a/b", "c", 1);
    let mut all = vec![
        referrer(&subject, Some("text/sbom"), "one"),
        referrer(&subject, None, "two"),
        referrer(&subject, Some("text/sbom"), "three"),
    ];
    for manifest in &all {
        bed.pushed("a/b", manifest, &[], 2);
    }
    bed.pushed("a/b", &referrer(&Digest::sha256(b"another"), None, "four"), &[], 2);
    all.sort_by(|one, other| one.digest.cmp(&other.digest));
    let rows = list(None, None, 10);
    let digests: Vec<_> = rows.iter().map(|row| row.digest.clone()).collect();
    assert_eq!(digests, all.iter().map(|manifest| manifest.digest.clone()).collect::<Vec<_>>());
    assert_eq!(list(Some("text/sbom"), None, 10).len(), 2);
    // The media type of the config stands in.
    let by_config = list(Some("application/vnd.example.config"), None, 10);
    assert_eq!(by_config.len(), 1);
    assert_eq!(by_config[0].annotations, BTreeMap::from([("note".to_owned(), "two".to_owned())]));
    assert_eq!(by_config[0].size, bed.manifest("a/b", &referrer(&subject, None, "two")).unwrap().size);
    assert_eq!(list(None, None, 2), rows[..2]);
    assert_eq!(list(None, Some(&digests[1]), 2), rows[2..]);
    bed.delete("a/b", &all[0], 3);
    assert_eq!(list(None, None, 10), rows[1..]);
    assert_eq!(bed.manifest("a/b", &all[1]).unwrap().subject, Some(subject.clone()));
    let elsewhere = bed.metadata.referrers(&repository("c/d"), &subject, None, None, 10).unwrap();
    assert_eq!(elsewhere, []);
}
