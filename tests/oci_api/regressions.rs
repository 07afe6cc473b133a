//! The regression list of the client catalogue, where it is about the wire: numbers are that list's.

use std::io::Read;

use mcr_oci::{Algorithm, Hasher, media_type};
use mcr_tests::content::index_of;
use mcr_tests::push::{location, open_upload, with_query};
use mcr_tests::{Blob, Image, Index, Random, Server, pull, push};
use serde_json::json;

/// Zeros with a counter in them, so that no two blocks are alike and nothing is held in memory.
struct Counter {
    at: u64,
    end: u64,
}

impl Read for Counter {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        buffer[..length].fill(0);
        if length >= 8 {
            buffer[..8].copy_from_slice(&self.at.to_le_bytes());
        }
        self.at += u64::try_from(length).unwrap();
        Ok(length)
    }
}

/// 1: docker takes the size of a layer from the Range of the PATCH's answer, also past 2^31.
#[test]
fn r01_a_streamed_layer_of_over_two_gibibytes_has_an_exact_range() {
    const SIZE: u64 = (1 << 31) + 4321;
    let server = Server::start();
    let client = server.client();
    let mut hasher = Hasher::new(Algorithm::Sha256);
    // The request reads in pieces of this size: the same bytes are hashed here.
    let mut buffer = vec![0; 256 * 1024];
    let mut counter = Counter { at: 0, end: SIZE };
    while let Ok(length @ 1..) = counter.read(&mut buffer) {
        hasher.update(&buffer[..length]);
    }
    let digest = hasher.finish();
    let session = open_upload(&client, "big");
    let patched = client.request("PATCH", &session).chunked_stream(Counter { at: 0, end: SIZE }).call().expect(202);
    assert_eq!(patched.required("range"), format!("0-{}", SIZE - 1));
    let put = with_query(&location(&patched), &format!("digest={digest}"));
    let _ = client.put(&put, b"").expect(201);
    let target = format!("/v2/big/blobs/{digest}");
    assert_eq!(client.head(&target).expect(200).required("content-length"), SIZE.to_string());
    let config = Blob::new("{}");
    push::blob(&client, "big", &config);
    let mut manifest = Image::with_config(config, vec![], json!({})).json();
    manifest["layers"] = json!([{"mediaType": media_type::OCI_LAYER, "digest": digest.as_str(), "size": SIZE}]);
    let text = manifest.to_string();
    let _ = push::manifest(&client, "big", "v1", media_type::OCI_MANIFEST, text.as_bytes()).expect(201);
    let last = client.request("GET", &target).header("Range", &format!("bytes={}-", SIZE - 1)).call().expect(206);
    assert_eq!(last.required("content-range"), format!("bytes {0}-{0}/{SIZE}", SIZE - 1));
    let rss = mcr_tests::memory::resident_kib(server.pid());
    assert!(rss < 128 * 1024, "{rss} KiB after one upload");
}

/// 2: skopeo answers a 202 to its mount with a DELETE of the session.
#[test]
fn r02_a_mount_answered_202_is_cancelled_without_trace() {
    let server = Server::start();
    let client = server.client();
    let unknown = Blob::new("unknown").digest;
    let opened = client.post(&format!("/v2/a/blobs/uploads/?mount={unknown}&from=b")).expect(202);
    let _ = client.delete(&location(&opened)).expect(204);
    assert!(mcr_tests::damage::uploads(server.data()).is_empty());
}

/// 3: BuildKit's cache as an index over blobs, asked of a server that has nothing in memory.
#[test]
fn r03_a_build_cache_over_blobs_is_taken_by_a_cold_server() {
    let mut server = Server::start();
    let random = &mut Random::new(121);
    let blobs: Vec<Blob> = (0..4).map(|_| Blob::random(random, 500)).collect();
    for blob in &blobs {
        push::blob(&server.client(), "cache", blob);
    }
    let (config, layers) = blobs.split_first().unwrap();
    let mut children: Vec<_> = layers.iter().map(|blob| blob.descriptor(media_type::OCI_LAYER_GZIP)).collect();
    children.push(config.descriptor("application/vnd.buildkit.cacheconfig.v0"));
    let index = index_of(&children);
    let _ = server.stop();
    server.restart();
    let client = server.client();
    let _ = push::put_index(&client, "cache", "main", &index).expect(201);
    // crane copy of it: every child mounted, then the index.
    for blob in &blobs {
        let mounted = client.post(&format!("/v2/copy/blobs/uploads/?mount={}&from=cache", blob.digest));
        let _ = mounted.expect(201);
    }
    let _ = push::put_index(&client, "copy", "main", &index).expect(201);
    let _ = pull::assert_whole(&client, "copy", "main");
}

/// 5: `skopeo --multi-arch index-only` is refused with every child named (with the program itself in `clients`).
#[test]
fn r05_an_index_alone_is_refused_naming_every_child() {
    let server = Server::start();
    let client = server.client();
    let index = Index::random(&mut Random::new(122), 100);
    let put = push::put_index(&client, "a", "v1", &index.manifest).expect_error(400, "MANIFEST_BLOB_UNKNOWN");
    for image in &index.images {
        assert!(put.messages().contains(image.digest().as_str()), "{}", put.messages());
    }
}

/// 7: Windows images carry foreign layers, some without URLs.
#[test]
fn r07_a_windows_image_pushes_without_its_foreign_layers() {
    let server = Server::start();
    let client = server.client();
    let base = Image::random(&mut Random::new(123), 1, 100);
    let mut windows = base.changed(|manifest| {
        manifest["mediaType"] = json!(media_type::DOCKER_MANIFEST);
        manifest["layers"].as_array_mut().unwrap().insert(
            0,
            json!({"mediaType": media_type::DOCKER_FOREIGN_LAYER, "size": 99,
                "digest": Blob::new("windows").digest.as_str()}),
        );
    });
    windows.media_type = media_type::DOCKER_MANIFEST.to_owned();
    push::image(&client, "windows", "ltsc", &windows);
    let _ = pull::assert_whole(&client, "windows", "ltsc");
    let target = format!("/v2/windows/manifests/{}", windows.digest());
    let _ = client.delete(&target).expect(202);
}

/// 14 stands in `manifests`, 4 in `referrers`, 6 in `indexes` and `descriptors`, 13 in `indexes`, 17 in `sessions`.
///
/// 16: oras replaces the referrers tag of old and deletes the index it superseded, by digest.
#[test]
fn r16_a_superseded_referrers_index_can_be_deleted_by_digest() {
    let server = Server::start();
    let client = server.client();
    let random = &mut Random::new(124);
    let subject = Image::random(random, 1, 100);
    push::image(&client, "a", "v1", &subject);
    let tag = format!("sha256-{}", subject.digest().hex());
    let mut children = Vec::new();
    let mut old: Option<Blob> = None;
    for kind in ["x/one", "x/two"] {
        let referrer = Image::random(random, 1, 100).about(&subject.manifest, kind);
        push::image(&client, "a", referrer.digest().as_str(), &referrer);
        children.push(referrer.manifest.descriptor(media_type::OCI_MANIFEST));
        let index = index_of(&children);
        let _ = push::put_index(&client, "a", &tag, &index).expect(201);
        if let Some(old) = old.replace(index) {
            let _ = client.delete(&format!("/v2/a/manifests/{}", old.digest)).expect(202);
        }
    }
    let pulled = pull::assert_whole(&client, "a", &tag);
    assert_eq!(pulled.manifests.len(), 3);
}
