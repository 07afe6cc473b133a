//! Manifests at and beyond the largest size, announced and chunked; never their content.

use mcr_oci::{MANIFEST_MAX, media_type};
use mcr_tests::{Image, Random, Response, push};
use serde_json::json;

use crate::raw;
use crate::watched::{Watched, assert_refused};

/// An image whose manifest has exactly `length` bytes.
fn image_of(random: &mut Random, length: usize) -> Image {
    let image = Image::random(random, 1, 10).changed(|manifest| manifest["annotations"] = json!({"pad": ""}));
    let pad = length - image.manifest.size();
    let image = image.changed(|manifest| manifest["annotations"]["pad"] = json!("x".repeat(pad)));
    assert_eq!(image.manifest.size(), length);
    image
}

fn put_chunked(client: &mcr_tests::Client, tag: &str, bytes: &[u8]) -> Response {
    let put = client.request("PUT", &format!("/v2/rude/size/manifests/{tag}"));
    put.header("Content-Type", media_type::OCI_MANIFEST).chunked(bytes, 30_000).call()
}

#[test]
fn exactly_the_largest_manifest_is_taken_and_one_byte_more_is_not() {
    let mut watched = Watched::start();
    let client = watched.server.client();
    let mut random = Random::new(311);
    let most = image_of(&mut random, MANIFEST_MAX);
    push::image(&client, "rude/size", "announced", &most);
    let _ = put_chunked(&client, "chunked", &most.manifest.bytes).expect(201);
    for tag in ["announced", "chunked"] {
        let got = client.get(&format!("/v2/rude/size/manifests/{tag}")).expect(200);
        assert!(got.body == most.manifest.bytes, "{tag}");
    }
    let over = image_of(&mut random, MANIFEST_MAX + 1);
    push::blobs_of(&client, "rude/size", &over);
    let announced = push::put_image(&client, "rude/size", "over", &over).expect_error(413, "SIZE_INVALID");
    assert!(announced.messages().contains("4194304"), "{}", announced.messages());
    let _ = put_chunked(&client, "over", &over.manifest.bytes).expect_error(413, "SIZE_INVALID");
    let _ = client.get("/v2/rude/size/manifests/over").expect(404);
    watched.assert_unharmed();
}

#[test]
fn ten_mebibytes_are_refused_again_and_again_without_being_kept() {
    let mut watched = Watched::start();
    let client = watched.server.client();
    let bytes = vec![b' '; 10 << 20];
    for round in 0..6 {
        raw::at_once(&[true, false, true, false], |announced| {
            let client = client.fresh();
            let put = client.request("PUT", "/v2/rude/size/manifests/ten");
            let put = put.header("Content-Type", media_type::OCI_MANIFEST);
            let put = if *announced { put.body(&bytes) } else { put.chunked(&bytes, 64 * 1024) };
            assert_refused(&format!("round {round}, announced: {announced}"), &put.call().expect(413));
        });
    }
    watched.assert_nothing_stored();
    watched.assert_unharmed();
}

#[test]
fn an_endless_manifest_is_given_up() {
    let mut watched = Watched::start();
    let client = watched.server.client();
    let put = client.request("PUT", "/v2/rude/size/manifests/endless");
    // Nobody reads a GiB to say no: whether the answer or the end of the connection comes first is chance.
    if let Ok(answer) = put.chunked_stream(std::io::Read::take(std::io::repeat(b'['), 1 << 30)).send() {
        assert_refused("endless", &answer.expect(413));
    }
    watched.assert_nothing_stored();
    watched.assert_unharmed();
}

#[test]
fn many_large_manifests_at_once_stay_within_bounds() {
    let mut watched = Watched::start();
    let client = watched.server.client();
    let bytes = vec![b'['; MANIFEST_MAX];
    let clients: Vec<usize> = (0..8).collect();
    raw::at_once(&clients, |_| {
        let client = client.fresh();
        for _ in 0..6 {
            let answer = push::manifest(&client, "rude/size", "many", media_type::OCI_MANIFEST, &bytes);
            assert_refused("many", &answer.expect(400));
        }
    });
    watched.assert_nothing_stored();
    watched.assert_unharmed();
}
