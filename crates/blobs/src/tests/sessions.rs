//! Upload sessions: going on, restarts, cancelling, listing, sweeping, and ids that try to be paths.

use std::fs;
use std::time::{Duration, SystemTime};

use mcr_oci::Digest;

use super::on_both_disks;
use super::support::{Place, begin, content, push, read, reopen};
use crate::{CommitError, Disk, UploadId, UploadInfo};

on_both_disks!(
    a_session_goes_on_piece_by_piece,
    a_session_survives_a_restart,
    a_session_changed_by_hand_is_read_again,
    a_session_cut_by_hand_is_an_error,
    a_session_is_cut_back,
    one_caller_at_a_time,
    a_cancelled_session_is_gone,
    a_session_cancelled_while_open_cannot_be_committed,
    an_unknown_session_is_none,
    an_unreadable_sidecar_is_no_session,
    the_oldest_sessions_are_listed_first,
    the_sweep_takes_what_no_session_owns,
    a_blob_does_not_change_with_its_old_session,
);

fn a_session_goes_on_piece_by_piece(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    let bytes = content(1, 10_000);
    let id = store.create_upload("a/b", 17).unwrap();
    for (number, piece) in bytes.chunks(1000).enumerate() {
        let mut upload = reopen(&store, &id);
        assert_eq!(upload.size(), number as u64 * 1000);
        assert_eq!((upload.id(), upload.repository()), (&id, "a/b"));
        upload.append(piece).unwrap();
        upload.append(b"").unwrap();
    }
    store.commit_upload(reopen(&store, &id), &Digest::sha256(&bytes)).unwrap();
    assert_eq!(store.upload(&id).unwrap(), None, "finished");
}

fn a_session_survives_a_restart(disk: &Disk) {
    let place = Place::new();
    let bytes = content(2, 700_000);
    let id = {
        let store = place.open(disk);
        begin(&store, &bytes[..600_000]).id().clone()
    };
    let store = place.open(disk);
    assert_eq!(store.sweep().unwrap(), 0, "a sweep leaves sessions alone");
    let info = store.upload(&id).unwrap().unwrap();
    assert!(info.last_write_ms > 1_600_000_000_000, "in milliseconds since 1970");
    let UploadInfo { repository, size, started_ms, .. } = info;
    assert_eq!((repository.as_str(), size, started_ms), ("library/alpine", 600_000, 1_000));
    let mut upload = reopen(&store, &id);
    upload.append(&bytes[600_000..]).unwrap();
    drop(upload);
    // Once more, now with all bytes there already.
    let store = place.open(disk);
    let digest = Digest::sha256(&bytes);
    store.commit_upload(reopen(&store, &id), &digest).unwrap();
    assert_eq!(read(&store, &digest), bytes);
}

fn a_session_changed_by_hand_is_read_again(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    let id = begin(&store, b"as it was sent").id().clone();
    fs::write(place.path().join("uploads").join(id.as_str()), b"as it was then").unwrap();
    let promised = Digest::sha256(b"as it was sent");
    let Err(CommitError::DigestMismatch { computed, .. }) = store.commit_upload(reopen(&store, &id), &promised) else {
        panic!("a remembered hash was believed over the file");
    };
    assert_eq!(computed, Digest::sha256(b"as it was then"));
}

fn a_session_cut_by_hand_is_an_error(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    let upload = begin(&store, b"to be cut");
    let data = place.path().join("uploads").join(upload.id().as_str());
    fs::OpenOptions::new().write(true).open(data).unwrap().set_len(3).unwrap();
    let digest = Digest::sha256(b"to be cut");
    let result = store.commit_upload(upload, &digest);
    assert!(matches!(result, Err(CommitError::Io(_))), "{result:?}");
    assert_eq!(store.stat(&digest).unwrap(), None);
}

fn a_session_is_cut_back(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    let bytes = content(3, 9000);
    let mut upload = begin(&store, &bytes);
    upload.truncate_to(20_000).unwrap();
    assert_eq!(upload.size(), 9000);
    upload.truncate_to(5000).unwrap();
    assert_eq!((upload.size(), store.upload(upload.id()).unwrap().unwrap().size), (5000, 5000));
    upload.append(b"another end").unwrap();
    let expected = [&bytes[..5000], b"another end"].concat();
    let digest = Digest::sha256(&expected);
    store.commit_upload(upload, &digest).unwrap();
    assert_eq!(read(&store, &digest), expected);
}

fn one_caller_at_a_time(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    let upload = begin(&store, b"mine");
    let id = upload.id().clone();
    let error = store.open_upload(&id).unwrap_err();
    assert!(error.is_busy() && !error.is_io() && !error.is_gone(), "{error}");
    assert_eq!(store.upload(&id).unwrap().unwrap().size, 4, "asking is free");
    drop(upload);
    let mut upload = reopen(&store, &id);
    upload.append(b" and yours").unwrap();
    store.commit_upload(upload, &Digest::sha256(b"mine and yours")).unwrap();
    assert!(store.open_upload(&id).unwrap().is_none());
    assert!(store.open_upload(&id).unwrap().is_none(), "a failed look does not keep it busy");
}

fn a_cancelled_session_is_gone(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    let id = begin(&store, b"never mind").id().clone();
    assert!(store.cancel_upload(&id).unwrap());
    assert!(!store.cancel_upload(&id).unwrap());
    assert_eq!(store.upload(&id).unwrap(), None);
    assert!(store.open_upload(&id).unwrap().is_none());
    assert_eq!(place.uploads(), [""; 0]);
}

