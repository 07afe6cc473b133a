//! The named fault points, armed from outside as the tests of the whole registry arm them: in a process of its own.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use mcr_oci::Digest;

use super::support::{Place, assert_all_whole, begin, content, options, read};
use crate::{CommitError, Disk, PutError, Store};

/// Tells the child where to work.
const PLACE: &str = "MCR_BLOBS_TEST_PLACE";

const LENGTH: usize = 5000;

/// The points, and which step of the child reports their failure first.
const POINTS: [(&str, &str); 10] = [
    ("upload.created", "create"),
    ("blob.write", "append"),
    ("blob.sync", "commit"),
    ("blob.synced", "commit"),
    ("blob.renamed", "commit"),
    ("blob.dir_synced", "commit"),
    ("blob.stat", "stat"),
    ("blob.open", "open"),
    ("blob.read", "read"),
    ("quarantine.renamed", "quarantine"),
];

/// The other half of the tests below: pushes, looks, reads, quarantines, and says what failed first.
#[test]
#[ignore = "run as a child process by the other tests of this file"]
fn child() {
    let Some(place) = std::env::var_os(PLACE) else {
        return;
    };
    let store = Store::open(options(&PathBuf::from(place)), Disk::real()).unwrap();
    match steps(&store) {
        Ok(()) => println!("outcome: all done"),
        Err((step, error)) => println!(
            "outcome: {step} full={} read-only={} io={}",
            error.is_disk_full(),
            error.is_read_only(),
            error.is_io()
        ),
    }
}

fn steps(store: &Store) -> Result<(), (&'static str, crate::Error)> {
    let bytes = content(1, LENGTH);
    let digest = Digest::sha256(&bytes);
    let at = |step| move |error| (step, error);
    let id = store.create_upload("a", 1).map_err(at("create"))?;
    let mut upload = store.open_upload(&id).map_err(at("open upload"))?.unwrap();
    upload.append(&bytes).map_err(at("append"))?;
    match store.commit_upload(upload, &digest) {
        Err(CommitError::Io(error)) => return Err(("commit", error)),
        other => drop(other.unwrap()),
    }
    assert!(store.stat(&digest).map_err(at("stat"))?.is_some());
    let blob = store.open_blob(&digest).map_err(at("open"))?.unwrap();
    blob.read_at(&mut [0; 10], 0).map_err(at("read"))?;
    store.hash(&digest).map_err(at("hash"))?.unwrap();
    match store.put_bytes(&bytes, &digest) {
        Err(PutError::Io(error)) => return Err(("put", error)),
        other => drop(other.unwrap()),
    }
    assert!(store.quarantine(&digest, 1).map_err(at("quarantine"))?.is_some());
    Ok(())
}

fn run(place: &Place, faults: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["tests::fault_points::child", "--exact", "--ignored", "--nocapture"])
        .env(PLACE, place.path())
        .env("MCR_FAULTS", faults)
        .output()
        .unwrap()
}

fn outcome(place: &Place, faults: &str) -> String {
    let output = run(place, faults);
    let text = String::from_utf8(output.stdout).unwrap();
    let said = text.lines().find_map(|line| line.split_once("outcome: "));
    said.map_or_else(|| panic!("{text}"), |(_, outcome)| outcome.to_owned())
}

#[test]
fn without_faults_the_child_gets_through() {
    assert_eq!(outcome(&Place::new(), ""), "all done");
}

#[test]
fn every_point_reports_every_error() {
    for (point, step) in POINTS {
        for (action, expected) in [
            ("eio", "full=false read-only=false io=true"),
            ("enospc", "full=true read-only=false io=false"),
            ("erofs", "full=false read-only=true io=false"),
            ("eacces", "full=false read-only=false io=true"),
        ] {
            let place = Place::new();
            let faults = format!("{point}={action}@1");
            assert_eq!(outcome(&place, &faults), format!("{step} {expected}"), "{faults}");
            assert_all_whole(&place);
        }
    }
}

#[test]
fn put_bytes_passes_the_points_of_a_commit() {
    for point in ["blob.write", "blob.sync", "blob.synced", "blob.renamed", "blob.dir_synced"] {
        let place = Place::new();
        let said = outcome(&place, &format!("{point}=enospc@2"));
        assert_eq!(said, "put full=true read-only=false io=false", "{point}");
        assert_eq!(place.uploads(), [""; 0], "{point}");
        assert_eq!(assert_all_whole(&place), 1, "the blob that was there, or the whole new one");
    }
}

#[test]
fn a_kill_at_every_point_leaves_whole_blobs_and_usable_sessions() {
    let bytes = content(1, LENGTH);
    let digest = Digest::sha256(&bytes);
    for (point, step) in POINTS {
        let place = Place::new();
        let output = run(&place, &format!("{point}=kill"));
        assert_eq!(output.status.signal(), Some(9), "{point}");
        let blobs = assert_all_whole(&place);
        let committed = !matches!(step, "create" | "append") && !matches!(point, "blob.sync" | "blob.synced");
        let quarantined = step == "quarantine";
        assert_eq!(blobs, usize::from(committed && !quarantined), "{point}");

        let store = place.open(&Disk::real());
        store.sweep().unwrap();
        let sessions = store.list_uploads(10).unwrap();
        assert_eq!(sessions.len(), usize::from(!committed), "{point}");
        for (id, _) in sessions {
            let mut upload = store.open_upload(&id).unwrap().unwrap();
            let there = usize::try_from(upload.size()).unwrap();
            upload.append(&bytes[there..]).unwrap();
            store.commit_upload(upload, &digest).unwrap();
        }
        if !committed {
            assert_eq!(read(&store, &digest), bytes, "{point}");
        }
        drop(begin(&store, b"and on"));
    }
}
