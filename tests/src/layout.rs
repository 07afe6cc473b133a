//! Images with real content, and OCI image layouts on disk that the client programs read and write; never the wire.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use mcr_oci::{Digest, media_type};
use serde_json::{Value, json};

use crate::content::{Blob, Image, Index};
use crate::process;
use crate::tools;

/// The platforms for which real content is kept.
pub const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];

/// Debian's static busybox for `architecture`.
///
/// # Panics
/// Where the set-up has not fetched it.
#[must_use]
pub fn busybox(architecture: &str) -> Vec<u8> {
    let path = tools::cache().join("busybox").join(architecture).join("busybox");
    let bytes = std::fs::read(&path);
    bytes.unwrap_or_else(|error| panic!("{} ({error}): run scripts/setup-tests.sh", path.display()))
}

/// An image that runs: busybox in one layer, its links and a text in a second one, both gzipped.
#[must_use]
pub fn real_image(architecture: &str) -> Image {
    let home = tempfile::tempdir().expect("a directory");
    let first = home.path().join("first");
    put(&first.join("bin/busybox"), &busybox(architecture), 0o755);
    let second = home.path().join("second");
    put(&second.join("etc/motd"), format!("for {architecture}\n").as_bytes(), 0o644);
    std::fs::create_dir_all(second.join("bin")).expect("a directory");
    for name in ["sh", "cat", "echo", "sha256sum", "true"] {
        let link = second.join("bin").join(name);
        std::os::unix::fs::symlink("busybox", link).expect("a link");
    }
    let layers = [layer(&first), layer(&second)];
    let diff_ids: Vec<String> = layers.iter().map(|(tar, _)| tar.to_string()).collect();
    let config = Blob::new(
        json!({
            "architecture": architecture, "os": "linux", "created": "2026-01-02T03:04:05Z",
            "config": {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": [
                {"created": "2026-01-02T03:04:05Z", "created_by": "busybox"},
                {"created": "2026-01-02T03:04:05Z", "created_by": "links"},
            ],
        })
        .to_string(),
    );
    let layers = layers.into_iter().map(|(_, layer)| layer).collect();
    let platform = json!({"os": "linux", "architecture": architecture});
    Image::with_config(config, layers, platform).changed(|manifest| {
        for layer in manifest["layers"].as_array_mut().expect("layers") {
            layer["mediaType"] = Value::from(media_type::OCI_LAYER_GZIP);
        }
    })
}

/// An index over the real images of both platforms.
#[must_use]
pub fn real_index() -> Index {
    Index::over(ARCHITECTURES.map(real_image).into())
}

fn put(path: &Path, bytes: &[u8], mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    std::fs::write(path, bytes).expect("a file");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("its mode");
}

/// The tree below `root` as a layer: the digest of the tar, and the gzipped bytes.
fn layer(root: &Path) -> (Digest, Blob) {
    let tar = root.with_extension("tar");
    let mut command = Command::new("tar");
    command.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0"]);
    command.arg("-cf").arg(&tar).arg("-C").arg(root).arg(".");
    let _ = process::run(&mut command).ok();
    let digest = Digest::sha256(&std::fs::read(&tar).expect("the tar"));
    let gzipped = process::run(Command::new("gzip").args(["-n", "-c"]).arg(&tar)).ok();
    (digest, Blob::new(gzipped.stdout))
}

/// Writes an image layout into the empty directory `root` that holds `index` under the name `tag`.
///
/// # Panics
/// Where it cannot be written.
pub fn write_index(root: &Path, tag: &str, index: &Index) {
    for image in &index.images {
        write_image_blobs(root, image);
    }
    write_blob(root, &index.manifest);
    finish(root, tag, index.manifest.descriptor(media_type::OCI_INDEX));
}

/// Writes an image layout into the empty directory `root` that holds `image` under the name `tag`.
///
/// # Panics
/// Where it cannot be written.
pub fn write_image(root: &Path, tag: &str, image: &Image) {
    write_image_blobs(root, image);
    finish(root, tag, image.manifest.descriptor(&image.media_type));
}

fn write_image_blobs(root: &Path, image: &Image) {
    for blob in image.blobs().chain([&image.manifest]) {
        write_blob(root, blob);
    }
}

fn write_blob(root: &Path, blob: &Blob) {
    put(&blob_path(root, &blob.digest), &blob.bytes, 0o644);
}

/// Where a layout keeps the bytes of `digest`.
#[must_use]
pub fn blob_path(root: &Path, digest: &Digest) -> PathBuf {
    let algorithm = digest.algorithm().as_str();
    root.join("blobs").join(algorithm).join(digest.hex())
}

fn finish(root: &Path, tag: &str, mut descriptor: Value) {
    descriptor["annotations"] = json!({
        "org.opencontainers.image.ref.name": tag,
    });
    let index = json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [descriptor],
    });
    put(&root.join("index.json"), index.to_string().as_bytes(), 0o644);
    put(&root.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#, 0o644);
}

/// Every blob of the layout at `root` by its file name, each one hashed.
///
/// # Panics
/// Where a file's bytes do not have the digest it is named by.
#[must_use]
#[track_caller]
pub fn blobs(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let directory = root.join("blobs").join("sha256");
    let mut blobs = BTreeMap::new();
    for entry in std::fs::read_dir(&directory).expect("a layout") {
        let path = entry.expect("its entry").path();
        let bytes = std::fs::read(&path).expect("a blob");
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        assert_eq!(Digest::sha256(&bytes).hex(), name, "{}", path.display());
        blobs.insert(name, bytes);
    }
    blobs
}

/// Insists that the layout at `copy` holds the blobs of the one at `original`, byte for byte, and no others.
///
/// # Panics
/// Where they differ.
#[track_caller]
pub fn assert_same(original: &Path, copy: &Path) {
    let [original, copy] = [original, copy].map(blobs);
    let names = |blobs: &BTreeMap<String, Vec<u8>>| blobs.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&original), names(&copy), "the same blobs");
    assert!(original == copy, "the same bytes");
}
