//! What the real registry's tree looks like to a scan, sound and with each kind of damage; never a repair.

use std::path::Path;

use mcr_oci::{Algorithm, Digest};
use mcr_tests::{Blob, Image, Index, Random, push};
use serde_json::Value;

use crate::registries;
use crate::scan::{Scan, scan};
use mcr_tests::distribution::{Distribution, Tree};

/// Two repositories: `team/app` with an index, `base` with an image.
struct Pushed {
    registry: Distribution,
    index: Index,
    image: Image,
}

fn pushed() -> Pushed {
    let registry = registries::start();
    let mut random = Random::new(7);
    let index = Index::random(&mut random, 2_000);
    let image = Image::random(&mut random, 2, 3_000);
    let client = registry.client();
    for (child, tag) in index.images.iter().zip(["amd64", "arm64"]) {
        push::image(&client, "team/app", tag, child);
    }
    push::put_index(&client, "team/app", "v1", &index.manifest).expect(201);
    push::image(&client, "base", "latest", &image);
    for tag in ["amd64", "arm64"] {
        std::fs::remove_dir_all(registry.tree().tag("team/app", tag)).unwrap();
    }
    Pushed { registry, index, image }
}

impl Pushed {
    fn scan(&self) -> Scan {
        scan([self.registry.root()])
    }

    fn tree(&self) -> Tree {
        self.registry.tree()
    }
}

fn path_of(finding: &Value) -> Vec<&str> {
    finding["path"].as_array().into_iter().flatten().map(|step| step.as_str().unwrap()).collect()
}

#[test]
fn a_sound_tree_gives_no_finding_however_it_is_named() {
    let pushed = pushed();
    let root = pushed.registry.root();
    for path in [root.to_owned(), root.join("docker/registry/v2"), root.parent().unwrap().to_owned()] {
        let scan = scan([path.as_path()]);
        let registry = scan.expect_sound().registry(None);
        assert_eq!(registry["name"], "tree");
        assert_eq!((&registry["layout"], &registry["kind"]), (&"distribution".into(), &"private".into()));
        let scanned = &registry["scanned"];
        assert_eq!(
            (&scanned["repositories"], &scanned["tags"], &scanned["indexes"]),
            (&2.into(), &2.into(), &1.into())
        );
        assert_eq!((&scanned["manifests"], &scanned["blobs"]), (&3.into(), &13.into()), "{registry:#}");
        let information = &registry["information"];
        assert_eq!(information["unreferenced_blobs"], 0, "{registry:#}");
        assert_eq!((&information["untagged_manifests"], &information["temporary_files"]), (&0.into(), &0.into()));
    }
    scan(["--deep".as_ref(), root.as_os_str()]).expect_sound();
}

#[test]
fn what_garbage_collection_does_to_an_index_is_found() {
    let pushed = pushed();
    pushed.registry.collect();
    let blobs: Vec<&Digest> = pushed.index.images.iter().flat_map(Image::blobs).map(|blob| &blob.digest).collect();
    // The index marks its children's bytes, which stay; nothing marks their layers.
    let children = pushed.index.images.iter().map(|child| ("manifest-unlinked", child.digest()));
    let orphans = blobs.into_iter().map(|digest| ("link-orphan", digest));
    let expected: Vec<_> = children.chain(orphans).collect();
    let scan = pushed.scan();
    for finding in scan.expect(&expected).findings() {
        assert_eq!(finding["repository"], "team/app");
        if finding["kind"] == "manifest-unlinked" {
            assert_eq!((&finding["tag"], &finding["detail"]), (&"v1".into(), &"bytes present".into()));
            assert_eq!(path_of(finding), [pushed.index.digest().as_str()]);
            assert!(finding["platform"].as_str().unwrap().starts_with("linux/"));
        }
    }
    // The API says the same.
    let _ = pushed.registry.manifest("team/app", "v1").expect(200);
    let child = pushed.registry.manifest("team/app", pushed.index.images[0].digest().as_str());
    assert!(child.expect(404).text().contains("manifest unknown"));
    let said = crate::scan::text(["--repair".as_ref(), "revisions".as_ref(), pushed.registry.root().as_os_str()]);
    // Linked again they are served, and their layers are still lost.
    assert_eq!(said.code, Some(1), "{said:?}");
    let _ = pushed.registry.manifest("team/app", pushed.index.images[0].digest().as_str()).expect(200);
}

