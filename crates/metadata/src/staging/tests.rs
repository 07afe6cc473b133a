//! Tests of the copy that becomes the database.

use std::fs;

use super::*;
use crate::judge::BadBlob;
use crate::testing::{Bed, actor, repository, tag};
use crate::{Metadata, Options, SnapshotFolder, take_snapshot};

const NOW: i64 = 1_795_267_496_000;

fn restored() -> Restored {
    Restored { actor: actor(), at_ms: NOW, run_id: "run-1".to_owned(), details: json!({ "snapshot": "some" }) }
}

/// A registry of three tags, a snapshot of it, and what was pushed after that.
fn scene() -> (Bed, Snapshot) {
    let bed = Bed::new();
    bed.push_image("a/b", &["c", "l1"], &["v1"], 1);
    bed.push_image("a/b", &["c", "l2"], &["v2"], 1);
    bed.push_image("c/d", &["c", "l1"], &["v3"], 1);
    let taken = take_snapshot(&bed.path(), &SnapshotFolder::beside(&bed.path()), NOW).unwrap();
    bed.push_image("a/b", &["c", "later"], &["later"], 5);
    (bed, Snapshot::open(&taken.file.path).unwrap())
}

fn tags(metadata: &Metadata, name: &str) -> Vec<String> {
    metadata.tags(&repository(name), None, 100).unwrap().unwrap_or_default()
}

#[test]
fn the_registry_is_as_the_snapshot_says_and_the_old_one_is_kept() {
    let (bed, snapshot) = scene();
    let (path, directory) = (bed.path(), bed.directory);
    bed.metadata.close();
    let staging = Staging::of(&snapshot, &path).unwrap();
    staging.begin_judging().unwrap();
    staging.climb().unwrap();
    staging.settle(&restored()).unwrap();
    let kept = staging.switch(NOW).unwrap().unwrap();
    assert!(!beside_of(&path, "-wal").exists());
    let metadata = Metadata::open(&path, Options::default()).unwrap();
    assert_eq!(tags(&metadata, "a/b"), ["v1", "v2"]);
    assert_eq!(tags(&metadata, "c/d"), ["v3"]);
    let check = metadata.verify_audit(None).unwrap();
    assert_eq!(check.broken_at, None);
    metadata.close();
    let old = Metadata::open(&kept, Options::default()).unwrap();
    assert_eq!(tags(&old, "a/b"), ["later", "v1", "v2"]);
    drop(directory);
}

fn beside_of(path: &Path, end: &str) -> PathBuf {
    switch::beside(path, end)
}

#[test]
fn tags_above_what_is_bad_go_and_stay_in_history() {
    let (bed, snapshot) = scene();
    let (path, _directory) = (bed.path(), bed.directory);
    bed.metadata.close();
    let staging = Staging::of(&snapshot, &path).unwrap();
    staging.begin_judging().unwrap();
    let lost = Digest::sha256(b"l1");
    let blob = staging.kept_blobs(0, 10).unwrap().into_iter().find(|blob| blob.digest == lost).unwrap();
    staging.mark_bad(&BadBlob { id: blob.id, kind: FindingKind::BlobMissing, detail: "gone".to_owned() }).unwrap();
    staging.climb().unwrap();
    staging.settle(&restored()).unwrap();
    staging.switch(NOW).unwrap();
    let metadata = Metadata::open(&path, Options::default()).unwrap();
    assert_eq!(tags(&metadata, "a/b"), ["v2"]);
    assert_eq!(tags(&metadata, "c/d"), Vec::<String>::new());
    let open = metadata.integrity(10).unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].finding.digest.as_ref(), Some(&lost));
    let bed = Bed { metadata, directory: _directory };
    assert_eq!(bed.count("SELECT count(*) FROM tag_history WHERE current IS NULL AND run_id = 'run-1'"), 2);
    assert_eq!(bed.count("SELECT count(*) FROM manifests WHERE unreferenced_since IS NOT NULL"), 2);
    assert_eq!(bed.count("SELECT count(*) FROM blobs WHERE state = 'missing'"), 1);
    assert_eq!(bed.count("SELECT seq = (SELECT max(seq) FROM audit) FROM audit WHERE event = 'snapshot_restored'"), 1);
    bed.audited();
    // A push heals it.
    bed.push_image("a/b", &["c", "l1"], &["v1"], NOW + 1);
    assert!(bed.metadata.integrity(10).unwrap().is_empty());
    assert!(bed.tagged("a/b", "v1").is_some());
    let _ = tag("v1");
}

