//! Random manifests: what is written by the rules is read back, and no bytes at all make parsing panic.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::descriptor::Platform;

/// A random descriptor with right data, where it has any.
fn descriptor() -> impl Strategy<Value = Descriptor> {
    let types = prop_oneof![
        Just(media_type::OCI_MANIFEST.to_owned()),
        Just(media_type::OCI_LAYER_ZSTD.to_owned()),
        Just(media_type::DOCKER_FOREIGN_LAYER.to_owned()),
        "[a-z]{0,4}/[a-z]{0,4}",
    ];
    let platform = option::of(("[a-z]{0,5}", "[a-z0-9]{0,5}", option::of("v[0-9]")));
    let texts = (option::of("[a-z]{1,3}/[a-z]"), btree_map("\\PC{0,6}", "\\PC{0,6}", 0..3), vec("\\PC{0,8}", 0..2));
    (types, vec(any::<u8>(), 0..40), any::<(bool, bool)>(), platform, texts).prop_map(
        |(media_type, content, (sha512, inline), platform, (artifact_type, annotations, urls))| {
            use base64::Engine as _;
            let algorithm = if sha512 { crate::Algorithm::Sha512 } else { crate::Algorithm::Sha256 };
            let platform = platform.map(|(os, architecture, variant)| Platform {
                os,
                architecture,
                variant,
                ..Platform::default()
            });
            let data = inline.then(|| base64::engine::general_purpose::STANDARD.encode(&content));
            let size = u64::try_from(content.len()).unwrap();
            let plain = Descriptor::new(media_type, Digest::of(algorithm, &content), size);
            Descriptor { platform, artifact_type, annotations, data, urls, ..plain }
        },
    )
}

/// The JSON of an image (the first part is its config) or of an index.
fn written(image: bool, parts: &[Descriptor], subject: Option<&Descriptor>) -> String {
    let mut manifest = serde_json::json!({ "schemaVersion": 2, "subject": subject });
    match parts.split_first() {
        Some((config, layers)) if image => {
            manifest["config"] = serde_json::json!(config);
            manifest["layers"] = serde_json::json!(layers);
        }
        _ => manifest["manifests"] = serde_json::json!(parts),
    }
    manifest.to_string()
}

proptest! {
    #[test]
    fn what_was_written_is_read_back(image: bool, parts in vec(descriptor(), 0..6), subject in option::of(descriptor())) {
        let manifest = Manifest::parse(written(image, &parts, subject.as_ref()).as_bytes(), None).unwrap();
        let image = image && !parts.is_empty();
        prop_assert_eq!(manifest.kind == ManifestKind::Image, image);
        prop_assert_eq!(manifest.subject, subject);
        let read: Vec<_> = manifest.edges.into_iter().map(|edge| edge.descriptor).collect();
        prop_assert_eq!(read, parts);
    }

    #[test]
    fn one_changed_byte_never_makes_it_panic(
        image: bool, parts in vec(descriptor(), 1..4), place: prop::sample::Index, byte: u8, keep: bool
    ) {
        let mut bytes = written(image, &parts, None).into_bytes();
        let place = place.index(bytes.len());
        bytes.splice(place..=place, keep.then_some(byte));
        let _ = Manifest::parse(&bytes, Some(media_type::OCI_MANIFEST));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, content_type in option::of("\\PC*")) {
        let _ = Manifest::parse(&bytes, content_type.as_deref());
    }

    #[test]
    fn no_json_makes_it_panic(json in "\\{(\"(config|layers|manifests|size|digest|data)\":(\\[|\\{|1|-1|null|\"e30=\"|\\]|\\}),?){0,12}") {
        let _ = Manifest::parse(json.as_bytes(), None);
    }
}

#[test]
fn what_oci_spec_writes_is_read() {
    use oci_spec::image::{DescriptorBuilder, ImageIndexBuilder, ImageManifestBuilder, MediaType, Sha256Digest};
    use std::str::FromStr as _;
    let content = Digest::sha256(b"{}");
    let digest = || Sha256Digest::from_str(content.hex()).unwrap();
    let descriptor =
        |media_type| DescriptorBuilder::default().media_type(media_type).digest(digest()).size(2_u64).build();
    let image = ImageManifestBuilder::default()
        .schema_version(2_u32)
        .config(descriptor(MediaType::ImageConfig).unwrap())
        .layers(vec![descriptor(MediaType::ImageLayer).unwrap()])
        .build()
        .unwrap();
    assert_eq!(accept(&image.to_string().unwrap()).edges.len(), 2);
    let index = ImageIndexBuilder::default()
        .schema_version(2_u32)
        .manifests(vec![descriptor(MediaType::ImageManifest).unwrap()])
        .build()
        .unwrap();
    assert_eq!(accept(&index.to_string().unwrap()).edges[0].descriptor.digest, content);
}
