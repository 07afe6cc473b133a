//! Fuzzes manifests, and holds what is accepted against a plain reading of the same JSON; never the commit check.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mcr_oci::{Descriptor, EdgeKind, Manifest, ManifestKind, media_type};
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let types = [media_type::OCI_INDEX, media_type::OCI_MANIFEST, media_type::DOCKER_LIST, media_type::DOCKER_MANIFEST];
    for content_type in std::iter::once(None).chain(types.map(Some)) {
        match Manifest::parse(data, content_type) {
            Ok(manifest) => accepted(&manifest, data, content_type),
            Err(error) => {
                let message = error.to_string();
                assert!(message.len() < 1_000 && !message.contains(char::is_control), "{message}");
            }
        }
    }
});

/// What was accepted says the same whichever way it is asked.
fn accepted(manifest: &Manifest, data: &[u8], content_type: Option<&str>) {
    assert!(media_type::is_manifest(&manifest.media_type));
    assert_eq!(manifest.kind == ManifestKind::Index, media_type::is_index(&manifest.media_type));
    assert!(content_type.is_none_or(|content_type| content_type == manifest.media_type));
    assert_eq!(Manifest::parse(data, Some(&manifest.media_type)).as_ref(), Ok(manifest));
    for descriptor in manifest.edges.iter().map(|edge| &edge.descriptor).chain(&manifest.subject) {
        let written = serde_json::to_string(descriptor).expect("a descriptor can be written");
        let read: Descriptor = serde_json::from_str(&written).expect("what was written can be read");
        assert_eq!(&read, descriptor);
    }
    // Numbers and escapes that serde_json refuses may stand behind keys that we skip.
    if let Ok(plain) = serde_json::from_slice::<Value>(data) {
        compare(manifest, &plain);
    }
}

/// The edges are the descriptors that a plain reading finds, each once, in order.
fn compare(manifest: &Manifest, plain: &Value) {
    let list = |key: &str| plain[key].as_array().cloned().unwrap_or_default();
    let (config, others, kind) = match manifest.kind {
        ManifestKind::Image => (Some(plain["config"].clone()), list("layers"), EdgeKind::Layer),
        ManifestKind::Index => (None, list("manifests"), EdgeKind::Child),
    };
    let plain: Vec<Value> = config.into_iter().chain(others).collect();
    assert_eq!(manifest.edges.len(), plain.len());
    for (position, (edge, plain)) in manifest.edges.iter().zip(&plain).enumerate() {
        let config = manifest.kind == ManifestKind::Image && position == 0;
        assert_eq!(edge.kind, if config { EdgeKind::Config } else { kind });
        assert_eq!(plain["digest"], edge.descriptor.digest.as_str());
        assert_eq!(plain["size"], edge.descriptor.size);
        assert_eq!(plain["mediaType"].as_str().unwrap_or_default(), edge.descriptor.media_type);
    }
}
