//! The files and rows of a stopped registry, compared with each other; never a request.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use mcr_tests::{process, tools};

/// Names of all blob files.
pub(crate) fn files(layers: &Path) -> BTreeSet<String> {
    let shards = std::fs::read_dir(layers.join("sha256")).unwrap();
    shards
        .flat_map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap())
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// What the database answers, a line each.
pub(crate) fn rows(database: &Path, sql: &str) -> BTreeSet<String> {
    let mut command: Command = tools::command("sqlite3");
    let output = process::run(command.arg("-readonly").arg(database).arg(sql)).ok();
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// Insists that nothing is left that nothing needs, and nothing lacks what it needs.
pub(crate) fn assert_tidy(data: &Path) {
    let database = data.join("mcr.db");
    let booked = rows(&database, "SELECT substr(digest, 8) FROM blobs");
    let there = files(&data.join("layers"));
    assert_eq!(there.difference(&booked).collect::<Vec<_>>(), Vec::<&String>::new(), "files without a row");
    assert_eq!(booked.difference(&there).collect::<Vec<_>>(), Vec::<&String>::new(), "rows without a file");
    let unneeded = "SELECT digest FROM blobs b WHERE NOT EXISTS (SELECT 1 FROM edges e WHERE e.target_blob = b.id)";
    assert_eq!(rows(&database, unneeded), BTreeSet::new(), "blobs that no manifest names");
    let tombstones = "SELECT digest FROM manifests WHERE deleted_at IS NOT NULL";
    assert_eq!(rows(&database, tombstones), BTreeSet::new(), "tombstones past undo");
    assert_eq!(rows(&database, "PRAGMA foreign_key_check"), BTreeSet::new());
    assert_eq!(rows(&database, "PRAGMA integrity_check"), BTreeSet::from(["ok".to_owned()]));
}
