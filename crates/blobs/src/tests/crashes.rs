//! Power loss at every single call: what was acknowledged is whole, what was not is whole or absent.

use mcr_oci::{Algorithm, Digest};
use rustix::io::Errno;

use super::support::{Place, assert_all_whole, begin, content, read};
use crate::{CommitError, Disk, Error, Store};

/// What the script was told before the power went. A later field is only set when all before it are.
#[derive(Debug, Default)]
struct Acknowledged {
    marker: bool,
    put: bool,
    pushed: bool,
    wide: bool,
    healed: bool,
    quarantined: bool,
    removed: bool,
}

struct Script {
    put: Vec<u8>,
    pushed: Vec<u8>,
    wide: Vec<u8>,
    quarantined: Vec<u8>,
    removed: Vec<u8>,
}

impl Script {
    fn new() -> Script {
        Script {
            put: content(1, 700),
            pushed: content(2, 5_000),
            wide: content(3, 3_000),
            quarantined: content(4, 600),
            removed: content(5, 800),
        }
    }

    fn wide_digest(&self) -> Digest {
        Digest::of(Algorithm::Sha512, &self.wide)
    }

    /// What stands in the store before: two blobs, durable since long.
    fn prepare(&self, place: &Place) {
        let store = place.open(&Disk::forgetful());
        for bytes in [&self.quarantined, &self.removed] {
            store.put_bytes(bytes, &Digest::sha256(bytes)).unwrap();
        }
    }

    /// Does everything the store can do, until the power goes.
    fn run(&self, place: &Place, disk: &Disk, done: &mut Acknowledged) -> Result<(), Error> {
        let store = Store::open(place.options(), disk.clone())?;
        store.write_marker("the registry")?;
        done.marker = true;
        put(&store, &self.put, &Digest::sha256(&self.put))?;
        done.put = true;
        push(&store, &self.pushed, &Digest::sha256(&self.pushed))?;
        done.pushed = true;
        push(&store, &self.wide, &self.wide_digest())?;
        done.wide = true;
        // Pushed over a file that is there: the way a damaged one is healed.
        push(&store, &self.put, &Digest::sha256(&self.put))?;
        done.healed = true;
        store.quarantine(&Digest::sha256(&self.quarantined), 1)?;
        done.quarantined = true;
        store.remove(&Digest::sha256(&self.removed))?;
        done.removed = true;
        Ok(())
    }

    /// The next life of the registry, on what the disk kept.
    fn check(&self, place: &Place, done: &Acknowledged, at: u64) {
        assert_all_whole(place);
        let store = place.open(&Disk::forgetful());
        let must = [
            (done.put, Digest::sha256(&self.put), &self.put),
            (done.pushed, Digest::sha256(&self.pushed), &self.pushed),
            (done.wide, self.wide_digest(), &self.wide),
            (!done.healed, Digest::sha256(&self.quarantined), &self.quarantined),
            (!done.quarantined, Digest::sha256(&self.removed), &self.removed),
        ];
        for (acknowledged, digest, bytes) in must {
            if acknowledged {
                assert_eq!(&read(&store, &digest), bytes, "lost at call {at}: {done:?}");
            }
        }
        if done.quarantined {
            let digest = Digest::sha256(&self.quarantined);
            assert_eq!(store.stat(&digest).unwrap(), None, "back from quarantine at call {at}");
        }
        if done.removed {
            // A removal is not synced: the file may be back, but then as it was.
            let digest = Digest::sha256(&self.removed);
            let back = store.stat(&digest).unwrap().map(|stat| stat.size);
            assert!(back.is_none_or(|size| size == self.removed.len() as u64), "cut by removal at call {at}");
            store.remove(&digest).unwrap();
            assert_eq!(store.stat(&digest).unwrap(), None, "still there after a second removal, call {at}");
        }
        let marker = store.marker().unwrap();
        assert!(!done.marker || marker.as_deref() == Some("the registry"), "call {at}");
        store.sweep().unwrap();
        // And it goes on from there.
        for bytes in [&self.put, &self.pushed, &self.removed] {
            put(&store, bytes, &Digest::sha256(bytes)).unwrap();
        }
        assert_all_whole(place);
    }
}

