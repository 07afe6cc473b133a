//! What a killed server had half-done: sessions are taken up where they were, a quarantine is finished by the next life.

use mcr_tests::push::{location, open_upload, with_query};
use mcr_tests::{Blob, Image, Options, Random, Server, damage, pull, push};
use std::time::Duration;

/// Sends `bytes` as the next chunk; the session's place after it.
fn append(server: &Server, session: &str, start: usize, bytes: &[u8]) -> String {
    let range = format!("{start}-{}", start + bytes.len() - 1);
    let patch = server.client().request("PATCH", session).header("Content-Range", &range).body(bytes).call();
    location(&patch.expect(202))
}

#[test]
fn an_upload_goes_on_after_each_kill() {
    let mut server = Server::start();
    let blob = Blob::random(&mut Random::new(451), 900_000);
    let mut session = open_upload(&server.client(), "a");
    let mut start = 0;
    for piece in blob.bytes.chunks(200_000) {
        session = append(&server, &session, start, piece);
        start += piece.len();
        server.kill();
        server.restart();
        let status = server.client().get(&session).expect(204);
        assert_eq!(status.required("range"), format!("0-{}", start - 1));
    }
    let target = with_query(&session, &format!("digest={}", blob.digest));
    let _ = server.client().put(&target, b"").expect(201);
    server.kill();
    server.restart();
    let got = server.client().get(&format!("/v2/a/blobs/{}", blob.digest)).expect(200);
    assert!(got.body == blob.bytes);
    assert!(damage::uploads(server.data()).is_empty(), "{:?}", damage::uploads(server.data()));
}

#[test]
fn a_kill_in_the_last_put_leaves_the_blob_or_the_session() {
    for point in ["blob.sync", "blob.synced", "blob.renamed", "blob.dir_synced", "metadata.before_commit"] {
        let mut server = Server::start();
        let blob = Blob::random(&mut Random::new(452), 500_000);
        let session = append(&server, &open_upload(&server.client(), "a"), 0, &blob.bytes);
        server.kill();
        *server.options() = Options::faulty(&format!("{point}=kill@1"));
        server.restart();
        let target = with_query(&session, &format!("digest={}", blob.digest));
        assert!(server.client().request("PUT", &target).body(b"").send().is_err(), "{point}");
        assert!(server.wait_gone(Duration::from_secs(10)), "{point}");
        *server.options() = Options::default();
        server.restart();
        // Not acknowledged, so it may be there or not; but it is never half there, and the client's next try works.
        let client = server.client();
        let head = client.head(&format!("/v2/a/blobs/{}", blob.digest)).status;
        assert_eq!(head, 404, "{point}: a row came before its time");
        let again = client.request("PUT", &target).body(b"").call();
        if again.status != 201 {
            assert_eq!(again.status, 404, "{point}: {}", again.text());
            push::blob(&client, "a", &blob);
        }
        let got = client.get(&format!("/v2/a/blobs/{}", blob.digest)).expect(200);
        assert!(got.body == blob.bytes, "{point}");
        assert!(damage::quarantined(server.data()).is_empty(), "{point}");
    }
}

#[test]
fn a_kill_in_a_quarantine_serves_nothing_damaged_and_the_next_push_heals() {
    for point in ["quarantine.renamed", "metadata.before_commit", "metadata.committed"] {
        let mut server = Server::start();
        let image = Image::random(&mut Random::new(453), 2, 100_000);
        push::image(&server.client(), "a", "v1", &image);
        let layer = &image.layers[0];
        server.kill();
        damage::truncate(server.data(), &layer.digest, 5000);
        *server.options() = Options::faulty(&format!("{point}=kill@1"));
        server.restart();
        let target = format!("/v2/a/blobs/{}", layer.digest);
        assert!(server.client().request("GET", &target).send().is_err(), "{point}");
        assert!(server.wait_gone(Duration::from_secs(10)), "{point}");
        *server.options() = Options::default();
        server.restart();
        let client = server.client();
        let _ = client.get(&target).expect_error(404, "BLOB_UNKNOWN");
        let _ = client.get("/v2/a/manifests/v1").expect_error(404, "MANIFEST_UNKNOWN");
        // It is kept for who wants to know why.
        assert_eq!(damage::quarantined(server.data()).len(), 1, "{point}");
        assert_eq!(pull::tags(&client, "a"), ["v1"]);
        push::image(&client, "a", "v1", &image);
        assert_eq!(pull::assert_all_whole(&client), 1, "{point}");
    }
}
