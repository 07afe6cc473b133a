//! The blob store of a distribution tree as a table in memory: which digests have bytes, and how many; never links.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use mcr_oci::{Algorithm, Digest};

use crate::io::{Answer, Directory, Entry, EntryKind, FileStat, Listing, Tree};
use crate::key::{ALGORITHMS, Key, table};
use crate::pool;

/// Sizes are kept in 48 bits; no file is longer.
const SIZE_MAX: u64 = (1 << 48) - 1;

/// How far from its expected place a digest is looked for before it is looked for everywhere.
const NEAR: usize = 48;

/// Shards of one algorithm: the first two hex digits.
const SHARDS: usize = 256;

/// One blob in 16 bytes: the second to eleventh byte of its digest (the first is its shard's), and its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Stored {
    rest: [u8; 10],
    size: [u8; 6],
}

impl Stored {
    fn new(key: Key, size: u64) -> Self {
        let [_, _, size @ ..] = size.min(SIZE_MAX).to_be_bytes();
        Self { rest: rest(key), size }
    }

    fn size(self) -> u64 {
        self.size.iter().fold(0, |size, byte| size << 8 | u64::from(*byte))
    }
}

fn rest(key: Key) -> [u8; 10] {
    let mut rest = [0; 10];
    for (to, from) in rest.iter_mut().zip(key.0.iter().skip(1)) {
        *to = *from;
    }
    rest
}

/// The blobs of one shard, sorted, and one bit each for whether a manifest names them.
#[derive(Debug, Default)]
struct Shard {
    blobs: Vec<Stored>,
    named: Vec<AtomicU64>,
}

/// What is in a blob store.
#[derive(Debug)]
pub(crate) struct Store {
    shards: [Vec<Shard>; 2],
    directories: [Answer<Directory>; 2],
    /// Files that no registry looks for.
    pub(crate) temporary: u64,
    /// Directories that could not be listed, and why.
    pub(crate) unreachable: Vec<String>,
}

/// One shard that is to be listed.
struct Task {
    algorithm: Algorithm,
    number: usize,
}

/// What listing found beside blobs.
#[derive(Default)]
struct Found {
    shards: [Vec<(usize, Shard)>; 2],
    temporary: u64,
    unreachable: Vec<String>,
}

impl Store {
    /// Lists the store below `v2`, on `jobs` threads.
    pub(crate) fn list(tree: &Tree, v2: &Directory, jobs: usize) -> Self {
        let mut listing = Listing::new();
        let mut tasks = Vec::new();
        let mut found = Found::default();
        let directories = ALGORITHMS.map(|algorithm| {
            let name = format!("blobs/{algorithm}");
            let listed = listing.each(tree, v2, name.as_bytes(), |_, entry| match shard_number(entry) {
                Some(number) => tasks.push(Task { algorithm, number }),
                None => found.temporary += 1,
            });
            if let Answer::Failed(_) | Answer::Outside | Answer::Odd(_) = &listed {
                found.unreachable.push(format!("{name}: {}", listed.reason()));
            }
            listed
        });
        tasks.sort_by_key(|task| task.number);
        let found = Mutex::new(found);
        pool::each(jobs, &tasks, Listing::new, |listing, task| {
            if let Some(Answer::There(directory)) = directories.get(table(task.algorithm)) {
                list_shard(tree, directory, task, listing, &found);
            }
        });
        let found = found.into_inner().unwrap_or_default();
        let shards = found.shards.map(|listed| {
            let mut shards: Vec<Shard> = (0..SHARDS).map(|_| Shard::default()).collect();
            for (number, shard) in listed {
                if let Some(place) = shards.get_mut(number) {
                    *place = shard;
                }
            }
            shards
        });
        Self { shards, directories, temporary: found.temporary, unreachable: found.unreachable }
    }

    /// The store below `v2` without a list of it: whoever asks for a blob looks on the disk.
    pub(crate) fn unlisted(tree: &Tree, v2: &Directory) -> Self {
        let directories = ALGORITHMS.map(|algorithm| tree.directory(v2, format!("blobs/{algorithm}").as_bytes()));
        Self { shards: Default::default(), directories, temporary: 0, unreachable: Vec::new() }
    }

    /// The size of a blob that was there when the store was listed.
    pub(crate) fn size(&self, table: usize, key: Key) -> Option<u64> {
        let shard = self.shard(table, key)?;
        shard.find(key).and_then(|at| shard.blobs.get(at)).map(|stored| stored.size())
    }

    /// The same, and notes that a manifest names it.
    pub(crate) fn size_of_named(&self, table: usize, key: Key) -> Option<u64> {
        let shard = self.shard(table, key)?;
        let at = shard.find(key)?;
        let (bit, word) = (1 << (at % 64), shard.named.get(at / 64)?);
        // Most are named once; a bit that is set needs no cache line of its own.
        if word.load(Ordering::Relaxed) & bit == 0 {
            word.fetch_or(bit, Ordering::Relaxed);
        }
        shard.blobs.get(at).map(|stored| stored.size())
    }

    /// Notes that a manifest names it.
    pub(crate) fn name(&self, digest: &Digest) {
        let (table, key) = Key::of(digest);
        let _ = self.size_of_named(table, key);
    }

