//! Upload sessions: opened, asked, cancelled, continued over a restart of the server.

use mcr_oci::Digest;
use mcr_tests::push::{location, open_upload, with_query};
use mcr_tests::{Blob, Random, Server, push};

#[test]
fn a_session_opens_with_and_without_slash_type_and_body() {
    let server = Server::start();
    let client = server.client();
    for target in ["/v2/a/b/blobs/uploads/", "/v2/a/b/blobs/uploads"] {
        for kind in [None, Some("application/json"), Some("application/octet-stream")] {
            let mut request = client.request("POST", target).body(b"");
            if let Some(kind) = kind {
                request = request.header("Content-Type", kind);
            }
            let opened = request.call().expect(202);
            assert_eq!(opened.required("range"), "0-0");
            assert!(!opened.required("docker-upload-uuid").is_empty());
            let place = opened.required("location");
            assert!(place.starts_with('/') || place.starts_with(&server.url()), "{place}");
        }
    }
    // Go sends no body and no length at all.
    let _ = client.request("POST", "/v2/a/b/blobs/uploads/").call().expect(202);
}

#[test]
fn a_session_tells_how_far_it_is() {
    let server = Server::start();
    let client = server.client();
    let mut session = open_upload(&client, "a");
    for (bytes, range) in [(0_usize, "0-0"), (1, "0-0"), (9, "0-9"), (90, "0-99")] {
        let patch = client.request("PATCH", &session).body(&[7; 100][..bytes]).call();
        let patched = patch.expect(202);
        assert_eq!(patched.required("range"), range, "after {bytes} more");
        session = location(&patched);
        let status = client.get(&session).expect(204);
        assert_eq!(status.required("range"), range);
        assert!(status.header("location").is_some());
        assert!(status.header("docker-upload-uuid").is_some());
    }
}

#[test]
fn a_session_is_cancelled_once() {
    let server = Server::start();
    let client = server.client();
    let session = open_upload(&client, "a");
    let _ = client.request("PATCH", &session).body(b"bytes").call().expect(202);
    let _ = client.delete(&session).expect(204);
    let _ = client.get(&session).expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    let _ = client.delete(&session).expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    assert!(mcr_tests::damage::uploads(server.data()).is_empty());
}

#[test]
fn an_unknown_session_is_404_for_every_method() {
    let server = Server::start();
    let client = server.client();
    let digest = Digest::sha256(b"");
    // One of the right form that was never given out, one of no form at all.
    let opened = open_upload(&client, "a");
    let (path, id) = opened.rsplit_once('/').expect("a path");
    let never = format!("{path}/{}", id.replace(|letter: char| letter.is_ascii_digit(), "0"));
    for session in [never.as_str(), "/v2/a/blobs/uploads/no-such-session"] {
        for (method, target) in [
            ("GET", session.to_owned()),
            ("PATCH", session.to_owned()),
            ("DELETE", session.to_owned()),
            ("PUT", with_query(session, &format!("digest={digest}"))),
        ] {
            let answer = client.request(method, &target).body(b"").call();
            let _ = answer.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
        }
    }
}

#[test]
fn a_finished_session_is_unknown() {
    let server = Server::start();
    let client = server.client();
    let blob = Blob::new("finished");
    let session = open_upload(&client, "a");
    let put = with_query(&session, &format!("digest={}", blob.digest));
    let _ = client.put(&put, &blob.bytes).expect(201);
    let _ = client.get(&session).expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    let _ = client.put(&put, b"").expect_error(404, "BLOB_UPLOAD_UNKNOWN");
}

#[test]
fn a_session_belongs_to_its_repository() {
    let server = Server::start();
    let client = server.client();
    let session = open_upload(&client, "mine");
    let elsewhere = session.replace("/v2/mine/", "/v2/theirs/");
    assert_ne!(session, elsewhere);
    let _ = client.get(&elsewhere).expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    let _ = client.delete(&elsewhere).expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    let _ = client.get(&session).expect(204);
}

#[test]
fn a_session_survives_a_restart_of_the_server() {
    let mut server = Server::start();
    let blob = Blob::random(&mut Random::new(3), 300_000);
    let mut session = open_upload(&server.client(), "a/b");
    for (part, hard) in [(0..100_000, false), (100_000..250_000, true)] {
        let client = server.client();
        let end = part.end;
        let patch = client.request("PATCH", &session).body(&blob.bytes[part]).call();
        session = location(&patch.expect(202));
        if hard {
            server.kill();
        } else {
            let _ = server.stop();
        }
        server.restart();
        let status = server.client().get(&session).expect(204);
        assert_eq!(status.required("range"), format!("0-{}", end - 1));
    }
    let put = with_query(&session, &format!("digest={}", blob.digest));
    let _ = server.client().put(&put, &blob.bytes[250_000..]).expect(201);
    let got = server.client().get(&format!("/v2/a/b/blobs/{}", blob.digest));
    assert!(got.expect(200).body == blob.bytes);
}

#[test]
fn a_location_with_a_digest_already_in_it_works_for_every_method() {
    // regclient goes on with the URL that carries the digest of its first try.
    let server = Server::start();
    let client = server.client();
    let blob = Blob::new("0123456789");
    let session = with_query(&open_upload(&client, "a"), &format!("digest={}", blob.digest));
    let patched = client.request("PATCH", &session).body(&blob.bytes[..5]).call();
    let _ = patched.expect(202);
    assert_eq!(client.get(&session).expect(204).required("range"), "0-4");
    let put = client.put(&session, &blob.bytes[5..]).expect(201);
    assert_eq!(put.required("docker-content-digest"), blob.digest.as_str());

    let other = with_query(&open_upload(&client, "a"), &format!("digest={}", blob.digest));
    let _ = client.delete(&other).expect(204);
    push::blob(&client, "a", &blob);
}
