//! The bytes of uploads: in one piece, in chunks, streamed, out of order, with lies about length and digest.

use mcr_oci::{Algorithm, Digest};
use mcr_tests::push::{location, open_upload, with_query};
use mcr_tests::{Blob, Client, Random, Server, push};

fn assert_stored(client: &Client, repository: &str, blob: &Blob) {
    let got = client.get(&format!("/v2/{repository}/blobs/{}", blob.digest));
    assert!(got.expect(200).body == blob.bytes);
}

#[test]
fn every_way_of_uploading_stores_the_same_bytes() {
    let server = Server::start();
    let client = server.client();
    let random = &mut Random::new(4);
    for size in [0, 1, 1000, 200_000] {
        let [one, two, three] = [(); 3].map(|()| Blob::random(random, size));
        push::blob(&client, "one", &one);
        assert_stored(&client, "one", &one);
        let streamed = push::blob_streamed(&client, "two", &two);
        assert_eq!(streamed.required("docker-content-digest"), two.digest.as_str());
        assert_stored(&client, "two", &two);
        if size > 0 {
            let _ = push::blob_chunked(&client, "three", &three, 64 * 1024);
            assert_stored(&client, "three", &three);
        }
    }
}

#[test]
fn a_post_with_digest_and_body_stores_at_once() {
    let server = Server::start();
    let client = server.client();
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let blob = Blob::by(algorithm, "in one go");
        let target = format!("/v2/a/blobs/uploads/?digest={}", blob.digest);
        let post = client.request("POST", &target).body(&blob.bytes);
        let stored = post.header("Content-Type", "application/octet-stream").call();
        let stored = stored.expect(201);
        assert_eq!(stored.required("docker-content-digest"), blob.digest.as_str());
        let place = location(&stored);
        assert!(client.get(&place).expect(200).body == blob.bytes);
    }
    let wrong = Digest::sha256(b"other");
    let target = format!("/v2/a/blobs/uploads/?digest={wrong}");
    let _ = client.request("POST", &target).body(b"bytes").call().expect_error(400, "DIGEST_INVALID");
    let _ = client.head(&format!("/v2/a/blobs/{wrong}")).expect(404);
}

#[test]
fn the_put_may_carry_nothing_everything_or_the_last_chunk() {
    let server = Server::start();
    let client = server.client();
    let blob = Blob::random(&mut Random::new(5), 5000);
    for (first, ranged) in [(0, false), (5000, false), (2000, false), (2000, true)] {
        let mut session = open_upload(&client, "a");
        if first > 0 {
            let patch = client.request("PATCH", &session).body(&blob.bytes[..first]).call();
            session = location(&patch.expect(202));
        }
        let target = with_query(&session, &format!("digest={}", blob.digest));
        let mut put = client.request("PUT", &target).body(&blob.bytes[first..]);
        if ranged {
            put = put.header("Content-Range", &format!("{first}-4999"));
        }
        let _ = put.call().expect(201);
        assert_stored(&client, "a", &blob);
    }
}

#[test]
fn a_patch_takes_any_type_framing_and_an_empty_body() {
    let server = Server::start();
    let client = server.client();
    let mut session = open_upload(&client, "a");
    let mut length = 0;
    for (kind, chunked, bytes) in [
        (None, false, &b"one"[..]),
        (Some("application/octet-stream"), false, b"two"),
        (Some("text/html; charset=utf-8"), false, b"three"),
        (None, true, b"four"),
        (None, false, b""),
        (None, true, b""),
    ] {
        let mut patch = client.request("PATCH", &session);
        patch = if chunked { patch.chunked(bytes, 2) } else { patch.body(bytes) };
        if let Some(kind) = kind {
            patch = patch.header("Content-Type", kind);
        }
        let patched = patch.call().expect(202);
        length += bytes.len();
        assert_eq!(patched.required("range"), format!("0-{}", length - 1));
        session = location(&patched);
    }
    let blob = Blob::new("onetwothreefour");
    let put = with_query(&session, &format!("digest={}", blob.digest));
    let _ = client.put(&put, b"").expect(201);
    assert_stored(&client, "a", &blob);
}

