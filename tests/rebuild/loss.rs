//! What the tests share: a registry as it is listed, losing its database, the command that makes it again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mcr_tests::process::{self, Output};
use mcr_tests::server::mcrsrv;
use mcr_tests::{Client, Server, pull};

/// Within this the journal tells what was acknowledged (contract section 16).
pub(crate) const PROMISED: Duration = Duration::from_secs(1);

/// Every tag with the bytes of its manifest.
pub(crate) type Listed = BTreeMap<(String, String), Vec<u8>>;

/// Everything that is listed; each tag is pulled whole.
#[track_caller]
pub(crate) fn listed(client: &Client) -> Listed {
    let mut listed = Listed::new();
    for repository in pull::catalog(client) {
        for tag in pull::tags(client, &repository) {
            pull::assert_whole(client, &repository, &tag);
            let got = client.get(&format!("/v2/{repository}/manifests/{tag}")).expect(200);
            listed.insert((repository.clone(), tag), got.body);
        }
    }
    listed
}

/// Removes the database and what belongs to it.
pub(crate) fn lose_database(server: &Server) {
    for name in ["mcr.db", "mcr.db-wal", "mcr.db-shm"] {
        let _ = std::fs::remove_file(server.data().join(name));
    }
}

/// `mcrsrv restore --from-blobs` with further arguments.
pub(crate) fn restore(server: &Server, arguments: &[&str]) -> Output {
    restore_with(server, arguments, "")
}

/// The same with `MCR_FAULTS`.
pub(crate) fn restore_with(server: &Server, arguments: &[&str], faults: &str) -> Output {
    let mut command = mcrsrv();
    command.args(["restore", "--dev", "--data"]).arg(server.data()).arg("--from-blobs").args(arguments);
    process::run(command.env("MCR_FAULTS", faults))
}

/// The files of the journal, in order.
pub(crate) fn journal(server: &Server) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(server.data().join("layers/journal")) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Everything the journal says.
pub(crate) fn told(server: &Server) -> String {
    journal(server).iter().map(|file| std::fs::read_to_string(file).unwrap_or_default()).collect()
}

/// Waits until the journal says `what`.
#[track_caller]
pub(crate) fn wait_told(server: &Server, what: &str) {
    let start = Instant::now();
    while !told(server).contains(what) {
        assert!(start.elapsed() < Duration::from_secs(20), "the journal never said {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
