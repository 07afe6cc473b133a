//! `--repair`: what it mends, that the real registry serves again, and that nothing else was touched.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use mcr_tests::{Image, Index, Random, damage, pull, push};

use crate::registries;
use crate::scan::{scan, text};
use mcr_tests::distribution::Tree;

/// What differs between two trees: added, removed, changed.
fn difference(before: &BTreeMap<PathBuf, Vec<u8>>, after: &BTreeMap<PathBuf, Vec<u8>>) -> Vec<(char, PathBuf)> {
    let removed = before.keys().filter(|path| !after.contains_key(*path)).map(|path| ('-', path.clone()));
    let changed = before.iter().filter(|(path, bytes)| after.get(*path).is_some_and(|now| now != *bytes));
    let added = after.keys().filter(|path| !before.contains_key(*path)).map(|path| ('+', path.clone()));
    let mut all: Vec<_> = removed.chain(changed.map(|(path, _)| ('~', path.clone()))).chain(added).collect();
    all.sort();
    all
}

fn below(root: &Path, path: &Path) -> PathBuf {
    path.strip_prefix(root).unwrap().to_owned()
}

fn repair(what: &str, root: &Path) -> crate::scan::Scan {
    scan(["--repair".as_ref(), what.as_ref(), root.as_os_str()])
}

#[test]
fn revision_links_are_written_back_where_the_bytes_hash_right() {
    let mut registry = registries::start();
    let mut random = Random::new(21);
    let client = registry.client();
    let indexes = [Index::random(&mut random, 800), Index::random(&mut random, 800)];
    push::index(&client, "team/app", "v1", &indexes[0]);
    push::index(&client, "team/app", "v2", &indexes[1]);
    registry.stop();
    let tree = registry.tree();
    let [whole, rotten] = [indexes[0].images[0].digest(), indexes[1].images[0].digest()];
    for digest in [whole, rotten] {
        std::fs::remove_dir_all(tree.revision("team/app", digest).parent().unwrap()).unwrap();
    }
    Tree::flip(&tree.data(rotten));
    let emptied = indexes[1].images[1].digest();
    Tree::cut(&tree.revision("team/app", emptied), 0);
    let before = damage::tree(registry.root());

    // Said first, and nothing done.
    let planned = scan(["--dry-run", "--repair", "revisions", registry.root().to_str().unwrap()]);
    assert_eq!(planned.registry(None)["repaired"].as_array().unwrap().len(), 3, "{planned:#?}");
    assert!(planned.registry(None)["repaired"].as_array().unwrap().iter().all(|one| one["outcome"] == "planned"));
    assert_eq!(planned.code, Some(1));
    assert_eq!(difference(&before, &damage::tree(registry.root())), []);

    let done = repair("revisions", registry.root());
    done.expect(&[("manifest-unlinked", rotten)]);
    let repaired = done.registry(None)["repaired"].as_array().unwrap().clone();
    let outcome = |digest: &mcr_oci::Digest| {
        let of = repaired.iter().find(|one| one["digest"] == digest.as_str()).unwrap();
        (of["outcome"].clone(), of["path"].clone())
    };
    let path = below(registry.root(), &tree.revision("team/app", whole));
    assert_eq!(outcome(whole), ("done".into(), path.to_str().unwrap().into()));
    assert_eq!((outcome(rotten).0, outcome(emptied).0), ("failed".into(), "done".into()));
    let emptied_path = below(registry.root(), &tree.revision("team/app", emptied));
    let mut expected = [('+', path.clone()), ('~', emptied_path)];
    expected.sort();
    assert_eq!(difference(&before, &damage::tree(registry.root())), expected);
    assert_eq!(std::fs::read_to_string(registry.root().join(&path)).unwrap(), whole.as_str());
    let made = std::fs::metadata(registry.root().join(&path)).unwrap();
    assert_eq!((made.mode() & 0o777, made.uid()), (0o644, std::fs::metadata(registry.root()).unwrap().uid()));

    registry.run();
    let _ = pull::assert_whole(&registry.client(), "team/app", "v1");
    let _ = registry.manifest("team/app", emptied.as_str()).expect(200);
}

#[test]
fn links_without_bytes_are_removed_so_that_a_cache_fetches_again() {
    let upstream = registries::start();
    let image = Image::random(&mut Random::new(22), 3, 4_000);
    push::image(&upstream.client(), "lib/base", "1", &image);
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("mirror");
    let mut cache = registries::cache_at(&root, &upstream);
    let _ = pull::assert_whole(&cache.client(), "lib/base", "1");
    let tree = cache.tree();
    crate::caches::wait_for(|| image.layers.iter().all(|layer| tree.layer("lib/base", &layer.digest).is_file()));
    crate::caches::wait_for(|| root.join("scheduler-state.json").is_file());
    cache.stop();
    let lost = &image.layers[1].digest;
    std::fs::remove_file(tree.data(lost)).unwrap();
    let before = damage::tree(&root);
    scan([&root]).expect(&[("link-orphan", lost)]);
    let done = repair("links", &root);
    done.expect_sound();
    assert_eq!(done.registry(None)["repaired"][0]["action"], "remove-link");
    assert_eq!(difference(&before, &damage::tree(&root)), [('-', below(&root, &tree.layer("lib/base", lost)))]);
    // Again there is nothing to do.
    assert_eq!(repair("links", &root).registry(None)["repaired"], serde_json::json!([]));
    cache.run();
    let _ = pull::assert_whole(&cache.client(), "lib/base", "1");
}

#[test]
fn on_a_private_tree_the_link_goes_and_the_loss_stays_told() {
    let registry = registries::start();
    let image = Image::random(&mut Random::new(23), 2, 500);
    push::image(&registry.client(), "base", "1", &image);
    let lost = &image.layers[0].digest;
    std::fs::remove_file(registry.tree().data(lost)).unwrap();
    let said = text(["--repair", "links", registry.root().to_str().unwrap()]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.text().contains(": done\n"), "{said:?}");
    scan([registry.root()]).expect(&[("blob-missing", lost)]);
    // Pushing it again heals it, as the registry's answer to HEAD now lets it.
    push::image(&registry.client(), "base", "1", &image);
    scan([registry.root()]).expect_sound();
}

#[test]
fn a_manifest_that_is_linked_again_shows_what_lacks_below_it() {
    let registry = registries::start();
    let client = registry.client();
    let index = Index::random(&mut Random::new(24), 500);
    push::index(&client, "app", "inner", &index);
    let mut inner = index.manifest.descriptor(mcr_oci::media_type::OCI_INDEX);
    inner["annotations"] = serde_json::json!({"level": "inner"});
    let outer = mcr_tests::content::index_of(&[inner]);
    push::put_index(&client, "app", "outer", &outer).expect(201);
    std::fs::remove_dir_all(registry.tree().tag("app", "inner")).unwrap();
    for digest in [index.digest(), index.images[0].digest()] {
        std::fs::remove_file(registry.tree().revision("app", digest)).unwrap();
    }
    scan([registry.root()]).expect(&[("manifest-unlinked", index.digest())]);
    let done = repair("revisions", registry.root());
    assert_eq!(done.expect_sound().registry(None)["repaired"].as_array().unwrap().len(), 2);
    let _ = pull::assert_whole(&client, "app", "outer");
}
