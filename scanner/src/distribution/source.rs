//! One repository of a distribution tree as the walk sees it: what the registry would serve; never a list of it.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mcr_oci::{Algorithm, Descriptor, Digest, FindingKind, MANIFEST_MAX};
use mcr_verifier::{Look, Problem, Source, StoredBlob, StoredManifest};

use super::Shared;
use super::links::{Link, Table};
use super::store::data_name;
use crate::io::{Answer, Content, Directory};
use crate::key::{ALGORITHMS, Key, table};

/// A layer link that names its own digest, whose bytes are there.
pub(crate) const GOOD: u8 = 1;
/// A manifest that a walk reached.
pub(crate) const REACHED: u8 = 2;

/// The links of one kind in one repository.
#[derive(Debug)]
pub(crate) struct Links {
    /// Their directories, one an algorithm.
    pub(crate) directories: [Answer<Directory>; 2],
    /// What is known of them.
    pub(crate) tables: [Table; 2],
}

impl Default for Links {
    fn default() -> Self {
        Self { directories: [Answer::Absent, Answer::Absent], tables: Default::default() }
    }
}

impl Links {
    fn directory(&self, algorithm: Algorithm) -> Answer<&Directory> {
        self.directories.get(table(algorithm)).map_or(Answer::Absent, Answer::as_ref)
    }
}

/// One repository.
#[derive(Debug)]
pub(crate) struct Repository<'a> {
    pub(crate) shared: &'a Shared<'a>,
    /// `_layers`.
    pub(crate) layers: Links,
    /// `_manifests/revisions`.
    pub(crate) revisions: Links,
    /// Links that are there and name nothing: damage also where absence is none.
    pub(crate) damaged: Mutex<HashSet<Digest>>,
    /// Whether walks mark the manifests they reach.
    pub(crate) marks: bool,
    /// How many they marked: manifests and indexes, each once.
    pub(crate) marked: AtomicU64,
}

