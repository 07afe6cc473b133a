//! Pull-through caches of the real registry: what they do not hold is no finding, what is damaged is one.

use std::time::{Duration, Instant};

use mcr_tests::{Image, Index, Random, push};

use crate::registries;
use crate::scan::{scan, text};
use mcr_tests::distribution::{Distribution, Tree};

/// Waits for what a registry does behind its answers.
#[track_caller]
pub(crate) fn wait_for(mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(30), "it did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Pulls one platform of an index through `cache`, and waits until the cache has written everything down.
fn pull_platform(cache: &Distribution, repository: &str, index: &Index) {
    let client = cache.client();
    let child = &index.images[0];
    for reference in ["v1", child.digest().as_str()] {
        let _ = cache.manifest(repository, reference).expect(200);
    }
    for blob in child.blobs() {
        let _ = client.get(&format!("/v2/{repository}/blobs/{}", blob.digest)).expect(200);
    }
    let tree = cache.tree();
    wait_for(|| child.blobs().all(|blob| tree.layer(repository, &blob.digest).is_file()));
    wait_for(|| cache.root().join("scheduler-state.json").is_file());
}

#[test]
fn a_cache_with_missing_platforms_is_sound_until_something_is_damaged() {
    let upstream = registries::start();
    let index = Index::random(&mut Random::new(31), 1_500);
    push::index(&upstream.client(), "lib/app", "v1", &index);
    let home = tempfile::tempdir().unwrap();
    let mut cache = registries::cache_at(&home.path().join("mirror"), &upstream);
    pull_platform(&cache, "lib/app", &index);
    let found = scan([cache.root()]);
    let registry = found.expect_sound().registry(None);
    assert_eq!((&registry["kind"], &registry["name"]), (&"pull-through".into(), &"mirror".into()));
    assert!(registry["kind_reason"].as_str().unwrap().contains("scheduler-state.json"));
    scan([cache.root().join("docker/registry/v2")]).expect_sound();
    // The same tree, taken for a private one, lacks a child.
    let child = &index.images[1];
    scan(["--kind".as_ref(), "private".as_ref(), cache.root().as_os_str()])
        .expect(&[("manifest-missing", child.digest())]);
    scan(["--kind".as_ref(), "mirror=private".as_ref(), cache.root().as_os_str()])
        .expect(&[("manifest-missing", child.digest())]);
    cache.stop();
    let (tree, held) = (cache.tree(), &index.images[0]);
    Tree::cut(&tree.data(&held.layers[0].digest), 0);
    std::fs::remove_file(tree.data(&held.layers[1].digest)).unwrap();
    Tree::cut(&tree.layer("lib/app", &held.config.digest), 0);
    scan([cache.root()]).expect(&[
        ("blob-truncated", &held.layers[0].digest),
        ("link-orphan", &held.layers[1].digest),
        ("blob-unlinked", &held.config.digest),
    ]);
    Tree::flip(&tree.data(held.digest()));
    let found = scan([cache.root()]);
    assert_eq!(found.one("manifest-corrupt")["digest"], held.digest().as_str());
}

#[test]
fn in_a_folder_of_a_private_registry_and_caches_only_the_private_damage_is_found() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("registries");
    let private = registries::start_at(&folder.join("private"));
    let mut random = Random::new(32);
    let (index, image) = (Index::random(&mut random, 900), Image::random(&mut random, 2, 900));
    push::index(&private.client(), "lib/app", "v1", &index);
    push::image(&private.client(), "base", "1", &image);
    let caches = ["mirror-a", "mirrors/b"].map(|name| registries::cache_at(&folder.join(name), &private));
    for cache in &caches {
        pull_platform(cache, "lib/app", &index);
    }
    std::fs::create_dir_all(folder.join("empty/nested")).unwrap();
    std::fs::write(folder.join("README"), "not a registry").unwrap();
    scan([&folder]).expect_sound();
    let child = &index.images[1];
    std::fs::remove_file(private.tree().revision("lib/app", child.digest())).unwrap();
    std::fs::remove_file(private.tree().data(&image.layers[0].digest)).unwrap();
    let found = scan([&folder]);
    found.expect(&[
        ("manifest-unlinked", child.digest()),
        ("blob-missing", &image.layers[0].digest),
        ("link-orphan", &image.layers[0].digest),
    ]);
    assert_eq!(found.registry(Some("private"))["findings"].as_array().unwrap().len(), 3);
    let names: Vec<_> = found.json["registries"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["mirror-a", "mirrors/b", "private"]);
    // Every path of its own gives the same, and so does the folder with the layout said.
    assert_eq!(scan(["--layout".as_ref(), "distribution".as_ref(), folder.as_os_str()]).found(), found.found());
    let roots = [private.root(), caches[0].root(), caches[1].root()];
    assert_eq!(scan(roots).found(), found.found());
    let wrong = scan(["--kind".as_ref(), "nobody=pull-through".as_ref(), folder.as_os_str()]);
    assert_eq!(wrong.code, Some(2));
}

#[test]
fn a_cache_that_nobody_named_is_suggested() {
    let upstream = registries::start();
    let mut random = Random::new(33);
    let home = tempfile::tempdir().unwrap();
    let mut cache = registries::cache_at(&home.path().join("mirror"), &upstream);
    for number in 0..4 {
        let index = Index::random(&mut random, 300);
        let repository = format!("lib/app{number}");
        push::index(&upstream.client(), &repository, "v1", &index);
        pull_platform(&cache, &repository, &index);
    }
    cache.stop();
    std::fs::remove_file(cache.root().join("scheduler-state.json")).unwrap();
    let said = text([cache.root()]);
    assert_eq!(said.code, Some(1));
    let hint = "4 of 4 indexes lack children: if this is a pull-through cache, say --kind pull-through";
    assert!(said.text().contains(hint), "{said:?}");
    let said = text(["--kind".as_ref(), "pull-through".as_ref(), cache.root().as_os_str()]);
    assert!(said.code == Some(0) && !said.text().contains("if this is"), "{said:?}");
}