#[test]
fn a_removed_revision_link_is_told_from_a_lost_manifest() {
    let pushed = pushed();
    let [one, two] = [&pushed.index.images[0], &pushed.index.images[1]];
    std::fs::remove_file(pushed.tree().revision("team/app", one.digest())).unwrap();
    std::fs::remove_file(pushed.tree().data(two.digest())).unwrap();
    let scan = pushed.scan();
    scan.expect(&[("manifest-unlinked", one.digest()), ("manifest-missing", two.digest())]);
    assert_eq!(scan.one("manifest-unlinked")["detail"], "bytes present");
    assert_eq!(scan.one("manifest-missing")["detail"], "bytes gone; its revision link is there");
}

#[test]
fn data_that_is_emptied_cut_lengthened_or_lost_is_named_each_by_its_kind() {
    let pushed = pushed();
    let (tree, image) = (pushed.tree(), &pushed.image);
    let [one, two] = [&pushed.index.images[0], &pushed.index.images[1]];
    Tree::cut(&tree.data(&image.layers[0].digest), 0);
    Tree::cut(&tree.data(&image.layers[1].digest), 2_999);
    Tree::cut(&tree.data(&one.layers[0].digest), 2_001);
    std::fs::remove_file(tree.data(&two.layers[1].digest)).unwrap();
    let scan = pushed.scan();
    scan.expect(&[
        ("blob-truncated", &image.layers[0].digest),
        ("blob-truncated", &image.layers[1].digest),
        ("blob-size-mismatch", &one.layers[0].digest),
        ("blob-missing", &two.layers[1].digest),
        ("link-orphan", &two.layers[1].digest),
    ]);
    let missing = scan.one("blob-missing");
    assert_eq!(path_of(missing), [pushed.index.digest().as_str(), two.digest().as_str()]);
    assert_eq!((&missing["size"], &missing["tag"]), (&2_000.into(), &"v1".into()));
    // With --deep the same: what is cut cannot hash right, and is told once.
    crate::scan::scan(["--deep".as_ref(), pushed.registry.root().as_os_str()]).expect(&[
        ("blob-truncated", &image.layers[0].digest),
        ("blob-truncated", &image.layers[1].digest),
        ("blob-size-mismatch", &one.layers[0].digest),
        ("blob-missing", &two.layers[1].digest),
        ("link-orphan", &two.layers[1].digest),
    ]);
}

#[test]
fn flipped_bits_are_found_in_manifests_always_and_in_blobs_with_deep() {
    let pushed = pushed();
    let tree = pushed.tree();
    Tree::flip(&tree.data(&pushed.image.layers[0].digest));
    Tree::flip(&tree.data(pushed.index.images[1].digest()));
    let manifest = ("manifest-corrupt", pushed.index.images[1].digest());
    pushed.scan().expect(&[manifest]);
    let deep = scan(["--deep".as_ref(), pushed.registry.root().as_os_str()]);
    deep.expect(&[manifest, ("blob-corrupt", &pushed.image.layers[0].digest)]);
    assert!(deep.one("blob-corrupt")["detail"].as_str().unwrap().starts_with("its bytes hash to sha256:"));
}

#[test]
fn links_that_are_gone_empty_or_lead_elsewhere_are_found() {
    let pushed = pushed();
    let (tree, image) = (pushed.tree(), &pushed.image);
    let [one, two] = [&pushed.index.images[0], &pushed.index.images[1]];
    std::fs::remove_file(tree.layer("base", &image.layers[0].digest)).unwrap();
    Tree::cut(&tree.layer("base", &image.config.digest), 0);
    std::fs::write(tree.layer("base", &image.layers[1].digest), one.layers[0].digest.as_str()).unwrap();
    Tree::cut(&tree.revision("team/app", one.digest()), 0);
    std::fs::write(tree.revision("team/app", two.digest()), format!("{}\n", two.digest())).unwrap();
    let scan = pushed.scan();
    scan.expect(&[
        ("blob-unlinked", &image.layers[0].digest),
        ("blob-unlinked", &image.config.digest),
        ("blob-corrupt", &image.layers[1].digest),
        ("manifest-unlinked", one.digest()),
        ("manifest-unlinked", two.digest()),
    ]);
    // And so does the registry, for each of them.
    let client = pushed.registry.client();
    for digest in [one.digest(), two.digest()] {
        assert!(pushed.registry.manifest("team/app", digest.as_str()).status >= 400);
    }
    for digest in [&image.layers[0].digest, &image.config.digest] {
        assert!(client.get(&format!("/v2/base/blobs/{digest}")).status >= 400);
    }
}