    /// Whether a manifest was found to name it.
    pub(crate) fn is_named(&self, digest: &Digest) -> bool {
        let (table, key) = Key::of(digest);
        self.shard(table, key).is_some_and(|shard| shard.find(key).is_some_and(|at| shard.is_named(at)))
    }

    /// The directory of an algorithm.
    pub(crate) fn directory(&self, algorithm: Algorithm) -> Answer<&Directory> {
        self.directories.get(table(algorithm)).map_or(Answer::Absent, Answer::as_ref)
    }

    /// What the bytes of a digest are now, whatever was listed.
    pub(crate) fn look(&self, tree: &Tree, digest: &Digest) -> Answer<FileStat> {
        self.directory(digest.algorithm()).and_then(|directory| tree.stat(directory, data_name(digest).as_bytes()))
    }

    /// How many blobs there are, and their bytes.
    pub(crate) fn total(&self) -> (u64, u64) {
        self.sum(|_, _| true)
    }

    /// How many blobs no manifest names, and their bytes.
    pub(crate) fn unnamed(&self) -> (u64, u64) {
        self.sum(|shard, at| !shard.is_named(at))
    }

    fn sum(&self, takes: impl Fn(&Shard, usize) -> bool) -> (u64, u64) {
        let mut sum = (0_u64, 0_u64);
        for shard in self.shards.iter().flatten() {
            for (at, stored) in shard.blobs.iter().enumerate() {
                if takes(shard, at) {
                    sum = (sum.0 + 1, sum.1.saturating_add(stored.size()));
                }
            }
        }
        sum
    }

    fn shard(&self, table: usize, key: Key) -> Option<&Shard> {
        self.shards.get(table)?.get(key.shard())
    }
}

impl Shard {
    fn find(&self, key: Key) -> Option<usize> {
        let rest = rest(key);
        // Digests are spread evenly: the place is close to where their first bits say. Where somebody made them
        // uneven, the rest is searched.
        let first = u64::from(u16::from_be_bytes([rest[0], rest[1]]));
        let guess = usize::try_from((first * self.blobs.len() as u64) >> 16).unwrap_or(0);
        let start = guess.saturating_sub(NEAR);
        let near = self.blobs.get(start..guess.saturating_add(NEAR).min(self.blobs.len())).unwrap_or_default();
        let (from, within) = match (near.first(), near.last()) {
            (Some(low), Some(high)) if low.rest <= rest && rest <= high.rest => (start, near),
            _ => (0, self.blobs.as_slice()),
        };
        within.binary_search_by(|stored| stored.rest.cmp(&rest)).ok().map(|at| from + at)
    }

    fn is_named(&self, at: usize) -> bool {
        self.named.get(at / 64).is_some_and(|word| word.load(Ordering::Relaxed) >> (at % 64) & 1 == 1)
    }
}

/// Where the bytes of a digest lie below the directory of its algorithm.
pub(crate) fn data_name(digest: &Digest) -> String {
    let hex = digest.hex();
    format!("{}/{hex}/data", hex.get(..2).unwrap_or_default())
}

fn shard_number(entry: Entry<'_>) -> Option<usize> {
    let text = std::str::from_utf8(entry.name).ok()?;
    let hex = text.len() == 2 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let possible = !matches!(entry.kind, EntryKind::File | EntryKind::Other);
    if hex && possible { usize::from_str_radix(text, 16).ok() } else { None }
}

fn list_shard(tree: &Tree, algorithm: &Directory, task: &Task, listing: &mut Listing, found: &Mutex<Found>) {
    let name = format!("{:02x}", task.number);
    let mut blobs = Vec::new();
    let mut temporary = 0;
    let mut name_of_data = Vec::with_capacity(160);
    let listed = listing.each(tree, algorithm, name.as_bytes(), |directory, entry| {
        let key = Key::of_hex(entry.name, task.algorithm).filter(|key| key.shard() == task.number);
        let (Some(key), false) = (key, matches!(entry.kind, EntryKind::File | EntryKind::Other)) else {
            temporary += 1;
            return;
        };
        name_of_data.clear();
        name_of_data.extend_from_slice(entry.name);
        name_of_data.extend_from_slice(b"/data");
        let stat = match entry.kind {
            EntryKind::Directory => tree.stat_known(directory, &name_of_data),
            _ => tree.stat(directory, &name_of_data),
        };
        // What is not there, or cannot be looked at, is looked at again by whoever needs it.
        if let Answer::There(stat) = stat {
            blobs.push(Stored::new(key, stat.size));
        }
    });
    blobs.sort_unstable();
    blobs.shrink_to_fit();
    let named = (0..blobs.len().div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
    let Ok(mut found) = found.lock() else { return };
    found.temporary += temporary;
    if !matches!(listed, Answer::There(_) | Answer::Absent) {
        found.unreachable.push(format!("blobs/{}/{name}: {}", task.algorithm, listed.reason()));
    }
    if let Some(shards) = found.shards.get_mut(table(task.algorithm)) {
        shards.push((task.number, Shard { blobs, named }));
    }
}

#[cfg(test)]
mod tests;
