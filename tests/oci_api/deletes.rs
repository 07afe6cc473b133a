//! Deleting manifests, tags, blobs: what goes at once, what is refused because something lives on it.

use mcr_oci::media_type;
use mcr_tests::content::index_of;
use mcr_tests::{Blob, Image, Index, Random, Server, pull, push};

#[test]
fn deleting_a_tag_takes_the_tag_alone() {
    let server = Server::start();
    let client = server.client();
    let image = Image::random(&mut Random::new(61), 1, 300);
    push::image(&client, "a", "one", &image);
    let _ = push::put_image(&client, "a", "two", &image).expect(201);
    let _ = client.delete("/v2/a/manifests/one").expect(202);
    let _ = client.get("/v2/a/manifests/one").expect_error(404, "MANIFEST_UNKNOWN");
    let _ = client.delete("/v2/a/manifests/one").expect_error(404, "MANIFEST_UNKNOWN");
    assert_eq!(pull::tags(&client, "a"), ["two"]);
    let _ = client.delete("/v2/a/manifests/two").expect(202);
    assert!(pull::tags(&client, "a").is_empty());
    // Untagged, it can be pulled by digest until it is collected.
    let _ = pull::assert_whole(&client, "a", image.digest().as_str());
}

#[test]
fn deleting_a_digest_takes_its_tags_along() {
    let server = Server::start();
    let client = server.client();
    let random = &mut Random::new(62);
    let [image, other] = [(); 2].map(|()| Image::random(random, 1, 300));
    push::image(&client, "a", "one", &image);
    let _ = push::put_image(&client, "a", "two", &image).expect(201);
    push::image(&client, "a", "other", &other);
    let target = format!("/v2/a/manifests/{}", image.digest());
    let _ = client.delete(&target).expect(202);
    for gone in ["one", "two", image.digest().as_str()] {
        let _ = client.get(&format!("/v2/a/manifests/{gone}")).expect_error(404, "MANIFEST_UNKNOWN");
        let _ = client.head(&format!("/v2/a/manifests/{gone}")).expect(404);
    }
    let _ = client.delete(&target).expect_error(404, "MANIFEST_UNKNOWN");
    assert_eq!(pull::tags(&client, "a"), ["other"]);
    let _ = pull::assert_whole(&client, "a", "other");
}

#[test]
fn a_child_is_kept_while_an_index_names_it() {
    let server = Server::start();
    let client = server.client();
    let index = Index::random(&mut Random::new(63), 300);
    push::index(&client, "a", "latest", &index);
    let child = format!("/v2/a/manifests/{}", index.images[0].digest());
    let refused = client.delete(&child).expect_error(405, "UNSUPPORTED");
    assert!(refused.messages().contains(index.digest().as_str()), "{}", refused.messages());
    let _ = pull::assert_whole(&client, "a", "latest");
    // Also when the index has no tag, and when the child has one.
    let _ = client.delete("/v2/a/manifests/latest").expect(202);
    let _ = push::put_image(&client, "a", "child", &index.images[0]).expect(201);
    let _ = client.delete(&child).expect_error(405, "UNSUPPORTED");
    let _ = client.delete("/v2/a/manifests/child").expect(202);
    let _ = pull::assert_whole(&client, "a", index.digest().as_str());
    // Index first, then children: as the conformance program does. A tombstone holds nothing.
    let _ = client.delete(&format!("/v2/a/manifests/{}", index.digest())).expect(202);
    for image in &index.images {
        let _ = client.delete(&format!("/v2/a/manifests/{}", image.digest())).expect(202);
        for blob in image.blobs() {
            let _ = client.delete(&format!("/v2/a/blobs/{}", blob.digest)).expect(202);
        }
    }
}

#[test]
fn a_nested_index_is_kept_while_another_names_it() {
    let server = Server::start();
    let client = server.client();
    let inner = Index::random(&mut Random::new(64), 300);
    push::index(&client, "a", inner.digest().as_str(), &inner);
    let outer = index_of(&[inner.manifest.descriptor(media_type::OCI_INDEX)]);
    let _ = push::put_index(&client, "a", "outer", &outer).expect(201);
    let target = format!("/v2/a/manifests/{}", inner.digest());
    let _ = client.delete(&target).expect_error(405, "UNSUPPORTED");
    let _ = client.delete(&format!("/v2/a/manifests/{}", outer.digest)).expect(202);
    let _ = client.delete(&target).expect(202);
}

