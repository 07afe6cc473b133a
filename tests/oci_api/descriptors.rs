//! What the descriptors of an image may say and what must be there: the table of closure rules, images first.

use mcr_oci::media_type;
use mcr_tests::{Blob, Image, Random, Server, pull, push};
use serde_json::{Value, json};

/// A server that holds the blobs of an image of two layers in `a`, but no manifest.
fn with_blobs() -> (Server, Image) {
    let server = Server::start();
    let image = Image::random(&mut Random::new(31), 2, 300);
    push::blobs_of(&server.client(), "a", &image);
    (server, image)
}

/// Puts `image` as changed under a tag, insists on 201, and pulls it.
#[track_caller]
fn accepted(server: &Server, image: &Image, change: impl FnOnce(&mut Value)) -> mcr_tests::Response {
    let client = server.client();
    let changed = image.changed(change);
    let put = push::put_image(&client, "a", "good", &changed).expect(201);
    let got = client.get("/v2/a/manifests/good").expect(200);
    assert!(got.body == changed.manifest.bytes);
    let _ = pull::assert_whole(&client, "a", "good");
    put
}

/// Puts `image` as changed and insists on a refusal with `code` that leaves no tag behind.
#[track_caller]
fn refused(server: &Server, image: &Image, code: &str, change: impl FnOnce(&mut Value)) -> mcr_tests::Response {
    let client = server.client();
    let changed = image.changed(change);
    let put = push::put_image(&client, "a", "bad", &changed).expect_error(400, code);
    let _ = client.get("/v2/a/manifests/bad").expect(404);
    let by_digest = client.get(&format!("/v2/a/manifests/{}", changed.digest()));
    let _ = by_digest.expect(404);
    put
}

#[test]
fn every_missing_blob_is_named() {
    let server = Server::start();
    let client = server.client();
    let image = Image::random(&mut Random::new(32), 3, 300);
    push::blob(&client, "a", &image.layers[1]);
    let put = push::put_image(&client, "a", "v1", &image).expect_error(400, "MANIFEST_BLOB_UNKNOWN");
    let errors = put.json()["errors"].as_array().unwrap().clone();
    let missing = [&image.config, &image.layers[0], &image.layers[2]];
    assert_eq!(errors.len(), missing.len(), "{}", put.text());
    for blob in missing {
        let about = errors.iter().find(|error| error["detail"]["digest"] == blob.digest.as_str());
        let error = about.unwrap_or_else(|| panic!("{} is not named: {}", blob.digest, put.text()));
        assert_eq!(error["detail"]["kind"], "blob-missing");
        assert_eq!(error["detail"]["size"], blob.size());
        assert!(error["message"].as_str().unwrap().contains(blob.digest.as_str()));
    }
    assert!(pull::tags(&client, "a").is_empty());
}

#[test]
fn a_blob_of_another_repository_does_not_count() {
    let (server, image) = with_blobs();
    let client = server.client();
    push::blob(&client, "b", &image.config);
    let put = push::put_image(&client, "b", "v1", &image).expect_error(400, "MANIFEST_BLOB_UNKNOWN");
    assert_eq!(put.codes().len(), 2, "{}", put.text());
    let _ = client.get("/v2/b/manifests/v1").expect(404);
}

#[test]
fn a_wrong_size_is_size_invalid_and_tells_both() {
    let (server, image) = with_blobs();
    for wrong in [0, 299, 301, 1_u64 << 40] {
        let put = refused(&server, &image, "SIZE_INVALID", |it| it["layers"][0]["size"] = json!(wrong));
        let message = put.messages();
        assert!(message.contains("300") && message.contains(&wrong.to_string()), "{message}");
    }
    let size = image.config.size();
    let _ = refused(&server, &image, "SIZE_INVALID", |it| it["config"]["size"] = json!(size + 1));
}

#[test]
fn one_descriptor_twice_is_fine_if_the_sizes_agree() {
    let (server, image) = with_blobs();
    let _ = accepted(&server, &image, |it| {
        let again = it["layers"][0].clone();
        it["layers"].as_array_mut().unwrap().push(again);
    });
    let _ = refused(&server, &image, "SIZE_INVALID", |it| {
        let mut again = it["layers"][0].clone();
        again["size"] = json!(7);
        it["layers"].as_array_mut().unwrap().push(again);
    });
}

#[test]
fn layers_may_be_none_null_or_absent() {
    let (server, image) = with_blobs();
    let _ = accepted(&server, &image, |it| it["layers"] = json!([]));
    let _ = accepted(&server, &image, |it| it["layers"] = Value::Null);
    let _ = accepted(&server, &image, |it| {
        it.as_object_mut().unwrap().remove("layers");
    });
}

