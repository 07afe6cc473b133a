//! `--deep`: that every blob is hashed, and that an interrupted run goes on; never a finding's form.

use std::time::{Duration, SystemTime};

use mcr_tests::process;
use mcr_tests::{Blob, Random, push};

use crate::registries;
use crate::scan::{mcrctl, scan, scan_with};
use mcr_tests::distribution::Tree;

#[test]
fn blobs_that_nothing_names_are_hashed_too_and_told_as_information() {
    let registry = registries::start();
    let blob = Blob::random(&mut Random::new(51), 5_000);
    push::blob(&registry.client(), "lone", &blob);
    Tree::flip(&registry.tree().data(&blob.digest));
    let found = scan(["--deep".as_ref(), registry.root().as_os_str()]);
    assert_eq!(found.expect_sound().registry(None)["information"]["unreferenced_corrupt"], 1);
    let without = scan([registry.root()]);
    assert!(without.registry(None)["information"].get("unreferenced_corrupt").is_none());
}

#[test]
fn a_killed_run_goes_on_where_it_was_and_a_finished_one_leaves_nothing() {
    let registry = registries::start();
    let client = registry.client();
    let mut random = Random::new(52);
    let blobs: Vec<Blob> = (0..8).map(|_| Blob::random(&mut random, 17 << 20)).collect();
    for blob in &blobs {
        push::blob(&client, "large", blob);
    }
    let home = tempfile::tempdir().unwrap();
    let state = home.path().join("mcrctl");
    let words = ["--deep".as_ref(), "--jobs".as_ref(), "1".as_ref(), registry.root().as_os_str()];
    let killed = process::run(mcrctl(home.path()).env("MCR_FAULTS", "scan.hashed=kill@6").arg("scan").args(words));
    assert_eq!(killed.code, None, "{killed:?}");
    let files: Vec<_> = std::fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    let written = std::fs::read_to_string(&files[0]).unwrap();
    assert_eq!(written.lines().count(), 1 + 5, "{written}");

    // One that was hashed before rots and says so by its time, one that was not hashed rots too.
    let is_known = |blob: &&Blob| written.contains(blob.digest.as_str());
    let known = blobs.iter().find(is_known).unwrap();
    let fresh = blobs.iter().find(|blob| !is_known(blob)).unwrap();
    for blob in [known, fresh] {
        Tree::flip(&registry.tree().data(&blob.digest));
    }
    // The sixth end of a file is never reached: four known, and four that are hashed now.
    let resumed = scan_with(mcrctl(home.path()).env("MCR_FAULTS", "scan.hashed=kill@5"), words);
    assert!(resumed.stderr.contains("interrupted after 5 blobs"), "{resumed:#?}");
    assert_eq!(resumed.registry(None)["information"]["unreferenced_corrupt"], 2);
    assert_eq!(std::fs::read_dir(&state).unwrap().count(), 0);
    // And the next one begins anew.
    let again = process::run(mcrctl(home.path()).env("MCR_FAULTS", "scan.hashed=kill@8").arg("scan").args(words));
    assert_eq!(again.code, None, "{again:?}");
}

#[test]
fn a_state_that_is_another_trees_or_damaged_is_not_believed() {
    let registry = registries::start();
    let blob = Blob::random(&mut Random::new(53), 5_000);
    push::blob(&registry.client(), "lone", &blob);
    let home = tempfile::tempdir().unwrap();
    let words = ["--deep".as_ref(), registry.root().as_os_str()];
    let killed = process::run(mcrctl(home.path()).env("MCR_FAULTS", "scan.hashed=kill").arg("scan").args(words));
    assert_eq!(killed.code, None, "{killed:?}");
    let file = std::fs::read_dir(home.path().join("mcrctl")).unwrap().next().unwrap().unwrap().path();
    let stat = std::fs::metadata(registry.tree().data(&blob.digest)).unwrap();
    let mtime = stat.modified().unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_nanos();
    let inode = std::os::unix::fs::MetadataExt::ino(&stat);
    let line = format!("{} {} {mtime} {inode}\n", blob.digest, stat.len());
    let head = std::fs::read_to_string(&file).unwrap();
    // Believed only under its own head, and whole.
    let cases = [
        (format!("{head}{line}"), true),
        (format!("another head\n{line}"), false),
        (format!("{head}{}", line.trim_end()), false),
    ];
    for (content, is_believed) in cases {
        std::fs::write(&file, content).unwrap();
        let found = scan_with(&mut mcrctl(home.path()), words);
        assert_eq!(found.stderr.contains("interrupted after 1 blobs"), is_believed, "{found:#?}");
        found.expect_sound();
    }
    // A directory in its place costs the resuming, nothing else.
    std::fs::create_dir_all(&file).unwrap();
    let found = scan_with(&mut mcrctl(home.path()), words);
    assert!(found.stderr.contains("will begin anew"), "{found:#?}");
    found.expect_sound();
}
