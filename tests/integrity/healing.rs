//! Incident 5: pushing again heals, by every way a client may push.

use mcr_oci::Digest;
use mcr_tests::clock::wait_until;
use mcr_tests::{Blob, Client, Image, Index, Random, Server, damage, pull, push};

fn broken(server: &Server, blob: &Blob, how: &str) {
    match how {
        "gone" => damage::remove(server.data(), &blob.digest),
        "cut" => damage::truncate(server.data(), &blob.digest, 10),
        _ => damage::flip(server.data(), &blob.digest, 10),
    }
}

type Push = fn(&Client, &Blob);

const PUSHES: [(&str, Push); 4] = [
    ("put", |client, blob| push::blob(client, "a", blob)),
    ("stream", |client, blob| drop(push::blob_streamed(client, "a", blob))),
    ("chunks", |client, blob| drop(push::blob_chunked(client, "a", blob, 1000))),
    ("post", |client, blob| {
        let post = client.request("POST", &format!("/v2/a/blobs/uploads/?digest={}", blob.digest));
        let _ = post.body(&blob.bytes).call().expect(201);
    }),
];

#[test]
fn a_push_of_the_blob_heals_before_and_after_the_damage_is_known() {
    for how in ["gone", "cut", "flipped"] {
        for known in [true, false] {
            let server = Server::start();
            let client = server.client();
            let image = Image::random(&mut Random::new(231), 1, 100_000);
            push::image(&client, "a", "v1", &image);
            let layer = &image.layers[0];
            for (name, push) in PUSHES {
                broken(&server, layer, how);
                if known {
                    let _ = client.head(&format!("/v2/a/blobs/{}", layer.digest)).expect(404);
                    let _ = client.get("/v2/a/manifests/v1").expect(404);
                }
                push(&client, layer);
                let whole = pull::pull_whole(&client, "a", "v1");
                assert!(whole.is_ok(), "{how}, known {known}, healed by {name}: {whole:?}");
                let _ = client.head("/v2/a/manifests/v1").expect(200);
            }
        }
    }
}

#[test]
fn healing_in_one_repository_heals_the_others() {
    let mut server = Server::start();
    let image = Image::random(&mut Random::new(232), 1, 1000);
    for repository in ["a", "b"] {
        push::image(&server.client(), repository, "v1", &image);
    }
    broken(&server, &image.layers[0], "cut");
    let client = server.client();
    let _ = client.get(&format!("/v2/a/blobs/{}", image.layers[0].digest)).expect(404);
    let _ = client.get("/v2/b/manifests/v1").expect(404);
    push::blob(&client, "c", &image.layers[0]);
    for repository in ["a", "b"] {
        let _ = pull::assert_whole(&client, repository, "v1");
    }
    let health = client.get("/v1/health").expect(200).text();
    assert!(!health.contains("degraded"), "{health}");
    server.kill();
    server.restart();
    assert_eq!(pull::assert_all_whole(&server.client()), 2);
}

/// Pushes as oras does: what answers HEAD with 200 is skipped, a manifest with its whole subtree.
fn push_like_oras(client: &Client, repository: &str, tag: &str, index: &Index) {
    let there = |kind: &str, digest: &Digest| client.head(&format!("/v2/{repository}/{kind}/{digest}")).status == 200;
    if !there("manifests", index.digest()) {
        for image in &index.images {
            if there("manifests", image.digest()) {
                continue;
            }
            for blob in image.blobs().filter(|blob| !there("blobs", &blob.digest)) {
                push::blob(client, repository, blob);
            }
            let _ = push::put_image(client, repository, image.digest().as_str(), image).expect(201);
        }
        let _ = push::put_index(client, repository, index.digest().as_str(), &index.manifest).expect(201);
    }
    let _ = push::put_index(client, repository, tag, &index.manifest).expect(201);
}

#[test]
fn clients_that_skip_what_they_can_head_heal_too() {
    for how in ["gone", "cut", "flipped"] {
        let server = Server::start();
        let client = server.client();
        let index = Index::random(&mut Random::new(233), 100_000);
        push::index(&client, "a", "v1", &index);
        broken(&server, &index.images[1].layers[1], how);
        // A pull meets the damage; then the image is built and pushed again.
        assert!(pull::pull_whole(&client, "a", "v1").is_err(), "{how}");
        // What the pull met is booked a moment after its connection was cut.
        wait_until("the damage is known", || client.head("/v2/a/manifests/v1").status == 404);
        push_like_oras(&client, "a", "v1", &index);
        let _ = pull::assert_whole(&client, "a", "v1");
        let got = client.get("/v2/a/manifests/v1").expect(200);
        assert_eq!(got.header("warning"), None);
        let _ = client.head("/v2/a/manifests/v1").expect(200);
    }
}

#[test]
fn many_healers_at_once_leave_a_sound_blob() {
    let server = Server::start();
    let client = server.client();
    let image = Image::random(&mut Random::new(234), 1, 300_000);
    push::image(&client, "a", "v1", &image);
    broken(&server, &image.layers[0], "flipped");
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| push::blob(&client, "a", &image.layers[0]));
            scope.spawn(|| drop(client.request("GET", &format!("/v2/a/blobs/{}", image.layers[0].digest)).send()));
        }
    });
    push::blob(&client, "a", &image.layers[0]);
    let _ = pull::assert_whole(&client, "a", "v1");
}