/// A `PATCH` of `bytes` that claims to be at `range`.
fn patch_at(client: &Client, session: &str, range: &str, bytes: &[u8]) -> mcr_tests::Response {
    let patch = client.request("PATCH", session).header("Content-Range", range);
    patch.body(bytes).call()
}

#[test]
fn a_chunk_out_of_order_is_416_and_leaves_the_session_alive() {
    let server = Server::start();
    let client = server.client();
    let blob = Blob::random(&mut Random::new(6), 300);
    let first = open_upload(&client, "a");
    // On a fresh session there is no range to tell.
    let early = patch_at(&client, &first, "100-199", &blob.bytes[100..200]);
    let early = early.expect_error(416, "BLOB_UPLOAD_INVALID");
    assert_eq!(early.header("range"), None);
    let patched = patch_at(&client, &first, "0-99", &blob.bytes[..100]).expect(202);
    let second = location(&patched);
    // A gap, a repetition, also on the location of before: the offset is the session's.
    for session in [&second, &first] {
        for (range, part) in [("200-299", 200..300), ("0-99", 0..100), ("99-198", 99..199)] {
            let answer = patch_at(&client, session, range, &blob.bytes[part]);
            let answer = answer.expect_error(416, "BLOB_UPLOAD_INVALID");
            assert_eq!(answer.required("range"), "0-99");
            assert!(answer.header("location").is_some());
            let status = client.get(session).expect(204);
            assert_eq!(status.required("range"), "0-99");
            assert!(status.header("location").is_some());
        }
    }
    let patched = patch_at(&client, &second, "100-199", &blob.bytes[100..200]).expect(202);
    let put = with_query(&location(&patched), &format!("digest={}", blob.digest));
    let early = client.request("PUT", &put).header("Content-Range", "250-299");
    let _ = early.body(&blob.bytes[250..]).call().expect_error(416, "BLOB_UPLOAD_INVALID");
    assert_eq!(client.get(&put).expect(204).required("range"), "0-199");
    let last = client.request("PUT", &put).header("Content-Range", "200-299");
    let _ = last.body(&blob.bytes[200..]).call().expect(201);
    assert_stored(&client, "a", &blob);
}

#[test]
fn an_unreadable_content_range_is_400_and_other_spellings_are_read() {
    let server = Server::start();
    let client = server.client();
    let session = open_upload(&client, "a");
    for range in ["0-", "-9", "a-b", "9-0", "bytes", "0-99999999999999999999", "1"] {
        let answer = patch_at(&client, &session, range, b"0123456789");
        let _ = answer.expect_error(400, "BLOB_UPLOAD_INVALID");
    }
    assert_eq!(client.get(&session).expect(204).required("range"), "0-0");
    let patched = patch_at(&client, &session, "bytes 0-9/20", b"0123456789").expect(202);
    let session = location(&patched);
    let patched = patch_at(&client, &session, "bytes 10-19/*", b"0123456789").expect(202);
    assert_eq!(patched.required("range"), "0-19");
    // What distribution 3 answers with 500.
    let answer = patch_at(&client, &location(&patched), "bytes 100-199/200", &[0; 100]);
    let _ = answer.expect_error(416, "BLOB_UPLOAD_INVALID");
}

#[test]
fn a_body_of_another_length_than_its_content_range_is_400_size_invalid() {
    let server = Server::start();
    let client = server.client();
    let session = open_upload(&client, "a");
    let session = location(&patch_at(&client, &session, "0-4", b"01234").expect(202));
    for (range, chunked) in [("5-14", false), ("5-6", false), ("5-14", true), ("5-6", true)] {
        let patch = client.request("PATCH", &session).header("Content-Range", range);
        let patch = if chunked { patch.chunked(b"56789", 3) } else { patch.body(b"56789") };
        let _ = patch.call().expect_error(400, "SIZE_INVALID");
        assert_eq!(client.get(&session).expect(204).required("range"), "0-4", "{range}");
    }
    let blob = Blob::new("0123456789");
    let put = with_query(&session, &format!("digest={}", blob.digest));
    let _ = client.put(&put, b"56789").expect(201);
    assert_stored(&client, "a", &blob);
}

