//! Reading beside the writer and without it, and that nothing is written; never the writer itself.

#![expect(clippy::disallowed_methods, reason = "tests look at the files behind the database")]

use mcr_oci::Digest;

use crate::ReadOnly;
use crate::testing::Bed;

fn files(bed: &Bed) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(bed.directory.path()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect();
    files.sort();
    // The shared memory is where readers say what they read.
    files.retain(|(name, _)| !name.ends_with("-shm"));
    files
}

#[test]
fn what_was_just_committed_is_read_beside_the_writer_and_nothing_is_written() {
    let bed = Bed::new();
    let one = bed.push_image("a/b", &["config", "layer"], &["v1", "v2"], 5);
    let reader = ReadOnly::open(&bed.path()).unwrap();
    let two = bed.push_image("a/b", &["config", "other"], &["v3"], 6);
    let before = files(&bed);
    let [(id, name)] = &reader.repositories().unwrap()[..] else { panic!() };
    assert_eq!(name, "a/b");
    let tags = reader.tags(*id, "").unwrap();
    let expected = [("v1", &one.digest), ("v2", &one.digest), ("v3", &two.digest)];
    assert_eq!(tags, expected.map(|(tag, digest)| (tag.to_owned(), digest.clone())));
    assert_eq!(reader.tags(*id, "v2").unwrap().len(), 1);
    assert_eq!(reader.tag(*id, "v3").unwrap(), Some(two.digest.clone()));
    assert_eq!(reader.manifests(*id, "").unwrap().len(), 2);
    let stored = reader.manifest(*id, &one.digest).unwrap().unwrap();
    assert_eq!((&stored.bytes[..], stored.deleted), (&one.bytes[..], false));
    assert!(reader.blob(*id, &Digest::sha256(b"layer")).unwrap().unwrap().linked);
    assert_eq!(reader.blob(*id, &Digest::sha256(b"never")).unwrap(), None);
    assert!(!reader.may_lack(*id, &one.digest, &Digest::sha256(b"layer")).unwrap());
    assert_eq!(files(&bed), before);
}

#[test]
fn a_copy_without_a_log_is_read_and_gets_no_files() {
    let bed = Bed::new();
    bed.push_image("a/b", &["config", "layer"], &["v1"], 5);
    let copy = tempfile::tempdir().unwrap();
    let path = copy.path().join("copy.db");
    let connection = rusqlite::Connection::open(bed.path()).unwrap();
    connection.execute("VACUUM INTO ?1", [path.to_str().unwrap()]).unwrap();
    let reader = ReadOnly::open(&path).unwrap();
    assert_eq!(reader.repositories().unwrap().len(), 1);
    drop(reader);
    assert_eq!(std::fs::read_dir(copy.path()).unwrap().count(), 1);
}

#[test]
fn what_is_not_ours_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("other.db");
    assert!(ReadOnly::open(&path).is_err());
    std::fs::write(&path, b"SQLite format 3\0 and then nothing").unwrap();
    assert!(ReadOnly::open(&path).is_err());
    std::fs::write(&path, b"").unwrap();
    assert!(ReadOnly::open(&path).is_err());
}
