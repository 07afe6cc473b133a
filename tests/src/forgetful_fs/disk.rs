//! A disk in memory that knows what of it was synced: files, names, and what a power loss makes of both; never FUSE.
//!
//! As strict as POSIX: a file's sync says nothing of its name, a directory's sync makes the names in it durable. Names
//! change in order (as in the journals of ext4 and XFS): what survives of unsynced ones is a prefix. Of unsynced
//! bytes any pages may survive, in any combination, and a longer length without the bytes in it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::time::SystemTime;

use crate::Random;

/// Bytes that reach a disk together.
const PAGE: u64 = 4096;
/// The root directory.
pub const ROOT: u64 = 1;

/// A file or directory.
#[derive(Clone, Debug)]
pub struct Node {
    /// What is in it.
    pub content: Content,
    /// Permission bits.
    pub mode: u16,
    /// When its bytes changed.
    pub mtime: SystemTime,
    /// When anything about it changed.
    pub ctime: SystemTime,
}

/// What is in a node.
#[derive(Clone, Debug)]
pub enum Content {
    /// A file.
    File(File),
    /// A directory: names as everybody sees them.
    Directory(BTreeMap<OsString, u64>),
}

/// A file's bytes, now and as they were last synced.
#[derive(Clone, Debug, Default)]
pub struct File {
    /// As everybody sees them.
    pub bytes: Vec<u8>,
    durable: Vec<u8>,
    /// Pages that were written since.
    dirty: BTreeSet<u64>,
}

/// A change of a name that is not durable yet.
#[derive(Clone, Debug)]
struct Change {
    /// Names that come to lead to a node, or to nothing; all or none.
    names: Vec<(u64, OsString, Option<u64>)>,
}

/// The disk.
#[derive(Clone, Debug)]
pub struct Disk {
    nodes: BTreeMap<u64, Node>,
    next: u64,
    /// Directories by their durable names.
    durable: BTreeMap<u64, BTreeMap<OsString, u64>>,
    /// In their order.
    changes: Vec<Change>,
    /// Syncs so far.
    pub syncs: u64,
}

/// How much a power loss leaves of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nothing.
    Everything,
    /// Whatever the disk happened to have written.
    Some,
}

impl Default for Disk {
    fn default() -> Self {
        let mut disk =
            Self { nodes: BTreeMap::new(), next: ROOT, durable: BTreeMap::new(), changes: Vec::new(), syncs: 0 };
        let root = disk.make(Content::Directory(BTreeMap::new()), 0o755);
        assert_eq!(root, ROOT);
        disk
    }
}

impl Disk {
    /// A node of that number.
    #[must_use]
    pub fn node(&self, number: u64) -> Option<&Node> {
        self.nodes.get(&number)
    }

    /// The same, to change.
    pub fn node_mut(&mut self, number: u64) -> Option<&mut Node> {
        self.nodes.get_mut(&number)
    }

    /// A node that no name leads to yet.
    pub fn make(&mut self, content: Content, mode: u16) -> u64 {
        let (number, now) = (self.next, SystemTime::now());
        self.next += 1;
        self.nodes.insert(number, Node { content, mode, mtime: now, ctime: now });
        number
    }

    /// The names in a directory.
    #[must_use]
    pub fn names(&self, directory: u64) -> Option<&BTreeMap<OsString, u64>> {
        match &self.nodes.get(&directory)?.content {
            Content::Directory(names) => Some(names),
            Content::File(_) => None,
        }
    }

    /// Where a name leads.
    #[must_use]
    pub fn find(&self, directory: u64, name: &OsStr) -> Option<u64> {
        self.names(directory)?.get(name).copied()
    }

    /// Lets names lead elsewhere, all at once.
    pub fn change(&mut self, names: Vec<(u64, OsString, Option<u64>)>) {
        let now = SystemTime::now();
        for (directory, name, to) in &names {
            let Some(node) = self.nodes.get_mut(directory) else { continue };
            (node.mtime, node.ctime) = (now, now);
            if let Content::Directory(entries) = &mut node.content {
                apply(entries, name, *to);
            }
            if let Some(node) = to.and_then(|to| self.nodes.get_mut(&to)) {
                node.ctime = now;
            }
        }
        self.changes.push(Change { names });
    }

