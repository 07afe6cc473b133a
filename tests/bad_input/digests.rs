//! Digests that are wrong or none: of manifests, of blobs in each kind of upload; never ranges or sizes.

use mcr_oci::{Algorithm, Digest, media_type};
use mcr_tests::push::{location, open_upload, with_query};
use mcr_tests::{Blob, Image, Random, push};

use crate::watched::{Watched, assert_refused};

/// Texts that are no digest this registry knows, as they go into a query.
fn malformed() -> Vec<String> {
    let hex = "0".repeat(64);
    let mut texts: Vec<String> =
        ["", ":", "sha256", "sha256:", ":abc", "sha256:zz", "latest", "%00", "sha256%00:", "%ff"]
            .map(str::to_owned)
            .to_vec();
    texts.extend([
        format!("sha256:{}", "0".repeat(63)),
        format!("sha256:{}", "0".repeat(65)),
        format!("sha256:{}", "A".repeat(64)),
        format!("sha256:{}", "0".repeat(8000)),
        format!("SHA256:{hex}"),
        format!("sha512:{hex}"),
        format!("sha1:{}", "0".repeat(40)),
        "md5:d41d8cd98f00b204e9800998ecf8427e".to_owned(),
        format!("sha256:{hex}%20"),
        format!("sha256:sha256:{hex}"),
        format!("sha256:..%2f..%2f{}", "0".repeat(58)),
        format!("sha256+b64u:{hex}"),
    ]);
    texts
}

#[test]
fn a_manifest_under_another_digest_is_refused() {
    let mut watched = Watched::start();
    let client = watched.server.client();
    let mut random = Random::new(321);
    let image = Image::random(&mut random, 1, 100);
    push::blobs_of(&client, "rude/digest", &image);
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let other = Blob::by(algorithm, random.bytes(10)).digest;
        let put = push::put_image(&client, "rude/digest", other.as_str(), &image);
        let _ = put.expect_error(400, "DIGEST_INVALID");
        let _ = client.get(&format!("/v2/rude/digest/manifests/{other}")).expect(404);
    }
    for text in malformed().iter().filter(|text| text.contains(':')) {
        let target = format!("/v2/rude/digest/manifests/{text}");
        let put = client.request("PUT", &target).header("Content-Type", media_type::OCI_MANIFEST);
        assert_refused(text, &put.body(&image.manifest.bytes).call());
        assert_refused(text, &client.get(&target));
        assert_refused(text, &client.delete(&target));
    }
    assert!(mcr_tests::pull::tags(&client, "rude/digest").is_empty());
    watched.assert_unharmed();
}

#[test]
fn a_session_survives_wrong_digests_and_stores_nothing_under_them() {
    let mut watched = Watched::start();
    let client = watched.server.client();
    let mut random = Random::new(322);
    for length in [1000, 600_000] {
        let blob = Blob::random(&mut random, length);
        let other = Blob::random(&mut random, 10).digest;
        let session = open_upload(&client, "rude/digest");
        let patched = client.request("PATCH", &session).body(&blob.bytes).call().expect(202);
        let session = location(&patched);
        for text in malformed() {
            let put = client.put(&with_query(&session, &format!("digest={text}")), b"");
            assert_refused(&text, &put.expect(400));
        }
        let _ = client.put(&session, b"").expect_error(400, "DIGEST_INVALID");
        let wrong = with_query(&session, &format!("digest={other}"));
        let _ = client.put(&wrong, b"").expect_error(400, "DIGEST_INVALID");
        let _ = client.put(&wrong, b"and more").expect_error(400, "DIGEST_INVALID");
        let _ = client.head(&format!("/v2/rude/digest/blobs/{other}")).expect(404);
        let right = with_query(&session, &format!("digest={}", blob.digest));
        let _ = client.put(&right, b"").expect(201);
        let got = client.get(&format!("/v2/rude/digest/blobs/{}", blob.digest)).expect(200);
        assert!(got.body == blob.bytes);
    }
    watched.assert_uploads(0);
    watched.assert_unharmed();
}

#[test]
fn a_whole_post_under_a_wrong_digest_leaves_nothing() {
    let mut watched = Watched::start();
    let client = watched.server.client();
    let wrong = Digest::sha256(b"something else");
    for length in [1, 1000, 3_000_000] {
        let bytes = vec![7; length];
        let target = format!("/v2/rude/digest/blobs/uploads/?digest={wrong}");
        let _ = client.request("POST", &target).body(&bytes).call().expect_error(400, "DIGEST_INVALID");
        let _ = client.request("POST", &target).chunked(&bytes, 1000).call().expect_error(400, "DIGEST_INVALID");
    }
    for text in malformed().iter().filter(|text| !text.contains("%ff")) {
        let target = format!("/v2/rude/digest/blobs/uploads/?digest={text}");
        assert_refused(text, &client.request("POST", &target).body(b"bytes").call());
    }
    watched.assert_nothing_stored();
    watched.assert_unharmed();
}

#[test]
fn a_blob_is_not_found_under_what_is_no_digest() {
    let mut watched = Watched::start();
    let client = watched.server.client();
    for text in malformed() {
        for kind in ["blobs", "referrers"] {
            let target = format!("/v2/rude/digest/{kind}/{text}");
            assert_refused(&target, &client.get(&target));
            assert_refused(&target, &client.delete(&target));
            assert!((400..500).contains(&client.head(&target).status), "{target}");
        }
    }
    watched.assert_nothing_stored();
    watched.assert_unharmed();
}