impl Repository<'_> {
    /// What the link of `digest` says now.
    pub(crate) fn link(&self, links: &Links, digest: &Digest) -> Link {
        let directory = match links.directory(digest.algorithm()) {
            Answer::There(directory) => directory,
            Answer::Absent | Answer::Odd(_) => return Link::Absent,
            closed @ (Answer::Failed(_) | Answer::Outside) => return Link::Unreachable(closed.reason()),
        };
        let link = self.shared.link(directory, format!("{}/link", digest.hex()).as_bytes());
        if matches!(link, Link::Damaged(_)) {
            self.damaged.lock().unwrap_or_else(PoisonError::into_inner).insert(digest.clone());
        }
        link
    }

    /// Whether a link of `digest` is there and names nothing.
    pub(crate) fn is_damaged(&self, digest: &Digest) -> bool {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner).contains(digest)
    }

    /// A manifest whose link does not lead to it: what is it that lacks?
    fn without_link(&self, digest: &Digest, damaged: Option<&str>) -> Problem {
        let also = damaged.map_or_else(String::new, |what| format!("; its revision link {what}"));
        match self.shared.store.look(self.shared.tree, digest) {
            Answer::There(_) => {
                self.shared.store.name(digest);
                Problem::new(FindingKind::ManifestUnlinked, format!("bytes present{also}"))
            }
            Answer::Absent | Answer::Odd(_) => Problem::new(FindingKind::ManifestMissing, format!("bytes gone{also}")),
            answer @ (Answer::Failed(_) | Answer::Outside) => unreachable_bytes(&answer.reason()),
        }
    }

    /// What the registry would serve as this manifest.
    pub(crate) fn look_manifest(&self, digest: &Digest) -> Look<StoredManifest> {
        let (table, key) = Key::of(digest);
        if self.marks
            && let Some(known) = self.revisions.tables.get(table)
            && known.raise(key, REACHED)
        {
            self.marked.fetch_add(1, Ordering::Relaxed);
        }
        let target = match self.link(&self.revisions, digest) {
            Link::To(target) => target,
            Link::Absent => return Look::Broken(self.without_link(digest, None)),
            Link::Damaged(what) => return Look::Broken(self.without_link(digest, Some(&what))),
            Link::Unreachable(why) => return Look::Broken(unreachable_link(&why)),
        };
        self.shared.store.name(&target);
        let (tree, name) = (self.shared.tree, data_name(&target));
        let directory = self.shared.store.directory(target.algorithm());
        let read = directory.and_then(|directory| tree.read(directory, name.as_bytes(), MANIFEST_MAX));
        match read {
            Answer::There(Content::Bytes(bytes)) => {
                Look::Whole(StoredManifest { media_type: None, bytes: Arc::from(bytes) })
            }
            Answer::There(Content::TooLong(size)) => {
                let detail = format!("{size} bytes are stored; a manifest has at most {MANIFEST_MAX}");
                Look::Broken(Problem::new(FindingKind::ManifestInvalid, detail))
            }
            Answer::Absent => {
                let detail = "bytes gone; its revision link is there";
                Look::Broken(Problem::new(FindingKind::ManifestMissing, detail))
            }
            Answer::Odd(what) => {
                Look::Broken(Problem::new(FindingKind::ManifestMissing, format!("bytes gone: {what}")))
            }
            answer @ (Answer::Failed(_) | Answer::Outside) => Look::Broken(unreachable_bytes(&answer.reason())),
        }
    }

    /// What the registry would serve as this blob.
    pub(crate) fn look_blob(&self, digest: &Digest) -> Look<StoredBlob> {
        if let Some(computed) = self.shared.corrupt.get(digest) {
            self.shared.store.name(digest);
            let detail = format!("its bytes hash to {computed}");
            return Look::Broken(Problem::new(FindingKind::BlobCorrupt, detail));
        }
        let (table, key) = Key::of(digest);
        let state = self.layers.tables.get(table).and_then(|known| known.state(key));
        if state.is_some_and(|state| state & GOOD != 0)
            && let Some(size) = self.shared.store.size_of_named(table, key)
        {
            return Look::Whole(StoredBlob { size });
        }
        self.look_again(digest)
    }

    /// What is not known to be good is looked at on the disk, as it is now.
    fn look_again(&self, digest: &Digest) -> Look<StoredBlob> {
        let link = self.link(&self.layers, digest);
        let target = match &link {
            Link::To(target) => target,
            Link::Unreachable(why) => return Look::Broken(unreachable_link(why)),
            Link::Absent | Link::Damaged(_) => digest,
        };
        self.shared.store.name(target);
        let bytes = self.shared.store.look(self.shared.tree, target);
        let problem = match (&link, bytes) {
            (_, answer @ (Answer::Failed(_) | Answer::Outside)) => unreachable_bytes(&answer.reason()),
            (Link::To(_), Answer::There(_)) if target.algorithm() == digest.algorithm() && target != digest => {
                Problem::new(FindingKind::BlobCorrupt, format!("its link leads to {target}"))
            }
            (Link::To(_), Answer::There(stat)) => return Look::Whole(StoredBlob { size: stat.size }),
            (Link::Damaged(what), Answer::There(_)) => {
                Problem::new(FindingKind::BlobUnlinked, format!("bytes present; its layer link {what}"))
            }
            (_, Answer::There(_)) => Problem::new(FindingKind::BlobUnlinked, "bytes present"),
            (_, Answer::Odd(what)) => Problem::new(FindingKind::BlobMissing, format!("bytes gone: {what}")),
            (_, Answer::Absent) => Problem::new(FindingKind::BlobMissing, "bytes gone"),
        };
        Look::Broken(problem)
    }

    /// How many bytes a blob has, for telling a cut file from a changed one.
    pub(crate) fn stored_size(&self, digest: &Digest) -> Option<u64> {
        self.shared.store.look(self.shared.tree, digest).there().map(|stat| stat.size)
    }

    /// The directories of the links below `at/<name>`, one an algorithm; and why one cannot be opened.
    pub(crate) fn link_directories(
        shared: &Shared<'_>,
        at: &Directory,
        name: &str,
    ) -> ([Answer<Directory>; 2], Option<String>) {
        let directories =
            ALGORITHMS.map(|algorithm| shared.tree.directory(at, format!("{name}/{algorithm}").as_bytes()));
        let mut closed = directories.iter().filter(|opened| matches!(opened, Answer::Failed(_) | Answer::Outside));
        let why = closed.next().map(|closed| format!("{name}: {}", closed.reason()));
        (directories, why)
    }
}

impl Source for Repository<'_> {
    type Error = Infallible;

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Look<StoredManifest>, Infallible> {
        Ok(self.look_manifest(&descriptor.digest))
    }

    async fn blob(&self, descriptor: &Descriptor) -> Result<Look<StoredBlob>, Infallible> {
        Ok(self.look_blob(&descriptor.digest))
    }
}

fn unreachable_link(why: &str) -> Problem {
    Problem::new(FindingKind::Unreachable, format!("its link cannot be looked at: {why}"))
}

pub(crate) fn unreachable_bytes(why: &str) -> Problem {
    Problem::new(FindingKind::Unreachable, format!("its bytes cannot be looked at: {why}"))
}
