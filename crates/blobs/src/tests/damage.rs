//! Files changed behind the store's back: seen by stat or hash, set aside, healed by the next push.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use mcr_oci::Digest;

use super::on_both_disks;
use super::support::{Place, assert_all_whole, content, names, push, read};
use crate::{Disk, Store};

on_both_disks!(
    damage_shows_in_the_stat_or_in_the_hash,
    a_push_heals_every_damage,
    quarantine_sets_the_bytes_aside,
    quarantine_of_nothing_is_none,
    a_link_is_no_blob_and_is_replaced,
    a_directory_is_no_blob,
    a_push_sets_a_directory_aside,
    what_is_quarantined_goes_when_its_time_is_past,
    what_the_medium_holds_can_be_read,
);

type Damage = (&'static str, fn(&Path));

const DAMAGES: [Damage; 6] = [
    ("truncated", |path| writable(path).set_len(4000).unwrap()),
    ("emptied", |path| writable(path).set_len(0).unwrap()),
    ("longer", |path| writable(path).set_len(10_001).unwrap()),
    ("flipped", flip),
    ("missing", |path| fs::remove_file(path).unwrap()),
    ("replaced by an equally long file", |path| {
        let other = path.with_extension("other");
        fs::write(&other, content(77, 10_000)).unwrap();
        fs::rename(other, path).unwrap();
    }),
];

fn writable(path: &Path) -> File {
    File::options().read(true).write(true).open(path).unwrap()
}

fn flip(path: &Path) {
    let file = writable(path);
    let mut byte = [0];
    file.read_exact_at(&mut byte, 5000).unwrap();
    file.write_all_at(&[byte[0] ^ 1], 5000).unwrap();
}

/// Pushes a blob and damages it once the clock of the file system has moved on.
fn damaged(place: &Place, store: &Store, damage: fn(&Path)) -> (Vec<u8>, Digest) {
    let bytes = content(5, 10_000);
    let digest = push(store, &bytes).digest;
    std::thread::sleep(Duration::from_millis(10));
    damage(&place.blob(&digest));
    (bytes, digest)
}

fn damage_shows_in_the_stat_or_in_the_hash(disk: &Disk) {
    for (name, damage) in DAMAGES {
        let place = Place::new();
        let store = place.open(disk);
        let sound = push(&store, &content(5, 10_000));
        let (_, digest) = damaged(&place, &store, damage);
        let stat = store.stat(&digest).unwrap();
        assert_ne!(stat, Some(sound.stat), "{name}");
        match name {
            "missing" => {
                assert_eq!(stat, None);
                assert!(store.open_blob(&digest).unwrap().is_none());
                assert_eq!(store.hash(&digest).unwrap(), None);
            }
            _ => {
                let hashed = store.hash(&digest).unwrap().unwrap();
                assert_ne!(hashed.digest, digest, "{name}");
                assert_eq!(Some(hashed.stat), stat);
                assert_eq!(store.open_blob(&digest).unwrap().map(|blob| blob.stat()), stat);
            }
        }
    }
}

fn a_push_heals_every_damage(disk: &Disk) {
    for (name, damage) in DAMAGES {
        let place = Place::new();
        let store = place.open(disk);
        for in_one_piece in [false, true] {
            let (bytes, digest) = damaged(&place, &store, damage);
            let healed = match in_one_piece {
                true => store.put_bytes(&bytes, &digest).unwrap(),
                false => push(&store, &bytes),
            };
            assert_eq!(store.stat(&digest).unwrap(), Some(healed.stat), "{name}");
            assert_eq!(store.hash(&digest).unwrap().unwrap().digest, digest, "{name}");
            assert_eq!(read(&store, &digest), bytes, "{name}");
        }
    }
}

fn quarantine_sets_the_bytes_aside(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    let (bytes, digest) = damaged(&place, &store, flip);
    let aside = store.quarantine(&digest, 1_776_000_000_123).unwrap().unwrap();
    let name = format!("sha256-{}.1776000000123", digest.hex());
    assert_eq!(aside, place.path().join("layers/quarantine").join(&name));
    assert_ne!(fs::read(&aside).unwrap(), bytes, "the damaged bytes, for whoever looks into it");
    assert_eq!(store.stat(&digest).unwrap(), None);

    // Healed, damaged and quarantined again in the same millisecond: both are kept.
    damaged(&place, &store, flip);
    let again = store.quarantine(&digest, 1_776_000_000_123).unwrap().unwrap();
    assert_ne!(again, aside);
    assert_eq!(names(&place.path().join("layers/quarantine")).len(), 2);
}

fn quarantine_of_nothing_is_none(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    assert_eq!(store.quarantine(&Digest::sha256(b"never"), 1).unwrap(), None);
}

fn a_link_is_no_blob_and_is_replaced(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    let digest = push(&store, b"linked").digest;
    let elsewhere = place.path().join("elsewhere");
    fs::rename(place.blob(&digest), &elsewhere).unwrap();
    symlink(&elsewhere, place.blob(&digest)).unwrap();
    assert_eq!(store.stat(&digest).unwrap(), None);
    assert!(store.open_blob(&digest).unwrap().is_none());
    assert_eq!(store.hash(&digest).unwrap(), None);

    fs::write(&elsewhere, "not to be written through").unwrap();
    push(&store, b"linked");
    assert_eq!(read(&store, &digest), b"linked");
    assert_eq!(assert_all_whole(&place), 1);
    assert_eq!(fs::read(&elsewhere).unwrap(), b"not to be written through");
}

fn a_directory_is_no_blob(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    let digest = Digest::sha256(b"a directory stands here");
    fs::create_dir_all(place.blob(&digest)).unwrap();
    assert_eq!(store.stat(&digest).unwrap(), None);
    assert!(store.open_blob(&digest).unwrap().is_none());
    assert_eq!(store.hash(&digest).unwrap(), None);
    store.quarantine(&digest, 1).unwrap().unwrap();
    push(&store, b"a directory stands here");
    assert_eq!(read(&store, &digest), b"a directory stands here");
}

fn a_push_sets_a_directory_aside(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    let digest = push(&store, b"content").digest;
    fs::remove_file(place.blob(&digest)).unwrap();
    fs::create_dir(place.blob(&digest)).unwrap();
    fs::write(place.blob(&digest).join("a hand's"), "own").unwrap();
    push(&store, b"content");
    assert_eq!(read(&store, &digest), b"content");
    let aside = names(&place.path().join("layers/quarantine"));
    assert_eq!(aside.len(), 1, "{aside:?}");
    // It is not ours, so it is never removed.
    assert_eq!(store.expire_quarantine(i64::MAX, 10).unwrap().removed, 0);
    // Nor does it keep the place of what is.
    let (_, digest) = damaged(&place, &store, flip);
    store.quarantine(&digest, 100).unwrap().unwrap();
    assert_eq!(store.expire_quarantine(i64::MAX, 1).unwrap().removed, 1);
}

fn what_is_quarantined_goes_when_its_time_is_past(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    let quarantine = place.path().join("layers/quarantine");
    for at in [100, 200, 300] {
        let (_, digest) = damaged(&place, &store, flip);
        store.quarantine(&digest, at).unwrap().unwrap();
    }
    fs::write(quarantine.join("notes.txt"), "of whoever looks into it").unwrap();
    assert_eq!(store.expire_quarantine(100, 10).unwrap().removed, 0);
    assert_eq!(store.expire_quarantine(250, 1).unwrap().removed, 1, "bounded");
    assert_eq!(store.expire_quarantine(250, 10).unwrap().removed, 1);
    let left = names(&quarantine);
    assert!(left.len() == 2 && left.iter().any(|name| name.ends_with(".300")), "{left:?}");
}

fn what_the_medium_holds_can_be_read(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    let bytes = content(8, 300_000);
    let digest = push(&store, &bytes).digest;
    let blob = store.open_blob(&digest).unwrap().unwrap();
    blob.expect_medium_reads();
    let mut back = Vec::new();
    let mut buffer = vec![0; 100_001];
    loop {
        let read = blob.read_from_medium(&mut buffer, back.len() as u64).unwrap();
        if read == 0 {
            break;
        }
        back.extend_from_slice(&buffer[..read]);
    }
    assert!(back == bytes);
    assert_eq!(blob.stat_now().unwrap(), blob.stat());
    writable(&place.blob(&digest)).set_len(10).unwrap();
    assert_ne!(blob.stat_now().unwrap(), blob.stat());
}

#[test]
fn a_blob_that_changes_while_it_is_read_has_no_hash() {
    let place = Place::new();
    let store = place.open(&Disk::real());
    let digest = push(&store, &content(6, 2_000_000)).digest;
    let file = writable(&place.blob(&digest));
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let mut time = SystemTime::now();
            while !done.load(Ordering::Relaxed) {
                time += Duration::from_secs(1);
                file.set_modified(time).unwrap();
            }
        });
        // Now and then the other thread may rest for a whole reading; never for ever.
        let failed = (0..1000).find_map(|_| store.hash(&digest).err());
        done.store(true, Ordering::Relaxed);
        let error = failed.unwrap();
        assert!(!error.is_io() && error.operation() == "hash", "{error}");
    });
    assert_eq!(store.hash(&digest).unwrap().unwrap().digest, digest);
}