#[test]
fn a_blob_is_kept_while_a_manifest_names_it() {
    let server = Server::start();
    let client = server.client();
    let random = &mut Random::new(65);
    let layer = Blob::random(random, 300);
    let [one, two] = ["amd64", "arm64"].map(|architecture| Image::over(architecture, vec![layer.clone()]));
    push::image(&client, "a", "one", &one);
    push::image(&client, "a", "two", &two);
    let shared = format!("/v2/a/blobs/{}", layer.digest);
    let refused = client.delete(&shared).expect_error(405, "UNSUPPORTED");
    assert!(refused.messages().contains("sha256:"), "{}", refused.messages());
    let _ = client.delete(&format!("/v2/a/blobs/{}", one.config.digest)).expect_error(405, "UNSUPPORTED");
    let _ = client.delete(&format!("/v2/a/manifests/{}", one.digest())).expect(202);
    let _ = client.delete(&shared).expect_error(405, "UNSUPPORTED");
    let _ = client.delete(&format!("/v2/a/manifests/{}", two.digest())).expect(202);
    let _ = client.delete(&shared).expect(202);
    let _ = client.get(&shared).expect_error(404, "BLOB_UNKNOWN");
    let _ = client.head(&shared).expect(404);
    let _ = client.delete(&shared).expect_error(404, "BLOB_UNKNOWN");
}

#[test]
fn a_blob_deleted_in_one_repository_stays_in_the_other() {
    let server = Server::start();
    let client = server.client();
    let blob = Blob::random(&mut Random::new(66), 300);
    push::blob(&client, "a", &blob);
    let mounted = client.post(&format!("/v2/b/blobs/uploads/?mount={}&from=a", blob.digest));
    let _ = mounted.expect(201);
    let _ = client.delete(&format!("/v2/a/blobs/{}", blob.digest)).expect(202);
    let _ = client.get(&format!("/v2/a/blobs/{}", blob.digest)).expect(404);
    assert!(client.get(&format!("/v2/b/blobs/{}", blob.digest)).expect(200).body == blob.bytes);
}

#[test]
fn a_deleted_manifest_comes_back_only_whole() {
    let server = Server::start();
    let client = server.client();
    let image = Image::random(&mut Random::new(67), 2, 300);
    push::image(&client, "a", "v1", &image);
    let manifest = format!("/v2/a/manifests/{}", image.digest());
    let _ = client.delete(&manifest).expect(202);
    // Its blobs are still there: a push of the manifest alone is a whole one.
    let _ = push::put_image(&client, "a", "v1", &image).expect(201);
    let _ = pull::assert_whole(&client, "a", "v1");
    let _ = client.delete(&manifest).expect(202);
    let _ = client.delete(&format!("/v2/a/blobs/{}", image.layers[0].digest)).expect(202);
    let put = push::put_image(&client, "a", "v1", &image).expect_error(400, "MANIFEST_BLOB_UNKNOWN");
    assert!(put.messages().contains(image.layers[0].digest.as_str()));
    push::blob(&client, "a", &image.layers[0]);
    let _ = push::put_image(&client, "a", "v1", &image).expect(201);
    let _ = pull::assert_whole(&client, "a", "v1");
}

#[test]
fn what_was_never_there_is_404() {
    let server = Server::start();
    let client = server.client();
    push::image(&client, "a", "v1", &Image::random(&mut Random::new(68), 1, 100));
    let unknown = Blob::new("never").digest;
    let _ = client.delete("/v2/a/manifests/never").expect_error(404, "MANIFEST_UNKNOWN");
    let _ = client.delete(&format!("/v2/a/manifests/{unknown}")).expect_error(404, "MANIFEST_UNKNOWN");
    let _ = client.delete(&format!("/v2/a/blobs/{unknown}")).expect_error(404, "BLOB_UNKNOWN");
    for target in
        [format!("/v2/b/manifests/{unknown}"), "/v2/b/manifests/v1".to_owned(), format!("/v2/b/blobs/{unknown}")]
    {
        let _ = client.delete(&target).expect(404);
    }
}

#[test]
fn deletes_survive_a_kill() {
    let mut server = Server::start();
    let client = server.client();
    let image = Image::random(&mut Random::new(69), 1, 300);
    push::image(&client, "a", "v1", &image);
    let _ = client.delete(&format!("/v2/a/manifests/{}", image.digest())).expect(202);
    server.kill();
    server.restart();
    let _ = server.client().get("/v2/a/manifests/v1").expect(404);
    assert!(pull::tags(&server.client(), "a").is_empty());
}
