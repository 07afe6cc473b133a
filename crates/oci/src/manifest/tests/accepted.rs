//! What clients send and must get through.

use super::*;

#[test]
fn an_image_is_a_config_and_its_layers_in_order() {
    let manifest = accept(&image(&format!(r#","layers":[{},{},{}]"#, layer(1), layer(2), layer(1))));
    let edges: Vec<_> = manifest.edges.iter().map(|edge| (edge.kind, edge.descriptor.digest.clone())).collect();
    let expected = [
        (EdgeKind::Config, Digest::sha256(b"config")),
        (EdgeKind::Layer, Digest::sha256(&[1])),
        (EdgeKind::Layer, Digest::sha256(&[2])),
        (EdgeKind::Layer, Digest::sha256(&[1])),
    ];
    assert_eq!(edges, expected);
    assert_eq!((manifest.media_type.as_str(), manifest.kind), (media_type::OCI_MANIFEST, ManifestKind::Image));
    assert!(manifest.edges.iter().all(|edge| edge.is_required() && edge.target() == EdgeTarget::Blob));
    assert!(manifest.warnings.is_empty() && manifest.subject.is_none());
}

#[test]
fn an_index_is_its_children() {
    let attestation =
        described(media_type::OCI_MANIFEST, b"x", r#","platform":{"os":"unknown","architecture":"unknown"}"#);
    let nested = described(media_type::OCI_INDEX, b"nested", "");
    let cache = described(media_type::OCI_LAYER_GZIP, b"cache", "");
    let untyped = format!(r#"{{"digest":"{}","size":1}}"#, Digest::sha256(b"u"));
    let docker = described(media_type::DOCKER_MANIFEST, b"docker", "");
    let manifest = accept(&index(&format!(r#","manifests":[{attestation},{nested},{cache},{untyped},{docker}]"#)));
    let targets: Vec<_> = manifest.edges.iter().map(Edge::target).collect();
    let (manifests, either) = (EdgeTarget::Manifest, EdgeTarget::Either);
    assert_eq!(targets, [manifests, manifests, either, either, manifests]);
    assert_eq!(manifest.kind, ManifestKind::Index);
    let platform = manifest.edges[0].descriptor.platform.as_ref().unwrap();
    assert_eq!(platform.to_string(), "unknown/unknown");
}

#[test]
fn null_and_absent_lists_are_empty() {
    for json in [image(""), image(r#","layers":null,"manifests":null,"subject":null,"annotations":null"#)] {
        assert_eq!(accept(&json).edges.len(), 1);
    }
    for json in [index(""), index(r#","manifests":null,"layers":null,"config":null"#), index(r#","manifests":[]"#)] {
        assert!(accept(&json).edges.is_empty());
    }
}

#[test]
fn the_body_may_say_no_media_type() {
    let bare = |rest: &str| format!(r#"{{"schemaVersion":2{rest}}}"#);
    let (image, index) = (bare(&format!(r#","config":{}"#, config())), bare(r#","manifests":[]"#));
    for (json, content_type, expected) in [
        (&image, Some(media_type::OCI_MANIFEST), media_type::OCI_MANIFEST),
        (&image, Some(media_type::DOCKER_MANIFEST), media_type::DOCKER_MANIFEST),
        (&index, Some(media_type::DOCKER_LIST), media_type::DOCKER_LIST),
        (&image, None, media_type::OCI_MANIFEST),
        (&image, Some(" ; charset=utf-8"), media_type::OCI_MANIFEST),
        (&index, None, media_type::OCI_INDEX),
    ] {
        assert_eq!(Manifest::parse(json.as_bytes(), content_type).unwrap().media_type, expected);
    }
}

#[test]
fn parameters_of_the_content_type_are_ignored() {
    let content_type = format!("{}; charset=utf-8", media_type::OCI_INDEX);
    let manifest = Manifest::parse(index("").as_bytes(), Some(&content_type)).unwrap();
    assert_eq!(manifest.media_type, media_type::OCI_INDEX);
}

#[test]
fn foreign_layers_need_not_be_here_whatever_their_urls_and_sizes() {
    let foreign = described(media_type::DOCKER_FOREIGN_LAYER, b"f", "");
    let bogus = foreign.replace(r#""size":1"#, r#""size":12345"#);
    let linked = described(media_type::OCI_LAYER_GZIP, b"o", r#","urls":["https://example.org/o"]"#);
    let nested = described("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", b"z", r#","urls":[]"#);
    let manifest = accept(&image(&format!(r#","layers":[{foreign},{bogus},{linked},{nested}]"#)));
    let required: Vec<_> = manifest.edges.iter().map(Edge::is_required).collect();
    assert_eq!(required, [true, false, false, true, false]);
}

#[test]
fn only_layers_can_be_foreign() {
    let foreign = described(media_type::DOCKER_FOREIGN_LAYER, b"f", "");
    assert!(accept(&index(&format!(r#","manifests":[{foreign}]"#))).edges[0].is_required());
    let json = format!(r#"{{"schemaVersion":2,"config":{foreign}}}"#);
    assert!(accept(&json).edges[0].is_required());
}

#[test]
fn the_artifact_type_is_what_referrers_filters_by() {
    let artifact_type = |json: &str| accept(json).artifact_type;
    let said = Some("a/b".to_owned());
    assert_eq!(artifact_type(&image(r#","artifactType":"a/b""#)), said);
    assert_eq!(artifact_type(&image("")).as_deref(), Some(media_type::OCI_CONFIG));
    assert_eq!(artifact_type(&image(r#","artifactType":"""#)).as_deref(), Some(media_type::OCI_CONFIG));
    assert_eq!(artifact_type(&image("").replace(media_type::OCI_CONFIG, "")), None);
    assert_eq!(artifact_type(&index(r#","artifactType":"a/b""#)), said);
    assert_eq!(artifact_type(&index("")), None);
}

#[test]
fn a_subject_is_kept_and_is_no_edge() {
    for json in [image(&format!(r#","subject":{}"#, child(7))), index(&format!(r#","subject":{}"#, child(7)))] {
        let manifest = accept(&json);
        assert_eq!(manifest.subject.unwrap().digest, Digest::sha256(&[7]));
        assert!(manifest.edges.iter().all(|edge| edge.kind != EdgeKind::Child));
    }
}

#[test]
fn inline_data_is_checked_and_kept() {
    let empty = described(media_type::OCI_EMPTY, b"{}", r#","data":"e30=""#);
    let sha512 = format!(
        r#"{{"mediaType":"{}","digest":"{}","size":2,"data":"e30="}}"#,
        media_type::OCI_EMPTY,
        Digest::of(crate::Algorithm::Sha512, b"{}")
    );
    let nothing = described("text/plain", b"", r#","data":"""#);
    let json = format!(r#"{{"schemaVersion":2,"artifactType":"a/b","config":{empty},"layers":[{sha512},{nothing}]}}"#);
    assert_eq!(accept(&json).edges[0].descriptor.data.as_deref(), Some("e30="));
}

#[test]
fn harmless_violations_are_warned_of() {
    let empty = format!(r#"{{"schemaVersion":2,"config":{}}}"#, described(media_type::OCI_EMPTY, b"{}", ""));
    assert_eq!(accept(&empty).warnings, ["artifactType must be set where config.mediaType is the empty type"]);
    let unversioned = format!(r#"{{"config":{}}}"#, config());
    assert_eq!(accept(&unversioned).warnings, ["the manifest has no schemaVersion; image-spec requires 2"]);
}

#[test]
fn unknown_keys_and_odd_media_types_are_no_concern() {
    let odd = described("appliciation/vnd.sylabs.sif.layer.v1.sif", b"sif", r#","x":{"y":[1e400,null]}"#);
    let manifest =
        accept(&image(&format!(r#","layers":[{odd}],"org.example":{{"a":[[]]}},"annotations":{{"k":"v"}}"#)));
    assert_eq!(manifest.annotations.get("k").map(String::as_str), Some("v"));
}

#[test]
fn the_largest_manifest_is_accepted() {
    let frame = image(r#","annotations":{"k":""}"#).len();
    let json = image(&format!(r#","annotations":{{"k":"{}"}}"#, "A".repeat(MANIFEST_MAX - frame)));
    assert_eq!(json.len(), MANIFEST_MAX);
    assert!(Manifest::parse(json.as_bytes(), Some(media_type::OCI_MANIFEST)).is_ok());
    let error = Manifest::parse(format!("{json} ").as_bytes(), None).unwrap_err();
    assert_eq!(error, ManifestError::TooLarge { length: MANIFEST_MAX + 1 });
    assert_eq!(error.code(), crate::ErrorCode::SizeInvalid);
}
