//! Tests of the copy that becomes the database.

use std::fs;

use super::*;
use crate::judge::BadBlob;
use crate::snapshot_read::Snapshot;
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

/// A copy, proven and migrated.
fn staged(from: &Path, database: &Path) -> Staging {
    let mut staging = Staging::of(from, database).unwrap();
    assert_eq!(staging.check().unwrap(), migrate::SCHEMA);
    staging.migrate().unwrap();
    staging
}

fn tags(metadata: &Metadata, name: &str) -> Vec<String> {
    metadata.tags(&repository(name), None, 100).unwrap().unwrap_or_default()
}

#[test]
fn the_registry_is_as_the_snapshot_says_and_the_old_one_is_kept() {
    let (bed, snapshot) = scene();
    let (path, directory) = (bed.path(), bed.directory);
    bed.metadata.close();
    let staging = staged(snapshot.path(), &path);
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
    let staging = staged(snapshot.path(), &path);
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
    drop(staged(snapshot.path(), &path));
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
    let staging = staged(snapshot.path(), &killed);
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
    let staging = staged(snapshot.path(), &path);
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
    let staging = staged(snapshot.path(), &bed.path());
    staging.settle_nothing();
    let reader = bed.sql();
    reader.execute_batch("BEGIN; SELECT count(*) FROM tags;").unwrap();
    bed.push_image("a/b", &["c", "x"], &["x"], 9);
    let error = staging.switch(NOW).unwrap_err();
    assert!(matches!(error.error, Error::Busy(_)) && !error.in_place, "{error:?}");
    assert_eq!(tags(&bed.metadata, "a/b").len(), 4);
}

#[test]
fn what_was_under_way_when_the_snapshot_was_taken_does_not_go_on() {
    let bed = Bed::new();
    bed.push_image("a/b", &["c", "l1"], &["v1"], 1);
    let sql = bed.sql();
    for (id, job, state) in [
        ("1", "gc", "running"),
        ("2", "retention", "running"),
        ("3", "gc", "planning"),
        ("4", "retention", "waiting"),
        ("5", "gc", "done"),
    ] {
        let insert =
            "INSERT INTO plans (id, job, state, dry_run, actor, created_at, expires_at, settings, totals, progress)
                      VALUES (?1, ?2, ?3, 0, 'root', 1, 2, '{}', '{}', '{}')";
        sql.execute(insert, [id, job, state]).unwrap();
    }
    sql.execute("INSERT INTO meta (key, value) VALUES ('reconcile_wanted', '1')", []).unwrap();
    drop(sql);
    let taken = take_snapshot(&bed.path(), &SnapshotFolder::beside(&bed.path()), NOW).unwrap();
    let Bed { metadata, directory } = bed;
    metadata.close();
    let path = directory.path().join("mcr.db");
    let staging = staged(&taken.file.path, &path);
    staging.settle_nothing();
    staging.switch(NOW).unwrap();
    let bed = Bed { metadata: Metadata::open(&path, Options::default()).unwrap(), directory };
    let sql = bed.sql();
    let mut query =
        sql.prepare("SELECT id, state, coalesce(reason, ''), coalesce(ended_at, 0) FROM plans ORDER BY id").unwrap();
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).unwrap();
    let found: Vec<(String, String, String, i64)> = rows.map(Result::unwrap).collect();
    let said = |id: &str, state: &str| (id.to_owned(), state.to_owned(), RESTORED.to_owned(), NOW);
    let wanted = [said("1", "failed"), said("2", "failed"), said("3", "discarded"), said("4", "discarded")];
    assert_eq!(found[..4], wanted);
    assert_eq!(found[4], ("5".to_owned(), "done".to_owned(), String::new(), 0));
    assert!(!bed.metadata.reconcile_wanted().unwrap(), "files pushed after the snapshot are left alone");
    for (event, times) in [("gc_failed", 1), ("retention_failed", 1), ("plan_discarded", 2)] {
        assert_eq!(bed.count(&format!("SELECT count(*) FROM audit WHERE event = '{event}'")), times, "{event}");
    }
    assert_eq!(bed.count("SELECT seq = (SELECT max(seq) FROM audit) FROM audit WHERE event = 'snapshot_restored'"), 1);
    bed.audited();
}

