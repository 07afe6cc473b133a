//! Tests of small files, whole and durable.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_file_is_read_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    replace(&path, b"12345", 0o600).unwrap();
    assert_eq!(read_text(&path, 5).unwrap(), "12345");
    assert_eq!(read_text(&path, 4).unwrap_err().kind(), io::ErrorKind::InvalidData);
    replace(&path, b"ab\xff", 0o600).unwrap();
    assert_eq!(read_text(&path, 9).unwrap_err().to_string(), "byte 2 is not UTF-8");
    assert_eq!(read_bytes(dir.path(), 9).unwrap_err().kind(), io::ErrorKind::IsADirectory);
    assert_eq!(read_bytes(&dir.path().join("none"), 9).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn replacing_keeps_one_file_of_the_right_mode() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    replace(&path, b"one", 0o600).unwrap();
    let before = signature(&path).unwrap();
    replace(&path, b"two", 0o644).unwrap();
    assert_ne!(signature(&path).unwrap(), before);
    assert_eq!((read_text(&path, 9).unwrap().as_str(), mode(&path)), ("two", 0o644));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file stays");
}

#[test]
fn a_new_file_never_replaces_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    assert!(write_new(&path, b"one", 0o640).unwrap());
    assert!(!write_new(&path, b"two", 0o640).unwrap());
    assert_eq!((read_text(&path, 9).unwrap().as_str(), mode(&path)), ("one", 0o640));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file stays");
    assert!(write_new(&dir.path().join("none/file"), b"", 0o640).is_err());
}

#[test]
fn directories_are_private_and_those_there_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b/c");
    create_private_dir(&path).unwrap();
    assert_eq!((mode(&path), mode(&dir.path().join("a"))), (0o700, 0o700));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
    create_private_dir(&path).unwrap();
    assert_eq!(mode(&path), 0o750);
    replace(&path.join("file"), b"", 0o600).unwrap();
    assert_eq!(create_private_dir(&path.join("file")).unwrap_err().kind(), io::ErrorKind::NotADirectory);
}

#[test]
fn a_rename_tells_whether_two_directories_share_a_file_system() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    assert!(same_filesystem(&a, &b).unwrap(), "neither is there: the directory above decides");
    create_private_dir(&a).unwrap();
    create_private_dir(&b).unwrap();
    assert!(same_filesystem(&a, &b).unwrap());
    assert_eq!(fs::read_dir(&a).unwrap().count() + fs::read_dir(&b).unwrap().count(), 0);
    let shared_memory = Path::new("/dev/shm");
    if fs::metadata(shared_memory).is_ok_and(|found| found.dev() != fs::metadata(&a).unwrap().dev()) {
        assert!(!same_filesystem(&a, shared_memory).unwrap());
        assert_eq!(fs::read_dir(&a).unwrap().count(), 0);
        assert!(!same_filesystem(&dir.path().join("none"), shared_memory).unwrap());
    }
}

#[test]
fn local_file_systems_are_not_network_ones() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(network_filesystem(&dir.path().join("not/there/yet")).unwrap(), None);
    assert!(is_writable(dir.path()).unwrap());
}

#[test]
fn one_lock_at_a_time_and_its_content_survives_a_refusal() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    let mut held = lock(&path).unwrap().unwrap();
    held.write(b"longer text").unwrap();
    held.write(b"text").unwrap();
    assert!(lock(&path).unwrap().is_none());
    assert_eq!((read_text(&path, 99).unwrap().as_str(), mode(&path)), ("text", 0o600));
    drop(held);
    assert!(lock(&path).unwrap().is_some());
}
