//! The texts of refusals: `message` alone must be enough, since docker and others drop `detail`.

use mcr_tests::content::index_of;
use mcr_tests::{Image, Index, Random, Server, push};
use serde_json::json;

#[test]
fn a_missing_child_is_told_with_reference_platform_and_remedy() {
    let server = Server::start();
    let client = server.client();
    let index = Index::random(&mut Random::new(111), 100);
    push::image(&client, "infra/ci", index.images[0].digest().as_str(), &index.images[0]);
    let put = push::put_index(&client, "infra/ci", "latest", &index.manifest);
    let message = put.expect_error(400, "MANIFEST_BLOB_UNKNOWN").messages();
    let wanted = format!(
        "infra/ci:latest: index child {} (linux/arm64) is not in this repository; push it first",
        index.images[1].digest()
    );
    assert!(message.contains(&wanted), "{message}");
}

#[test]
fn a_missing_layer_is_told_with_reference_and_digest() {
    let server = Server::start();
    let client = server.client();
    let image = Image::random(&mut Random::new(112), 1, 100);
    push::blob(&client, "infra/ci", &image.config);
    let put = push::put_image(&client, "infra/ci", "latest", &image);
    let message = put.expect_error(400, "MANIFEST_BLOB_UNKNOWN").messages();
    let start = format!("infra/ci:latest: layer {}", image.layers[0].digest);
    assert!(message.contains(&start), "{message}");
    assert!(message.contains("is not in this repository"), "{message}");
}

#[test]
fn a_refused_delete_tells_what_names_it_and_under_which_tags() {
    let server = Server::start();
    let client = server.client();
    let index = Index::random(&mut Random::new(113), 100);
    push::index(&client, "a", "v1", &index);
    let _ = push::put_index(&client, "a", "latest", &index.manifest).expect(201);
    let child = format!("/v2/a/manifests/{}", index.images[0].digest());
    let message = client.delete(&child).expect_error(405, "UNSUPPORTED").messages();
    let named = format!("still named by index {}", index.digest());
    assert!(message.contains(&named), "{message}");
    let tags = ["(tags v1, latest)", "(tags latest, v1)"];
    assert!(tags.iter().any(|tags| message.contains(tags)), "{message}");
    assert!(message.ends_with("delete that first"), "{message}");
}

#[test]
fn a_wrong_size_is_told_with_both_sizes() {
    let server = Server::start();
    let client = server.client();
    let image = Image::random(&mut Random::new(114), 1, 4321);
    push::image(&client, "a", image.digest().as_str(), &image);
    let mut child = image.descriptor();
    child["size"] = json!(1234);
    let put = push::put_index(&client, "a", "v1", &index_of(&[child]));
    let message = put.expect_error(400, "SIZE_INVALID").messages();
    let stored = image.manifest.size().to_string();
    assert!(message.contains("1234") && message.contains(&stored), "{message}");
    let wrong = image.changed(|manifest| manifest["layers"][0]["size"] = json!(99));
    let message = push::put_image(&client, "a", "v1", &wrong).expect_error(400, "SIZE_INVALID").messages();
    assert!(message.contains("99") && message.contains("4321"), "{message}");
}

#[test]
fn many_missing_pieces_are_many_errors_in_one_answer() {
    let server = Server::start();
    let client = server.client();
    let image = Image::random(&mut Random::new(115), 40, 10);
    let put = push::put_image(&client, "a", "v1", &image).expect_error(400, "MANIFEST_BLOB_UNKNOWN");
    assert_eq!(put.codes().len(), 41);
    for blob in image.blobs() {
        assert!(put.messages().contains(blob.digest.as_str()), "{}", blob.digest);
    }
}

#[test]
fn every_answer_can_be_found_in_the_log() {
    let server = Server::start();
    let client = server.client();
    let answer = client.get("/v2/a/manifests/never").expect(404);
    if let Some(id) = answer.header("x-request-id") {
        let id = id.to_owned();
        mcr_tests::clock::wait_until("the request's id in the log", || server.log().contains(&id));
    } else {
        panic!("no request id: {:?}", answer.headers);
    }
}
