//! Tests of media types, held against those of `oci-spec`.

use oci_spec::image::MediaType;

use super::*;

#[test]
fn the_constants_are_those_of_the_specification() {
    for (ours, theirs) in [
        (OCI_INDEX, MediaType::ImageIndex),
        (OCI_MANIFEST, MediaType::ImageManifest),
        (OCI_CONFIG, MediaType::ImageConfig),
        (OCI_LAYER, MediaType::ImageLayer),
        (OCI_LAYER_GZIP, MediaType::ImageLayerGzip),
        (OCI_LAYER_ZSTD, MediaType::ImageLayerZstd),
        (OCI_EMPTY, MediaType::EmptyJSON),
    ] {
        assert_eq!(ours, theirs.to_string());
    }
}

#[test]
fn non_distributable_layers_are_told_by_their_type() {
    for foreign in [
        MediaType::ImageLayerNonDistributable,
        MediaType::ImageLayerNonDistributableGzip,
        MediaType::ImageLayerNonDistributableZstd,
    ] {
        assert!(is_non_distributable(foreign.as_ref()));
    }
    assert!(is_non_distributable(DOCKER_FOREIGN_LAYER));
    for ordinary in [OCI_LAYER, OCI_LAYER_GZIP, DOCKER_LAYER, OCTET_STREAM, ""] {
        assert!(!is_non_distributable(ordinary), "{ordinary}");
    }
}

#[test]
fn manifests_are_images_or_indexes() {
    for (media_type, index, image) in [
        (OCI_INDEX, true, false),
        (DOCKER_LIST, true, false),
        (OCI_MANIFEST, false, true),
        (DOCKER_MANIFEST, false, true),
        (DOCKER_SCHEMA1, false, false),
        (OCI_CONFIG, false, false),
        ("application/json", false, false),
        ("", false, false),
    ] {
        let found = (is_index(media_type), is_image(media_type), is_manifest(media_type));
        assert_eq!(found, (index, image, index || image), "{media_type}");
    }
    assert!(is_schema1(DOCKER_SCHEMA1) && is_schema1(DOCKER_SCHEMA1_SIGNED) && !is_schema1(DOCKER_MANIFEST));
}

#[test]
fn parameters_are_ignored() {
    assert_eq!(strip_parameters(" application/json ; charset=utf-8; x=y"), "application/json");
    assert_eq!(strip_parameters(";"), "");
    assert!(is_index(&format!("{OCI_INDEX};charset=utf-8")));
}
