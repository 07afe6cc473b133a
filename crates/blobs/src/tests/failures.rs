//! Each file call failing in turn: an error every time, never "not there", never half a blob, and no stale belief.

use mcr_oci::Digest;
use rustix::io::Errno;

use super::support::{Place, assert_all_whole, begin, content, names, push, read, reopen};
use crate::{CommitError, Disk, Error, PutError, Store};

/// Lets each call of `attempt` fail in turn, until it makes no further one. Answers how many there were.
fn fail_each(
    disk: &Disk,
    errno: Errno,
    mut prepare: impl FnMut(),
    mut attempt: impl FnMut() -> Result<(), Error>,
) -> Vec<Result<(), Error>> {
    let mut outcomes = Vec::new();
    for nth in 0.. {
        prepare();
        let before = disk.calls();
        disk.fail_at(nth, errno.raw_os_error());
        let outcome = attempt();
        let made = disk.calls() - before;
        disk.fail_at(u64::MAX, 0);
        if made <= nth {
            outcome.unwrap();
            break;
        }
        outcomes.push(outcome);
    }
    outcomes
}

#[test]
fn a_quarantined_file_that_cannot_be_removed_keeps_no_other_and_is_told() {
    let place = Place::new();
    let disk = Disk::forgetful();
    let store = place.open(&disk);
    let prepare = || {
        for seed in [1, 2] {
            let digest = push(&store, &content(seed, 100)).digest;
            store.quarantine(&digest, 7).unwrap().unwrap();
        }
    };
    let (mut one, mut two) = (0, 0);
    let outcomes = fail_each(&disk, Errno::IO, prepare, || {
        let expired = store.expire_quarantine(8, 10)?;
        assert_eq!((expired.kept > 0, expired.removed >= 1), (expired.error.is_some(), true), "{expired:?}");
        if expired.removed + expired.kept == 2 && expired.kept == 1 {
            one += 1;
        } else {
            two += 1;
        }
        Ok(())
    });
    assert_eq!((outcomes.iter().filter(|outcome| outcome.is_err()).count(), one, two), (1, 4, 1));
}

/// Whether the store still finds what is there.
type Question<'a> = &'a dyn Fn() -> Result<bool, Error>;

