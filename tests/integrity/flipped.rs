//! Incident 4 at read time: the right length and the wrong bytes. Cut before the end, never a clean 200.

use mcr_tests::{Blob, Failure, Image, Options, Random, Server, damage, pull, push};

/// Above what is hashed before the head, so that bytes have to be held back.
const LARGE: usize = 400_000;
/// Up to this size a blob is hashed before the head.
const SMALL: usize = 64 * 1024;

fn with_layer(options: Options, size: usize) -> (Server, Image) {
    let server = Server::with(options);
    let image = Image::random(&mut Random::new(211), 1, size);
    push::image(&server.client(), "a", "v1", &image);
    (server, image)
}

fn target(blob: &Blob) -> String {
    format!("/v2/a/blobs/{}", blob.digest)
}

#[track_caller]
fn assert_quarantined(server: &Server, blob: &Blob) {
    let client = server.client();
    let answer = client.get(&target(blob)).expect_error(404, "BLOB_UNKNOWN");
    let detail = answer.json()["errors"][0]["detail"].clone();
    assert_eq!(detail["kind"], "blob-corrupt", "{}", answer.text());
    let _ = client.head(&target(blob)).expect(404);
    let _ = client.get("/v2/a/manifests/v1").expect_error(404, "MANIFEST_UNKNOWN");
    let names = damage::quarantined(server.data());
    assert!(names.iter().any(|name| name.contains(blob.digest.hex())), "{names:?}");
}

#[test]
fn a_large_flipped_blob_is_cut_before_its_end() {
    for offset in [0, 200_000, u64::try_from(LARGE).unwrap() - 1] {
        let (server, image) = with_layer(Options::default(), LARGE);
        let blob = &image.layers[0];
        damage::flip(server.data(), &blob.digest, offset);
        match server.client().request("GET", &target(blob)).send() {
            Err(Failure::Cut { partial, .. }) => {
                assert!(partial.body.len() <= LARGE - SMALL, "{} bytes went out", partial.body.len());
            }
            other => panic!("flipped at {offset}: {other:?}"),
        }
        assert_quarantined(&server, blob);
    }
}

#[test]
fn a_small_flipped_blob_is_404_at_once() {
    for size in [1, 1000, SMALL] {
        let (server, image) = with_layer(Options::default(), size);
        damage::flip(server.data(), &image.layers[0].digest, 0);
        let _ = server.client().get(&target(&image.layers[0])).expect_error(404, "BLOB_UNKNOWN");
        assert_quarantined(&server, &image.layers[0]);
    }
}

#[test]
fn head_range_mount_and_commit_wait_for_the_hash() {
    type Look = fn(&mcr_tests::Client, &Image);
    let looks: [(&str, Look); 4] = [
        ("head", |client, image| drop(client.head(&target(&image.layers[0])).expect(404))),
        ("range", |client, image| {
            let get = client.request("GET", &target(&image.layers[0])).header("Range", "bytes=5-9");
            let _ = get.call().expect_error(404, "BLOB_UNKNOWN");
        }),
        ("mount", |client, image| {
            let query = format!("mount={}&from=a", image.layers[0].digest);
            let _ = client.post(&format!("/v2/b/blobs/uploads/?{query}")).expect(202);
        }),
        ("commit", |client, image| {
            let other = image.changed(|manifest| manifest["annotations"] = serde_json::json!({"a": "b"}));
            let put = push::put_image(client, "a", "v2", &other);
            let put = put.expect_error(400, "MANIFEST_BLOB_UNKNOWN");
            assert!(put.messages().contains(image.layers[0].digest.as_str()));
        }),
    ];
    for (name, look) in looks {
        let (server, image) = with_layer(Options::default(), LARGE);
        eprintln!("first look: {name}");
        damage::flip(server.data(), &image.layers[0].digest, 77);
        look(&server.client(), &image);
        assert_quarantined(&server, &image.layers[0]);
    }
}

