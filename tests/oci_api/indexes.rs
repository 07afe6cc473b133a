//! Indexes: complete or refused with every missing piece named, nested, empty, mixed, over blobs.

use mcr_oci::{Algorithm, Digest, media_type};
use mcr_tests::content::index_of;
use mcr_tests::{Blob, Image, Index, Random, Server, pull, push};
use serde_json::{Value, json};

#[test]
fn a_complete_index_is_taken_and_pulls_whole() {
    let server = Server::start();
    let client = server.client();
    let index = Index::random(&mut Random::new(41), 400);
    push::index(&client, "a", "latest", &index);
    let got = client.get("/v2/a/manifests/latest").expect(200);
    assert_eq!(got.required("content-type"), media_type::OCI_INDEX);
    assert_eq!(got.body, index.manifest.bytes);
    let pulled = pull::assert_whole(&client, "a", "latest");
    assert_eq!(pulled.manifests.len(), 3);
    assert_eq!(pulled.blobs.len(), 6);
}

#[test]
fn a_sparse_index_is_refused_and_every_missing_child_named() {
    let server = Server::start();
    let client = server.client();
    let index = Index::random(&mut Random::new(42), 400);
    push::image(&client, "a", index.images[0].digest().as_str(), &index.images[0]);
    let put = push::put_index(&client, "a", "latest", &index.manifest);
    let put = put.expect_error(400, "MANIFEST_BLOB_UNKNOWN");
    let errors = put.json()["errors"].as_array().unwrap().clone();
    assert_eq!(errors.len(), 1, "{}", put.text());
    let detail = &errors[0]["detail"];
    assert_eq!(detail["digest"], index.images[1].digest().as_str());
    assert_eq!(detail["kind"], "manifest-missing");
    assert_eq!(detail["platform"], "linux/arm64");
    assert_eq!(detail["path"], json!([index.digest().as_str()]));
    assert_eq!(detail["media_type"], media_type::OCI_MANIFEST);
    assert!(pull::tags(&client, "a").is_empty());

    let put = push::put_index(&client, "empty", "latest", &index.manifest);
    assert_eq!(put.expect_error(400, "MANIFEST_BLOB_UNKNOWN").codes().len(), 2);
}

#[test]
fn a_child_of_another_repository_does_not_count() {
    let server = Server::start();
    let client = server.client();
    let index = Index::random(&mut Random::new(43), 400);
    push::index(&client, "a", "latest", &index);
    let put = push::put_index(&client, "b", "latest", &index.manifest);
    assert_eq!(put.expect_error(400, "MANIFEST_BLOB_UNKNOWN").codes().len(), 2);
}

#[test]
fn the_bytes_of_a_manifest_pushed_as_a_blob_are_no_child() {
    let server = Server::start();
    let client = server.client();
    let image = Image::random(&mut Random::new(44), 1, 400);
    push::blobs_of(&client, "a", &image);
    push::blob(&client, "a", &image.manifest);
    let index = index_of(&[image.descriptor()]);
    let put = push::put_index(&client, "a", "latest", &index);
    let _ = put.expect_error(400, "MANIFEST_BLOB_UNKNOWN");
}

#[test]
fn a_child_of_wrong_size_or_type_is_refused() {
    let server = Server::start();
    let client = server.client();
    let image = Image::random(&mut Random::new(45), 1, 400);
    push::image(&client, "a", image.digest().as_str(), &image);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut child = image.descriptor();
        change(&mut child);
        push::put_index(&client, "a", "bad", &index_of(&[child]))
    };
    let size = with(&|child| child["size"] = json!(5)).expect_error(400, "SIZE_INVALID");
    assert!(size.messages().contains(&image.manifest.size().to_string()), "{}", size.messages());
    for wrong in [media_type::OCI_INDEX, media_type::DOCKER_MANIFEST, media_type::DOCKER_LIST] {
        let _ = with(&|child| child["mediaType"] = json!(wrong)).expect_error(400, "MANIFEST_INVALID");
    }
    let _ = client.get("/v2/a/manifests/bad").expect(404);
    let _ = with(&|_| ()).expect(201);
}

#[test]
fn indexes_may_be_empty_and_nested() {
    let server = Server::start();
    let client = server.client();
    let absent = Blob::new(json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX}).to_string());
    let null = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": null});
    for empty in [index_of(&[]), absent, Blob::new(null.to_string())] {
        let _ = push::put_index(&client, "a", "empty", &empty).expect(201);
        let _ = pull::assert_whole(&client, "a", "empty");
    }
    let inner = Index::random(&mut Random::new(46), 300);
    push::index(&client, "a", inner.digest().as_str(), &inner);
    let mut outer = inner.manifest.clone();
    for _ in 0..5 {
        outer = index_of(&[outer.descriptor(media_type::OCI_INDEX)]);
        let _ = push::put_index(&client, "a", outer.digest.as_str(), &outer).expect(201);
    }
    let _ = push::put_index(&client, "a", "outer", &outer).expect(201);
    assert_eq!(pull::assert_whole(&client, "a", "outer").manifests.len(), 8);
}

