//! Percent-encoded requests: equal to the plain ones, as Go clients send both.

use mcr_tests::push::{location, open_upload, with_query};
use mcr_tests::{Blob, Image, Random, Server, pull, push};

#[test]
fn encoded_colons_and_slashes_equal_plain_ones() {
    let server = Server::start();
    let client = server.client();
    let image = Image::random(&mut Random::new(101), 1, 100);
    push::image(&client, "team/app", "v1", &image);
    let encoded = |text: &str| text.replace(':', "%3A");
    let lower = |text: &str| text.replace(':', "%3a");
    let digest = image.digest().as_str();
    let layer = image.layers[0].digest.as_str();
    for target in [
        format!("/v2/team/app/manifests/{}", encoded(digest)),
        format!("/v2/team/app/manifests/{}", lower(digest)),
        format!("/v2/team%2Fapp/manifests/{digest}"),
        format!("/v2/team%2fapp/manifests/{}", encoded(digest)),
        "/v2/team%2Fapp/manifests/v%31".to_owned(),
    ] {
        let got = client.get(&target).expect(200);
        assert_eq!(got.digest(), *image.digest(), "{target}");
    }
    for target in [format!("/v2/team/app/blobs/{}", encoded(layer)), format!("/v2/team%2Fapp/blobs/{}", encoded(layer))]
    {
        assert_eq!(client.get(&target).expect(200).digest(), image.layers[0].digest, "{target}");
    }
    let tags = client.get("/v2/team%2Fapp/tags/list").expect(200).json();
    assert_eq!(tags["name"], "team/app");
    let _ = client.get(&format!("/v2/team%2Fapp/referrers/{}", encoded(digest))).expect(200);
}

#[test]
fn an_encoded_digest_finishes_an_upload() {
    let server = Server::start();
    let client = server.client();
    let blob = Blob::new("encoded");
    let session = open_upload(&client, "team/app");
    let digest = blob.digest.as_str().replace(':', "%3A");
    let put = client.put(&with_query(&session, &format!("digest={digest}")), &blob.bytes).expect(201);
    assert!(client.get(&location(&put)).expect(200).body == blob.bytes);
}

#[test]
fn the_state_of_a_session_survives_being_decoded_and_encoded_again() {
    // containerd parses Location and writes its query anew, sorted.
    let server = Server::start();
    let client = server.client();
    let blob = Blob::new("recoded");
    let session = open_upload(&client, "a");
    assert!(session.bytes().all(|byte| byte.is_ascii_graphic()), "{session}");
    let (path, query) = session.split_once('?').unwrap_or((&session, ""));
    let mut parameters: Vec<&str> = query.split('&').filter(|part| !part.is_empty()).collect();
    let digest = format!("digest={}", blob.digest.as_str().replace(':', "%3A"));
    parameters.push(&digest);
    parameters.sort_unstable();
    let target = format!("{path}?{}", parameters.join("&"));
    let _ = client.put(&target, &blob.bytes).expect(201);
}

#[test]
fn path_tricks_lead_nowhere() {
    let server = Server::start();
    let client = server.client();
    push::image(&client, "a", "v1", &Image::random(&mut Random::new(102), 1, 100));
    for target in [
        "/v2/../etc/passwd/manifests/v1",
        "/v2/a/../a/manifests/v1",
        "/v2/%2e%2e/%2e%2e/manifests/v1",
        "/v2/a%2F..%2Fa/manifests/v1",
        "/v2/a/blobs/uploads/..%2F..%2F..%2Fmcr.db",
        "/v2/a/blobs/uploads/../../mcr.db",
        "/v2/a/blobs/sha256:..%2F..%2F..%2F..%2Fetc%2Fpasswd",
        "/v2/a%00b/manifests/v1",
        "/v2/a/manifests/v1%00",
        "/v2/a/manifests/%2e%2e%2fv1",
        "/v2/%ff%fe/manifests/v1",
        "/v2/a/manifests/%zz",
        "/v2/a/manifests/%",
    ] {
        for method in ["GET", "PUT", "DELETE"] {
            let answer = client.request(method, target).body(b"").call();
            assert!((400..500).contains(&answer.status), "{method} {target}: {}", answer.status);
            assert_ne!(answer.codes().len(), 0, "{method} {target}: {}", answer.text());
        }
    }
    assert_eq!(pull::catalog(&client), ["a"]);
}
