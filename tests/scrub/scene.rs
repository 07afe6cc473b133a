//! What the tests of the scrub share: a server that scrubs all the time, its database from outside; never a check.

use std::process::Command;

use mcr_oci::Digest;
use mcr_tests::clock::wait_until;
use mcr_tests::{Options, Server, process, tools};

/// A server whose passes follow each other within a second.
pub(crate) fn scrubbing() -> Options {
    Options::default().env("MCR_SCRUB_FULL_PASS", "1s").env("MCR_SCRUB_RATE", "1GiB/s")
}

/// Rows of the database, their columns separated by spaces; or a change of it, behind the server's back.
#[track_caller]
pub(crate) fn sql(server: &Server, text: &str) -> Vec<String> {
    let mut command: Command = tools::command("sqlite3");
    command.args(["-cmd", ".timeout 20000", "-separator", " "]).arg(server.data().join("mcr.db")).arg(text);
    let output = process::run(&mut command).ok();
    output.text().lines().map(str::to_owned).collect()
}

/// Changes the stored bytes of a manifest: one letter, so that it is still JSON.
#[track_caller]
pub(crate) fn rot_manifest(server: &Server, repository: &str, digest: &Digest) {
    let changed = sql(
        server,
        &format!(
            "UPDATE manifest_contents SET bytes = CAST(replace(CAST(bytes AS TEXT), 'schemaVersion', 'schemaVersiom') AS BLOB)
             WHERE manifest_id IN (SELECT m.id FROM manifests m JOIN repositories r ON r.id = m.repository_id
                                   WHERE m.digest = '{digest}' AND r.name = '{repository}');
             SELECT changes();"
        ),
    );
    assert_eq!(changed, ["1"], "{repository}@{digest}");
}

/// Digests and kinds of what is found and not put right, sorted.
pub(crate) fn open_findings(server: &Server) -> Vec<(String, String)> {
    let rows = sql(server, "SELECT digest, kind FROM findings WHERE closed_at IS NULL ORDER BY digest, kind");
    let pair = |row: &String| {
        let (digest, kind) = row.split_once(' ').unwrap();
        (digest.to_owned(), kind.to_owned())
    };
    rows.iter().map(pair).collect()
}

/// Passes that have ended.
pub(crate) fn passes(server: &Server) -> usize {
    sql(server, "SELECT id FROM scrub_passes WHERE ended_at IS NOT NULL").len()
}

/// Waits until a pass that begins from now on has ended.
#[track_caller]
pub(crate) fn wait_whole_pass(server: &Server) {
    let now = sql(server, "SELECT coalesce(max(id), 0) FROM scrub_passes")[0].clone();
    wait_until("a pass from begin to end", || {
        let ended = format!("SELECT id FROM scrub_passes WHERE ended_at IS NOT NULL AND id > {now}");
        !sql(server, &ended).is_empty()
    });
}
