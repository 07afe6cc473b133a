//! A server that is looked at before and after: what rude clients did must not have cost it anything. Never a request
//! that is rude itself.

use std::path::PathBuf;

use mcr_tests::clock::wait_until;
use mcr_tests::{Image, Options, Random, Response, Server, damage, memory, pull, push};

/// What a server may hold more after a test than before it: allocators and thread stacks keep a little.
const MEMORY_KIB: u64 = 48 * 1024;
/// Connections of this process that may still be kept, and files of the database opened on demand.
const FILES: usize = 24;

/// A running server with what it held before.
pub(crate) struct Watched {
    pub(crate) server: Server,
    memory: u64,
    files: usize,
    tree: Vec<PathBuf>,
}

impl Watched {
    /// A server that everybody may write to, over plain HTTP.
    pub(crate) fn start() -> Self {
        Self::with(Options::default())
    }

    /// The same, waiting only a second for heads, bodies, and the next request.
    pub(crate) fn impatient() -> Self {
        Self::with(short(Options::default()))
    }

    /// A server as `options` say, warmed up by one push and one pull.
    pub(crate) fn with(options: Options) -> Self {
        let server = Server::with(options);
        let mut watched = Self { server, memory: 0, files: 0, tree: Vec::new() };
        watched.use_it("before");
        watched.memory = memory::resident_kib(watched.server.pid());
        watched.files = memory::open_files(watched.server.pid());
        watched.tree = watched.blobs();
        watched
    }

    /// A decent push and pull.
    #[track_caller]
    fn use_it(&self, tag: &str) {
        let client = self.server.client().fresh();
        let image = Image::random(&mut Random::new(7), 2, 70_000);
        push::image(&client, "watched/decent", tag, &image);
        let _ = pull::assert_whole(&client, "watched/decent", tag);
    }

    /// The names of all files below `layers/`.
    pub(crate) fn blobs(&self) -> Vec<PathBuf> {
        damage::tree(&self.server.data().join("layers")).into_keys().collect()
    }

    /// That nothing was stored since the start, in blobs or sessions.
    #[track_caller]
    pub(crate) fn assert_nothing_stored(&self) {
        assert_eq!(self.blobs(), self.tree, "files below layers/");
        self.assert_uploads(0);
    }

    /// That there are so many sessions, of two files each, soon.
    #[track_caller]
    pub(crate) fn assert_uploads(&self, sessions: usize) {
        let names = || damage::uploads(self.server.data());
        wait_until(&format!("{sessions} upload sessions"), || names().len() == 2 * sessions);
    }

    /// That the server still works and holds no more than before: memory, open files, and no panic was logged.
    #[track_caller]
    pub(crate) fn assert_unharmed(&mut self) {
        assert!(self.server.alive(), "it ended");
        self.use_it("after");
        let pid = self.server.pid();
        let allowed = self.files + FILES;
        wait_until("sockets and files are closed", || memory::open_files(pid) <= allowed);
        let held = memory::resident_kib(pid);
        assert!(held <= self.memory + MEMORY_KIB, "{} KiB before, {held} KiB now", self.memory);
        let log = self.server.log();
        assert!(!log.contains("panicked"), "{log}");
    }
}

/// These options with the shortest timeouts there are.
pub(crate) fn short(options: Options) -> Options {
    options.env("MCR_SERVER_READ_TIMEOUT", "1s").env("MCR_SERVER_IDLE_TIMEOUT", "1s")
}

/// That this is an error every client can read: a status of 4xx, and JSON with code and message.
#[track_caller]
pub(crate) fn assert_refused(what: &str, answer: &Response) {
    assert!((400..500).contains(&answer.status), "{what}: {} {}", answer.status, answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"), "{what}: {answer:?}");
    assert!(!answer.codes().is_empty(), "{what}: no code: {}", answer.text());
    assert!(!answer.messages().is_empty(), "{what}: no message: {}", answer.text());
    assert!(answer.body.len() < 16 * 1024, "{what}: the answer itself is {} bytes", answer.body.len());
}