#[test]
fn a_copy_that_is_given_up_leaves_the_registry_as_it_was() {
    let (bed, snapshot) = scene();
    let (path, directory) = (bed.path(), bed.directory);
    bed.metadata.close();
    let before = fs::read(&path).unwrap();
    drop(Staging::of(&snapshot, &path).unwrap());
    assert_eq!(fs::read(&path).unwrap(), before);
    assert!(
        fs::read_dir(&directory).unwrap().all(|entry| !entry
            .unwrap()
            .file_name()
            .to_string_lossy()
            .contains("restoring"))
    );
}

#[test]
fn the_log_of_a_killed_process_is_not_lost_and_never_applied_to_another_file() {
    let (bed, snapshot) = scene();
    let path = bed.path();
    // As a kill leaves it: what was committed last stands in the log alone.
    let directory = tempfile::tempdir().unwrap();
    let killed = directory.path().join("mcr.db");
    fs::copy(&path, &killed).unwrap();
    fs::copy(beside_of(&path, "-wal"), beside_of(&killed, "-wal")).unwrap();
    let staging = Staging::of(&snapshot, &killed).unwrap();
    staging.begin_judging().unwrap();
    staging.settle(&restored()).unwrap();
    let kept = staging.switch(NOW).unwrap().unwrap();
    let metadata = Metadata::open(&killed, Options::default()).unwrap();
    assert_eq!(tags(&metadata, "a/b"), ["v1", "v2"]);
    assert_eq!(tags(&Metadata::open(&kept, Options::default()).unwrap(), "a/b"), ["later", "v1", "v2"]);
}

#[test]
fn a_damaged_database_is_kept_with_its_log() {
    let (bed, snapshot) = scene();
    let (path, _directory) = (bed.path(), bed.directory);
    bed.metadata.close();
    fs::write(&path, "no database any more").unwrap();
    fs::write(beside_of(&path, "-wal"), "its log").unwrap();
    let staging = Staging::of(&snapshot, &path).unwrap();
    staging.begin_judging().unwrap();
    staging.settle(&restored()).unwrap();
    let kept = staging.switch(NOW).unwrap().unwrap();
    assert_eq!(fs::read_to_string(&kept).unwrap(), "no database any more");
    assert_eq!(fs::read_to_string(beside_of(&kept, "-wal")).unwrap(), "its log");
    assert_eq!(tags(&Metadata::open(&path, Options::default()).unwrap(), "a/b"), ["v1", "v2"]);
}

#[test]
fn a_reader_of_the_old_database_is_waited_for() {
    let (bed, snapshot) = scene();
    let staging = Staging::of(&snapshot, &bed.path()).unwrap();
    staging.settle_nothing();
    let reader = bed.sql();
    reader.execute_batch("BEGIN; SELECT count(*) FROM tags;").unwrap();
    bed.push_image("a/b", &["c", "x"], &["x"], 9);
    let error = staging.switch(NOW).unwrap_err();
    assert!(matches!(error, Error::Busy(_)), "{error:?}");
    assert_eq!(tags(&bed.metadata, "a/b").len(), 4);
}

impl Staging {
    fn settle_nothing(&self) {
        self.begin_judging().unwrap();
        self.settle(&restored()).unwrap();
    }
}