#[test]
fn what_is_missing_deep_below_is_refused_where_it_is_missing() {
    let server = Server::start();
    let client = server.client();
    let inner = Index::random(&mut Random::new(47), 300);
    let outer = index_of(&[inner.manifest.descriptor(media_type::OCI_INDEX)]);
    let put = push::put_index(&client, "a", "outer", &outer).expect_error(400, "MANIFEST_BLOB_UNKNOWN");
    assert!(put.messages().contains(inner.digest().as_str()));
    push::index(&client, "a", inner.digest().as_str(), &inner);
    let _ = push::put_index(&client, "a", "outer", &outer).expect(201);
}

#[test]
fn docker_lists_and_docker_children_of_oci_indexes_are_taken() {
    let server = Server::start();
    let client = server.client();
    let mut image = Image::random(&mut Random::new(48), 1, 300).changed(|manifest| {
        manifest["mediaType"] = json!(media_type::DOCKER_MANIFEST);
        manifest["config"]["mediaType"] = json!(media_type::DOCKER_CONFIG);
        manifest["layers"][0]["mediaType"] = json!(media_type::DOCKER_LAYER);
    });
    image.media_type = media_type::DOCKER_MANIFEST.to_owned();
    push::image(&client, "a", image.digest().as_str(), &image);
    for kind in [media_type::OCI_INDEX, media_type::DOCKER_LIST] {
        let index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": [image.descriptor()]});
        let _ = push::manifest(&client, "a", "list", kind, index.to_string().as_bytes()).expect(201);
        let got = client.get("/v2/a/manifests/list").expect(200);
        assert_eq!(got.required("content-type"), kind);
        let _ = pull::assert_whole(&client, "a", "list");
    }
}

#[test]
fn children_of_other_types_may_be_blobs() {
    // The form of BuildKit's cache: an index over layers, with the cache's config as one more child.
    let server = Server::start();
    let client = server.client();
    let random = &mut Random::new(49);
    let [layer, config] = [(); 2].map(|()| Blob::random(random, 300));
    let index = index_of(&[
        layer.descriptor(media_type::OCI_LAYER_GZIP),
        config.descriptor("application/vnd.buildkit.cacheconfig.v0"),
    ]);
    let put = push::put_index(&client, "a", "cache", &index).expect_error(400, "MANIFEST_BLOB_UNKNOWN");
    assert_eq!(put.codes().len(), 2, "{}", put.text());
    push::blob(&client, "a", &layer);
    push::blob(&client, "a", &config);
    let _ = push::put_index(&client, "a", "cache", &index).expect(201);
    let pulled = pull::assert_whole(&client, "a", "cache");
    assert_eq!((pulled.manifests.len(), pulled.blobs.len()), (1, 2));
    // Such a child is in use as any layer is.
    let _ = client.delete(&format!("/v2/a/blobs/{}", layer.digest)).expect_error(405, "UNSUPPORTED");
}

#[test]
fn an_attestation_is_a_child_like_any_other() {
    let server = Server::start();
    let client = server.client();
    let random = &mut Random::new(50);
    let image = Image::random(random, 1, 300);
    let attestation = Image::random(random, 1, 200).changed(|manifest| {
        manifest["layers"][0]["mediaType"] = json!("application/vnd.in-toto+json");
    });
    let mut described = attestation.descriptor();
    described["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    described["annotations"] = json!({
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": image.digest().as_str(),
    });
    let index = index_of(&[image.descriptor(), described]);
    push::image(&client, "a", image.digest().as_str(), &image);
    let _ = push::put_index(&client, "a", "v1", &index).expect_error(400, "MANIFEST_BLOB_UNKNOWN");
    push::image(&client, "a", attestation.digest().as_str(), &attestation);
    let _ = push::put_index(&client, "a", "v1", &index).expect(201);
}

#[test]
fn an_index_named_by_sha512_over_children_named_by_sha256() {
    let server = Server::start();
    let client = server.client();
    let index = Index::random(&mut Random::new(51), 300);
    for image in &index.images {
        push::image(&client, "a", image.digest().as_str(), image);
    }
    let digest = Digest::of(Algorithm::Sha512, &index.manifest.bytes);
    let put = push::put_index(&client, "a", &format!("{digest}?tag=mixed"), &index.manifest).expect(201);
    assert_eq!(put.required("docker-content-digest"), digest.as_str());
    assert_eq!(pull::assert_whole(&client, "a", digest.as_str()).manifests.len(), 3);
    assert_eq!(pull::tags(&client, "a"), ["mixed"]);
    let _ = pull::assert_whole(&client, "a", "mixed");
}
