//! `kill -9` at every step of a snapshot, a copy and a restore: the registry is the old or the new one, and the same
//! command run again finishes.

use mcr_tests::{Image, Options, Random, Server, pull, push};

use crate::scene::{command, copy_of, elsewhere, filled, json, killed, listed, names, run, snapshot};

/// The steps of a restore, in their order.
const RESTORE: &[&str] = &[
    "restore.copied",
    "restore.synced",
    "restore.folded",
    "restore.kept",
    "restore.log_removed",
    "restore.renamed",
    "restore.switched",
];

#[test]
fn a_restore_killed_at_any_step_leaves_the_old_or_the_new_registry() {
    let random = &mut Random::new(30);
    let mut server = Server::start();
    let new = filled(&server, random);
    let _ = snapshot(server.data(), &[]);
    push::image(&server.client(), "team/app", "later", &Image::random(random, 1, 900));
    let old = listed(&server.client());
    // What was pushed last stands in the log alone.
    server.kill();
    let mut seen = Vec::new();
    for point in RESTORE {
        let (_home, data) = copy_of(server.data());
        assert!(killed("restore", &data, &["--latest"], &format!("{point}=kill")), "{point} is on the way");
        // Somebody starts the server before the restore is run again, or not.
        let (_other, started) = copy_of(&data);
        let registry = Server::with(Options::default().at(&started));
        let found = listed(&registry.client());
        assert!(found == old || found == new, "{point}: {found:?}");
        assert_eq!(pull::assert_all_whole(&registry.client()), found.len(), "{point}");
        seen.push(found == new);
        drop(registry);
        let _ = run("restore", &data, &["--latest"]).ok();
        assert!(names(&data, "mcr.db.restoring").is_empty(), "{point}");
        let registry = Server::with(Options::default().at(&data));
        assert_eq!(listed(&registry.client()), new, "{point}");
        assert_eq!(pull::assert_all_whole(&registry.client()), new.len(), "{point}");
        drop(registry);
        // The old one is kept, once, and whole.
        let kept = names(&data, "mcr.db.before-restore-");
        assert!(!kept.is_empty(), "{point}");
        let inodes: std::collections::BTreeSet<u64> = kept
            .iter()
            .map(|name| std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(data.join(name)).unwrap()))
            .collect();
        assert_eq!(inodes.len(), kept.len(), "{point}: no name twice: {kept:?}");
    }
    assert!(seen.contains(&true) && seen.contains(&false), "{seen:?}");
    assert!(seen.is_sorted(), "old first, then new: {seen:?}");
}

#[test]
fn a_restore_that_could_not_fold_the_log_loses_it_at_no_step() {
    let random = &mut Random::new(34);
    let mut server = Server::start();
    let new = filled(&server, random);
    let _ = snapshot(server.data(), &[]);
    push::image(&server.client(), "team/app", "later", &Image::random(random, 1, 900));
    let old = listed(&server.client());
    // What was pushed last stands in the log alone.
    server.kill();
    for point in ["restore.kept", "restore.log_removed", "restore.renamed"] {
        let (_home, data) = copy_of(server.data());
        assert!(killed("restore", &data, &["--latest"], &format!("restore.fold=eio,{point}=kill")), "{point}");
        let (_other, started) = copy_of(&data);
        let registry = Server::with(Options::default().at(&started));
        assert_eq!(
            listed(&registry.client()),
            if point == "restore.renamed" { new.clone() } else { old.clone() },
            "{point}"
        );
        drop(registry);
        let _ = run("restore", &data, &["--latest"]).ok();
        // The old one is kept, with its last commit.
        let kept = names(&data, "mcr.db.before-restore-");
        let kept = kept.iter().find(|name| !name.ends_with("-wal")).unwrap();
        let _ = run("restore", &data, &[data.join(kept).to_str().unwrap()]).ok();
        let registry = Server::with(Options::default().at(&data));
        assert_eq!(listed(&registry.client()), old, "{point}");
        assert_eq!(pull::assert_all_whole(&registry.client()), old.len(), "{point}");
    }
    // A disk that fails once is asked again.
    let mut restore = command("restore", server.data(), &["--latest"]);
    let _ = mcr_tests::process::run(restore.env("MCR_FAULTS", "restore.fold=eio@1")).ok();
    assert!(names(server.data(), "mcr.db.before-restore-").iter().all(|name| !name.ends_with("-wal")));
}

