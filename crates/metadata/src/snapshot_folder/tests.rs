//! Tests of the folder of snapshots.

use super::*;

const NOW: i64 = 1_795_267_496_000;

fn folder() -> (tempfile::TempDir, SnapshotFolder) {
    let directory = tempfile::tempdir().unwrap();
    let folder = SnapshotFolder::beside(&directory.path().join("mcr.db"));
    (directory, folder)
}

fn names(folder: &SnapshotFolder) -> Vec<String> {
    folder.list().unwrap().into_iter().map(|file| file.name).collect()
}

#[test]
fn a_folder_that_is_not_there_has_none() {
    let (_directory, folder) = folder();
    assert_eq!(folder.list().unwrap(), []);
    assert!(!folder.in_progress().unwrap());
    assert_eq!(folder.prune(1).unwrap(), Vec::<String>::new());
}

#[test]
fn a_folder_that_cannot_be_read_is_an_error() {
    let (directory, folder) = folder();
    fs::write(directory.path().join("backups"), "").unwrap();
    assert!(folder.list().is_err());
    assert!(folder.in_progress().is_err());
}

#[test]
fn a_snapshot_is_in_progress_until_it_has_its_name() {
    let (_directory, folder) = folder();
    let unfinished = folder.begin(NOW).unwrap();
    assert!(folder.in_progress().unwrap());
    assert_eq!(folder.list().unwrap(), []);
    let file = unfinished.finish().unwrap();
    assert!(!folder.in_progress().unwrap());
    assert_eq!(folder.list().unwrap(), std::slice::from_ref(&file));
    assert_eq!((file.name.as_str(), file.taken_at_ms), ("mcr-20261121-132456.db", NOW));
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!((mode(folder.path()), mode(&file.path)), (0o700, 0o600));
}

#[test]
fn one_that_is_given_up_leaves_nothing() {
    let (_directory, folder) = folder();
    drop(folder.begin(NOW).unwrap());
    assert!(!folder.in_progress().unwrap());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_a_dead_writer_left_is_not_in_progress_and_goes() {
    let (_directory, folder) = folder();
    fs::create_dir(folder.path()).unwrap();
    let left = folder.path().join("mcr-20200101-000000.db.partial");
    fs::write(&left, "half").unwrap();
    assert!(!folder.in_progress().unwrap());
    folder.begin(NOW).unwrap().finish().unwrap();
    assert!(!left.exists());
}

#[test]
fn a_writer_does_not_clear_away_another() {
    let (_directory, folder) = folder();
    let first = folder.begin(NOW).unwrap();
    let second = folder.begin(NOW).unwrap();
    assert!(first.path().exists());
    // Two in one second have different names, in the order they were begun.
    first.finish().unwrap();
    second.finish().unwrap();
    assert_eq!(names(&folder), ["mcr-20261121-132457.db", "mcr-20261121-132456.db"]);
}

#[test]
fn the_oldest_go_and_never_the_newest() {
    let (_directory, folder) = folder();
    for seconds in 0..5 {
        folder.begin(NOW + seconds * 1000).unwrap().finish().unwrap();
    }
    let other = folder.path().join("notes.txt");
    fs::write(&other, "mine").unwrap();
    assert_eq!(folder.prune(3).unwrap(), ["mcr-20261121-132457.db", "mcr-20261121-132456.db"]);
    assert_eq!(folder.prune(0).unwrap().len(), 2);
    assert_eq!(names(&folder), ["mcr-20261121-132500.db"]);
    assert!(other.exists());
}

#[test]
fn one_just_taken_is_never_the_oldest() {
    let (_directory, folder) = folder();
    // Several within a second, each keeping two: the name that became free is not given again.
    let mut last = String::new();
    for _ in 0..5 {
        folder.begin(NOW).unwrap().finish().unwrap();
        folder.prune(2).unwrap();
        let newest = names(&folder)[0].clone();
        assert!(newest > last, "{newest} after {last}");
        last = newest;
    }
    // Nor after the clock was set back.
    folder.begin(NOW - 3_600_000).unwrap().finish().unwrap();
    assert!(names(&folder)[0] > last);
}

#[test]
fn a_copy_that_fails_in_the_middle_leaves_nothing() {
    let (directory, folder) = folder();
    // It opens, and reading it fails.
    let unreadable = directory.path().join("mcr-20261121-132456.db");
    fs::create_dir(&unreadable).unwrap();
    assert!(folder.receive(&unreadable).is_err());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
