//! Tests of taking in: what is here is not taken again, what differs leaves nothing, no check is weaker than a push's.

#![expect(clippy::disallowed_methods, reason = "tests make and damage files themselves")]

use std::io::Write as _;

use mcr_oci::media_type;
use serde_json::json;

use super::*;
use crate::Settings;
use crate::testing::{Bed, NOW, name, tag};

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn image(config: &[u8], layer: &[u8]) -> TakenManifest {
    let descriptor = |kind: &str, bytes: &[u8]| json!({ "mediaType": kind, "digest": Digest::sha256(bytes).as_str(), "size": bytes.len() });
    let bytes = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": [descriptor("application/octet-stream", layer)],
    });
    let bytes = bytes.to_string().into_bytes();
    TakenManifest {
        digest: Digest::sha256(&bytes),
        manifest: Arc::new(Manifest::parse(&bytes, None).unwrap()),
        bytes: bytes.into(),
        pushed_ms: 1_000,
        tags: vec![(tag("v1"), 1_000)],
    }
}

async fn take(adopter: &Adopter, bytes: &[u8], as_digest: &Digest) -> BlobTaken {
    adopter.take_file(as_digest, file(bytes), false, (), |_| ()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_is_taken_once_and_what_differs_is_not() {
    let bed = Bed::new();
    let adopter = bed.registry.adopter(&bed.global());
    let digest = Digest::sha256(b"bytes");
    assert!(!adopter.holds_blob(&digest).await.unwrap());
    let refused = take(&adopter, b"other", &digest).await;
    assert_eq!(refused, BlobTaken::Differs { computed: Digest::sha256(b"other"), size: 5 });
    assert!(!adopter.holds_blob(&digest).await.unwrap());
    assert!(matches!(take(&adopter, b"bytes", &digest).await, BlobTaken::Whole(_, 5)));
    assert!(adopter.holds_blob(&digest).await.unwrap());
    // A hand changed its file: it is no longer the one that was hashed, and is taken again.
    let path = bed.directory.path().join("layers/sha256").join(&digest.hex()[..2]).join(digest.hex());
    std::fs::write(path, b"BYTES").unwrap();
    assert!(!adopter.holds_blob(&digest).await.unwrap());
    assert!(matches!(take(&adopter, b"bytes", &digest).await, BlobTaken::Whole(_, 5)));
    assert!(adopter.holds_blob(&digest).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_passes_the_walk_of_a_push() {
    let bed = Bed::new();
    let adopter = bed.registry.adopter(&bed.global());
    let taken = image(b"config", b"layer");
    let config = Digest::sha256(b"config");
    take(&adopter, b"config", &config).await;
    let layer = Digest::sha256(b"layer");
    assert_eq!(adopter.link(&name("a"), vec![config, layer.clone()]).await.unwrap(), std::slice::from_ref(&layer));
    let ManifestTaken::Incomplete(findings) = adopter.take_manifest(&name("a"), taken.clone()).await.unwrap() else {
        panic!("it lacks a layer");
    };
    assert_eq!(findings.iter().map(|finding| finding.digest.clone()).collect::<Vec<_>>(), [Some(layer.clone())]);
    assert!(!adopter.holds_manifest(&name("a"), &taken.digest).await.unwrap());

    take(&adopter, b"layer", &layer).await;
    assert!(adopter.link(&name("a"), vec![layer.clone()]).await.unwrap().is_empty());
    let done = adopter.take_manifest(&name("a"), taken.clone()).await.unwrap();
    assert!(matches!(done, ManifestTaken::Whole { created: true, ref moved } if moved == &[(tag("v1"), None)]));
    assert!(adopter.holds_manifest(&name("a"), &taken.digest).await.unwrap());
    let tags = adopter.tags(&name("a")).await.unwrap();
    assert_eq!((tags[0].moved_ms, tags[0].actor.as_deref()), (1_000, Some(IMPORT)));
    let told = bed.told("tag_moved").await;
    assert_eq!((told[0].at_ms, told[0].actor.as_str()), (NOW, IMPORT));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_immutable_tag_stays_and_the_reserve_is_kept() {
    let rule = crate::Rule {
        repositories: vec!["**".to_owned()],
        sparse: false,
        immutable_tags: Some(crate::Rule::tag_pattern("v.*").unwrap()),
    };
    let bed = Bed::with(Settings { rules: vec![rule], ..Settings::default() });
    let adopter = bed.registry.adopter(&bed.global());
    for (layer, expected) in [(b"one".as_slice(), true), (b"two", false)] {
        let taken = image(b"config", layer);
        let digests = [b"config".as_slice(), layer].map(|bytes| (Digest::sha256(bytes), bytes));
        for (digest, bytes) in &digests {
            take(&adopter, bytes, digest).await;
        }
        adopter.link(&name("a"), digests.iter().map(|(digest, _)| digest.clone()).collect()).await.unwrap();
        let tags = vec![tag("v1"), tag("latest")];
        let held = adopter.held_tags(&name("a"), &taken.digest, tags).await.unwrap();
        assert_eq!(held, if expected { Vec::new() } else { vec![tag("v1")] });
        let done = adopter.take_manifest(&name("a"), taken).await.unwrap();
        assert_eq!(matches!(done, ManifestTaken::Whole { .. }), expected, "{done:?}");
        assert_eq!(matches!(&done, ManifestTaken::Held(held) if *held == tag("v1")), !expected);
    }
}