    /// Writes bytes.
    pub fn write(&mut self, number: u64, offset: u64, bytes: &[u8]) -> bool {
        let Some(Node { content: Content::File(file), mtime, ctime, .. }) = self.nodes.get_mut(&number) else {
            return false;
        };
        let start = usize::try_from(offset).expect("it fits in memory");
        let end = start + bytes.len();
        if file.bytes.len() < end {
            file.bytes.resize(end, 0);
        }
        file.bytes[start..end].copy_from_slice(bytes);
        file.dirty.extend(offset / PAGE..=(offset + bytes.len() as u64).saturating_sub(1) / PAGE);
        let now = SystemTime::now();
        (*mtime, *ctime) = (now, now);
        true
    }

    /// Sets a file's length.
    pub fn truncate(&mut self, number: u64, length: u64) -> bool {
        let Some(Node { content: Content::File(file), mtime, ctime, .. }) = self.nodes.get_mut(&number) else {
            return false;
        };
        let (old, new) = (file.bytes.len() as u64, length);
        file.bytes.resize(usize::try_from(length).expect("it fits in memory"), 0);
        file.dirty.extend(old.min(new) / PAGE..=old.max(new) / PAGE);
        let now = SystemTime::now();
        (*mtime, *ctime) = (now, now);
        true
    }

    /// Makes a file's bytes durable.
    pub fn sync(&mut self, number: u64) {
        self.syncs += 1;
        if let Some(Node { content: Content::File(file), .. }) = self.nodes.get_mut(&number) {
            let dirty = std::mem::take(&mut file.dirty);
            file.survive(&dirty, file.bytes.len());
        }
    }

    /// Makes the names in a directory durable, and whatever changed together with them or before.
    pub fn sync_names(&mut self, directory: u64) {
        self.syncs += 1;
        let touches = |change: &Change| change.names.iter().any(|(at, _, _)| *at == directory);
        let Some(last) = self.changes.iter().rposition(touches) else { return };
        // What stands before in the order may be of other directories: it is theirs to sync.
        let (synced, rest): (Vec<_>, Vec<_>) =
            self.changes.drain(..).enumerate().partition(|(at, change)| *at <= last && touches(change));
        self.changes = rest.into_iter().map(|(_, change)| change).collect();
        for (_, change) in synced {
            self.survive(&change);
        }
    }

    fn survive(&mut self, change: &Change) {
        for (directory, name, to) in &change.names {
            apply(self.durable.entry(*directory).or_default(), name, *to);
        }
    }

    /// What is there after a power loss.
    #[must_use]
    pub fn after(mut self, loss: Loss, random: &mut Random) -> Self {
        if loss == Loss::Some {
            let changes = std::mem::take(&mut self.changes);
            let kept = random.below(changes.len() + 1);
            for change in changes.into_iter().take(kept) {
                self.survive(&change);
            }
        }
        self.changes.clear();
        for (number, node) in &mut self.nodes {
            match &mut node.content {
                Content::Directory(names) => *names = self.durable.get(number).cloned().unwrap_or_default(),
                Content::File(file) => file.lose(loss, random),
            }
        }
        self.forget_unnamed();
        self
    }

    fn forget_unnamed(&mut self) {
        let (mut reached, mut waiting) = (BTreeSet::new(), vec![ROOT]);
        while let Some(number) = waiting.pop() {
            if reached.insert(number) {
                waiting.extend(self.names(number).into_iter().flat_map(BTreeMap::values));
            }
        }
        self.nodes.retain(|number, _| reached.contains(number));
        self.durable.retain(|number, _| reached.contains(number));
    }
}

impl File {
    /// Lets these pages, and this length, survive.
    fn survive(&mut self, pages: &BTreeSet<u64>, length: usize) {
        self.durable.resize(length, 0);
        for page in pages {
            let start = usize::try_from(page * PAGE).expect("it fits in memory");
            let end = (start + PAGE as usize).min(length).min(self.bytes.len());
            if start < end {
                self.durable[start..end].copy_from_slice(&self.bytes[start..end]);
            }
        }
    }

    fn lose(&mut self, loss: Loss, random: &mut Random) {
        let dirty = std::mem::take(&mut self.dirty);
        if loss == Loss::Some {
            let kept: BTreeSet<u64> = dirty.into_iter().filter(|_| random.once_in(2)).collect();
            let length = if random.once_in(2) { self.bytes.len() } else { self.durable.len() };
            self.survive(&kept, length);
        }
        self.bytes.clone_from(&self.durable);
    }
}

fn apply(names: &mut BTreeMap<OsString, u64>, name: &OsStr, to: Option<u64>) {
    match to {
        Some(to) => drop(names.insert(name.to_owned(), to)),
        None => drop(names.remove(name)),
    }
}