#[test]
fn the_log_beside_what_is_restored_is_not_forgotten() {
    let (bed, _) = scene();
    let path = bed.path();
    // As a snapshot of the file system caught it: what was committed last stands in the log alone.
    let directory = tempfile::tempdir().unwrap();
    let caught = directory.path().join("caught.db");
    fs::copy(&path, &caught).unwrap();
    fs::copy(beside_of(&path, "-wal"), beside_of(&caught, "-wal")).unwrap();
    let before = (fs::read(&caught).unwrap(), fs::read(beside_of(&caught, "-wal")).unwrap());
    let refused = Snapshot::open(&caught).unwrap_err();
    assert!(matches!(&refused, Error::NotOurs { reason, .. } if reason.contains("caught.db-wal")), "{refused}");
    let target = directory.path().join("mcr.db");
    let staging = staged(&caught, &target);
    staging.settle_nothing();
    staging.switch(NOW).unwrap();
    assert_eq!(tags(&Metadata::open(&target, Options::default()).unwrap(), "a/b"), ["later", "v1", "v2"]);
    assert_eq!((fs::read(&caught).unwrap(), fs::read(beside_of(&caught, "-wal")).unwrap()), before, "it was only read");
}

/// As a restore leaves it that could not fold the log and was killed after it had removed it: the old database is in
/// force without its log, which is kept beside its second name alone.
fn cut_off(bed: &Bed) -> (tempfile::TempDir, PathBuf, PathBuf) {
    let path = bed.path();
    let directory = tempfile::tempdir().unwrap();
    let (cut, kept) = (directory.path().join("mcr.db"), directory.path().join("mcr.db.before-restore-20261121-132456"));
    fs::copy(&path, &cut).unwrap();
    fs::copy(beside_of(&path, "-wal"), beside_of(&kept, "-wal")).unwrap();
    fs::hard_link(&cut, &kept).unwrap();
    (directory, cut, kept)
}

#[test]
fn a_start_gives_a_database_its_log_back_that_a_killed_restore_put_aside() {
    let (bed, _) = scene();
    let (_directory, path, kept) = cut_off(&bed);
    let refused = take_snapshot(&path, &SnapshotFolder::beside(&path), NOW).unwrap_err();
    assert!(matches!(&refused, Error::Busy(why) if why.contains("a restore was cut off")), "{refused}");
    let metadata = Metadata::open(&path, Options::default()).unwrap();
    assert_eq!(tags(&metadata, "a/b"), ["later", "v1", "v2"]);
    assert!(!kept.exists() && !beside_of(&kept, "-wal").exists());
}

#[test]
fn the_next_restore_keeps_the_log_that_a_killed_one_put_aside() {
    let (bed, snapshot) = scene();
    let (_directory, path, _) = cut_off(&bed);
    let staging = staged(snapshot.path(), &path);
    staging.settle_nothing();
    let kept = staging.switch(NOW).unwrap().unwrap();
    assert_eq!(tags(&Metadata::open(&path, Options::default()).unwrap(), "a/b"), ["v1", "v2"]);
    assert_eq!(tags(&Metadata::open(&kept, Options::default()).unwrap(), "a/b"), ["later", "v1", "v2"]);
}

#[test]
fn a_log_that_is_out_of_date_is_not_put_back() {
    let (bed, _) = scene();
    let (_directory, path, kept) = cut_off(&bed);
    // The server was started before the log went, and has written since.
    fs::write(beside_of(&kept, "-wal"), "a log of then").unwrap();
    fs::copy(beside_of(&bed.path(), "-wal"), beside_of(&path, "-wal")).unwrap();
    let metadata = Metadata::open(&path, Options::default()).unwrap();
    assert_eq!(tags(&metadata, "a/b"), ["later", "v1", "v2"]);
    assert!(!kept.exists() && !beside_of(&kept, "-wal").exists());
}

impl Staging {
    fn settle_nothing(&self) {
        self.begin_judging().unwrap();
        self.settle(&restored()).unwrap();
    }
}