#[test]
fn tags_that_lead_to_nothing_are_dangling() {
    let pushed = pushed();
    let tree = pushed.tree();
    std::fs::remove_file(tree.current("base", "latest")).unwrap();
    Tree::cut(&tree.current("team/app", "v1"), 0);
    let scan = pushed.scan();
    assert_eq!(scan.code, Some(1));
    let found: Vec<_> =
        scan.findings().iter().map(|f| (f["kind"].clone(), f["tag"].clone(), f["detail"].clone())).collect();
    let dangling = |tag: &str, detail: &str| ("tag-dangling".into(), tag.into(), detail.into());
    assert_eq!(found, [dangling("latest", "it has no current/link"), dangling("v1", "its current/link is empty")]);
    // The tags are listed all the same.
    let listed = pushed.registry.client().get("/v2/base/tags/list").expect(200);
    assert_eq!(listed.json()["tags"][0], "latest");
}

#[test]
fn every_tag_that_reaches_the_damage_is_named() {
    let pushed = pushed();
    let client = pushed.registry.client();
    push::put_index(&client, "team/app", "stable", &pushed.index.manifest).expect(201);
    let child = &pushed.index.images[0];
    let _ = push::put_image(&client, "team/app", "only-amd64", child).expect(201);
    std::fs::remove_file(pushed.tree().data(&child.config.digest)).unwrap();
    let scan = pushed.scan();
    let missing = scan.findings().into_iter().filter(|finding| finding["kind"] == "blob-missing");
    let mut tags: Vec<_> = missing.map(|finding| (finding["tag"].as_str().unwrap(), path_of(finding).len())).collect();
    tags.sort_unstable();
    assert_eq!(tags, [("only-amd64", 1), ("stable", 2), ("v1", 2)]);
}

#[test]
fn what_is_not_tagged_is_information() {
    let pushed = pushed();
    let client = pushed.registry.client();
    let mut random = Random::new(9);
    let untagged = Image::random(&mut random, 1, 500);
    push::image(&client, "base", untagged.digest().as_str(), &untagged);
    let broken = Image::random(&mut random, 1, 500);
    push::image(&client, "base", broken.digest().as_str(), &broken);
    let lone = Blob::random(&mut random, 700);
    push::blob(&client, "base", &lone);
    let sha512 = Blob::by(Algorithm::Sha512, random.bytes(300));
    push::blob(&client, "base", &sha512);
    let _ = push::open_upload(&client, "base");
    std::fs::remove_file(pushed.tree().data(&broken.config.digest)).unwrap();
    std::fs::write(pushed.tree().repository("base").join("leftover"), b"x").unwrap();
    let scan = pushed.scan();
    scan.expect(&[("link-orphan", &broken.config.digest)]);
    let information = &scan.registry(None)["information"];
    let expected = |key: &str| information[key].as_u64().unwrap();
    assert_eq!((expected("untagged_manifests"), expected("untagged_damaged")), (2, 1), "{information:#}");
    assert_eq!(expected("unreferenced_bytes"), 1_000, "{information:#}");
    assert_eq!(expected("unreferenced_blobs"), 2, "{information:#}");
    assert_eq!((expected("uploads"), expected("stale_uploads")), (1, 0), "{information:#}");
    assert_eq!(expected("temporary_files"), 1, "{information:#}");
}

#[test]
fn only_the_repositories_that_match_are_looked_at() {
    let pushed = pushed();
    let root = pushed.registry.root().as_os_str();
    std::fs::remove_file(pushed.tree().data(pushed.image.digest())).unwrap();
    scan(["--repository".as_ref(), "team/*".as_ref(), root]).expect_sound();
    scan(["--repository".as_ref(), "**".as_ref(), root]).expect(&[("manifest-missing", pushed.image.digest())]);
}

#[test]
fn a_scan_beside_a_registry_that_is_pushed_to_reports_nothing() {
    let pushed = pushed();
    let root = pushed.registry.root().to_owned();
    std::thread::scope(|scope| {
        let registry = &pushed.registry;
        let pushing = scope.spawn(move || {
            let mut random = Random::new(11);
            let client = registry.client();
            for number in 0..60 {
                push::image(&client, "busy", &format!("t{}", number % 5), &Image::random(&mut random, 2, 2_000));
            }
        });
        let mut scans = 0;
        while !pushing.is_finished() || scans < 3 {
            scan([Path::new(&root)]).expect_sound();
            scans += 1;
        }
    });
}
