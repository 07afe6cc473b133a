//! Image manifests: what is stored and how it is read back, and what is refused as no manifest.

use mcr_oci::{Algorithm, media_type};
use mcr_tests::push::location;
use mcr_tests::{Blob, Image, Random, Server, pull, push};
use serde_json::{Value, json};

fn with_image() -> (Server, Image) {
    let server = Server::start();
    let image = Image::random(&mut Random::new(21), 2, 300);
    push::image(&server.client(), "a/b", "latest", &image);
    (server, image)
}

#[test]
fn a_manifest_is_read_by_tag_and_digest_as_it_was_pushed() {
    let (server, image) = with_image();
    let client = server.client();
    for reference in ["latest", image.digest().as_str()] {
        let target = format!("/v2/a/b/manifests/{reference}");
        let get = client.get(&target).expect(200);
        assert_eq!(get.body, image.manifest.bytes);
        for answer in [get, client.head(&target).expect(200)] {
            assert_eq!(answer.required("content-type"), media_type::OCI_MANIFEST);
            assert_eq!(answer.required("docker-content-digest"), image.digest().as_str());
            assert_eq!(answer.required("content-length"), image.manifest.size().to_string());
            assert_eq!(answer.required("etag"), format!("\"{}\"", image.digest()));
        }
    }
}

#[test]
fn accept_is_ignored_and_nothing_is_compressed() {
    let (server, image) = with_image();
    let client = server.client();
    for accept in ["*/*", "text/html", media_type::DOCKER_MANIFEST, ""] {
        let request = client.request("GET", "/v2/a/b/manifests/latest");
        let answer = request.header("Accept", accept).header("Accept-Encoding", "gzip").call();
        let answer = answer.expect(200);
        assert_eq!(answer.required("content-type"), media_type::OCI_MANIFEST);
        assert_eq!(answer.header("content-encoding"), None);
        assert_eq!(answer.body, image.manifest.bytes);
    }
}

#[test]
fn a_known_etag_answers_304() {
    let (server, image) = with_image();
    let client = server.client();
    let target = format!("/v2/a/b/manifests/{}", image.digest());
    let request = client.request("GET", &target);
    let _ = request.header("If-None-Match", &format!("\"{}\"", image.digest())).call().expect(304);
}

#[test]
fn a_put_answers_with_a_location_that_can_be_pulled_and_may_be_repeated() {
    let (server, image) = with_image();
    let client = server.client();
    for reference in ["latest", "second", image.digest().as_str()] {
        for _ in 0..2 {
            let put = push::put_image(&client, "a/b", reference, &image).expect(201);
            assert_eq!(put.required("docker-content-digest"), image.digest().as_str());
            let got = client.get(&location(&put)).expect(200);
            assert_eq!(got.body, image.manifest.bytes);
        }
    }
}

#[test]
fn a_tag_moves_and_the_old_manifest_stays_by_digest() {
    let (server, old) = with_image();
    let client = server.client();
    let new = Image::random(&mut Random::new(22), 1, 300);
    push::image(&client, "a/b", "latest", &new);
    let tagged = client.get("/v2/a/b/manifests/latest").expect(200);
    assert_eq!(tagged.digest(), *new.digest());
    let _ = pull::assert_whole(&client, "a/b", old.digest().as_str());
    assert_eq!(pull::tags(&client, "a/b"), ["latest"]);
}

#[test]
fn the_digest_in_the_url_must_be_that_of_the_body() {
    let (server, image) = with_image();
    let client = server.client();
    let other = Blob::new("other").digest;
    let put = push::put_image(&client, "a/b", other.as_str(), &image);
    let _ = put.expect_error(400, "DIGEST_INVALID");
    let _ = client.head(&format!("/v2/a/b/manifests/{other}")).expect(404);
}

#[test]
fn what_is_no_manifest_is_refused() {
    let (server, image) = with_image();
    let client = server.client();
    let text = String::from_utf8(image.manifest.bytes.clone()).unwrap();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut manifest = image.json();
        change(&mut manifest);
        manifest.to_string()
    };
    for (what, body) in [
        ("nothing", String::new()),
        ("garbage", "garbage".to_owned()),
        ("an array", "[]".to_owned()),
        ("a string", "\"manifest\"".to_owned()),
        ("a truncated one", text[..text.len() - 2].to_owned()),
        ("one with a tail", format!("{text}}}")),
        ("layers that are no list", with(&|it| it["layers"] = json!("none"))),
        ("a layer that is no descriptor", with(&|it| it["layers"] = json!([1]))),
        ("a digest that is none", with(&|it| it["config"]["digest"] = json!("sha256:abc"))),
        ("an unknown algorithm", with(&|it| it["config"]["digest"] = json!("md5:d41d8cd98f00b204e9800998ecf8427e"))),
        ("a negative size", with(&|it| it["config"]["size"] = json!(-1))),
        ("a huge size", with(&|it| it["config"]["size"] = json!(1e30))),
        ("a size that is no number", with(&|it| it["config"]["size"] = json!("5"))),
        ("an image and an index at once", with(&|it| it["manifests"] = json!([]))),
    ] {
        let put = push::manifest(&client, "a/b", "bad", media_type::OCI_MANIFEST, body.as_bytes());
        assert_eq!(put.status, 400, "{what}: {}", put.text());
        let _ = put.expect_error(400, "MANIFEST_INVALID");
    }
    assert_eq!(pull::tags(&client, "a/b"), ["latest"]);
}

