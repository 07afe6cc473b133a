//! Hashing every blob of a tree in constant memory, and going on where an earlier run was interrupted; never what a
//! wrong hash means.

mod progress;

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use mcr_oci::{Algorithm, Digest, Hasher};
use mcr_seams::fault;

use crate::io::{self, Answer, Directory, Entry, EntryKind, FileStat, Listing, Tree};
use crate::key::digest_of;
use crate::pool;
use crate::settings::{Settings, Watch};
use progress::Progress;

/// Bytes that are read at once.
const CHUNK: usize = 1 << 20;

/// A directory whose entries are named by the digest of the file at `<entry><suffix>`.
#[derive(Debug, Clone)]
pub(crate) struct Shelf {
    pub(crate) name: Vec<u8>,
    pub(crate) algorithm: Algorithm,
    pub(crate) suffix: &'static [u8],
}

/// One thread's room.
struct Room {
    listing: Listing,
    chunk: Vec<u8>,
}

/// What all threads share.
struct Run<'a> {
    tree: &'a Tree,
    at: &'a Directory,
    progress: &'a Progress,
    watch: &'a dyn Watch,
    corrupt: Mutex<HashMap<Digest, Digest>>,
}

/// A share of a shelf.
struct Task<'a> {
    shelf: &'a Shelf,
    part: usize,
    parts: usize,
}

/// Hashes every file on the shelves; gives the digests whose bytes are others, and what those hash to.
///
/// What cannot be read is left to whoever needs it.
pub(crate) fn hash(
    tree: &Tree,
    at: &Directory,
    shelves: &[Shelf],
    settings: &Settings,
    watch: &dyn Watch,
) -> HashMap<Digest, Digest> {
    let progress = Progress::open(settings.state.as_deref(), tree, watch);
    let run = Run { tree, at, progress: &progress, watch, corrupt: Mutex::new(HashMap::new()) };
    let parts = if shelves.len() < settings.jobs * 4 { settings.jobs.max(1) } else { 1 };
    let tasks: Vec<Task<'_>> =
        shelves.iter().flat_map(|shelf| (0..parts).map(move |part| Task { shelf, part, parts })).collect();
    run.count(settings.jobs, &tasks);
    let begin = || Room { listing: Listing::new(), chunk: vec![0; CHUNK] };
    pool::each(settings.jobs, &tasks, begin, |room, task| run.shelf(room, task));
    let corrupt = run.corrupt.into_inner().unwrap_or_default();
    progress.finish(watch);
    corrupt
}

impl Run<'_> {
    /// Tells the watcher how much there is to do.
    fn count(&self, jobs: usize, tasks: &[Task<'_>]) {
        let (files, bytes, done) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        pool::each(jobs, tasks, Listing::new, |listing, task| {
            self.each(listing, task, |name, digest| {
                if let Answer::There(stat) = self.tree.stat(self.at, name) {
                    files.fetch_add(1, Ordering::Relaxed);
                    bytes.fetch_add(stat.size, Ordering::Relaxed);
                    if self.progress.has(&digest, stat) {
                        done.fetch_add(stat.size, Ordering::Relaxed);
                    }
                }
            });
        });
        self.watch.hashing(files.into_inner(), bytes.into_inner(), done.into_inner());
    }

    fn shelf(&self, room: &mut Room, task: &Task<'_>) {
        let Room { listing, chunk } = room;
        self.each(listing, task, |name, digest| {
            let Answer::There((fd, stat)) = self.tree.regular(self.at, name) else { return };
            if self.progress.has(&digest, stat) {
                return;
            }
            match self.file(&fd, chunk, digest.algorithm()) {
                Some(computed) if computed == digest => self.progress.sound(&digest, stat),
                Some(computed) => self.differs(name, digest, computed, stat),
                None => self.watch.note(&format!("{digest} cannot be read to its end and was not hashed")),
            }
        });
    }

    /// Every blob of the task: its path below `at`, and its digest.
    fn each(&self, listing: &mut Listing, task: &Task<'_>, mut take: impl FnMut(&[u8], Digest)) {
        let mut path = Vec::with_capacity(256);
        let look = |_: &Directory, entry: Entry<'_>| {
            let share = crate::share(entry.name, task.parts);
            if share != task.part || entry.kind == EntryKind::Other {
                return;
            }
            let Some(digest) = digest_of(entry.name, task.shelf.algorithm) else { return };
            path.clear();
            path.extend_from_slice(&task.shelf.name);
            path.push(b'/');
            path.extend_from_slice(entry.name);
            path.extend_from_slice(task.shelf.suffix);
            take(&path, digest);
        };
        // What cannot be listed is told by the scan itself.
        let _ = listing.each(self.tree, self.at, &task.shelf.name, look);
    }

    fn file(&self, fd: &rustix::fd::OwnedFd, chunk: &mut [u8], algorithm: Algorithm) -> Option<Digest> {
        io::read_ahead(fd);
        let mut hasher = Hasher::new(algorithm);
        loop {
            let read = io::fill(fd, chunk).ok()?;
            hasher.update(chunk.get(..read).unwrap_or_default());
            self.watch.hashed(read as u64);
            if read < chunk.len() {
                // A fault point for tests: an interrupted run is one of its cases.
                fault::point("scan.hashed").ok()?;
                return Some(hasher.finish());
            }
        }
    }

    /// A file that was replaced or went while it was read is not what was hashed.
    fn differs(&self, name: &[u8], digest: Digest, computed: Digest, before: FileStat) {
        if !matches!(self.tree.stat(self.at, name), Answer::There(now) if now == before) {
            return;
        }
        if let Ok(mut corrupt) = self.corrupt.lock() {
            corrupt.insert(digest, computed);
        }
    }
}