#[test]
fn a_restore_says_whether_the_new_one_is_in_its_place_when_it_fails() {
    let mut server = Server::start();
    let _ = filled(&server, &mut Random::new(35));
    let _ = snapshot(server.data(), &[]);
    server.kill();
    for (point, said) in [
        ("restore.copied", "nothing was changed: "),
        ("restore.kept", "the database is as it was: "),
        ("restore.renamed", "the restored database is in its place, but that may not survive a power loss: "),
    ] {
        let (_home, data) = copy_of(server.data());
        let mut restore = command("restore", &data, &["--latest"]);
        let output = mcr_tests::process::run(restore.env("MCR_FAULTS", format!("{point}=eio"))).failed();
        assert!(output.stderr.contains(said), "{point}: {}", output.stderr);
        let _ = run("restore", &data, &["--latest"]).ok();
    }
}

#[test]
fn the_database_before_a_restore_can_be_brought_back_as_it_was() {
    let random = &mut Random::new(31);
    let mut server = Server::start();
    let _ = filled(&server, random);
    let _ = snapshot(server.data(), &[]);
    push::image(&server.client(), "team/app", "later", &Image::random(random, 1, 900));
    let old = listed(&server.client());
    server.kill();
    let report = json(&run("restore", server.data(), &["--latest", "--json"]).ok());
    // It was the wrong snapshot: the old database is a file that `restore` takes as well.
    let kept = report["kept"].as_str().unwrap().to_owned();
    let _ = run("restore", server.data(), &[&kept]).ok();
    server.restart();
    assert_eq!(listed(&server.client()), old);
    assert_eq!(pull::assert_all_whole(&server.client()), old.len());
}

#[test]
fn a_snapshot_killed_at_any_step_leaves_none_or_a_whole_one_and_can_be_taken_again() {
    let server = Server::start();
    let wanted = filled(&server, &mut Random::new(32));
    for point in ["snapshot.begun", "snapshot.synced", "snapshot.renamed"] {
        assert!(killed("snapshot", server.data(), &[], &format!("{point}=kill")), "{point} is on the way");
        for name in names(&server.data().join("backups"), "mcr-").iter().filter(|name| name.ends_with(".db")) {
            let _ = run("snapshot", server.data(), &["--check", name]).ok();
        }
        let taken = snapshot(server.data(), &[]);
        let _ = run("snapshot", server.data(), &["--check", taken["name"].as_str().unwrap()]).ok();
        assert!(names(&server.data().join("backups"), "mcr-").iter().all(|name| name.ends_with(".db")), "{point}");
    }
    assert_eq!(pull::assert_all_whole(&server.client()), wanted.len());
}

#[test]
fn a_copy_killed_at_any_step_goes_on_where_it_was() {
    let server = Server::start();
    let _ = filled(&server, &mut Random::new(33));
    let home = elsewhere();
    let to = ["--blobs", home.path().to_str().unwrap()];
    for fault in ["copy.staged=kill@2", "blob.synced=kill@2", "blob.renamed=kill@1", "copy.committed=kill@1"] {
        assert!(killed("snapshot", server.data(), &to, fault), "{fault} is on the way");
        // A snapshot stands there only when its blobs do.
        assert!(names(home.path(), "mcr-2").is_empty(), "{fault}");
    }
    let report = snapshot(server.data(), &to);
    assert!(report["copy"]["present"].as_u64().unwrap() >= 2, "what was there was not copied again: {report:#}");
    let _ = run("snapshot", server.data(), &["--check", home.path().to_str().unwrap()]).ok();
    assert!(names(&home.path().join("incoming"), "").is_empty());
}