/// Every question about what is there answers a failing disk with an error.
#[test]
fn a_failing_disk_is_never_an_absent_file() {
    let place = Place::new();
    let disk = Disk::forgetful();
    let store = place.open(&disk);
    let digest = push(&store, &content(1, 5000)).digest;
    let id = begin(&store, b"session").id().clone();
    store.write_marker("id").unwrap();
    let questions: [(&str, Question<'_>); 11] = [
        ("stat", &|| store.stat(&digest).map(|found| found.is_some())),
        ("open", &|| store.open_blob(&digest).map(|found| found.is_some())),
        ("hash", &|| store.hash(&digest).map(|found| found.is_some_and(|it| it.digest == digest))),
        ("upload", &|| store.upload(&id).map(|found| found.is_some())),
        ("open upload", &|| store.open_upload(&id).map(|found| found.is_some())),
        ("list", &|| store.list_uploads(9).map(|found| found.len() == 1)),
        ("marker", &|| store.marker().map(|found| found.is_some())),
        ("holds blobs", &|| store.holds_blobs()),
        ("space", &|| store.free_space().map(|space| space.total > 0)),
        ("same file system", &|| store.same_filesystem()),
        ("sweep", &|| store.sweep().map(|removed| removed < 3)),
    ];
    for errno in [Errno::IO, Errno::ACCESS, Errno::STALE] {
        for (name, question) in &questions {
            let ask = || question().map(|yes| assert!(yes, "{name} took {errno} for an answer"));
            let outcomes = fail_each(&disk, errno, || {}, ask);
            assert!(!outcomes.is_empty(), "{name}");
            for outcome in outcomes {
                // A session that is dropped stats its file to remember the hash: that may fail unheard.
                let Err(error) = outcome else {
                    assert_eq!(*name, "open upload");
                    continue;
                };
                assert!(error.is_io(), "{name}: {error}");
            }
        }
    }
    assert!(store.quarantine(&digest, 1).unwrap().is_some());
}

#[test]
fn a_failing_call_of_a_push_leaves_all_or_nothing() {
    for errno in [Errno::IO, Errno::NOSPC, Errno::ROFS] {
        let place = Place::new();
        let disk = Disk::forgetful();
        let store = place.open(&disk);
        let bytes = content(2, 5000);
        let digest = Digest::sha256(&bytes);
        let attempt = || {
            let id = store.create_upload("a", 1)?;
            let mut upload = store.open_upload(&id)?.unwrap();
            upload.append(&bytes)?;
            match store.commit_upload(upload, &digest) {
                Ok(committed) => {
                    assert_eq!(store.stat(&digest)?, Some(committed.stat));
                    Ok(())
                }
                Err(CommitError::Io(error)) => Err(error),
                Err(mismatch) => panic!("{mismatch}"),
            }
        };
        let clear = || drop(std::fs::remove_file(place.blob(&digest)));
        let outcomes = fail_each(&disk, errno, clear, || {
            let outcome = attempt();
            assert_all_whole(&place);
            outcome
        });
        assert_kinds(&outcomes, errno, 1);
        store.sweep().unwrap();
        push(&store, &bytes);
        assert_eq!(read(&store, &digest), bytes, "works again as soon as the disk does");
    }
}

#[test]
fn a_failing_call_of_put_bytes_leaves_all_or_nothing() {
    for errno in [Errno::IO, Errno::NOSPC, Errno::ROFS] {
        let place = Place::new();
        let disk = Disk::forgetful();
        let store = place.open(&disk);
        let bytes = content(3, 500);
        let digest = Digest::sha256(&bytes);
        let attempt = || match store.put_bytes(&bytes, &digest) {
            Ok(_) => Ok(()),
            Err(PutError::Io(error)) => Err(error),
            Err(mismatch) => panic!("{mismatch}"),
        };
        let outcomes = fail_each(
            &disk,
            errno,
            || {},
            || {
                let outcome = attempt();
                assert_all_whole(&place);
                assert_eq!(place.uploads(), [""; 0], "the temporary file is cleared away");
                outcome
            },
        );
        assert_kinds(&outcomes, errno, 0);
    }
}

/// All failed with that error, but for `unheard` calls whose failure harms nobody.
fn assert_kinds(outcomes: &[Result<(), Error>], errno: Errno, unheard: usize) {
    let errors: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    assert_eq!(errors.len() + unheard, outcomes.len());
    for error in errors {
        assert_eq!(error.is_disk_full(), errno == Errno::NOSPC, "{error}");
        assert_eq!(error.is_read_only(), errno == Errno::ROFS, "{error}");
        assert_eq!(error.is_io(), errno == Errno::IO, "{error}");
        assert!(!error.is_gone() && !error.is_busy(), "{error}");
        assert!(error.path().is_absolute() && !error.operation().is_empty());
        assert_eq!(error.io_error().raw_os_error(), Some(errno.raw_os_error()));
    }
}

#[test]
fn a_failing_removal_or_quarantine_is_an_error() {
    let place = Place::new();
    let disk = Disk::forgetful();
    let store = place.open(&disk);
    let bytes = content(4, 500);
    let digest = Digest::sha256(&bytes);
    let renew = || {
        let quarantine = place.path().join("layers/quarantine");
        for name in names(&quarantine) {
            std::fs::remove_file(quarantine.join(name)).unwrap();
        }
        store.put_bytes(&bytes, &digest).unwrap();
    };
    let remove = || store.remove(&digest).map(|found| assert!(found));
    let removed = fail_each(&disk, Errno::IO, renew, remove);
    assert_kinds(&removed, Errno::IO, 0);
    assert_eq!(removed.len(), 1, "unlink");
    let quarantine = || store.quarantine(&digest, 1).map(|found| assert!(found.is_some()));
    let quarantined = fail_each(&disk, Errno::IO, renew, quarantine);
    assert_kinds(&quarantined, Errno::IO, 0);
    assert_eq!(quarantined.len(), 5, "two looks, rename, two syncs");
}

#[test]
fn a_failed_append_ends_after_the_last_whole_one() {
    let place = Place::new();
    let disk = Disk::forgetful();
    let store = place.open(&disk);
    let bytes = content(5, 3000);
    let mut upload = begin(&store, &bytes[..1000]);
    disk.fail_at(0, Errno::NOSPC.raw_os_error());
    let error = upload.append(&bytes[1000..2000]).unwrap_err();
    assert!(error.is_disk_full());
    assert_eq!(upload.size(), 1000);
    assert_eq!(store.upload(upload.id()).unwrap().unwrap().size, 1000);
    upload.append(&bytes[1000..]).unwrap();
    store.commit_upload(upload, &Digest::sha256(&bytes)).unwrap();
}

#[test]
fn a_tail_that_could_not_be_cut_off_is_cut_by_the_commit() {
    let place = Place::new();
    let store = place.open(&Disk::real());
    let upload = begin(&store, b"whole");
    let data = place.path().join("uploads").join(upload.id().as_str());
    std::fs::write(data, b"whole and half of the nex").unwrap();
    let digest = Digest::sha256(b"whole");
    store.commit_upload(upload, &digest).unwrap();
    assert_eq!(read(&store, &digest), b"whole");
}

/// The pages of a failed sync may be dropped and called clean: a second sync that succeeds proves nothing.
#[test]
fn a_failed_sync_loses_the_session() {
    let place = Place::new();
    let disk = Disk::forgetful();
    let store = place.open(&disk);
    let bytes = content(6, 3000);
    let digest = Digest::sha256(&bytes);
    let upload = begin(&store, &bytes);
    let id = upload.id().clone();
    disk.fail_at(1, Errno::IO.raw_os_error());
    let Err(CommitError::Io(error)) = store.commit_upload(upload, &digest) else {
        panic!("a failed sync was believed");
    };
    assert_eq!(error.operation(), "sync");
    assert_eq!(store.upload(&id).unwrap(), None);
    assert_eq!(store.stat(&digest).unwrap(), None);
    assert_eq!(place.uploads(), [""; 0]);
}

#[test]
fn a_commit_that_failed_before_its_sync_keeps_the_session() {
    let place = Place::new();
    let bytes = content(7, 3000);
    let digest = Digest::sha256(&bytes);
    let id = begin(&place.open(&Disk::real()), &bytes).id().clone();
    let disk = Disk::forgetful();
    let store: Store = place.open(&disk);
    let upload = reopen(&store, &id);
    disk.fail_at(0, Errno::IO.raw_os_error());
    let Err(CommitError::Io(error)) = store.commit_upload(upload, &digest) else {
        panic!("bytes that could not be read were committed");
    };
    assert_eq!(error.operation(), "read");
    store.commit_upload(reopen(&store, &id), &digest).unwrap();
}
