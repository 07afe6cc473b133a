//! Tests of bringing blobs to another place and back.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use tempfile::TempDir;

use super::*;

struct Scene {
    directory: TempDir,
    store: Store,
}

fn scene() -> Scene {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let options = Options { layers: root.join("layers"), uploads: root.join("uploads") };
    let store = Store::open(options, Disk::real()).unwrap();
    Scene { directory, store }
}

impl Scene {
    fn put(&self, content: &str) -> Digest {
        let digest = Digest::sha256(content.as_bytes());
        self.store.put_bytes(content.as_bytes(), &digest).unwrap();
        digest
    }

    fn layers(&self) -> ReadOnly {
        ReadOnly::new(&self.directory.path().join("layers"))
    }

    fn copies(&self) -> Copies {
        Copies::open(&self.directory.path().join("copy"), Disk::real()).unwrap()
    }
}

#[test]
fn a_blob_is_brought_once_and_is_a_file_of_its_own() {
    let scene = scene();
    let digest = scene.put("hello");
    let copies = scene.copies();
    let brought = copies.store().bring(&scene.layers(), &digest, 5, &|_| {}).unwrap();
    assert!(matches!(brought, Brought::Copied { .. }), "{brought:?}");
    assert_eq!(copies.store().bring(&scene.layers(), &digest, 5, &|_| {}).unwrap(), Brought::Present);
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    let (one, two) = (scene.store.layout.blob(&digest), copies.store().layout.blob(&digest));
    assert_ne!(inode(&one), inode(&two));
    assert_eq!(fs::read(two).unwrap(), b"hello");
}

#[test]
fn what_is_damaged_at_its_origin_is_not_brought() {
    let scene = scene();
    let digests: Vec<Digest> = ["lost", "short", "longer", "flipped"].iter().map(|text| scene.put(text)).collect();
    let path = |n: usize| scene.store.layout.blob(&digests[n]);
    fs::remove_file(path(0)).unwrap();
    fs::write(path(1), "sho").unwrap();
    fs::write(path(2), "longer still").unwrap();
    fs::write(path(3), "fl1pped").unwrap();
    let copies = scene.copies();
    let kinds =
        [FindingKind::BlobMissing, FindingKind::BlobTruncated, FindingKind::BlobSizeMismatch, FindingKind::BlobCorrupt];
    for ((digest, size), wanted) in digests.iter().zip([4, 5, 6, 7]).zip(kinds) {
        let brought = copies.store().bring(&scene.layers(), digest, size, &|_| {}).unwrap();
        assert!(matches!(&brought, Brought::Unsound { kind, .. } if *kind == wanted), "{brought:?}");
        assert_eq!(copies.store().stat(digest).unwrap(), None);
        assert_eq!(scene.layers().examine(digest, size, &|_| {}).unwrap().unwrap().0, wanted);
    }
    assert_eq!(fs::read_dir(scene.directory.path().join("copy/incoming")).unwrap().count(), 0);
}

#[test]
fn one_process_fills_a_place() {
    let scene = scene();
    let copies = scene.copies();
    let error = Copies::open(&scene.directory.path().join("copy"), Disk::real()).unwrap_err();
    assert!(error.is_busy(), "{error}");
    drop(copies);
    let _ = scene.copies();
}

#[test]
fn what_a_killed_process_left_goes() {
    let scene = scene();
    drop(scene.copies());
    let left = scene.directory.path().join("copy/incoming/0123456789abcdef0123456789abcdef.tmp");
    fs::write(&left, "half").unwrap();
    drop(scene.copies());
    assert!(!fs::exists(left).unwrap());
}

#[test]
fn a_whole_blob_has_nothing_wrong() {
    let scene = scene();
    let digest = scene.put("fine");
    assert_eq!(scene.layers().examine(&digest, 4, &|_| {}).unwrap(), None);
    assert!(scene.layers().has(&digest, 4).unwrap());
    assert!(!scene.layers().has(&digest, 5).unwrap());
}
