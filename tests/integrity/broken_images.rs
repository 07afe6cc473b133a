//! A broken image and the index above it: which of them are shown, to whom, with what warning.

use mcr_tests::{Index, Options, Random, Server, damage, pull, push};

/// A server whose index `a:v1` has lost a layer of its arm64 image, and knows it.
fn with_broken(options: Options) -> (Server, Index) {
    let server = Server::with(options);
    let client = server.client();
    let index = Index::random(&mut Random::new(221), 1000);
    push::index(&client, "a", "v1", &index);
    let layer = &index.images[1].layers[0];
    damage::remove(server.data(), &layer.digest);
    let _ = client.get(&format!("/v2/a/blobs/{}", layer.digest)).expect_error(404, "BLOB_UNKNOWN");
    (server, index)
}

#[test]
fn the_index_is_served_with_a_warning_and_its_broken_child_is_404() {
    let (server, index) = with_broken(Options::default());
    let client = server.client();
    for reference in ["v1", index.digest().as_str()] {
        let got = client.get(&format!("/v2/a/manifests/{reference}")).expect(200);
        assert_eq!(got.body, index.manifest.bytes);
        let warning = got.required("warning");
        assert!(warning.starts_with("299 - \"") && warning.ends_with('"'), "{warning}");
        assert!(warning.contains("linux/arm64"), "{warning}");
        assert!(warning.len() <= 4096);
    }
    let [whole, broken] = [0, 1].map(|at| format!("/v2/a/manifests/{}", index.images[at].digest()));
    let _ = client.get(&whole).expect(200);
    let gone = client.get(&broken).expect_error(404, "MANIFEST_UNKNOWN");
    let detail = gone.json()["errors"][0]["detail"].clone();
    assert_eq!(detail["kind"], "blob-missing", "{}", gone.text());
    assert_eq!(detail["digest"], index.images[1].layers[0].digest.as_str());
    assert_eq!(pull::tags(&client, "a"), ["v1"]);
    assert_eq!(pull::catalog(&client), ["a"]);
    let _ = pull::assert_whole(&client, "a", index.images[0].digest().as_str());
}

#[test]
fn head_of_the_index_is_404_to_who_may_push_so_that_they_walk_it() {
    let (server, index) = with_broken(Options::default());
    let client = server.client();
    for reference in ["v1", index.digest().as_str()] {
        let _ = client.head(&format!("/v2/a/manifests/{reference}")).expect(404);
    }
    let _ = client.head(&format!("/v2/a/manifests/{}", index.images[0].digest())).expect(200);
    let _ = client.head(&format!("/v2/a/manifests/{}", index.images[1].digest())).expect(404);
}

#[test]
fn a_broken_index_may_be_hidden() {
    let (server, index) = with_broken(Options::default().env("MCR_INTEGRITY_BROKEN_INDEX", "hide"));
    let client = server.client();
    for reference in ["v1", index.digest().as_str()] {
        let _ = client.get(&format!("/v2/a/manifests/{reference}")).expect_error(404, "MANIFEST_UNKNOWN");
    }
    let _ = client.get(&format!("/v2/a/manifests/{}", index.images[0].digest())).expect(200);
    assert_eq!(pull::tags(&client, "a"), ["v1"]);
}

#[test]
fn an_index_over_a_broken_child_is_not_committed_again() {
    let (server, index) = with_broken(Options::default());
    let client = server.client();
    for tag in ["v1", "v2"] {
        let put = push::put_index(&client, "a", tag, &index.manifest);
        let put = put.expect_error(400, "MANIFEST_BLOB_UNKNOWN");
        assert!(put.messages().contains(index.images[1].layers[0].digest.as_str()), "{}", put.messages());
    }
    assert_eq!(pull::tags(&client, "a"), ["v1"]);
}

#[test]
fn a_broken_tag_can_be_moved_and_deleted() {
    let (server, index) = with_broken(Options::default());
    let client = server.client();
    let _ = push::put_image(&client, "a", "v1", &index.images[0]).expect(201);
    let _ = pull::assert_whole(&client, "a", "v1");
    let _ = client.delete(&format!("/v2/a/manifests/{}", index.digest())).expect(202);
    let _ = client.delete(&format!("/v2/a/manifests/{}", index.images[1].digest())).expect(202);
    assert_eq!(pull::assert_all_whole(&client), 1);
}