#[test]
fn layers_that_must_not_be_distributed_need_not_be_there() {
    let (server, image) = with_blobs();
    let foreign = Blob::new("only Microsoft has it").digest;
    for (kind, urls) in [
        ("application/vnd.oci.image.layer.nondistributable.v1.tar", None),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", None),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", Some("https://example.invalid/x")),
        (media_type::DOCKER_FOREIGN_LAYER, None),
        (media_type::DOCKER_FOREIGN_LAYER, Some("https://example.invalid/x")),
    ] {
        let _ = accepted(&server, &image, |it| {
            let mut layer = json!({"mediaType": kind, "digest": foreign.as_str(), "size": 123_456});
            if let Some(url) = urls {
                layer["urls"] = json!([url]);
            }
            it["layers"].as_array_mut().unwrap().push(layer);
        });
    }
    // It is the type that exempts, not the URLs.
    let _ = refused(&server, &image, "MANIFEST_BLOB_UNKNOWN", |it| {
        it["layers"].as_array_mut().unwrap().push(json!({
            "mediaType": media_type::OCI_LAYER, "digest": foreign.as_str(), "size": 123_456,
            "urls": ["https://example.invalid/x"],
        }));
    });
}

#[test]
fn the_empty_config_is_a_blob_like_any_other() {
    let (server, image) = with_blobs();
    let client = server.client();
    let empty = Blob::new("{}");
    let with_empty = |it: &mut Value| {
        it["config"] = empty.descriptor(media_type::OCI_EMPTY);
        it["artifactType"] = json!("application/vnd.example.thing");
    };
    let _ = client.head(&format!("/v2/a/blobs/{}", empty.digest)).expect(404);
    let _ = refused(&server, &image, "MANIFEST_BLOB_UNKNOWN", with_empty);
    push::blob(&client, "a", &empty);
    let put = accepted(&server, &image, with_empty);
    assert_eq!(put.header("warning"), None);
    // Without an artifact type it is taken, with a word of warning.
    let put = accepted(&server, &image, |it| it["config"] = empty.descriptor(media_type::OCI_EMPTY));
    assert!(put.required("warning").starts_with("299 - \""), "{:?}", put.headers);
}

#[test]
fn inline_data_is_checked_and_stands_for_nothing() {
    let (server, image) = with_blobs();
    let client = server.client();
    let empty = Blob::new("{}");
    let inline = |data: &str| {
        let mut descriptor = empty.descriptor(media_type::OCI_EMPTY);
        descriptor["data"] = json!(data);
        descriptor
    };
    let with = |data: &str| {
        let config = inline(data);
        move |it: &mut Value| {
            it["config"] = config;
            it["artifactType"] = json!("application/vnd.example.thing");
        }
    };
    let _ = refused(&server, &image, "MANIFEST_BLOB_UNKNOWN", with("e30="));
    push::blob(&client, "a", &empty);
    let _ = accepted(&server, &image, with("e30="));
    for wrong in ["e31=", "e30", "%%%", "", "e30gIA=="] {
        let _ = refused(&server, &image, "MANIFEST_INVALID", with(wrong));
    }
}

#[test]
fn any_type_of_config_layer_and_artifact_is_taken() {
    let (server, image) = with_blobs();
    for kind in [
        "application/wasm",
        "application/vnd.cncf.helm.config.v1+json",
        "appliciation/vnd.sylabs.sif.layer.v1.sif",
        "application/octet-stream",
        "text/html",
        "x",
    ] {
        let _ = accepted(&server, &image, |it| {
            it["config"]["mediaType"] = json!(kind);
            it["layers"][1]["mediaType"] = json!(kind);
            it["artifactType"] = json!(kind);
        });
    }
    // docker writes configs without a type.
    let _ = accepted(&server, &image, |it| it["config"]["mediaType"] = json!(""));
    let _ = accepted(&server, &image, |it| {
        it["config"].as_object_mut().unwrap().remove("mediaType");
    });
}

#[test]
fn unknown_fields_are_kept_as_they_are() {
    let (server, image) = with_blobs();
    let _ = accepted(&server, &image, |it| {
        it["org.example.extra"] = json!({"deep": [1, {"er": null}], "number": 1e300});
        it["config"]["newField"] = json!(true);
        it["layers"][0]["platform"] = json!({"os": "linux", "os.features": ["x"]});
        it["annotations"] = json!({"key": "värde \u{1f980}"});
    });
}

#[test]
fn a_layer_of_no_bytes_is_a_layer() {
    let (server, image) = with_blobs();
    let nothing = Blob::new("");
    push::blob(&server.client(), "a", &nothing);
    let _ = accepted(&server, &image, |it| it["layers"] = json!([nothing.descriptor(media_type::OCI_LAYER)]));
}
