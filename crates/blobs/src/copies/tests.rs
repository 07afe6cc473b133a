//! Tests of bringing blobs to another place and back.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use tempfile::TempDir;

use super::*;

fn go_on(_: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

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
    let brought = copies.store().bring(&scene.layers(), &digest, 5, &go_on).unwrap();
    assert!(matches!(brought, Brought::Copied { .. }), "{brought:?}");
    assert_eq!(copies.store().bring(&scene.layers(), &digest, 5, &go_on).unwrap(), Brought::Present);
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
        let brought = copies.store().bring(&scene.layers(), digest, size, &go_on).unwrap();
        assert!(matches!(&brought, Brought::Unsound { kind, .. } if *kind == wanted), "{brought:?}");
        assert_eq!(copies.store().stat(digest).unwrap(), None);
        assert_eq!(scene.layers().examine(digest, size, &go_on).unwrap().unwrap().0, wanted);
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
    assert_eq!(scene.layers().examine(&digest, 4, &go_on).unwrap(), None);
    assert!(scene.layers().has(&digest, 4).unwrap());
    assert!(!scene.layers().has(&digest, 5).unwrap());
}

#[test]
fn what_cannot_be_read_at_its_origin_is_neither_missing_nor_an_end() {
    let scene = scene();
    let digest = scene.put("unreadable");
    let path = scene.store.layout.blob(&digest);
    // Reading a directory fails, for every user.
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let size = fs::metadata(&path).unwrap().len();
    let copies = scene.copies();
    let brought = copies.store().bring(&scene.layers(), &digest, size, &go_on).unwrap();
    assert!(matches!(&brought, Brought::Unreadable(why) if why.contains(digest.hex())), "{brought:?}");
    assert_eq!(copies.store().stat(&digest).unwrap(), None);
    assert!(scene.layers().examine(&digest, size, &go_on).is_err());
}

#[test]
fn a_damaged_copy_is_replaced_when_it_is_brought_anew_and_only_by_what_is_whole() {
    let scene = scene();
    let digest = scene.put("hello");
    let copies = scene.copies();
    let copy = copies.store().layout.blob(&digest);
    copies.store().bring(&scene.layers(), &digest, 5, &go_on).unwrap();
    fs::write(&copy, "hellO").unwrap();
    assert_eq!(copies.store().bring(&scene.layers(), &digest, 5, &go_on).unwrap(), Brought::Present);
    let brought = copies.store().bring_anew(&scene.layers(), &digest, 5, &go_on).unwrap();
    assert!(matches!(brought, Brought::Copied { .. }), "{brought:?}");
    assert_eq!(fs::read(&copy).unwrap(), b"hello");
    fs::write(scene.store.layout.blob(&digest), "jello").unwrap();
    let brought = copies.store().bring_anew(&scene.layers(), &digest, 5, &go_on).unwrap();
    assert!(matches!(brought, Brought::Unsound { kind: FindingKind::BlobCorrupt, .. }), "{brought:?}");
    assert_eq!(fs::read(&copy).unwrap(), b"hello");
}

#[test]
fn a_large_blob_can_be_broken_off_in_the_middle() {
    let scene = scene();
    let content = "x".repeat(3 * READ_SIZE);
    let (digest, size) = (scene.put(&content), content.len() as u64);
    let seen = std::cell::Cell::new(0);
    let one = |bytes| {
        seen.set(seen.get() + bytes);
        ControlFlow::Break(())
    };
    let copies = scene.copies();
    let brought = copies.store().bring(&scene.layers(), &digest, size, &one).unwrap();
    assert!(matches!(brought, Brought::Unreadable(_)), "{brought:?}");
    assert!(scene.layers().examine(&digest, size, &one).is_err());
    assert_eq!(seen.get(), 2 * READ_SIZE as u64);
    assert_eq!(copies.store().stat(&digest).unwrap(), None);
    assert_eq!(fs::read_dir(scene.directory.path().join("copy/incoming")).unwrap().count(), 0);
}

#[test]
fn a_store_that_is_only_looked_at_makes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { layers: directory.path().join("layers"), uploads: directory.path().join("uploads") };
    let store = Store::to_look_at(options, Disk::real());
    assert_eq!(store.stat(&Digest::sha256(b"x")).unwrap(), None);
    assert!(!store.holds_blobs().unwrap());
    assert_eq!(store.marker().unwrap(), None);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}
