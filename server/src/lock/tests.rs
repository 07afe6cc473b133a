//! Tests of who owns a data directory.

use super::*;

#[test]
fn the_second_is_told_who_holds_it_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (database, layers) = (dir.path().join("d/mcr.db"), dir.path().join("l"));
    let held = DataLock::acquire("mcrsrv server", &database, &layers).unwrap();
    let file = dir.path().join("d").join(LOCK_FILE);
    let before = files::read_text(&file, 4096).unwrap();
    let refused = DataLock::acquire("mcrsrv import", &database, &layers).unwrap_err();
    let said = refused.to_string();
    let host = host_name();
    assert!(
        said.starts_with(&format!("{} is in use by mcrsrv server (pid ", dir.path().join("d").display())),
        "{said}"
    );
    assert!(said.contains(&format!("pid {} on {host}, since 20", std::process::id())), "{said}");
    assert!(!said.contains('\n'));
    assert_eq!(files::read_text(&file, 4096).unwrap(), before);
    drop(held);
    assert!(DataLock::acquire("mcrsrv server", &database, &layers).is_ok());
}

#[test]
fn sharing_only_the_blobs_is_refused_too() {
    let dir = tempfile::tempdir().unwrap();
    let layers = dir.path().join("one/layers");
    let _held = DataLock::acquire("mcrsrv server", &dir.path().join("one/mcr.db"), &layers).unwrap();
    let refused = DataLock::acquire("mcrsrv server", &dir.path().join("two/mcr.db"), &layers).unwrap_err();
    assert!(refused.to_string().starts_with(&layers.display().to_string()), "{refused}");
}

#[test]
fn what_a_crash_left_behind_does_not_matter() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(LOCK_FILE);
    for left in ["", "{", "{\"program\":\"mcrsrv server\",\"pid\":1,\"host\":\"x\",\"since\":\"2020-01-01T00:00:00Z\"}"]
    {
        files::replace(&file, left.as_bytes(), 0o600).unwrap();
        let held = DataLock::acquire("mcrsrv server", &dir.path().join("mcr.db"), dir.path()).unwrap();
        let holder: Holder = serde_json::from_str(&files::read_text(&file, 4096).unwrap()).unwrap();
        assert_eq!((holder.pid, holder.host), (std::process::id(), host_name()));
        drop(held);
    }
}

#[test]
fn a_holder_without_a_name_still_holds() {
    let dir = tempfile::tempdir().unwrap();
    let _held = files::lock(&dir.path().join(LOCK_FILE)).unwrap().unwrap();
    let refused = DataLock::acquire("mcrsrv server", &dir.path().join("mcr.db"), dir.path()).unwrap_err();
    assert!(refused.to_string().contains("another process that has not given its name"), "{refused}");
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    files::replace(&dir.path().join("file"), b"", 0o600).unwrap();
    let refused = DataLock::acquire("x", &dir.path().join("file/mcr.db"), dir.path()).unwrap_err();
    assert!(matches!(refused, LockError::Io { .. }));
    assert!(refused.to_string().contains("file/mcr.lock"), "{refused}");
}
