//! OCI image layouts as `skopeo` and `crane` write them, sound and damaged; never a layout made up by the test.

use std::path::{Path, PathBuf};

use mcr_oci::Digest;
use mcr_tests::{Index, Random, process, push, tools};

use crate::registries;
use crate::scan::scan;
use mcr_tests::distribution::Tree;

fn blob(layout: &Path, digest: &Digest) -> PathBuf {
    layout.join("blobs").join(digest.algorithm().as_str()).join(digest.hex())
}

/// An index with two images, copied out of a registry by skopeo under the tag `v1`.
fn copied(home: &Path) -> (PathBuf, Index) {
    let registry = registries::start();
    let index = Index::random(&mut Random::new(81), 500);
    push::index(&registry.client(), "app", "v1", &index);
    let layout = home.join("layout");
    let mut skopeo = tools::command("skopeo");
    skopeo.args(["--insecure-policy", "copy", "--all", "--preserve-digests", "--src-tls-verify=false"]);
    skopeo.arg(format!("docker://{}/app:v1", registry.client().address()));
    let _ = process::run(skopeo.arg(format!("oci:{}:v1", layout.display()))).ok();
    (layout, index)
}

#[test]
fn what_skopeo_wrote_is_sound_and_then_damaged() {
    let home = tempfile::tempdir().unwrap();
    let (layout, index) = copied(home.path());
    let found = scan(["--deep".as_ref(), layout.as_os_str()]);
    let registry = found.expect_sound().registry(None);
    assert_eq!((&registry["layout"], &registry["name"]), (&"oci-layout".into(), &"layout".into()));
    let scanned = &registry["scanned"];
    assert_eq!((&scanned["tags"], &scanned["indexes"], &scanned["manifests"]), (&1.into(), &1.into(), &2.into()));
    assert_eq!(scanned["blobs"], 9);
    let [one, two] = [&index.images[0], &index.images[1]];
    Tree::cut(&blob(&layout, &one.layers[0].digest), 0);
    Tree::flip(&blob(&layout, &one.layers[1].digest));
    std::fs::remove_file(blob(&layout, two.digest())).unwrap();
    std::fs::write(blob(&layout, &Digest::sha256(b"lone")), b"lone").unwrap();
    let found = scan(["--deep".as_ref(), layout.as_os_str()]);
    found.expect(&[
        ("blob-truncated", &one.layers[0].digest),
        ("blob-corrupt", &one.layers[1].digest),
        ("manifest-missing", two.digest()),
    ]);
    let missing = found.one("manifest-missing");
    assert_eq!((&missing["tag"], &missing["path"]), (&"v1".into(), &serde_json::json!([index.digest().as_str()])));
    // The lost manifest's config and layers are named by nothing now, and so is the lone one.
    assert_eq!(found.registry(None)["information"]["unreferenced_blobs"], 4);
    Tree::flip(&blob(&layout, index.digest()));
    scan([&layout]).expect(&[("manifest-corrupt", index.digest())]);
    std::fs::write(layout.join("index.json"), b"{\"schemaVersion\": 2, \"manifests\": 7}").unwrap();
    let found = scan([&layout]);
    assert_eq!(found.one("manifest-invalid")["detail"].as_str().unwrap().split(':').next(), Some("index.json"));
    std::fs::remove_file(layout.join("index.json")).unwrap();
    assert_eq!(scan([&layout]).code, Some(1));
}

#[test]
fn what_crane_wrote_is_sound() {
    let home = tempfile::tempdir().unwrap();
    let registry = registries::start();
    let index = Index::random(&mut Random::new(82), 500);
    push::index(&registry.client(), "app", "v1", &index);
    let layout = home.path().join("layout");
    let mut crane = tools::command("crane");
    crane.args(["--insecure", "pull", "--format=oci"]);
    let _ = process::run(crane.arg(format!("{}/app:v1", registry.client().address())).arg(&layout)).ok();
    let found = scan([&layout]);
    assert_eq!(found.expect_sound().registry(None)["scanned"]["indexes"], 1, "{found:#?}");
    // Beside a registry in one folder, each is taken for what it is.
    std::fs::create_dir_all(home.path().join("other/docker/registry/v2/repositories")).unwrap();
    let both = scan([home.path()]);
    both.expect_sound();
    assert_eq!(both.registry(Some("other"))["layout"], "distribution");
    assert_eq!(both.registry(Some("layout"))["layout"], "oci-layout");
}
