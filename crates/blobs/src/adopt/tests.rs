//! Tests of bytes that are found: whatever way they come, only what hashes right becomes a blob.

#![expect(clippy::disallowed_methods, reason = "tests make and look at files themselves")]

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use mcr_oci::{Algorithm, Digest};

use crate::{Adopted, Disk, Options, PutError, StageError, Store};

fn store(folder: &Path, disk: Disk) -> Store {
    Store::open(Options { layers: folder.join("layers"), uploads: folder.join("uploads") }, disk).unwrap()
}

fn leftovers(folder: &Path) -> usize {
    fs::read_dir(folder.join("uploads")).unwrap().count()
}

#[test]
fn a_file_becomes_a_blob_and_stays_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = vec![7_u8; 3 << 20];
    let path = folder.path().join("data");
    fs::write(&path, &bytes).unwrap();
    let before = fs::metadata(&path).unwrap();
    for disk in [Disk::real(), Disk::forgetful()] {
        let store = store(folder.path(), disk);
        let digest = Digest::sha256(&bytes);
        let told = std::cell::Cell::new(0);
        let tell = |more| told.set(told.get() + more);
        let (staged, how) = store.stage_file(&File::open(&path).unwrap(), Algorithm::Sha256, &tell).unwrap();
        assert!(matches!(how, Adopted::Copied | Adopted::Reflinked));
        assert_eq!((staged.size(), staged.digest(), told.get()), (3 << 20, &digest, 3 << 20));
        let committed = store.commit_staged(&staged, &digest).unwrap();
        drop(staged);
        assert_eq!(store.stat(&digest).unwrap(), Some(committed.stat));
        assert_eq!(store.hash(&digest).unwrap().unwrap().digest, digest);
        assert_eq!(leftovers(folder.path()), 0);
    }
    let after = fs::metadata(&path).unwrap();
    assert_eq!((before.ino(), before.nlink(), before.mtime_nsec()), (after.ino(), after.nlink(), after.mtime_nsec()));
}

#[test]
fn bytes_that_hash_to_something_else_are_no_blob_and_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), Disk::real());
    let path = folder.path().join("data");
    fs::write(&path, b"rotten").unwrap();
    let expected = Digest::sha256(b"fresh");
    let (staged, _) = store.stage_file(&File::open(&path).unwrap(), Algorithm::Sha256, &|_| ()).unwrap();
    let refused = store.commit_staged(&staged, &expected).unwrap_err();
    assert!(matches!(refused, PutError::DigestMismatch { computed, .. } if computed == Digest::sha256(b"rotten")));
    drop(staged);
    assert_eq!(store.stat(&expected).unwrap(), None);
    assert_eq!(leftovers(folder.path()), 0);
}

#[test]
fn a_hard_link_is_the_same_file_under_a_second_name() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), Disk::real());
    let path = folder.path().join("data");
    fs::write(&path, b"bytes").unwrap();
    let digest = Digest::of(Algorithm::Sha512, b"bytes");
    let staged = store.stage_link(&File::open(&path).unwrap(), Algorithm::Sha512, &|_| ()).unwrap();
    let committed = store.commit_staged(&staged, &digest).unwrap();
    drop(staged);
    let source = fs::metadata(&path).unwrap();
    assert_eq!((committed.stat.inode, source.nlink()), (source.ino(), 2));
    // One that is not to be: its second name goes, its first stays.
    let staged = store.stage_link(&File::open(&path).unwrap(), Algorithm::Sha256, &|_| ()).unwrap();
    assert!(store.commit_staged(&staged, &Digest::sha256(b"other")).is_err());
    drop(staged);
    assert_eq!(fs::metadata(&path).unwrap().nlink(), 2);
}

#[test]
fn where_no_second_name_can_be_had_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), Disk::real());
    let elsewhere = File::open("/proc/version").unwrap();
    let refused = store.stage_link(&elsewhere, Algorithm::Sha256, &|_| ()).unwrap_err();
    assert!(matches!(refused, StageError::NoLink(_)), "{refused}");
}

#[test]
fn a_stream_is_hashed_as_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), Disk::real());
    let mut staging = store.begin_staging(Algorithm::Sha256).unwrap();
    staging.append(b"one").unwrap();
    staging.append(b"two").unwrap();
    let staged = staging.finish();
    let digest = Digest::sha256(b"onetwo");
    assert_eq!(store.commit_staged(&staged, &digest).unwrap().size, 6);
    // And one that nobody finishes.
    let mut dropped = store.begin_staging(Algorithm::Sha256).unwrap();
    dropped.append(b"half").unwrap();
    drop((staged, dropped));
    assert_eq!(leftovers(folder.path()), 0);
}

#[test]
fn many_at_once_are_each_judged_by_themselves() {
    let folder = tempfile::tempdir().unwrap();
    for disk in [Disk::real(), Disk::forgetful()] {
        let store = store(folder.path(), disk);
        let syncs = store.open_syncs().unwrap();
        let mut all = Vec::new();
        for number in 0..8_u8 {
            let mut staging = store.begin_staging(Algorithm::Sha256).unwrap();
            staging.append(&[number; 3]).unwrap();
            // The fifth was announced as something else.
            let announced = if number == 4 { Digest::sha256(b"else") } else { Digest::sha256(&[number; 3]) };
            all.push((staging.finish(), announced));
        }
        let committed = store.commit_all(&all, &syncs).unwrap();
        assert_eq!(committed.iter().map(Result::is_ok).collect::<Vec<_>>(), (0..8).map(|n| n != 4).collect::<Vec<_>>());
        for (committed, (_, digest)) in committed.iter().zip(&all) {
            let stat = store.stat(digest).unwrap();
            assert_eq!(stat, committed.as_ref().ok().map(|committed| committed.stat));
        }
        drop(all);
        assert_eq!(leftovers(folder.path()), 0);
    }
}

#[test]
fn what_was_being_written_when_a_sync_failed_is_brought_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), Disk::real());
    let syncs = store.open_syncs().unwrap();
    let stage = |number: u8| {
        let mut staging = store.begin_staging(Algorithm::Sha256).unwrap();
        staging.append(&[number; 3]).unwrap();
        (staging.finish(), Digest::sha256(&[number; 3]))
    };
    // One batch's sync is told of a write that failed; the bytes may have been another batch's.
    let mut early: Vec<_> = (0..4).map(stage).collect();
    syncs.fail();
    let late: Vec<_> = (4..8).map(stage).collect();
    early.extend(late);
    let committed = store.commit_all(&early, &syncs).unwrap();
    assert_eq!(committed.iter().map(Result::is_ok).collect::<Vec<_>>(), (0..8).map(|n| n >= 4).collect::<Vec<_>>());
    for (number, (_, digest)) in early.iter().enumerate() {
        assert_eq!(store.stat(digest).unwrap().is_some(), number >= 4);
    }
    let again: Vec<_> = (0..4).map(stage).collect();
    assert!(store.commit_all(&again, &syncs).unwrap().iter().all(Result::is_ok));
}
