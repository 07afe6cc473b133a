//! Registries with content, and the incidents done to them; never what anybody makes of it.

use mcr_tests::process;
use mcr_tests::{Client, Index, Random, Server, damage, layout, push};

use crate::probe::mcrctl;
use mcr_tests::distribution::Distribution;

/// The repository all scenes are about.
pub(crate) const REPOSITORY: &str = "infra/ci";
/// Its tag.
pub(crate) const TAG: &str = "latest";

/// Pushes an index with two real images.
pub(crate) fn sound_image(client: &Client) -> Index {
    let index = layout::real_index();
    push::index(client, REPOSITORY, TAG, &index);
    index
}

/// Pushes a small index under another name.
pub(crate) fn another_image(client: &Client, repository: &str, seed: u64) -> Index {
    let index = Index::random(&mut Random::new(seed), 500);
    push::index(client, repository, "v1", &index);
    index
}

/// Incident 2 done to a new image.
pub(crate) fn orphan_index(registry: &Distribution) -> Index {
    let index = sound_image(&registry.client());
    unlink_children(registry, &index);
    index
}

/// Incident 2: the children's revision links go, their bytes stay.
pub(crate) fn unlink_children(registry: &Distribution, index: &Index) {
    for image in &index.images {
        let hex = image.digest().hex();
        let link = registry.repository(REPOSITORY).join("_manifests/revisions/sha256").join(hex);
        std::fs::remove_dir_all(link).unwrap();
    }
}

/// Incident 3: the bytes of a layer are emptied under the registry.
pub(crate) fn empty_layer(registry: &Distribution, index: &Index) -> String {
    let hex = index.images[0].layers[0].digest.hex().to_owned();
    let file = registry.tree().data_of("sha256", &hex);
    assert!(file.is_file(), "{}", file.display());
    std::fs::write(file, b"").unwrap();
    hex
}

/// Cuts one blob under our own server and reads it, so that it is put into quarantine.
pub(crate) fn quarantine_one(server: &Server) -> Index {
    let index = another_image(&server.client(), "damaged", 71);
    let layer = &index.images[0].layers[0].digest;
    damage::truncate(server.data(), layer, 10);
    let _ = server.client().get(&format!("/v2/damaged/blobs/{layer}")).expect(404);
    index
}

/// A layer's link with no bytes behind it, in a repository of its own that has no tag; returns the digest.
pub(crate) fn orphan_link(registry: &Distribution) -> String {
    let blob = mcr_tests::Blob::new("collected");
    push::blob(&registry.client(), "leftover", &blob);
    std::fs::remove_dir_all(registry.data(&blob.digest).parent().unwrap()).unwrap();
    blob.digest.to_string()
}

/// What a scan of the registry's tree writes for Prometheus.
pub(crate) fn scan_textfile(registry: &Distribution) -> String {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("registry.prom");
    let mut command = mcrctl();
    command.arg("scan").arg(registry.root()).arg("--textfile").arg(&file);
    let output = process::run(&mut command);
    assert_eq!(output.code, Some(1), "{output:?}");
    std::fs::read_to_string(file).unwrap()
}

/// Waits until a run of garbage collection or retention waits for somebody, or is over.
#[track_caller]
pub(crate) fn wait_for_plan(client: &Client, id: &str) {
    let start = std::time::Instant::now();
    loop {
        let plan = client.get(&format!("/v1/plans/{id}")).expect(200).json();
        if !["planning", "running"].contains(&plan["state"].as_str().unwrap()) {
            return;
        }
        assert!(start.elapsed() < std::time::Duration::from_secs(60), "{plan}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// Waits for a figure of a server, and gives all its figures.
#[track_caller]
pub(crate) fn wait_for_figure(client: &Client, name: &str) -> String {
    let start = std::time::Instant::now();
    loop {
        let text = client.get("/metrics").expect(200).text();
        if text.lines().any(|line| line.starts_with(name)) {
            return text;
        }
        assert!(start.elapsed() < std::time::Duration::from_secs(60), "no {name} in:\n{text}");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}
