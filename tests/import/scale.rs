//! How long a grown tree takes beside hashing its bytes; only in `make test-long`.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use mcr_oci::{Digest, media_type};
use mcr_tests::{Random, process};
use serde_json::json;

use crate::scene::{command, read};

/// Repositories, images of each, layers of each image: 130 000 layer links and as many again for configs and tags.
const REPOSITORIES: usize = 26;
const IMAGES: usize = 500;
const LAYERS: usize = 10;
/// Distinct layers, and bytes of each.
const DISTINCT: usize = 20_000;
const BYTES: usize = 100_000;

fn put(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join("docker/registry/v2").join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn blob(root: &Path, bytes: &[u8]) -> Digest {
    let digest = Digest::sha256(bytes);
    put(root, &format!("blobs/sha256/{}/{}/data", &digest.hex()[..2], digest.hex()), bytes);
    digest
}

fn link(root: &Path, repository: &str, place: &str, digest: &Digest) {
    put(root, &format!("repositories/{repository}/{place}/link"), digest.as_str().as_bytes());
}

fn grow(root: &Path) {
    let mut random = Random::new(61);
    let layers: Vec<Digest> = (0..DISTINCT).map(|_| blob(root, &random.bytes(BYTES))).collect();
    for repository in 0..REPOSITORIES {
        let name = format!("grown/repository-{repository}");
        for image in 0..IMAGES {
            let config = format!("{{\"image\":\"{repository}-{image}\"}}");
            let config_digest = blob(root, config.as_bytes());
            // Neighbours share most of their layers, repositories some.
            let start = (repository * 700 + image * 2) % (DISTINCT - LAYERS);
            let mine = &layers[start..start + LAYERS];
            let descriptors: Vec<_> = mine
                .iter()
                .map(|digest| json!({"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": BYTES}))
                .collect();
            let manifest = json!({
                "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
                "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config_digest, "size": config.len()},
                "layers": descriptors,
            });
            let digest = blob(root, manifest.to_string().as_bytes());
            for layer in mine.iter().chain([&config_digest]) {
                link(root, &name, &format!("_layers/sha256/{}", layer.hex()), layer);
            }
            link(root, &name, &format!("_manifests/revisions/sha256/{}", digest.hex()), &digest);
            link(root, &name, &format!("_manifests/tags/tag-{image}/current"), &digest);
        }
    }
}

#[test]
#[ignore = "minutes, and gigabytes: make test-long"]
fn a_grown_tree_takes_as_long_as_hashing_it() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("tree");
    grow(&root);
    let began = Instant::now();
    let sums = format!("find {} -name data -print0 | xargs -0 -P 2 -n 500 sha256sum > /dev/null", root.display());
    let _ = process::run_within(Command::new("sh").args(["-c", &sums]), std::time::Duration::from_secs(600)).ok();
    let hashing = began.elapsed();
    let data = home.path().join("srv");
    let limit = std::time::Duration::from_secs(1_800);
    let run = || {
        let began = Instant::now();
        let done = read(&process::run_within(command(&data).arg("--json").arg(&root), limit));
        (done, began.elapsed())
    };
    let (done, took) = run();
    done.expect(0);
    let (again, second) = run();
    eprintln!("sha256sum {hashing:?}, import {took:?}, again {second:?}: {:#}", done.json["counts"]);
    assert_eq!(done.count("imported") as usize, REPOSITORIES * IMAGES);
    assert_eq!(again.count("unchanged") as usize, REPOSITORIES * IMAGES);
}
