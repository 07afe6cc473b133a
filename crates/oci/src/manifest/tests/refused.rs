//! What must not get through, and that the message says what and where.

use super::*;

/// The message for an image whose second layer is `layer`.
fn refuse_layer(layer: &str) -> String {
    refuse(&image(&format!(r#","layers":[{},{layer}]"#, super::layer(1))))
}

#[test]
fn a_wrong_descriptor_is_named() {
    let good = Digest::sha256(b"");
    for (descriptor, place, why) in [
        (r#"{"digest":"sha256:garbage","size":1}"#, "layers[1]: digest: ", "`sha256:garbage` is not a digest"),
        (
            r#"{"digest":"md5:d41d8cd98f00b204e9800998ecf8427e","size":1}"#,
            "layers[1]: digest: ",
            "`md5` is not supported",
        ),
        (r#"{"digest":5,"size":1}"#, "layers[1]: digest: ", "expected a digest"),
        (r#"{"size":1}"#, "layers[1]: ", "missing field `digest`"),
        (r#"{"digest":null,"size":1}"#, "layers[1]: ", "missing field `digest`"),
        (&format!(r#"{{"digest":"{good}"}}"#), "layers[1]: ", "missing field `size`"),
        (&format!(r#"{{"digest":"{good}","size":-1}}"#), "layers[1]: size: ", "integer `-1`"),
        (
            &format!(r#"{{"digest":"{good}","size":9223372036854775808}}"#),
            "layers[1]: size: ",
            "expected a size in bytes",
        ),
        (
            &format!(r#"{{"digest":"{good}","size":0,"platform":{{"os":1}}}}"#),
            "layers[1]: platform: os: ",
            "expected a string",
        ),
        (
            &format!(r#"{{"digest":"{good}","size":0,"annotations":{{"k":1}}}}"#),
            "layers[1]: annotations: k: ",
            "expected a string",
        ),
        (&format!(r#"{{"digest":"{good}","size":0,"urls":["",1]}}"#), "layers[1]: urls[1]: ", "expected a string"),
        ("null", "layers[1]: ", "expected a descriptor"),
        ("[]", "layers[1]: ", "expected a descriptor"),
    ] {
        let message = refuse_layer(descriptor);
        assert!(message.starts_with(place) && message.contains(why), "{descriptor}: {message}");
    }
}

#[test]
fn a_descriptor_is_named_by_its_place() {
    for (json, place) in [
        (index(r#","manifests":[{"digest":"x","size":1}]"#), "manifests[0]: digest: "),
        (image(r#","subject":{"digest":"x","size":1}"#), "subject: digest: "),
        (r#"{"schemaVersion":2,"config":{"digest":"x","size":1}}"#.to_owned(), "config: digest: "),
        (image(r#","layers":{}"#), "layers: invalid type: map"),
    ] {
        let message = refuse(&json);
        assert!(message.starts_with(place), "{message}");
    }
}

#[test]
fn wrong_data_is_named() {
    for (data, why) in [
        ("e31=", "layers[1]: data: not base64: "),
        ("e30", "layers[1]: data: not base64: "),
        ("*", "layers[1]: data: not base64: "),
        ("e30g", "layers[1]: data: 3 bytes, but the descriptor's size is 2"),
        ("", "layers[1]: data: 0 bytes, but the descriptor's size is 2"),
        (
            "W10=",
            "layers[1]: data: hashes to sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945, but",
        ),
    ] {
        let message = refuse_layer(&described("a/b", b"{}", &format!(r#","data":"{data}""#)));
        assert!(message.starts_with(why), "{message}");
    }
    let child = described(media_type::OCI_MANIFEST, b"{}", r#","data":"W10=""#);
    assert!(refuse(&index(&format!(r#","manifests":[{child}]"#))).starts_with("manifests[0]: data: "));
    assert!(refuse(&index(&format!(r#","subject":{child}"#))).starts_with("subject: data: "));
}

#[test]
fn one_digest_with_two_sizes_is_a_wrong_size() {
    let wrong = layer(1).replace(r#""size":1"#, r#""size":2"#);
    let json = image(&format!(r#","layers":[{},{},{wrong}]"#, layer(1), layer(2)));
    let error = Manifest::parse(json.as_bytes(), None).unwrap_err();
    let digest = Digest::sha256(&[1]);
    assert_eq!(error.to_string(), format!("layers[2]: size 2 for {digest}, which layers[0] gives 1"));
    // MANIFEST_INVALID would make clients convert the image and try again.
    assert_eq!(error.code(), crate::ErrorCode::SizeInvalid);
}

#[test]
fn body_and_content_type_must_agree() {
    let refused = |json: &str, content_type| Manifest::parse(json.as_bytes(), Some(content_type)).unwrap_err();
    let error = refused(&image(""), media_type::DOCKER_MANIFEST);
    assert!(matches!(error, ManifestError::ContentType { .. }), "{error}");
    let error = refused(&image(""), "application/json");
    assert!(matches!(error, ManifestError::ContentType { .. }), "{error}");
    let untyped = format!(r#"{{"schemaVersion":2,"config":{}}}"#, config());
    for content_type in ["application/json", "application/octet-stream", media_type::OCI_CONFIG, "x\ny"] {
        let error = refused(&untyped, content_type);
        assert!(matches!(error, ManifestError::MediaType { what: "Content-Type", .. }), "{error}");
        assert!(!error.to_string().contains('\n'));
    }
    let message = refuse(&image("").replace(media_type::OCI_MANIFEST, "application/vnd.oci.artifact.manifest.v1+json"));
    assert!(message.starts_with("mediaType `application/vnd.oci.artifact.manifest.v1+json` is not"), "{message}");
}

#[test]
fn what_could_be_read_as_image_or_index_is_refused() {
    let (layers, manifests) = (format!(r#","layers":[{}]"#, layer(1)), format!(r#","manifests":[{}]"#, child(1)));
    for (json, key) in [
        (image(&format!("{layers}{manifests}")), "manifests"),
        (image(&manifests), "manifests"),
        (image(r#","manifests":[]"#), "manifests"),
        (index(&format!("{layers}{manifests}")), "layers"),
        (index(&format!(r#","config":{}"#, config())), "config"),
        (format!(r#"{{"schemaVersion":2{layers}{manifests}}}"#), "layers"),
    ] {
        let message = refuse(&json);
        assert!(message.ends_with(&format!("must not have `{key}` as well")), "{message}");
    }
}

#[test]
fn keys_that_clients_read_differently_are_refused() {
    for (json, why) in [
        (image(r#","layers":[],"Layers":[]"#), "a key that some clients would read as `layers`"),
        (image(r#","ſubject":null"#), "a key that some clients would read as `subject`"),
        (image(r#","layers":[],"layers":[]"#), "the key `layers` is given twice"),
        (image(r#","layers":null,"layers":[]"#), "the key `layers` is given twice"),
    ] {
        let message = refuse(&json);
        assert!(message.contains(why), "{message}");
    }
    let twice = described("a/b", b"{}", r#","size":2"#);
    let message = refuse(&image(&format!(r#","layers":[{twice}]"#)));
    assert!(message.starts_with("layers[0]: ") && message.contains("`size` is given twice"), "{message}");
    let upper = described("a/b", b"{}", r#","Digest":"sha256:0""#);
    let message = refuse(&image(&format!(r#","layers":[{upper}]"#)));
    assert!(message.starts_with("layers[0]: ") && message.contains("read as `digest`"), "{message}");
}

#[test]
fn schema_1_is_refused_by_name() {
    let signed = r#"{"schemaVersion":1,"name":"a","tag":"b","fsLayers":[],"history":[],"signatures":[]}"#;
    for (json, content_type) in [
        (signed, None),
        (signed, Some(media_type::DOCKER_SCHEMA1_SIGNED)),
        (signed, Some("application/json")),
        ("garbage", Some(media_type::DOCKER_SCHEMA1)),
        (r#"{"schemaVersion":1}"#, None),
        (r#"{"schemaVersion":2,"fsLayers":[]}"#, Some(media_type::DOCKER_MANIFEST)),
        (r#"{"mediaType":"application/vnd.docker.distribution.manifest.v1+json"}"#, None),
    ] {
        let error = Manifest::parse(json.as_bytes(), content_type).unwrap_err();
        assert_eq!(error, ManifestError::Schema1, "{json}");
        assert_eq!(error.code(), crate::ErrorCode::ManifestInvalid);
    }
    assert_eq!(refuse(r#"{"schemaVersion":3,"manifests":[]}"#), "schemaVersion: 3 is not known; expected 2");
    assert!(refuse(r#"{"schemaVersion":"2"}"#).starts_with("schemaVersion: invalid type: string"));
}

#[test]
fn what_says_nothing_is_refused() {
    assert!(refuse("{}").contains("no mediaType"));
    assert!(refuse(r#"{"schemaVersion":2,"layers":[]}"#).starts_with("config: missing"));
    assert!(refuse(&image("").replace(&config(), "null")).starts_with("config: missing"));
}

#[test]
fn what_is_no_json_object_is_refused() {
    for garbage in
        ["", " ", "garbage", "null", "[]", "1", "\"x\"", "{", "{\"config\":", "{}{}", "{}x", "{'a':1}", "\u{feff}{}"]
    {
        assert!(refuse(garbage).contains("the manifest cannot be read"), "{garbage}");
    }
    let error = Manifest::parse(b"{\"a\":\"\xff\"}", None).unwrap_err();
    assert_eq!(error.to_string(), "the manifest cannot be read: not UTF-8 from byte 6");
}

#[test]
fn deep_nesting_is_refused_wherever_it_stands() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [101, 200_000] {
            let deep = format!("{}0{}", open.repeat(depth), close.repeat(depth));
            let message = refuse(&image(&format!(r#","x":{deep}"#)));
            assert_eq!(message, "the manifest cannot be read: nested deeper than 100 levels");
        }
    }
}

#[test]
fn messages_stay_short() {
    let long = "x".repeat(1_000_000);
    for json in [
        image(&format!(r#","layers":[{{"digest":"{long}","size":1}}]"#)),
        image(&format!(r#","layers":"{long}""#)),
        image(&format!(r#","annotations":{{"{long}":1}}"#)),
        image("").replace(media_type::OCI_MANIFEST, &long),
    ] {
        let message = refuse(&json);
        assert!(message.len() < 800, "{}", message.len());
    }
}
