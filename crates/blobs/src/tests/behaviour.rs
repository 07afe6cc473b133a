//! What a store does when nothing goes wrong.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;

use mcr_oci::{Algorithm, Digest};

use super::on_both_disks;
use super::support::{Place, assert_all_whole, begin, content, names, push, read};
use crate::{CommitError, Disk, PutError};

on_both_disks!(
    a_pushed_blob_reads_back,
    put_bytes_is_a_push,
    an_empty_blob_is_a_blob,
    a_mismatch_keeps_the_session,
    a_mismatch_of_put_bytes_writes_nothing,
    sha512_works_announced_or_not,
    a_plain_file_is_handed_out,
    remove_removes_once,
    every_file_is_shown_once_and_nothing_else,
    a_reader_keeps_its_bytes,
    the_marker_is_what_was_written,
    only_blobs_count_as_blobs,
    the_file_system_is_asked,
    everything_is_private,
    a_vanished_shard_is_made_again,
    concurrent_commits_of_one_digest_all_succeed,
    a_store_opens_where_one_was,
);

fn a_pushed_blob_reads_back(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    let bytes = content(1, 300_000);
    let digest = Digest::sha256(&bytes);
    assert_eq!(store.stat(&digest).unwrap(), None);
    assert!(store.open_blob(&digest).unwrap().is_none());
    assert_eq!(store.hash(&digest).unwrap(), None);

    let committed = push(&store, &bytes);

    assert_eq!((committed.digest.clone(), committed.size), (digest.clone(), 300_000));
    assert_eq!(store.stat(&digest).unwrap(), Some(committed.stat));
    assert_eq!(store.open_blob(&digest).unwrap().unwrap().stat(), committed.stat);
    let hashed = store.hash(&digest).unwrap().unwrap();
    assert_eq!((hashed.digest, hashed.stat), (digest.clone(), committed.stat));
    assert_eq!(read(&store, &digest), bytes);
    assert_eq!(fs::read(place.blob(&digest)).unwrap(), bytes);
    assert_eq!(place.uploads(), [""; 0], "a session ends with its commit");
}

fn put_bytes_is_a_push(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let bytes = content(2, 3000);
        let digest = Digest::of(algorithm, &bytes);
        let committed = store.put_bytes(&bytes, &digest).unwrap();
        assert_eq!((committed.digest, committed.size), (digest.clone(), 3000));
        assert_eq!(store.stat(&digest).unwrap(), Some(committed.stat));
        assert_eq!(read(&store, &digest), bytes);
        assert_eq!(store.hash(&digest).unwrap().unwrap().digest, digest);
    }
    assert_eq!(place.uploads(), [""; 0]);
}

fn an_empty_blob_is_a_blob(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    let committed = push(&store, b"");
    assert_eq!(committed.size, 0);
    assert_eq!(read(&store, &committed.digest), b"");
    assert_eq!(store.put_bytes(b"", &committed.digest).unwrap().size, 0);
}

fn a_mismatch_keeps_the_session(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    let bytes = content(3, 5000);
    let promised = Digest::sha256(&bytes);
    let upload = begin(&store, &bytes[..4000]);
    let Err(CommitError::DigestMismatch { expected, computed, upload }) = store.commit_upload(upload, &promised) else {
        panic!("four fifths of the bytes are not the bytes");
    };
    assert_eq!((expected, computed), (promised.clone(), Digest::sha256(&bytes[..4000])));
    assert_eq!(store.stat(&promised).unwrap(), None, "nothing at the final path");
    assert_eq!(assert_all_whole(&place), 0);

    let mut upload = *upload;
    assert_eq!(upload.size(), 4000);
    upload.append(&bytes[4000..]).unwrap();
    store.commit_upload(upload, &promised).unwrap();
    assert_eq!(read(&store, &promised), bytes);
}

fn a_mismatch_of_put_bytes_writes_nothing(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    let promised = Digest::sha256(b"promised");
    let Err(PutError::DigestMismatch { expected, computed }) = store.put_bytes(b"sent", &promised) else {
        panic!("other bytes were taken");
    };
    assert_eq!((expected, computed), (promised, Digest::sha256(b"sent")));
    assert_eq!(assert_all_whole(&place), 0);
    assert_eq!(place.uploads(), [""; 0]);
}