#[test]
fn a_file_that_was_only_touched_is_still_served() {
    let (server, image) = with_layer(Options::default(), LARGE);
    let client = server.client();
    let blob = &image.layers[0];
    for _ in 0..2 {
        damage::touch(server.data(), &blob.digest);
        let _ = client.head(&target(blob)).expect(200);
        damage::touch(server.data(), &blob.digest);
        assert!(client.get(&target(blob)).expect(200).body == blob.bytes);
        damage::touch(server.data(), &blob.digest);
        let range = client.request("GET", &target(blob)).header("Range", "bytes=0-9").call();
        assert_eq!(range.expect(206).body, blob.bytes[..10]);
    }
    assert!(damage::quarantined(server.data()).is_empty());
    let _ = pull::assert_whole(&client, "a", "v1");
}

#[test]
fn a_flip_is_found_in_every_mode_since_it_changes_the_file() {
    for mode in ["off", "stale", "always"] {
        let options = Options::default().env("MCR_INTEGRITY_VERIFY_ON_READ", mode);
        let (server, image) = with_layer(options, LARGE);
        damage::flip(server.data(), &image.layers[0].digest, 1234);
        let outcome = server.client().request("GET", &target(&image.layers[0])).send();
        let clean = matches!(&outcome, Ok(answer) if answer.status == 200);
        assert!(!clean, "{mode}: a flipped blob was served whole");
        assert_quarantined(&server, &image.layers[0]);
    }
}

#[test]
fn reading_is_checked_in_every_mode_without_harm_to_sound_blobs() {
    for (mode, fresh_for) in [("off", "1h"), ("stale", "1h"), ("stale", "1s"), ("always", "1h")] {
        let options = Options::default().env("MCR_INTEGRITY_VERIFY_ON_READ", mode);
        let (server, _) = with_layer(options.env("MCR_INTEGRITY_FRESH_FOR", fresh_for), LARGE);
        if fresh_for == "1s" {
            std::thread::sleep(std::time::Duration::from_millis(1200));
        }
        for _ in 0..3 {
            let _ = pull::assert_whole(&server.client(), "a", "v1");
        }
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| pull::assert_whole(&server.client(), "a", "v1"));
            }
        });
    }
}

#[test]
fn a_file_replaced_by_another_one_of_its_length_is_found() {
    let (server, image) = with_layer(Options::default(), LARGE);
    let blob = &image.layers[0];
    let path = damage::blob_path(server.data(), &blob.digest);
    let other = path.with_extension("other");
    std::fs::write(&other, vec![0; LARGE]).unwrap();
    std::fs::rename(&other, &path).unwrap();
    let outcome = server.client().request("GET", &target(blob)).send();
    assert!(!matches!(&outcome, Ok(answer) if answer.status == 200));
    assert_quarantined(&server, blob);
}

#[test]
fn who_waits_too_long_for_a_hash_is_told_to_come_again() {
    let (mut server, image) = with_layer(Options::default(), LARGE);
    let _ = server.stop();
    // The first read of a file takes longer than anybody is made to wait.
    *server.options() = Options::faulty("blob.read=sleep:14000@1");
    damage::touch(server.data(), &image.layers[0].digest);
    server.restart();
    let client = server.client();
    let start = std::time::Instant::now();
    std::thread::scope(|scope| {
        // Several ask; one hash runs, and goes on when they have gone.
        for _ in 0..3 {
            scope.spawn(|| {
                let head = client.fresh().head(&target(&image.layers[0])).expect(503);
                assert!(head.required("retry-after").parse::<u32>().is_ok());
            });
        }
    });
    let waited = start.elapsed().as_secs();
    assert!((8..13).contains(&waited), "{waited} s");
    mcr_tests::clock::wait_until("the hash is done", || client.head(&target(&image.layers[0])).status == 200);
    assert!(damage::quarantined(server.data()).is_empty());
    let _ = pull::assert_whole(&client, "a", "v1");
}
