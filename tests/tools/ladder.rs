//! What each level sees of real damage in real registries: what HEAD cannot see is seen at tail, what tail cannot at
//! full (incidents 1 to 4).

use std::fs::{self, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};

use mcr_oci::Digest;
use mcr_tests::distribution::{Distribution, Program};
use mcr_tests::{Blob, Image};
use serde_json::json;

use crate::said::{findings, judged, text};
use crate::{Content, push_index};

/// A registry with one index, its cache warm as after any push.
fn registry(program: Program) -> (Distribution, Content) {
    let registry = Distribution::of(program);
    let content = push_index(&registry.client(), "infra/ci", "latest", 1);
    (registry, content)
}

/// What `verify` and `probe` find at each level, which must be the same.
#[track_caller]
fn levels(registry: &Distribution) -> Vec<(i32, Vec<String>)> {
    let url = registry.url();
    let mut all = Vec::new();
    for level in ["head", "tail", "full"] {
        let (code, kinds, _) = judged(&["--addr", &url, "verify", "--level", level, "infra/ci:latest"]);
        let (probe_code, probe_kinds, _) = judged(&["--addr", &url, "probe", "--once", "--level", level]);
        assert_eq!((code, &kinds), (probe_code, &probe_kinds), "verify and probe at {level}");
        all.push((code, kinds));
    }
    all
}

fn sound() -> (i32, Vec<String>) {
    (0, Vec::new())
}

fn found(kinds: &[&str]) -> (i32, Vec<String>) {
    (1, kinds.iter().map(|&kind| kind.to_owned()).collect())
}

fn layer(content: &Content) -> &Digest {
    &content.images[0].layers[0].digest
}

#[test]
fn a_sound_registry_has_no_findings_at_any_level() {
    for program in Program::ALL {
        let (registry, content) = registry(program);
        assert_eq!(levels(&registry), vec![sound(); 3], "{program:?}");
        let (_, _, json) = judged(&["--addr", &registry.url(), "verify", "infra/ci:latest"]);
        let reference = &json["references"][0];
        assert_eq!(reference["digest"], content.index.manifest.digest.as_str());
        assert_eq!(reference["level"], "tail");
        let checked = &reference["checked"];
        let bytes: usize = content.images.iter().flat_map(Image::blobs).map(Blob::size).sum();
        let manifests: usize = content.images.iter().map(|image| image.manifest.size()).sum();
        let bytes = bytes + manifests + content.index.manifest.size();
        assert_eq!(*checked, json!({"indexes": 1, "manifests": 2, "configs": 2, "layers": 4, "bytes": bytes}));
        assert_eq!(json["sound"], true);
    }
}

#[test]
fn an_orphan_index_is_seen_at_every_level_with_path_and_platform() {
    for program in Program::ALL {
        let (mut registry, content) = registry(program);
        let child = &content.images[1].manifest.digest;
        fs::remove_file(registry.revision("infra/ci", child)).unwrap();
        // Version 3 goes on serving the child as long as its cache knows the link.
        registry.restart();
        assert_eq!(levels(&registry), vec![found(&["manifest-missing"]); 3], "{program:?}");
        let (_, _, json) = judged(&["--addr", &registry.url(), "probe"]);
        let finding = &findings(&json)[0];
        assert_eq!(text(&finding["digest"]), child.as_str());
        assert_eq!(finding["path"], json!([content.index.manifest.digest.as_str()]));
        assert_eq!((text(&finding["repository"]), text(&finding["tag"])), ("infra/ci".into(), "latest".into()));
        assert!(text(&finding["platform"]).starts_with("linux/"), "{finding}");
        assert_eq!(finding["status"], 404);
    }
}

#[test]
fn garbage_collection_leaves_an_index_over_nothing() {
    let (mut registry, content) = registry(Program::Two);
    registry.collect_garbage();
    // Both children are gone, and nothing below them can be asked for.
    assert_eq!(levels(&registry), vec![found(&["manifest-missing", "manifest-missing"]); 3]);
    let layer = layer(&content);
    assert!(!registry.data(layer).exists(), "the collector also removes the layers' bytes");
}

#[test]
fn an_emptied_and_a_cut_layer_behind_a_healthy_head_are_seen_at_tail() {
    for program in Program::ALL {
        for length in [0, 1000] {
            let (registry, content) = registry(program);
            let file = OpenOptions::new().write(true).open(registry.data(layer(&content))).unwrap();
            file.set_len(length).unwrap();
            let expected = vec![sound(), found(&["blob-truncated"]), found(&["blob-truncated"])];
            assert_eq!(levels(&registry), expected, "{program:?} cut to {length}");
        }
    }
}

#[test]
fn with_a_cold_cache_the_wrong_length_is_announced() {
    for program in Program::ALL {
        let (mut registry, content) = registry(program);
        let file = OpenOptions::new().write(true).open(registry.data(layer(&content))).unwrap();
        file.set_len(1000).unwrap();
        registry.restart();
        assert_eq!(levels(&registry), vec![found(&["blob-size-mismatch"]); 3], "{program:?}");
    }
}

#[test]
fn a_flipped_byte_is_seen_at_full_alone() {
    for program in Program::ALL {
        let (registry, content) = registry(program);
        let mut file = OpenOptions::new().write(true).open(registry.data(layer(&content))).unwrap();
        file.seek(SeekFrom::Start(100)).unwrap();
        file.write_all(b"rot").unwrap();
        drop(file);
        assert_eq!(levels(&registry), vec![sound(), sound(), found(&["blob-corrupt"])], "{program:?}");
    }
}

#[test]
fn lost_bytes_behind_a_healthy_head_are_seen_at_tail() {
    for program in Program::ALL {
        let (mut registry, content) = registry(program);
        fs::remove_file(registry.data(layer(&content))).unwrap();
        let [head, tail, full] = levels(&registry).try_into().unwrap();
        assert_eq!(head, sound(), "{program:?}: the cached descriptor answers");
        // Both answer 200 with the old length and no body.
        assert_eq!((tail, full), (found(&["blob-truncated"]), found(&["blob-truncated"])), "{program:?}");
        registry.restart();
        assert_eq!(levels(&registry), vec![found(&["blob-missing"]); 3], "{program:?}, cold");
    }
}

#[test]
fn damaged_manifests_are_seen_at_every_level() {
    for program in Program::ALL {
        let (registry, content) = registry(program);
        let mut bytes = content.images[0].manifest.bytes.clone();
        let at = bytes.len() - 10;
        bytes[at] ^= 1;
        fs::write(registry.data(&content.images[0].manifest.digest), bytes).unwrap();
        for (code, kinds) in levels(&registry) {
            assert_eq!((code, kinds), found(&["manifest-corrupt"]), "{program:?}");
        }
    }
}

#[test]
fn one_platform_can_be_looked_at_alone() {
    let (registry, content) = registry(Program::Two);
    fs::remove_file(registry.revision("infra/ci", &content.images[1].manifest.digest)).unwrap();
    let url = registry.url();
    for (at, expected) in [(0, 0), (1, 1)] {
        let platform = &content.images[at].platform;
        let platform = format!("{}/{}", text(&platform["os"]), text(&platform["architecture"]));
        let (code, _, json) = judged(&["--addr", &url, "verify", "--platform", &platform, "infra/ci:latest"]);
        assert_eq!(code, expected, "{platform}");
        assert_eq!(json["references"][0]["skipped"].as_array().unwrap().len(), 1);
    }
}
