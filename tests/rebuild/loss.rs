//! What the tests share: a registry as it is listed, losing its database, the command that makes it again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mcr_tests::process::{self, Output};
use mcr_tests::server::mcrsrv;
use mcr_tests::{Client, Server, long, pull};

/// Within this the journal tells what was acknowledged (contract section 16).
const PROMISED: Duration = Duration::from_secs(1);

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

/// Waits until the journal is one generation that told everything: from then on it tells in the order of what happens.
#[track_caller]
pub(crate) fn wait_whole(server: &Server) {
    let start = Instant::now();
    loop {
        let files = journal(server);
        let generation = |file: &PathBuf| file.file_name().map(|name| name.to_string_lossy()[..10].to_owned());
        let is_one = files.first().map(generation) == files.last().map(generation);
        if is_one && told(server).contains("\"op\":\"complete\"") {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "the journal never told everything: {files:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until the journal says that `tag` was pushed, which must be the last that was done.
#[track_caller]
pub(crate) fn wait_tagged(server: &Server, tag: &str) {
    wait_told(server, &format!("\"tag\":\"{tag}\""));
}

/// How slow this machine is at what the journal does, measured beside it: others may want the processor and the disk.
pub(crate) struct Slowness {
    worst_ms: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Slowness {
    /// Begins to measure, on the file system of the server.
    pub(crate) fn measure(server: &Server) -> Self {
        let (worst_ms, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (worst, stopped, path) = (Arc::clone(&worst_ms), Arc::clone(&stop), server.data().join("slowness"));
        let thread = std::thread::spawn(move || {
            let pause = Duration::from_millis(20);
            while !stopped.load(Ordering::Relaxed) {
                let start = Instant::now();
                std::thread::sleep(pause);
                std::fs::write(&path, "x").and_then(|()| std::fs::File::open(&path)?.sync_all()).unwrap();
                let over = start.elapsed().saturating_sub(pause);
                worst.fetch_max(u64::try_from(over.as_millis()).unwrap(), Ordering::Relaxed);
            }
        });
        Self { worst_ms, stop, thread: Some(thread) }
    }

    /// What the promise may take here: its second, and what some waits for processor and disk took beside it. The long
    /// version of the suite is for a machine of its own, and takes the promise at its word.
    pub(crate) fn promised(&self) -> Duration {
        let waits = if long() { 0 } else { 5 };
        PROMISED + Duration::from_millis(self.worst_ms.load(Ordering::Relaxed)) * waits
    }
}

impl Drop for Slowness {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
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