fn sha512_works_announced_or_not(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    for announced_at in [0, 2000, 4000] {
        let bytes = content(announced_at, 4000);
        let digest = Digest::of(Algorithm::Sha512, &bytes);
        let at = usize::try_from(announced_at).unwrap();
        let mut upload = begin(&store, &bytes[..at]);
        upload.set_algorithm(Algorithm::Sha512);
        upload.append(&bytes[at..]).unwrap();
        store.commit_upload(upload, &digest).unwrap();
        assert_eq!(read(&store, &digest), bytes);

        let unannounced = begin(&store, &bytes);
        store.commit_upload(unannounced, &digest).unwrap();
        assert_eq!(store.hash(&digest).unwrap().unwrap().digest, digest);
    }
}

fn a_plain_file_is_handed_out(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    let bytes = content(4, 10_000);
    let digest = push(&store, &bytes).digest;
    let mut file = store.open_blob(&digest).unwrap().unwrap().into_file();
    let mut got = Vec::new();
    file.read_to_end(&mut got).unwrap();
    assert_eq!(got, bytes);
    let blob = store.open_blob(&digest).unwrap().unwrap();
    let mut tail = [0; 100];
    assert_eq!(blob.read_at(&mut tail, 9_990).unwrap(), 10);
    assert_eq!(tail[..10], bytes[9_990..]);
    assert_eq!(blob.read_at(&mut tail, 10_000).unwrap(), 0);
    assert_eq!(blob.read_at(&mut tail, u64::MAX / 4).unwrap(), 0, "past the end is the end");
}

fn remove_removes_once(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    let digest = push(&store, b"short-lived").digest;
    assert!(store.remove(&digest).unwrap());
    assert_eq!(store.stat(&digest).unwrap(), None);
    assert!(!store.remove(&digest).unwrap());
}

