//! The twelve cases by which registries were compared: each of them has to hold here.

use mcr_tests::content::index_of;
use mcr_tests::{Image, Index, Random, Server, damage, pull, push};
use serde_json::json;

/// A server with a whole index `a:v1`.
fn whole() -> (Server, Index) {
    let server = Server::start();
    let index = Index::random(&mut Random::new(251), 100_000);
    push::index(&server.client(), "a", "v1", &index);
    (server, index)
}

#[test]
fn case_01_an_image_without_a_layer_is_refused_and_the_layer_named() {
    let server = Server::start();
    let client = server.client();
    let image = Image::random(&mut Random::new(252), 2, 100);
    push::blob(&client, "a", &image.config);
    push::blob(&client, "a", &image.layers[0]);
    let put = push::put_image(&client, "a", "v1", &image).expect_error(400, "MANIFEST_BLOB_UNKNOWN");
    assert!(put.messages().contains(image.layers[1].digest.as_str()));
    assert!(pull::tags(&client, "a").is_empty());
}

#[test]
fn case_02_an_image_without_its_config_is_refused_and_the_config_named() {
    let server = Server::start();
    let client = server.client();
    let image = Image::random(&mut Random::new(253), 1, 100);
    push::blob(&client, "a", &image.layers[0]);
    let put = push::put_image(&client, "a", "v1", &image).expect_error(400, "MANIFEST_BLOB_UNKNOWN");
    assert!(put.messages().contains(image.config.digest.as_str()));
}

#[test]
fn case_03_an_index_without_a_child_is_refused_and_the_child_named() {
    let (server, index) = whole();
    let client = server.client();
    let absent = Image::random(&mut Random::new(254), 1, 100);
    let wider = index_of(&[index.images[0].descriptor(), absent.descriptor()]);
    let put = push::put_index(&client, "a", "v1", &wider).expect_error(400, "MANIFEST_BLOB_UNKNOWN");
    assert!(put.messages().contains(absent.digest().as_str()));
    assert_eq!(client.get("/v2/a/manifests/v1").expect(200).digest(), *index.digest());
}

#[test]
fn case_04_content_of_another_repository_does_not_complete_a_push() {
    let (server, index) = whole();
    let client = server.client();
    let _ = push::put_index(&client, "b", "v1", &index.manifest).expect_error(400, "MANIFEST_BLOB_UNKNOWN");
    let _ = push::put_image(&client, "b", "v1", &index.images[0]).expect_error(400, "MANIFEST_BLOB_UNKNOWN");
}

#[test]
fn case_05_a_wrong_size_of_a_layer_is_refused() {
    let (server, index) = whole();
    let wrong = index.images[0].changed(|manifest| manifest["layers"][0]["size"] = json!(99_999));
    let _ = push::put_image(&server.client(), "a", "v2", &wrong).expect_error(400, "SIZE_INVALID");
}

#[test]
fn case_06_a_wrong_size_of_a_child_is_refused() {
    let (server, index) = whole();
    let mut child = index.images[0].descriptor();
    child["size"] = json!(1);
    let _ = push::put_index(&server.client(), "a", "v2", &index_of(&[child])).expect_error(400, "SIZE_INVALID");
}

#[test]
fn case_07_a_child_in_use_cannot_be_deleted() {
    let (server, index) = whole();
    let client = server.client();
    let target = format!("/v2/a/manifests/{}", index.images[1].digest());
    let _ = client.delete(&target).expect_error(405, "UNSUPPORTED");
    let _ = pull::assert_whole(&client, "a", "v1");
}

#[test]
fn case_08_a_layer_in_use_cannot_be_deleted() {
    let (server, index) = whole();
    let client = server.client();
    let target = format!("/v2/a/blobs/{}", index.images[1].layers[0].digest);
    let _ = client.delete(&target).expect_error(405, "UNSUPPORTED");
    let _ = pull::assert_whole(&client, "a", "v1");
}

/// No answer that a client would take for the blob.
#[track_caller]
fn assert_not_served(server: &Server, blob: &mcr_tests::Blob) {
    let client = server.client();
    let outcome = client.request("GET", &format!("/v2/a/blobs/{}", blob.digest)).send();
    assert!(!matches!(&outcome, Ok(answer) if answer.status == 200), "{outcome:?}");
    let _ = client.head(&format!("/v2/a/blobs/{}", blob.digest)).expect(404);
}

#[test]
fn case_09_cut_bytes_are_not_served() {
    let (server, index) = whole();
    damage::truncate(server.data(), &index.images[0].layers[0].digest, 50_000);
    assert_not_served(&server, &index.images[0].layers[0]);
}

#[test]
fn case_10_flipped_bytes_are_not_served() {
    let (server, index) = whole();
    damage::flip(server.data(), &index.images[0].layers[0].digest, 50_000);
    assert_not_served(&server, &index.images[0].layers[0]);
}

#[test]
fn case_11_a_push_heals_cut_bytes() {
    let (server, index) = whole();
    let client = server.client();
    damage::truncate(server.data(), &index.images[0].layers[0].digest, 0);
    push::index(&client, "a", "v1", &index);
    let _ = pull::assert_whole(&client, "a", "v1");
}

#[test]
fn case_12_a_push_heals_flipped_bytes() {
    let (server, index) = whole();
    let client = server.client();
    damage::flip(server.data(), &index.images[0].layers[0].digest, 0);
    push::index(&client, "a", "v1", &index);
    let _ = pull::assert_whole(&client, "a", "v1");
}
