//! Incident 3: files that are gone, empty, cut or too long. Whatever looks first finds it, and nobody is told 200.

use mcr_tests::push::location;
use mcr_tests::{Blob, Client, Image, Random, Response, Server, damage, push};

/// What happened to the file, and the finding that tells it.
const DAMAGES: [(&str, &str); 4] =
    [("gone", "blob-missing"), ("empty", "blob-truncated"), ("cut", "blob-truncated"), ("long", "blob-size-mismatch")];

fn harm(server: &Server, blob: &Blob, damage_: &str) {
    let data = server.data();
    match damage_ {
        "gone" => damage::remove(data, &blob.digest),
        "empty" => damage::truncate(data, &blob.digest, 0),
        "cut" => damage::truncate(data, &blob.digest, 100),
        _ => damage::lengthen(data, &blob.digest),
    }
}

/// A server with one image `a:v1` of two layers; the blob to be harmed is its first layer.
fn with_image() -> (Server, Image) {
    let server = Server::start();
    let image = Image::random(&mut Random::new(201), 2, 1000);
    push::image(&server.client(), "a", "v1", &image);
    (server, image)
}

#[track_caller]
fn assert_found(answer: &Response, kind: &str, blob: &Blob) {
    let detail = answer.json()["errors"][0]["detail"].clone();
    assert_eq!(detail["kind"], kind, "{}", answer.text());
    assert_eq!(detail["digest"], blob.digest.as_str());
}

/// Whether anything but the quarantine holds the file.
fn quarantined(server: &Server, blob: &Blob) -> bool {
    let names = damage::quarantined(server.data());
    names.iter().any(|name| name.contains(blob.digest.hex()))
}

/// From the first look on, everything that relies on the blob says no.
fn assert_known_broken(client: &Client, image: &Image, kind: &str) {
    let blob = &image.layers[0];
    let target = format!("/v2/a/blobs/{}", blob.digest);
    assert_found(&client.get(&target).expect_error(404, "BLOB_UNKNOWN"), kind, blob);
    let _ = client.head(&target).expect(404);
    let range = client.request("GET", &target).header("Range", "bytes=0-9");
    assert_found(&range.call().expect_error(404, "BLOB_UNKNOWN"), kind, blob);
    let mount = client.post(&format!("/v2/b/blobs/uploads/?mount={}&from=a", blob.digest)).expect(202);
    let _ = client.delete(&location(&mount)).expect(204);
    let put = push::put_image(client, "a", "v2", image).expect_error(400, "MANIFEST_BLOB_UNKNOWN");
    assert_found(&put, kind, blob);
    for reference in ["v1", image.digest().as_str()] {
        let manifest = client.get(&format!("/v2/a/manifests/{reference}"));
        assert_found(&manifest.expect_error(404, "MANIFEST_UNKNOWN"), kind, blob);
        let _ = client.head(&format!("/v2/a/manifests/{reference}")).expect(404);
    }
    assert_eq!(mcr_tests::pull::tags(client, "a"), ["v1"], "hiding it would blind every probe");
}

fn each_damage(first_look: impl Fn(&Client, &Image, &str)) {
    for (damage, kind) in DAMAGES {
        let (mut server, image) = with_image();
        harm(&server, &image.layers[0], damage);
        first_look(&server.client(), &image, kind);
        assert_known_broken(&server.client(), &image, kind);
        assert_eq!(quarantined(&server, &image.layers[0]), damage != "gone", "{damage}");
        // A restart forgets nothing.
        server.kill();
        server.restart();
        assert_known_broken(&server.client(), &image, kind);
    }
}

#[test]
fn a_get_finds_it() {
    each_damage(|client, image, kind| {
        let answer = client.get(&format!("/v2/a/blobs/{}", image.layers[0].digest));
        assert_found(&answer.expect_error(404, "BLOB_UNKNOWN"), kind, &image.layers[0]);
    });
}

#[test]
fn a_head_finds_it() {
    each_damage(|client, image, _| {
        let _ = client.head(&format!("/v2/a/blobs/{}", image.layers[0].digest)).expect(404);
    });
}

#[test]
fn a_range_finds_it() {
    each_damage(|client, image, _| {
        let get = client.request("GET", &format!("/v2/a/blobs/{}", image.layers[0].digest));
        let _ = get.header("Range", "bytes=-1").call().expect_error(404, "BLOB_UNKNOWN");
    });
}

#[test]
fn a_mount_finds_it() {
    each_damage(|client, image, _| {
        let target = format!("/v2/b/blobs/uploads/?mount={}&from=a", image.layers[0].digest);
        let _ = client.post(&target).expect(202);
    });
}

#[test]
fn a_commit_finds_it() {
    each_damage(|client, image, kind| {
        let other = image.changed(|manifest| manifest["annotations"] = serde_json::json!({"other": "one"}));
        let put = push::put_image(client, "a", "v2", &other).expect_error(400, "MANIFEST_BLOB_UNKNOWN");
        assert_eq!(put.codes().len(), 1, "{}", put.text());
        assert_found(&put, kind, &image.layers[0]);
    });
}

#[test]
fn health_and_metrics_tell_of_it() {
    let (server, image) = with_image();
    let client = server.client();
    harm(&server, &image.layers[0], "cut");
    let _ = client.get(&format!("/v2/a/blobs/{}", image.layers[0].digest)).expect(404);
    let health = client.get("/v1/health").expect(200).text();
    assert!(health.contains("degraded"), "{health}");
    let metrics = client.get("/metrics").expect(200).text();
    assert!(metrics.contains("mcr_quarantined_blobs 1"), "{metrics}");
    assert!(metrics.contains("mcr_integrity_findings{kind=\"blob-truncated\"} 1"), "{metrics}");
    let _ = client.get("/readyz").expect(200);
}

#[test]
fn a_config_that_is_cut_breaks_its_image_too() {
    let (server, image) = with_image();
    let client = server.client();
    damage::truncate(server.data(), &image.config.digest, 5);
    let _ = client.get(&format!("/v2/a/blobs/{}", image.config.digest)).expect_error(404, "BLOB_UNKNOWN");
    let manifest = client.get("/v2/a/manifests/v1").expect_error(404, "MANIFEST_UNKNOWN");
    assert_found(&manifest, "blob-truncated", &image.config);
}
