//! Clients that go away in the middle: of an upload, of a manifest, of a download; never slow ones.

use std::io::{Read as _, Write as _};

use mcr_oci::media_type;
use mcr_tests::clock::wait_until;
use mcr_tests::push::{location, open_upload, with_query};
use mcr_tests::{Blob, Image, Random, memory, pull, push};

use crate::raw;
use crate::watched::Watched;

/// Sends a head that announces `whole`, `sent` bytes of it, and goes away.
fn leave(watched: &Watched, line: &str, framing: usize, whole: &[u8], sent: usize) {
    let mut stream = raw::open(&watched.server);
    let framing = match framing % 2 {
        0 => format!("Content-Length: {}\r\n\r\n", whole.len()),
        _ => format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", whole.len()),
    };
    let head = format!("{line} HTTP/1.1\r\nHost: x\r\nContent-Type: {}\r\n{framing}", media_type::OCI_MANIFEST);
    // The server may have seen the end of an earlier piece already.
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(&whole[..sent]);
}

#[test]
fn a_session_whose_client_went_away_goes_on() {
    let mut watched = Watched::start();
    let client = watched.server.client();
    let mut random = Random::announced("a_session_whose_client_went_away_goes_on");
    for round in 0..12 {
        let blob = Blob::random(&mut random, [5000, 300_000, 3_000_000][round % 3]);
        let session = open_upload(&client, "rude/gone");
        let sent = random.below(blob.size());
        leave(&watched, &format!("PATCH {session}"), round, &blob.bytes, sent);
        // Whatever of it arrived: the status says how far it is, once nobody writes any more.
        let mut patched = None;
        wait_until("the session takes the rest", || {
            let status = client.get(&session).expect(204);
            let held =
                std::fs::metadata(watched.server.data().join("uploads").join(session.rsplit('/').next().unwrap()));
            let held = usize::try_from(held.unwrap().len()).unwrap();
            assert!(held <= sent, "{held} of {sent}");
            let rest = client.request("PATCH", &location(&status));
            let range = format!("{held}-{}", blob.size() - 1);
            let answer = rest.header("Content-Range", &range).body(&blob.bytes[held..]).call();
            patched = (answer.status == 202).then_some(answer);
            patched.is_some()
        });
        let target = with_query(&location(&patched.unwrap()), &format!("digest={}", blob.digest));
        let _ = client.put(&target, b"").expect(201);
        let got = client.get(&format!("/v2/rude/gone/blobs/{}", blob.digest)).expect(200);
        assert!(got.body == blob.bytes);
    }
    watched.assert_uploads(0);
    watched.assert_unharmed();
}

#[test]
fn half_a_last_chunk_is_no_blob() {
    let mut watched = Watched::start();
    let client = watched.server.client();
    let mut random = Random::announced("half_a_last_chunk_is_no_blob");
    for round in 0..12 {
        let blob = Blob::random(&mut random, [5000, 300_000, 3_000_000][round % 3]);
        let session = open_upload(&client, "rude/gone");
        let line = format!("PUT {}", with_query(&session, &format!("digest={}", blob.digest)));
        let sent = random.below(blob.size());
        leave(&watched, &line, round, &blob.bytes, sent);
        let _ = client.head(&format!("/v2/rude/gone/blobs/{}", blob.digest)).expect(404);
        // The session is still there, and can be ended.
        wait_until("the session can be ended", || client.delete(&session).status == 204);
    }
    watched.assert_nothing_stored();
    watched.assert_unharmed();
}

#[test]
fn half_a_whole_post_leaves_nothing() {
    let mut watched = Watched::start();
    let client = watched.server.client();
    let mut random = Random::announced("half_a_whole_post_leaves_nothing");
    for round in 0..30 {
        let blob = Blob::random(&mut random, [5000, 300_000, 3_000_000][round % 3]);
        let line = format!("POST /v2/rude/gone/blobs/uploads/?digest={}", blob.digest);
        leave(&watched, &line, round, &blob.bytes, random.clone().below(blob.size()));
        let _ = client.head(&format!("/v2/rude/gone/blobs/{}", blob.digest)).expect(404);
    }
    watched.assert_nothing_stored();
    watched.assert_unharmed();
}

#[test]
fn half_a_manifest_is_no_manifest() {
    let mut watched = Watched::start();
    let client = watched.server.client();
    let mut random = Random::announced("half_a_manifest_is_no_manifest");
    let image = Image::random(&mut random, 2, 100);
    push::blobs_of(&client, "rude/gone", &image);
    for round in 0..40 {
        let sent = random.below(image.manifest.size());
        leave(&watched, "PUT /v2/rude/gone/manifests/v1", round, &image.manifest.bytes, sent);
    }
    let _ = client.get("/v2/rude/gone/manifests/v1").expect(404);
    let _ = push::put_image(&client, "rude/gone", "v1", &image).expect(201);
    let _ = pull::assert_whole(&client, "rude/gone", "v1");
    watched.assert_unharmed();
}

#[test]
fn a_whole_request_counts_whether_its_client_waits_or_not() {
    let mut watched = Watched::start();
    let client = watched.server.client();
    let image = Image::random(&mut Random::new(371), 2, 100);
    push::blobs_of(&client, "rude/gone", &image);
    for round in 0..10 {
        let line = format!("PUT /v2/rude/gone/manifests/v{round}");
        leave(&watched, &line, 0, &image.manifest.bytes, image.manifest.size());
    }
    // Listed is whole; how many of them were listed is the server's to say.
    let _ = push::put_image(&client, "rude/gone", "last", &image).expect(201);
    for tag in pull::tags(&client, "rude/gone") {
        let _ = pull::assert_whole(&client, "rude/gone", &tag);
    }
    watched.assert_unharmed();
}

#[test]
fn downloads_whose_client_went_away_hold_nothing() {
    let mut watched = Watched::start();
    let client = watched.server.client();
    let blob = Blob::random(&mut Random::new(372), 24 << 20);
    push::blob(&client, "rude/gone", &blob);
    let pid = watched.server.pid();
    for read in [0, 1, 100, 100_000, 3_000_000] {
        let mut streams: Vec<_> = (0..30).map(|_| raw::open(&watched.server)).collect();
        for stream in &mut streams {
            let head = format!("GET /v2/rude/gone/blobs/{} HTTP/1.1\r\nHost: x\r\n\r\n", blob.digest);
            stream.write_all(head.as_bytes()).unwrap();
        }
        for stream in &mut streams {
            let mut bytes = vec![0; read];
            stream.read_exact(&mut bytes).unwrap();
        }
        // All of them stand with their windows full: what each may hold is little.
        let held = memory::resident_kib(pid);
        assert!(held < 256 * 1024, "{held} KiB for 30 downloads nobody reads");
        drop(streams);
    }
    watched.assert_unharmed();
}