#[test]
fn bytes_of_another_digest_are_refused_and_nowhere_served() {
    let server = Server::start();
    let client = server.client();
    let wanted = Blob::new("what was promised");
    let session = open_upload(&client, "a");
    let put = with_query(&session, &format!("digest={}", wanted.digest));
    let refused = client.put(&put, b"what came").expect_error(400, "DIGEST_INVALID");
    let computed = Digest::sha256(b"what came");
    assert!(refused.messages().contains(computed.as_str()), "{}", refused.messages());
    for digest in [&wanted.digest, &computed] {
        let _ = client.head(&format!("/v2/a/blobs/{digest}")).expect(404);
    }
    push::blob(&client, "a", &wanted);
    assert_stored(&client, "a", &wanted);
}

#[test]
fn a_put_without_a_readable_digest_is_400_and_keeps_the_session() {
    let server = Server::start();
    let client = server.client();
    let blob = Blob::new("patient");
    let session = open_upload(&client, "a");
    let session = location(&client.request("PATCH", &session).body(&blob.bytes).call().expect(202));
    let upper = blob.digest.as_str().to_uppercase();
    let digests = ["sha256:short", "md5:d41d8cd98f00b204e9800998ecf8427e", "nonsense", "", &upper];
    let _ = client.put(&session, b"").expect_error(400, "DIGEST_INVALID");
    for digest in digests {
        let put = with_query(&session, &format!("digest={digest}"));
        let _ = client.put(&put, b"").expect_error(400, "DIGEST_INVALID");
    }
    assert_eq!(client.get(&session).expect(204).required("range"), "0-6");
    let put = with_query(&session, &format!("digest={}", blob.digest));
    let _ = client.put(&put, b"").expect(201);
}

#[test]
fn sha512_is_taken_in_all_ways_with_and_without_announcement() {
    let server = Server::start();
    let client = server.client();
    let random = &mut Random::new(7);
    for announced in ["", "?digest-algorithm=sha512"] {
        for patched in [false, true] {
            let blob = Blob::by(Algorithm::Sha512, random.bytes(3000));
            let opened = client.post(&format!("/v2/a/blobs/uploads/{announced}"));
            let mut session = location(&opened.expect(202));
            if patched {
                let patch = client.request("PATCH", &session).body(&blob.bytes[..1000]).call();
                session = location(&patch.expect(202));
            }
            let rest = &blob.bytes[if patched { 1000 } else { 0 }..];
            let put = client.put(&with_query(&session, &format!("digest={}", blob.digest)), rest);
            let put = put.expect(201);
            assert_eq!(put.required("docker-content-digest"), blob.digest.as_str());
            assert_stored(&client, "a", &blob);
        }
    }
}

#[test]
fn the_same_blob_may_come_from_several_sessions_at_once_and_again() {
    let server = Server::start();
    let client = server.client();
    let blob = Blob::random(&mut Random::new(8), 100_000);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| push::blob(&client, "a", &blob));
        }
    });
    push::blob(&client, "a", &blob);
    assert_stored(&client, "a", &blob);
    assert!(mcr_tests::damage::uploads(server.data()).is_empty());
}

#[test]
fn expect_continue_is_served() {
    let server = Server::start();
    let client = server.client();
    let blob = Blob::new("continued");
    let session = open_upload(&client, "a");
    let put = with_query(&session, &format!("digest={}", blob.digest));
    let request = client.request("PUT", &put).header("Expect", "100-continue");
    let _ = request.body(&blob.bytes).call().expect(201);
}
