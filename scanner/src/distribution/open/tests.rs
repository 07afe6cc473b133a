//! Tests of taking images out of a tree that was put together by hand; those with real ones are in `tests/import`.

#![expect(clippy::disallowed_methods, reason = "tests make and look at files themselves")]

use std::fs;
use std::io::Read as _;
use std::path::Path;

use mcr_oci::Algorithm;

use super::*;
use crate::Unwatched;

fn put(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join("docker/registry/v2").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn blob(root: &Path, bytes: &[u8]) -> Digest {
    let digest = Digest::sha256(bytes);
    put(root, &format!("blobs/sha256/{}/{}/data", &digest.hex()[..2], digest.hex()), bytes);
    digest
}

fn tree(root: &Path) -> OpenTree {
    open_trees(root, &KindRules::default(), i64::MAX, &Unwatched).unwrap().trees.remove(0)
}

fn tags_of(repository: &TreeRepository<'_>) -> TreeTags {
    repository.tags()
}

fn revisions_of(repository: &TreeRepository<'_>) -> Vec<Digest> {
    repository.revisions()
}

#[test]
fn a_layer_is_opened_through_its_link_and_not_without() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let (linked, unlinked) = (blob(root, b"linked"), blob(root, b"unlinked"));
    put(root, &format!("repositories/a/_layers/sha256/{}/link", linked.hex()), linked.as_str().as_bytes());
    // A link of another algorithm leads to the same bytes.
    let other = Digest::of(Algorithm::Sha512, b"linked");
    put(root, &format!("repositories/a/_layers/sha512/{}/link", other.hex()), linked.as_str().as_bytes());
    let tree = tree(root);
    assert_eq!(tree.repositories().0, ["a"]);
    let read = |digest: &Digest| {
        let opened = tree.visit("a", |repository| repository.open_blob(digest)).unwrap();
        match opened {
            Look::Whole((mut file, size)) => {
                let mut text = String::new();
                file.read_to_string(&mut text).unwrap();
                assert_eq!(text.len() as u64, size);
                text
            }
            Look::Broken(problem) => problem.kind.to_string(),
        }
    };
    assert_eq!(read(&linked), "linked");
    assert_eq!(read(&other), "linked");
    assert_eq!(read(&unlinked), "blob-unlinked");
    assert_eq!(read(&Digest::sha256(b"nothing")), "blob-missing");
}

#[test]
fn tags_have_the_time_of_their_link() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let digest = blob(root, b"{}");
    put(root, "repositories/a/b/_manifests/tags/v1/current/link", digest.as_str().as_bytes());
    put(root, "repositories/a/b/_manifests/tags/empty/current/link", b"");
    put(
        root,
        &format!("repositories/a/b/_manifests/revisions/sha256/{}/link", digest.hex()),
        digest.as_str().as_bytes(),
    );
    let link = root.join("docker/registry/v2/repositories/a/b/_manifests/tags/v1/current/link");
    let then = std::time::UNIX_EPOCH + std::time::Duration::from_millis(1_600_000_000_123);
    File::options().write(true).open(link).unwrap().set_modified(then).unwrap();
    let tags = tree(root).visit("a/b", tags_of).unwrap();
    assert_eq!(
        tags.tags,
        [TreeTag { tag: "v1".to_owned(), digest: digest.clone(), written_ms: Some(1_600_000_000_123) }]
    );
    assert_eq!(tags.findings.iter().map(|finding| finding.kind).collect::<Vec<_>>(), [FindingKind::TagDangling]);
    assert_eq!(tree(root).visit("a/b", revisions_of).unwrap(), [digest]);
}

#[test]
fn other_layouts_are_named_and_not_read() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("oci-layout"), b"{}").unwrap();
    let error = open_trees(folder.path(), &KindRules::default(), 0, &Unwatched).unwrap_err();
    assert!(matches!(error, ScanError::NothingToTake { layout: "oci-layout", .. }), "{error}");
}

#[test]
fn what_may_be_a_registry_and_is_not_looked_into_is_told() {
    let (folder, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    blob(&folder.path().join("cache"), b"x");
    let open = || open_trees(folder.path(), &KindRules::default(), 0, &Unwatched).unwrap();
    let link = |target: &Path, name: &str| std::os::unix::fs::symlink(target, folder.path().join(name)).unwrap();
    // Files, and links to files or to nothing, hold no registry.
    fs::write(away.path().join("file"), b"").unwrap();
    link(&away.path().join("file"), "config.yml");
    link(&away.path().join("nothing"), "stale");
    fs::write(folder.path().join("notes"), b"").unwrap();
    let trees = open();
    assert_eq!((trees.trees.len(), trees.closed, trees.findings), (1, false, Vec::new()));

    link(away.path(), "private");
    let trees = open();
    assert_eq!((trees.trees.len(), trees.closed, trees.findings.len()), (1, false, 1));
    assert_eq!(trees.findings[0].kind, FindingKind::Unreachable);
    assert!(trees.findings[0].detail.as_ref().unwrap().contains("private"), "{:?}", trees.findings);
}

#[test]
fn a_folder_with_too_much_in_it_is_not_said_to_be_all() {
    let folder = tempfile::tempdir().unwrap();
    blob(&folder.path().join("0"), b"x");
    for number in 1..=20_000 {
        fs::create_dir(folder.path().join(number.to_string())).unwrap();
    }
    let trees = open_trees(folder.path(), &KindRules::default(), 0, &Unwatched).unwrap();
    assert!(trees.closed, "{:?}", trees.findings);
    assert!(trees.findings[0].detail.as_ref().unwrap().contains("only the first 20000"), "{:?}", trees.findings);
}
