//! A registry of any size without pushing it: rows by SQL, blobs as files without content; never what is done with it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::Stdio;

use crate::error::Error;
use crate::{host, interrupt, process};

/// What stands for every blob's length: files have holes for it, and take no room.
const BLOB_BYTES: u64 = 1 << 20;
/// Blobs of each image: a config and four layers.
pub(crate) const BLOBS_OF_IMAGE: u64 = 5;
/// Repositories the images are spread over.
const REPOSITORIES: u64 = 100;

/// Fills the database at `database` and the blobs' directory `layers`, of a registry that nobody runs: `images` images
/// of five blobs of their own, of which every second has a tag; the others were deleted thirty days ago.
pub(crate) fn grow(sqlite: &Path, database: &Path, layers: &Path, images: u64) -> Result<(), Error> {
    run_sql(sqlite, database, &script(images))?;
    make_files(sqlite, database, layers)
}

/// The rows as a push and a delete leave them.
fn script(images: u64) -> String {
    let now = "(CAST(strftime('%s','now') AS INTEGER) * 1000)";
    let old = format!("({now} - 30 * 86400000)");
    format!(
        "PRAGMA foreign_keys = ON; PRAGMA synchronous = OFF; BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {REPOSITORIES})
INSERT INTO repositories (id, name, created_at) SELECT i, 'grown/app-' || i, {old} FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {blobs})
INSERT INTO blobs (id, digest, size, state, state_since, inode, mtime_ns, ctime_ns, hashed_at, created_at)
SELECT i, 'sha256:' || lower(hex(randomblob(32))), {BLOB_BYTES}, 'sound', {old}, 0, 0, 0, {now}, {old} FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {images})
INSERT INTO manifests (id, repository_id, digest, media_type, kind, size, state, hashed_at, pushed_at,
                       unreferenced_since, deleted_at)
SELECT i, 1 + i % {REPOSITORIES}, 'sha256:' || lower(hex(randomblob(32))),
       'application/vnd.oci.image.manifest.v1+json', 'image', 1000, 'sound', {now}, {old},
       iif(i % 2, NULL, {old}), iif(i % 2, NULL, {old}) FROM n;
INSERT INTO manifest_contents (manifest_id, bytes) SELECT id, zeroblob(1000) FROM manifests;
INSERT INTO repository_blobs (repository_id, blob_id, linked_at, unreferenced_since)
SELECT m.repository_id, b.id, {old}, m.unreferenced_since
FROM blobs b JOIN manifests m ON m.id = 1 + (b.id - 1) / {BLOBS_OF_IMAGE} ORDER BY 1, 2;
INSERT INTO edges (manifest_id, position, repository_id, kind, wants, digest, size, media_type, weak, target_blob)
SELECT m.id, (b.id - 1) % {BLOBS_OF_IMAGE}, m.repository_id, iif((b.id - 1) % {BLOBS_OF_IMAGE}, 'layer', 'config'),
       'blob', b.digest, b.size, 'application/octet-stream', 0, b.id
FROM blobs b JOIN manifests m ON m.id = 1 + (b.id - 1) / {BLOBS_OF_IMAGE};
INSERT INTO tags (repository_id, name, manifest_id, moved_at)
SELECT repository_id, 'v' || id, id, {old} FROM manifests WHERE deleted_at IS NULL;
COMMIT; PRAGMA wal_checkpoint(TRUNCATE);
",
        blobs = images * BLOBS_OF_IMAGE
    )
}

fn run_sql(sqlite: &Path, database: &Path, script: &str) -> Result<(), Error> {
    let spawned = |source| Error::Spawn { program: sqlite.display().to_string(), source };
    let mut child = process::command(sqlite)
        .args(["-bail", "-batch"])
        .arg(database)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .map_err(spawned)?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(script.as_bytes()).map_err(Error::file("write to sqlite3 about", database))?;
    }
    let status = child.wait().map_err(spawned)?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Wrong { what: format!("rows for {}", database.display()), problem: format!("sqlite3: {status}") })
}

/// A file with a hole for every row.
fn make_files(sqlite: &Path, database: &Path, layers: &Path) -> Result<(), Error> {
    let spawned = |source| Error::Spawn { program: sqlite.display().to_string(), source };
    for shard in 0..=u8::MAX {
        host::make_directory(&layers.join(format!("sha256/{shard:02x}")))?;
    }
    let mut child = process::command(sqlite)
        .args(["-batch", "-readonly"])
        .arg(database)
        .arg("SELECT substr(digest, 8) FROM blobs ORDER BY digest")
        .stdout(Stdio::piped())
        .spawn()
        .map_err(spawned)?;
    let output = child.stdout.take();
    for (number, line) in output.into_iter().flat_map(|output| BufReader::new(output).lines()).enumerate() {
        if number % 10_000 == 0 {
            interrupt::check()?;
        }
        let hex = line.map_err(Error::file("read from sqlite3 about", database))?;
        let path = layers.join("sha256").join(hex.get(..2).unwrap_or_default()).join(&hex);
        host::create(&path)?.set_len(BLOB_BYTES).map_err(Error::file("make a hole in", &path))?;
    }
    let status = child.wait().map_err(spawned)?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Wrong { what: format!("digests of {}", database.display()), problem: format!("sqlite3: {status}") })
}