fn put(store: &Store, bytes: &[u8], digest: &Digest) -> Result<(), Error> {
    match store.put_bytes(bytes, digest) {
        Ok(_) => Ok(()),
        Err(crate::PutError::Io(error)) => Err(error),
        Err(mismatch) => panic!("{mismatch}"),
    }
}

fn push(store: &Store, bytes: &[u8], digest: &Digest) -> Result<(), Error> {
    let id = store.create_upload("library/alpine", 1)?;
    let mut upload = store.open_upload(&id)?.unwrap();
    for piece in bytes.chunks(2_000) {
        upload.append(piece)?;
    }
    match store.commit_upload(upload, digest) {
        Ok(_) => Ok(()),
        Err(CommitError::Io(error)) => Err(error),
        Err(mismatch) => panic!("{mismatch}"),
    }
}

#[test]
fn power_loss_at_every_call_keeps_what_was_acknowledged() {
    let script = Script::new();
    let mut at = 0;
    loop {
        let place = Place::new();
        script.prepare(&place);
        let disk = Disk::forgetful();
        disk.crash_at(at);
        let mut done = Acknowledged::default();
        let finished = script.run(&place, &disk, &mut done);
        disk.crash().unwrap();
        script.check(&place, &done, at);
        if disk.calls() <= at {
            finished.unwrap();
            break;
        }
        assert!(finished.is_err() || done.removed, "a call after the power loss succeeded");
        at += 1;
    }
    assert!(at > 80, "the script makes more calls than {at}");
}

#[test]
fn nothing_of_an_open_session_is_a_blob() {
    let bytes = content(6, 40_000);
    let place = Place::new();
    let disk = Disk::forgetful();
    let store = place.open(&disk);
    let upload = begin(&store, &bytes);
    disk.crash().unwrap();
    store.commit_upload(upload, &Digest::sha256(&bytes)).expect_err("the disk is gone");
    assert_eq!(assert_all_whole(&place), 0);
    place.open(&Disk::real()).sweep().unwrap();
    assert_eq!(place.uploads(), [""; 0]);
}

#[test]
fn a_new_store_is_durable_once_it_is_open() {
    let place = Place::new();
    let disk = Disk::forgetful();
    place.open(&disk);
    disk.crash().unwrap();
    for directory in ["uploads", "layers/sha256", "layers/sha512", "layers/quarantine"] {
        assert!(place.path().join(directory).is_dir(), "{directory}");
    }
}

/// A process that is killed between making a directory and syncing it leaves one that looks as if it were durable.
#[test]
fn directories_of_a_killed_process_are_synced_by_the_next() {
    let mut calls = 0;
    for dies_at in 0.. {
        let place = Place::new();
        let disk = Disk::forgetful();
        disk.fail_at(dies_at, Errno::IO.raw_os_error());
        let died = (|| {
            let store = Store::open(place.options(), disk.clone())?;
            push(&store, b"acknowledged", &Digest::sha256(b"acknowledged"))
        })();
        if disk.calls() <= dies_at {
            break;
        }
        drop(died);
        let store = place.open(&disk);
        let digest = store.put_bytes(b"acknowledged", &Digest::sha256(b"acknowledged")).unwrap().digest;
        drop(store);
        disk.crash().unwrap();
        assert_eq!(read(&place.open(&Disk::forgetful()), &digest), b"acknowledged", "died at call {dies_at}");
        calls += 1;
    }
    assert!(calls > 20, "{calls}");
}

#[test]
fn a_parent_directory_that_is_not_ours_need_not_be_synced() {
    let place = Place::new();
    place.open(&Disk::forgetful());
    let open = |errno: Errno| {
        let disk = Disk::forgetful();
        disk.fail_at(1, errno.raw_os_error());
        Store::open(place.options(), disk)
    };
    open(Errno::ACCESS).unwrap();
    let error = open(Errno::IO).unwrap_err();
    assert_eq!((error.operation(), error.path()), ("sync directory", place.path()));
}