#[test]
fn the_declared_type_must_be_the_content_type() {
    let (server, image) = with_image();
    let client = server.client();
    let bytes = &image.manifest.bytes;
    for wrong in [media_type::DOCKER_MANIFEST, media_type::OCI_INDEX, "application/json", "text/plain"] {
        let put = push::manifest(&client, "a/b", "bad", wrong, bytes);
        let _ = put.expect_error(400, "MANIFEST_INVALID");
    }
    // Parameters do not count, and are not kept.
    let with = format!("{}; charset=utf-8", media_type::OCI_MANIFEST);
    let _ = push::manifest(&client, "a/b", "good", &with, bytes).expect(201);
    let got = client.get("/v2/a/b/manifests/good").expect(200);
    assert_eq!(got.required("content-type"), media_type::OCI_MANIFEST);
}

#[test]
fn a_manifest_need_not_declare_its_type() {
    // Homebrew's bottles do not.
    let (server, image) = with_image();
    let client = server.client();
    let bare = image.changed(|manifest| {
        manifest.as_object_mut().unwrap().remove("mediaType");
    });
    let _ = push::put_image(&client, "a/b", "bare", &bare).expect(201);
    let got = client.get("/v2/a/b/manifests/bare").expect(200);
    assert_eq!(got.required("content-type"), media_type::OCI_MANIFEST);
    let _ = pull::assert_whole(&client, "a/b", "bare");
}

#[test]
fn docker_schema_2_is_taken_and_schema_1_refused() {
    let (server, image) = with_image();
    let client = server.client();
    let mut docker = image.changed(|manifest| {
        manifest["mediaType"] = json!(media_type::DOCKER_MANIFEST);
        manifest["config"]["mediaType"] = json!(media_type::DOCKER_CONFIG);
        for layer in manifest["layers"].as_array_mut().unwrap() {
            layer["mediaType"] = json!(media_type::DOCKER_LAYER);
        }
    });
    docker.media_type = media_type::DOCKER_MANIFEST.to_owned();
    let _ = push::put_image(&client, "a/b", "docker", &docker).expect(201);
    let got = client.get("/v2/a/b/manifests/docker").expect(200);
    assert_eq!(got.required("content-type"), media_type::DOCKER_MANIFEST);
    let _ = pull::assert_whole(&client, "a/b", "docker");

    let schema1 = json!({
        "schemaVersion": 1, "name": "a/b", "tag": "old", "architecture": "amd64",
        "fsLayers": [{"blobSum": image.config.digest.as_str()}], "history": [{"v1Compatibility": "{}"}],
    });
    for kind in [media_type::DOCKER_SCHEMA1, media_type::DOCKER_SCHEMA1_SIGNED, "application/json"] {
        let put = push::manifest(&client, "a/b", "old", kind, schema1.to_string().as_bytes());
        let _ = put.expect_error(400, "MANIFEST_INVALID");
    }
}

#[test]
fn four_mebibytes_are_the_limit() {
    let (server, image) = with_image();
    let client = server.client();
    let padded = |size: usize| {
        let with = |padding: usize| {
            image.changed(|manifest| {
                let text = "A".repeat(padding);
                manifest["annotations"] = json!({"padding": text});
            })
        };
        let bare = with(0).manifest.size();
        with(size - bare)
    };
    for size in [3_910_000, 4 * 1024 * 1024] {
        let large = padded(size);
        assert_eq!(large.manifest.size(), size);
        let _ = push::put_image(&client, "a/b", "large", &large).expect(201);
        let got = client.get("/v2/a/b/manifests/large").expect(200);
        assert!(got.body == large.manifest.bytes);
    }
    let over = padded(4 * 1024 * 1024 + 1);
    let _ = push::put_image(&client, "a/b", "over", &over).expect_error(413, "SIZE_INVALID");
    assert_eq!(pull::tags(&client, "a/b"), ["large", "latest"]);
}

#[test]
fn sha512_names_manifests_and_blobs() {
    let server = Server::start();
    let client = server.client();
    let random = &mut Random::new(23);
    let by512 = |bytes: Vec<u8>| Blob::by(Algorithm::Sha512, bytes);
    let config = by512(b"{\"os\":\"linux\"}".to_vec());
    let layers = vec![by512(random.bytes(100)), Blob::random(random, 100)];
    let mut image = Image::with_config(config, layers, json!({"os": "linux", "architecture": "amd64"}));
    image.manifest = by512(image.manifest.bytes);
    push::blobs_of(&client, "a", &image);
    let put = push::put_image(&client, "a", image.digest().as_str(), &image).expect(201);
    assert_eq!(put.required("docker-content-digest"), image.digest().as_str());
    let got = client.get(&format!("/v2/a/manifests/{}", image.digest())).expect(200);
    assert_eq!(got.required("docker-content-digest"), image.digest().as_str());
    let _ = pull::assert_whole(&client, "a", image.digest().as_str());
    // The same bytes under a tag are a sha256 manifest.
    let _ = push::put_image(&client, "a", "tagged", &image).expect(201);
    let _ = pull::assert_whole(&client, "a", "tagged");
}