fn a_session_cancelled_while_open_cannot_be_committed(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    let mut upload = begin(&store, b"cancelled ");
    assert!(store.cancel_upload(upload.id()).unwrap());
    upload.append(b"too late").unwrap();
    let digest = Digest::sha256(b"cancelled too late");
    let Err(CommitError::Io(error)) = store.commit_upload(upload, &digest) else {
        panic!("a cancelled session was committed");
    };
    assert!(error.is_gone() && !error.is_io(), "{error}");
    assert_eq!(store.stat(&digest).unwrap(), None);
}

fn an_unknown_session_is_none(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    let id = UploadId::parse(&"0".repeat(32)).unwrap();
    assert_eq!(store.upload(&id).unwrap(), None);
    assert!(store.open_upload(&id).unwrap().is_none());
    assert!(!store.cancel_upload(&id).unwrap());
}

fn an_unreadable_sidecar_is_no_session(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    for torn in ["", "{\"version\":1,", "{\"version\":2,\"repository\":\"a\",\"started_ms\":1}"] {
        let id = begin(&store, b"torn").id().clone();
        let sidecar = place.path().join("uploads").join(format!("{id}.session"));
        fs::write(sidecar, torn).unwrap();
        assert_eq!(store.upload(&id).unwrap(), None, "{torn}");
        assert!(store.open_upload(&id).unwrap().is_none());
        assert_eq!(store.list_uploads(10).unwrap(), []);
    }
    assert_eq!(store.sweep().unwrap(), 3);
    assert_eq!(place.uploads(), [""; 0]);
}

fn the_oldest_sessions_are_listed_first(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    let now = SystemTime::now();
    let mut ids = Vec::new();
    for age in [30, 10, 40, 20] {
        let id = begin(&store, b"some").id().clone();
        let data = place.path().join("uploads").join(id.as_str());
        let written = now - Duration::from_secs(age * 3600);
        fs::File::options().write(true).open(data).unwrap().set_modified(written).unwrap();
        ids.push((age, id));
    }
    ids.sort_by(|one, other| other.cmp(one));
    let ids: Vec<_> = ids.into_iter().map(|(_, id)| id).collect();
    let listed = |limit| -> Vec<_> {
        let uploads = store.list_uploads(limit).unwrap();
        uploads.into_iter().map(|(id, _)| id).collect()
    };
    assert_eq!(listed(10), ids);
    assert_eq!(listed(2), ids[..2]);
    assert_eq!(listed(0), []);
    let (_, oldest) = store.list_uploads(1).unwrap().remove(0);
    assert_eq!((oldest.size, oldest.repository.as_str()), (4, "library/alpine"));
}

fn the_sweep_takes_what_no_session_owns(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    let kept = begin(&store, b"kept").id().clone();
    let uploads = place.path().join("uploads");
    let stray = "1".repeat(32);
    fs::write(uploads.join(&stray), "bytes without a sidecar").unwrap();
    fs::write(uploads.join(format!("{}.session", "2".repeat(32))), "{}").unwrap();
    fs::write(uploads.join(format!("{}.tmp", "3".repeat(32))), "half").unwrap();
    fs::write(uploads.join("notes.txt"), "not ours").unwrap();
    fs::write(uploads.join("my.session"), "not ours").unwrap();
    assert_eq!(store.sweep().unwrap(), 3);
    let mut left = vec![kept.to_string(), format!("{kept}.session"), "my.session".into(), "notes.txt".into()];
    left.sort();
    assert_eq!(place.uploads(), left);
}

fn a_blob_does_not_change_with_its_old_session(disk: &Disk) {
    let place = Place::new();
    let store = place.open(disk);
    let committed = push(&store, b"final");
    assert_eq!(place.uploads(), [""; 0], "no second name leads to the blob");
    assert_eq!(store.stat(&committed.digest).unwrap(), Some(committed.stat));
}

#[test]
fn an_id_is_no_path() {
    let good = "0123456789abcdef0123456789abcdef";
    assert_eq!(UploadId::parse(good).unwrap().as_str(), good);
    assert_eq!(good.parse::<UploadId>().unwrap().to_string(), good);
    for bad in [
        "",
        ".",
        "..",
        "/etc/passwd",
        "../0123456789abcdef0123456789abc",
        "0123456789abcdef/0123456789abcde",
        "0123456789abcdef0123456789abcde",
        "0123456789abcdef0123456789abcdef0",
        "0123456789ABCDEF0123456789ABCDEF",
        "0123456789abcdef0123456789abcde\0",
        "0123456789abcdef0123456789abcde\n",
        "0123456789abcdef0123456789abcd%2",
        "0123456789abcdef0123456789.session",
    ] {
        UploadId::parse(bad).expect_err(bad);
    }
}

#[test]
fn going_on_does_not_read_what_was_hashed_already() {
    let place = Place::new();
    let disk = Disk::forgetful();
    let store = place.open(&disk);
    let mut calls = Vec::new();
    for length in [1000, 1_000_000] {
        let bytes = content(1, length);
        let id = store.create_upload("a", 1).unwrap();
        reopen(&store, &id).append(&bytes).unwrap();
        let before = disk.calls();
        let digest = Digest::sha256(&bytes);
        store.commit_upload(reopen(&store, &id), &digest).unwrap();
        calls.push(disk.calls() - before);
        fs::remove_dir_all(place.blob(&digest).parent().unwrap()).unwrap();
    }
    assert_eq!(calls[0], calls[1], "a megabyte takes no more calls than a kilobyte");
}
