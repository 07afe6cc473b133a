//! Tests of taking snapshots and of reading them.

#![expect(clippy::disallowed_methods, reason = "tests look at files behind the program's back")]

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mcr_oci::Digest;

use super::*;
use crate::testing::{Bed, image};
use crate::{Judge as _, Metadata, Options};

const NOW: i64 = 1_795_267_496_000;

fn folder(bed: &Bed) -> SnapshotFolder {
    SnapshotFolder::beside(&bed.path())
}

/// A database with some images.
fn filled(images: u32) -> Bed {
    let bed = Bed::new();
    for n in 0..images {
        let (config, layer) = (format!("config {n}"), format!("layer {n}"));
        bed.push_blob("a/b", &config, 1);
        bed.push_blob("a/b", &layer, 1);
        bed.push("a/b", &image(&config, &[&layer]), &[&format!("t{n}")], 2);
    }
    bed
}

#[test]
fn a_snapshot_is_a_file_that_needs_no_other() {
    let bed = filled(3);
    bed.metadata.set_registry_id("some-id").unwrap();
    let taken = take_snapshot(&bed.path(), &folder(&bed), NOW).unwrap();
    assert_eq!((taken.file.name.as_str(), taken.blobs, taken.schema), ("mcr-20261121-132456.db", 6, migrate::SCHEMA));
    assert_eq!(fs::read_dir(folder(&bed).path()).unwrap().count(), 1);
    let snapshot = Snapshot::open(&taken.file.path).unwrap();
    snapshot.check().unwrap();
    assert_eq!(snapshot.registry_id().unwrap().as_deref(), Some("some-id"));
    assert!(snapshot.has_blob(&Digest::sha256(b"layer 1")).unwrap());
    assert!(!snapshot.has_blob(&Digest::sha256(b"layer 9")).unwrap());
    // What is pushed later is not in it.
    bed.push_blob("a/b", "layer 9", 3);
    assert!(!snapshot.has_blob(&Digest::sha256(b"layer 9")).unwrap());
    assert_eq!(fs::metadata(&taken.file.path).unwrap().mode() & 0o777, 0o600);
    // The registry it becomes is whole.
    let copy = bed.directory.path().join("copy.db");
    fs::copy(&taken.file.path, &copy).unwrap();
    let metadata = Metadata::open(&copy, Options::default()).unwrap();
    assert_eq!(metadata.summary().unwrap().tags, 3);
}

#[test]
fn a_closed_database_is_read_without_a_file_beside_it() {
    let bed = filled(1);
    let path = bed.path();
    let directory = bed.directory;
    bed.metadata.close();
    for end in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{end}", path.display()));
    }
    let taken = take_snapshot(&path, &SnapshotFolder::beside(&path), NOW).unwrap();
    assert_eq!(taken.blobs, 2);
    let mut names: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["backups", "mcr.db"]);
}

#[test]
fn a_snapshot_is_taken_while_others_write() {
    let bed = Arc::new(filled(20));
    let stop = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (bed, stop) = (Arc::clone(&bed), Arc::clone(&stop));
        move || {
            let mut n = 0;
            while !stop.load(Ordering::Relaxed) {
                let layer = format!("written {n}");
                bed.push_blob("c/d", &layer, 4);
                bed.push("c/d", &image(&layer, &[&layer]), &["latest"], 5);
                n += 1;
            }
            n
        }
    });
    for n in 0..10 {
        let taken = take_snapshot(&bed.path(), &folder(&bed), NOW + n * 1000).unwrap();
        assert!(taken.blobs >= 40);
    }
    stop.store(true, Ordering::Relaxed);
    assert!(writer.join().unwrap() > 0);
}

#[test]
fn a_database_that_is_opened_while_it_is_copied_is_copied_again() {
    let bed = filled(1);
    let path = bed.path();
    let directory = bed.directory;
    bed.metadata.close();
    for end in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{end}", path.display()));
    }
    let unfinished = SnapshotFolder::beside(&path).begin(NOW).unwrap();
    let (mut directory, mut started) = (Some(directory), None);
    // A server is started while the file is read, and a push is done before the copy is.
    let mut start = || {
        if let Some(directory) = directory.take() {
            let bed = Bed { metadata: Metadata::open(&path, Options::default()).unwrap(), directory };
            bed.push_blob("a/b", "pushed meanwhile", 3);
            started = Some(bed);
        }
    };
    copy_out(&path, &unfinished, &mut start).unwrap();
    let copy = Snapshot::open(&unfinished.path()).unwrap();
    copy.check().unwrap();
    assert!(copy.has_blob(&Digest::sha256(b"pushed meanwhile")).unwrap(), "the copy is of one moment, the later one");
    assert!(started.is_some());
}

#[test]
fn a_database_that_never_stands_still_is_told_of() {
    let bed = filled(1);
    let path = bed.path();
    let _directory = bed.directory;
    bed.metadata.close();
    for end in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{end}", path.display()));
    }
    let unfinished = SnapshotFolder::beside(&path).begin(NOW).unwrap();
    let mut touch = || {
        let content = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, content).unwrap();
    };
    assert!(matches!(copy_out(&path, &unfinished, &mut touch), Err(Error::Busy(_))));
}

#[test]
fn what_is_no_database_of_ours_is_refused_and_leaves_nothing() {
    let bed = filled(1);
    let missing = bed.directory.path().join("missing.db");
    assert!(matches!(take_snapshot(&missing, &folder(&bed), NOW), Err(Error::Io(_))));
    let empty = bed.directory.path().join("empty.db");
    fs::write(&empty, "").unwrap();
    assert!(matches!(take_snapshot(&empty, &folder(&bed), NOW), Err(Error::NotOurs { .. })));
    let text = bed.directory.path().join("text.db");
    fs::write(&text, "this is no database at all, whatever its name is").unwrap();
    assert!(matches!(take_snapshot(&text, &folder(&bed), NOW), Err(Error::NotOurs { .. } | Error::Corrupt(_))));
    assert_eq!(fs::read_dir(folder(&bed).path()).unwrap().count(), 0);
}

#[test]
fn damaged_snapshots_are_noticed() {
    let bed = filled(40);
    let taken = take_snapshot(&bed.path(), &folder(&bed), NOW).unwrap();
    let whole = fs::read(&taken.file.path).unwrap();
    let refused = |bytes: &[u8]| {
        let path = bed.directory.path().join("damaged.db");
        fs::write(&path, bytes).unwrap();
        Snapshot::open(&path).and_then(|snapshot| snapshot.check()).is_err()
    };
    assert!(!refused(&whole), "the whole one is fine");
    for cut in [0, 1, 99, 4096, whole.len() / 2, whole.len() - 4096] {
        assert!(refused(&whole[..cut]), "cut to {cut}");
    }
    // A page of zeros, and one of another place, anywhere behind the first.
    for page in 1..whole.len() / 4096 {
        let mut bytes = whole.clone();
        bytes[page * 4096..(page + 1) * 4096].fill(0);
        assert!(refused(&bytes), "page {page} of zeros");
    }
}
