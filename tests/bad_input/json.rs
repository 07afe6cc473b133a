//! Manifests that are garbage: not JSON, JSON of another shape, JSON nested without end; never their sizes.

use mcr_oci::media_type;
use mcr_tests::{Image, Random, push};
use serde_json::{Value, json};

use crate::watched::{Watched, assert_refused};

const TARGET: &str = "/v2/rude/json/manifests/v1";

/// Puts each of `manifests`, under either kind of media type, and none may be taken.
#[track_caller]
fn none_is_taken(manifests: &[Vec<u8>]) {
    let mut watched = Watched::start();
    let client = watched.server.client();
    for bytes in manifests {
        let shown: String = String::from_utf8_lossy(bytes).chars().take(120).collect();
        for media_type in [media_type::OCI_MANIFEST, media_type::OCI_INDEX, media_type::DOCKER_MANIFEST] {
            let answer = push::manifest(&client, "rude/json", "v1", media_type, bytes);
            assert_refused(&shown, &answer.expect(400));
        }
    }
    let _ = client.get(TARGET).expect(404);
    watched.assert_nothing_stored();
    watched.assert_unharmed();
}

#[test]
fn what_is_no_json_is_refused() {
    let mut random = Random::announced("what_is_no_json_is_refused");
    let whole = Image::random(&mut random, 3, 10).manifest.bytes;
    let mut manifests: Vec<Vec<u8>> = [
        &b""[..],
        b" ",
        b"{",
        b"}",
        b"\0",
        b"\xff\xfe\x00",
        b"{\"a\":\xff}",
        b"{\"schemaVersion\":2,}",
        b"{\"schemaVersion\":NaN}",
        b"{\"schemaVersion\":1e999999}",
        b"{\"mediaType\":\"\\ud800\"}",
        b"{'schemaVersion':2}",
        b"<?xml version=\"1.0\"?><manifest/>",
    ]
    .map(<[u8]>::to_vec)
    .to_vec();
    manifests.extend((0..whole.len()).step_by(41).map(|end| whole[..end].to_vec()));
    manifests.extend((0..20).map(|_| random.bytes(5000)));
    manifests.push([&whole[..], b"x"].concat());
    manifests.push([&whole[..], &whole[..]].concat());
    manifests.push([b"\xef\xbb\xbf", &whole[..]].concat());
    manifests.push(String::from_utf8(whole).unwrap().encode_utf16().flat_map(u16::to_le_bytes).collect());
    none_is_taken(&manifests);
}

#[test]
fn json_of_another_shape_is_refused() {
    let image = Image::random(&mut Random::new(301), 1, 10);
    let config = image.json()["config"].clone();
    let odd = [
        json!(null),
        json!(true),
        json!(42),
        json!("text"),
        json!([]),
        json!([[], {}]),
        json!({"schemaVersion": "2", "layers": []}),
        json!({"schemaVersion": 2, "config": 5, "layers": []}),
        json!({"schemaVersion": 2, "config": [], "layers": []}),
        json!({"schemaVersion": 2, "config": config, "layers": {}}),
        json!({"schemaVersion": 2, "config": config, "layers": "none"}),
        json!({"schemaVersion": 2, "config": config, "layers": [null]}),
        json!({"schemaVersion": 2, "config": config, "layers": [[]]}),
        json!({"schemaVersion": 2, "config": config, "layers": [{}]}),
        json!({"schemaVersion": 2, "config": config, "layers": [], "annotations": []}),
        json!({"schemaVersion": 2, "config": config, "layers": [], "subject": "x"}),
        json!({"schemaVersion": 2, "config": config, "layers": [], "manifests": [config]}),
        json!({"schemaVersion": 2, "manifests": [5]}),
        json!({"schemaVersion": 2, "manifests": [{"digest": 5}]}),
        json!({"schemaVersion": 1, "fsLayers": [], "history": [], "signatures": []}),
    ];
    let mut manifests: Vec<Vec<u8>> = odd.iter().map(|odd| odd.to_string().into_bytes()).collect();
    for size in ["-1", "1.5", "1e3", "\"10\"", "18446744073709551616", "9223372036854775808", "{}", "[1]"] {
        manifests.push(with_descriptor(&json!({"mediaType": "a/b", "digest": config["digest"], "size": "@"}), size));
    }
    let hex = "0".repeat(64);
    for digest in
        ["", ":", "sha256", "sha256:", "sha256:..", "md5:d41d8cd98f00b204e9800998ecf8427e", "\u{0}", "ſha256:"]
    {
        manifests.push(with_descriptor(&json!({"mediaType": "a/b", "digest": digest, "size": "@"}), "1"));
    }
    let upper = format!("sha256:{}", "A".repeat(64));
    let long = format!("sha256:{}", "0".repeat(1_000_000));
    for digest in [upper, long, format!("sha256:{hex}/../../x"), format!(" sha256:{hex}"), format!("SHA256:{hex}")] {
        manifests.push(with_descriptor(&json!({"mediaType": "a/b", "digest": digest, "size": "@"}), "1"));
    }
    none_is_taken(&manifests);
}

/// An image manifest with this config descriptor, `"@"` in it replaced by `size` as it is.
fn with_descriptor(descriptor: &Value, size: &str) -> Vec<u8> {
    let manifest = json!({"schemaVersion": 2, "config": descriptor, "layers": []});
    manifest.to_string().replace("\"@\"", size).into_bytes()
}

#[test]
fn deep_nesting_is_refused_wherever_it_is() {
    let image = Image::random(&mut Random::new(302), 1, 10);
    let whole = String::from_utf8(image.manifest.bytes).unwrap();
    let mut manifests = Vec::new();
    for depth in [101, 128, 200, 10_000, 400_000] {
        manifests.push(vec![b'['; depth]);
        manifests.push("{\"a\":".repeat(depth).into_bytes());
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        manifests.push(format!("{open}{close}").into_bytes());
        for key in ["unknown", "annotations", "layers", "subject", "config"] {
            manifests.push(whole.replacen('{', &format!("{{\"{key}\":{open}{close},"), 1).into_bytes());
        }
    }
    none_is_taken(&manifests);
}

#[test]
fn brackets_within_a_text_are_no_nesting() {
    let watched = Watched::start();
    let client = watched.server.client();
    let image = Image::random(&mut Random::new(303), 1, 10);
    let image = image.changed(|manifest| manifest["annotations"] = json!({"a": "[{\"".repeat(10_000)}));
    push::image(&client, "rude/json", "text", &image);
}

#[test]
fn hostile_content_types_are_refused() {
    let mut watched = Watched::start();
    let client = watched.server.client();
    let image = Image::random(&mut Random::new(304), 1, 10);
    push::image(&client, "rude/json", "kept", &image);
    let long = format!("application/{}", "x".repeat(20_000));
    let types =
        ["text/html", "*/*", "application/", "/", "a/b/c", "application/vnd.oci.image.index.v1+json, text/html", &long];
    for media_type in types {
        let put = client.request("PUT", TARGET).header("Content-Type", media_type);
        assert_refused(media_type, &put.body(&image.manifest.bytes).call().expect(400));
    }
    let _ = client.get(TARGET).expect(404);
    watched.assert_unharmed();
}
