//! The key file: made once, for its owner alone, refused where it proves nothing.

#![expect(clippy::disallowed_methods, reason = "a test looks at the file behind the code's back")]

use std::os::unix::fs::PermissionsExt as _;

use super::*;

const DAY: i64 = 24 * 3600 * 1000;
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token-keys.json");
    (directory, path)
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn keys_are_made_once_and_for_their_owner_alone() {
    let (directory, path) = place();
    let made = load_or_make(&path, 7).unwrap();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(load_or_make(&path, 8).unwrap().to_text(), made.to_text());
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing half-made stays");
}

#[test]
fn a_file_that_others_can_read_is_refused() {
    let (_directory, path) = place();
    load_or_make(&path, 7).unwrap();
    for open in [0o640, 0o604, 0o660, 0o644] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(open)).unwrap();
        let error = load_or_make(&path, 7).unwrap_err();
        assert!(matches!(error, KeyFileError::Open(_)) && error.to_string().contains("chmod 600"), "{error}");
    }
}

#[test]
fn garbage_and_absence_of_the_directory_are_told_and_nothing_is_replaced() {
    let (directory, path) = place();
    load_or_make(&path, 7).unwrap();
    std::fs::write(&path, "garbage").unwrap();
    let error = load_or_make(&path, 7).unwrap_err().to_string();
    assert!(error.contains("put it back from a backup") && !error.contains('\n'), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "garbage");
    let gone = directory.path().join("gone").join("keys");
    assert!(matches!(load_or_make(&gone, 7), Err(KeyFileError::File { done: "written", .. })));
}

#[test]
fn a_new_key_is_on_disk_before_it_signs() {
    let (_directory, path) = place();
    let ring = load_or_make(&path, 0).unwrap();
    assert!(rotate(&path, &ring, 30 * DAY, LONGEST).unwrap().is_none());
    let next = rotate(&path, &ring, 31 * DAY, LONGEST).unwrap().unwrap();
    assert_eq!(load_or_make(&path, 0).unwrap().to_text(), next.to_text());
    assert_eq!(mode(&path), 0o600);
    let lost = path.with_file_name("gone").join("keys");
    assert!(rotate(&lost, &next, 90 * DAY, LONGEST).is_err());
}
