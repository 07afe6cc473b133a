//! The layer links of one repository: which of them lead to bytes; never which manifest needs them.

use std::sync::Mutex;

use mcr_oci::{Algorithm, Digest, Finding, FindingKind};

use super::Shared;
use super::links::{self, Link, Table};
use super::source::{GOOD, Links, Repository};
use crate::io::{Answer, Directory, Entry, EntryKind, Listing};
use crate::key::{ALGORITHMS, Key, digest_of, table};
use crate::pool;

/// What listing the layer links of a repository gave.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    pub(crate) links: Links,
    /// How many links there are.
    pub(crate) count: u64,
    /// Files that no registry looks for.
    pub(crate) temporary: u64,
    /// `link-orphan`, and what could not be looked at.
    pub(crate) findings: Vec<Finding>,
}

/// What one thread found.
#[derive(Default)]
struct Part {
    known: Vec<(Key, u8)>,
    count: u64,
    temporary: u64,
    findings: Vec<Finding>,
}

/// Reads every layer link of the repository at `at`.
pub(crate) fn list(shared: &Shared<'_>, at: &Directory, jobs: usize) -> Layers {
    let (directories, unreachable) = Repository::link_directories(shared, at, "_layers");
    let mut layers =
        Layers { findings: unreachable.iter().map(|why| unlisted(at, why)).collect(), ..Layers::default() };
    let workers: Vec<usize> = (0..jobs.max(1)).collect();
    for algorithm in ALGORITHMS {
        if !matches!(directories.get(table(algorithm)), Some(Answer::There(_))) {
            continue;
        }
        let name = format!("_layers/{algorithm}");
        let whole = Mutex::new(Part::default());
        // Every thread lists the names, and reads its share of the links: names need no room that way.
        pool::each(jobs, &workers, Listing::new, |listing, worker| {
            let mut part = Part::default();
            let listed = listing.each(shared.tree, at, name.as_bytes(), |directory, entry| {
                if crate::share(entry.name, workers.len()) == *worker {
                    part.look(shared, directory, algorithm, entry);
                }
            });
            if *worker == 0 && !matches!(listed, Answer::There(_) | Answer::Absent) {
                part.findings.push(unlisted(at, &format!("{name}: {}", listed.reason())));
            }
            if let Ok(mut whole) = whole.lock() {
                whole.add(part);
            }
        });
        let whole = whole.into_inner().unwrap_or_default();
        layers.count += whole.count;
        layers.temporary += whole.temporary;
        layers.findings.extend(whole.findings);
        if let Some(place) = layers.links.tables.get_mut(table(algorithm)) {
            *place = Table::new(whole.known);
        }
    }
    layers.links.directories = directories;
    layers
}

/// A finding that something below `at` could not be listed.
pub(crate) fn unlisted(at: &Directory, why: &str) -> Finding {
    let detail = format!("{}/{why}", String::from_utf8_lossy(at.below_root()));
    Finding { detail: Some(detail), ..Finding::new(FindingKind::Unreachable) }
}

impl Part {
    fn add(&mut self, other: Self) {
        if self.known.is_empty() {
            self.known = other.known;
        } else {
            self.known.extend(other.known);
        }
        self.count += other.count;
        self.temporary += other.temporary;
        self.findings.extend(other.findings);
    }

    fn look(&mut self, shared: &Shared<'_>, directory: &Directory, algorithm: Algorithm, entry: Entry<'_>) {
        let is_file = matches!(entry.kind, EntryKind::File | EntryKind::Other);
        let Some(key) = Key::of_hex(entry.name, algorithm).filter(|_| !is_file) else {
            self.temporary += 1;
            return;
        };
        let mut name = [0_u8; 160];
        let length = entry.name.len() + LINK.len();
        let (Some(hex), Some(end)) = (name.get_mut(..entry.name.len()), Some(length)) else { return };
        hex.copy_from_slice(entry.name);
        let Some(rest) = name.get_mut(entry.name.len()..end) else { return };
        rest.copy_from_slice(LINK);
        let path = name.get(..length).unwrap_or_default();
        let mut buffer = [0_u8; 160];
        if let Answer::There(read) = shared.tree.read_few(directory, path, &mut buffer)
            && is_own(buffer.get(..read).unwrap_or_default(), algorithm, entry.name)
            && shared.store.size(table(algorithm), key).is_some()
        {
            self.count += 1;
            self.known.push((key, GOOD));
            return;
        }
        self.look_closely(shared, directory, path, key, digest_of(entry.name, algorithm));
    }

    /// A link that is not simply good.
    fn look_closely(
        &mut self,
        shared: &Shared<'_>,
        directory: &Directory,
        path: &[u8],
        key: Key,
        digest: Option<Digest>,
    ) {
        let Some(digest) = digest else { return };
        let link = shared.link(directory, path);
        let (target, also) = match &link {
            // Deleted, and its directory left over.
            Link::Absent => return,
            Link::To(target) => (target, String::new()),
            Link::Damaged(what) => (&digest, format!("; the link {what}")),
            Link::Unreachable(why) => {
                self.findings.push(about(FindingKind::Unreachable, &digest, format!("its layer link: {why}")));
                return;
            }
        };
        self.count += 1;
        let bytes = shared.store.look(shared.tree, target);
        if matches!(&bytes, Answer::There(_)) && *target == digest {
            // It came after the store was listed: whoever needs it looks again.
            self.known.push((key, 0));
            return;
        }
        self.known.push((key, 0));
        if matches!(bytes, Answer::Absent | Answer::Odd(_))
            && !matches!(links::read(shared.tree, directory, path), Link::Absent)
        {
            self.findings.push(about(
                FindingKind::LinkOrphan,
                &digest,
                format!("no bytes behind the layer link{also}"),
            ));
        }
    }
}

/// What follows the hex digits in the path of a link.
const LINK: &[u8] = b"/link";

/// Whether a link says the digest it lies at.
fn is_own(content: &[u8], algorithm: Algorithm, hex: &[u8]) -> bool {
    let name = algorithm.as_str().as_bytes();
    content.strip_prefix(name).and_then(|rest| rest.strip_prefix(b":")).is_some_and(|rest| rest == hex)
}

fn about(kind: FindingKind, digest: &Digest, detail: String) -> Finding {
    Finding { digest: Some(digest.clone()), detail: Some(detail), ..Finding::new(kind) }
}