fn every_file_is_shown_once_and_nothing_else(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    let mut expected: Vec<_> = (0..40_u8).map(|n| push(&store, &[n; 9])).map(|blob| (blob.digest, blob.stat)).collect();
    let wide = Digest::of(Algorithm::Sha512, b"wide");
    store.put_bytes(b"wide", &wide).unwrap();
    expected.push((wide.clone(), store.stat(&wide).unwrap().unwrap()));
    store.quarantine(&expected.remove(7).0, 5).unwrap();
    let shard = place.blob(&expected[0].0).parent().unwrap().to_owned();
    fs::write(shard.join("no digest"), "x").unwrap();
    fs::create_dir(shard.join(format!("{}{}", shard.file_name().unwrap().to_str().unwrap(), "0".repeat(62)))).unwrap();
    fs::write(shard.join(Digest::sha256(b"elsewhere").hex()), "elsewhere").unwrap();
    let mut found = Vec::new();
    for shard in crate::shards() {
        store
            .visit_files(shard, |digest, stat| {
                found.push((digest, stat.unwrap()));
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
    }
    let sort = |list: &mut Vec<(Digest, crate::FileStat)>| list.sort_by(|a, b| a.0.cmp(&b.0));
    sort(&mut expected);
    sort(&mut found);
    assert_eq!(found, expected);
}

fn a_reader_keeps_its_bytes(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    let digest = push(&store, b"read while removed").digest;
    let reader = store.open_blob(&digest).unwrap().unwrap();
    let other = store.open_blob(&digest).unwrap().unwrap();
    store.quarantine(&digest, 5).unwrap();
    push(&store, b"read while removed");
    store.remove(&digest).unwrap();
    let mut bytes = [0; 18];
    assert_eq!(reader.read_at(&mut bytes, 0).unwrap(), 18);
    assert_eq!(&bytes, b"read while removed");
    let mut text = String::new();
    other.into_file().read_to_string(&mut text).unwrap();
    assert_eq!(text, "read while removed");
}

fn the_marker_is_what_was_written(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    assert_eq!(store.marker().unwrap(), None);
    store.write_marker("first").unwrap();
    store.write_marker("second").unwrap();
    assert_eq!(store.marker().unwrap().as_deref(), Some("second"));
    let path = place.path().join("layers/mcr-registry-id");
    assert_eq!(fs::read_to_string(&path).unwrap(), "second\n");
    assert!(!store.holds_blobs().unwrap(), "a marker is no blob");

    for damaged in ["", "\n", &"x".repeat(5000)] {
        fs::write(&path, damaged).unwrap();
        store.marker().expect_err("a damaged marker is not an absent one");
    }
}

fn only_blobs_count_as_blobs(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    assert!(!store.holds_blobs().unwrap());
    let upload = begin(&store, b"not yet");
    let shard = place.path().join("layers/sha256/ab");
    fs::create_dir(&shard).unwrap();
    fs::write(shard.join("lost+found"), "").unwrap();
    fs::write(place.path().join("layers/sha256/README"), "").unwrap();
    assert!(!store.holds_blobs().unwrap());
    let digest = Digest::of(Algorithm::Sha512, b"not yet");
    store.commit_upload(upload, &digest).unwrap();
    assert!(store.holds_blobs().unwrap());
    store.quarantine(&digest, 1).unwrap();
    assert!(!store.holds_blobs().unwrap(), "quarantined bytes are none");
}

fn the_file_system_is_asked(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    assert!(store.same_filesystem().unwrap());
    assert_eq!(place.uploads(), [""; 0]);
    assert_eq!(names(&place.path().join("layers")), ["quarantine", "sha256", "sha512"]);
    let space = store.free_space().unwrap();
    assert!(space.total >= space.available && space.total > 0);
}

fn everything_is_private(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    let mode = |path: &std::path::Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    let upload = begin(&store, b"private");
    for name in place.uploads() {
        assert_eq!(mode(&place.path().join("uploads").join(name)), 0o600);
    }
    let digest = Digest::sha256(b"private");
    store.commit_upload(upload, &digest).unwrap();
    store.write_marker("id").unwrap();
    assert_eq!(mode(&place.blob(&digest)), 0o600);
    assert_eq!(mode(&place.path().join("layers/mcr-registry-id")), 0o600);
    let shard = place.blob(&digest).parent().unwrap().to_owned();
    for directory in ["uploads", "layers", "layers/sha256", "layers/quarantine"] {
        assert_eq!(mode(&place.path().join(directory)), 0o700);
    }
    assert_eq!(mode(&shard), 0o700);
}

fn a_vanished_shard_is_made_again(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    let digest = push(&store, b"once").digest;
    fs::remove_dir_all(place.blob(&digest).parent().unwrap()).unwrap();
    assert_eq!(store.stat(&digest).unwrap(), None);
    push(&store, b"once");
    assert_eq!(read(&store, &digest), b"once");
    fs::remove_dir_all(place.blob(&digest).parent().unwrap()).unwrap();
    store.put_bytes(b"once", &digest).unwrap();
    assert_eq!(read(&store, &digest), b"once");
}

fn concurrent_commits_of_one_digest_all_succeed(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    let bytes = content(9, 50_000);
    let digest = Digest::sha256(&bytes);
    std::thread::scope(|threads| {
        for number in 0..8 {
            let (store, bytes, digest) = (&store, &bytes, &digest);
            threads.spawn(move || {
                for _ in 0..5 {
                    if number % 2 == 0 {
                        push(store, bytes);
                    } else {
                        store.put_bytes(bytes, digest).unwrap();
                    }
                    assert_eq!(read(store, digest), *bytes, "whole at every moment");
                }
            });
        }
    });
    assert_eq!(assert_all_whole(&place), 1);
    assert_eq!(place.uploads(), [""; 0]);
}

fn a_store_opens_where_one_was(disk: &Disk) {
    let place = Place::new();
    let first = push(&place.open(disk), b"first");
    let store = place.open(disk);
    assert_eq!(store.stat(&first.digest).unwrap(), Some(first.stat));
    push(&store, b"second");
    assert_eq!(assert_all_whole(&place), 2);
}

/// Callers move these between their threads.
#[test]
fn stores_are_shared_and_uploads_are_sent() {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send + 'static>() {}
    shared::<crate::Store>();
    sent::<crate::Upload>();
    sent::<crate::BlobFile>();
    sent::<CommitError>();
    sent::<PutError>();
}
