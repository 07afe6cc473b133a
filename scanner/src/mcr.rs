//! This registry's own layout: rows in a database that is only read, bytes in files; never a decision of the server.

mod source;
mod uploads;

use std::collections::{HashMap, HashSet};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};

use mcr_metadata::ReadOnly;
use mcr_oci::{Digest, Finding, FindingKind};

use crate::deep::{self, Shelf};
use crate::error::ScanError;
use crate::io::{Answer, EntryKind, Listing, Tree};
use crate::judge::{self, Place};
use crate::key::{ALGORITHMS, Key, digest_of};
use crate::kind::Judged;
use crate::layout::Found;
use crate::report::{Information, Scanned};
use crate::settings::{Settings, Watch};
use crate::{Part, pool, suggestion};
use source::Repository;

/// The file beside the blobs that says whose they are.
const MARKER: &[u8] = b"mcr-registry-id";

/// What the repositories of one registry share.
#[derive(Debug)]
struct Shared<'a> {
    layers: &'a Tree,
    corrupt: &'a HashMap<Digest, Digest>,
    judged: &'a Judged,
    /// What some manifest names.
    named: Mutex<HashSet<(usize, Key)>>,
    sum: Mutex<Sum>,
}

/// What all threads found together.
#[derive(Debug, Default)]
struct Sum {
    findings: Vec<(String, Finding)>,
    scanned: Scanned,
    information: Information,
    lacking: u64,
}

/// Looks at the registry.
///
/// # Errors
/// Where its database or its blobs cannot be opened, or do not belong together.
pub(crate) fn scan(found: &Found, judged: &Judged, settings: &Settings, watch: &dyn Watch) -> Result<Part, ScanError> {
    let database = found.path.join(std::ffi::OsStr::from_bytes(&found.inside));
    let unreachable = |path: &Path, why: String| ScanError::Unreachable { path: path.to_owned(), why };
    let reader = ReadOnly::open(&database).map_err(|error| unreachable(&database, error.to_string()))?;
    let layers = open_layers(found, settings, &reader)?;
    let repositories = reader.repositories().map_err(|error| unreachable(&database, error.to_string()))?;
    let corrupt = if settings.deep { hash(&layers, settings, watch) } else { HashMap::new() };
    let wanted: Vec<(i64, String)> = repositories.into_iter().filter(|(_, name)| settings.takes(name)).collect();
    let shared = Shared {
        layers: &layers,
        corrupt: &corrupt,
        judged,
        named: Mutex::new(HashSet::new()),
        sum: Mutex::new(Sum::default()),
    };
    // Each thread has a connection of its own.
    let open = || ReadOnly::open(&database).map(Mutex::new);
    pool::each(settings.jobs, &wanted, open, |reader, (id, name)| match reader {
        Ok(reader) => Repository { shared: &shared, reader, id: *id, name, indexes: AtomicU64::new(0) }.scan(),
        Err(error) => shared.push(name, &unreachable_because(&error.to_string())),
    });
    let mut part = shared.into_part();
    blobs(&layers, &corrupt, settings, &mut part);
    uploads::count(found, settings, &mut part.0.information);
    Ok(part.0)
}

/// The directory of the blobs, if it is the one that belongs to the database.
fn open_layers(found: &Found, settings: &Settings, reader: &ReadOnly) -> Result<Tree, ScanError> {
    let path: PathBuf = settings.layers.clone().unwrap_or_else(|| found.path.join("layers"));
    let unreachable = |why: String| ScanError::Unreachable { path: path.clone(), why };
    let hint = "; say where the blobs lie with --layers DIR ([storage] layers_path)";
    let tree = match Tree::open(&path) {
        Answer::There(tree) => tree,
        other => return Err(unreachable(format!("{}{hint}", other.reason()))),
    };
    let id = reader.registry_id().map_err(|error| unreachable(error.to_string()))?;
    let mut marker = [0; 64];
    let said = match tree.read_few(tree.root(), MARKER, &mut marker) {
        Answer::There(length) => String::from_utf8_lossy(marker.get(..length).unwrap_or_default()).trim().to_owned(),
        other => return Err(unreachable(format!("its marker mcr-registry-id: {}{hint}", other.reason()))),
    };
    match id {
        Some(id) if id != said => Err(unreachable(format!("it belongs to registry {said}, not to {id}{hint}"))),
        _ => Ok(tree),
    }
}

fn hash(layers: &Tree, settings: &Settings, watch: &dyn Watch) -> HashMap<Digest, Digest> {
    let mut shelves = Vec::new();
    for algorithm in ALGORITHMS {
        for shard in 0..=u8::MAX {
            shelves.push(Shelf { name: format!("{algorithm}/{shard:02x}").into_bytes(), algorithm, suffix: b"" });
        }
    }
    deep::hash(layers, layers.root(), &shelves, settings, watch)
}

fn unreachable_because(why: &str) -> Finding {
    Finding { detail: Some(why.to_owned()), ..Finding::new(FindingKind::Unreachable) }
}

impl Shared<'_> {
    fn name(&self, digest: &Digest) {
        self.named.lock().unwrap_or_else(PoisonError::into_inner).insert(Key::of(digest));
    }

    fn with_sum(&self, change: impl FnOnce(&mut Sum)) {
        change(&mut self.sum.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn push(&self, repository: &str, finding: &Finding) {
        let place = Place { repository: Some(repository), tag: finding.tag.as_deref() };
        let placed = judge::at(finding, place);
        self.with_sum(|sum| sum.findings.push((repository.to_owned(), placed)));
    }

    fn into_part(self) -> (Part, HashSet<(usize, Key)>) {
        let Sum { mut findings, scanned, information, lacking } =
            self.sum.into_inner().unwrap_or_else(PoisonError::into_inner);
        // Threads finish in any order; within a repository the order stays.
        findings.sort_by(|one, two| one.0.cmp(&two.0));
        let mut part =
            Part { findings: findings.into_iter().map(|(_, finding)| finding).collect(), scanned, information };
        part.information.suggestion = suggestion(self.judged, lacking, part.scanned.indexes);
        (part, self.named.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Counts the files of blobs, and those that no manifest names.
fn blobs(
    layers: &Tree,
    corrupt: &HashMap<Digest, Digest>,
    settings: &Settings,
    (part, named): &mut (Part, HashSet<(usize, Key)>),
) {
    let mut listing = Listing::new();
    let (mut unnamed, mut bytes) = (0, 0);
    for algorithm in ALGORITHMS {
        for shard in 0..=u8::MAX {
            let name = format!("{algorithm}/{shard:02x}");
            let listed = listing.each(layers, layers.root(), name.as_bytes(), |directory, entry| {
                let digest = digest_of(entry.name, algorithm);
                match digest.map(|digest| (digest, layers.stat(directory, entry.name))) {
                    Some((digest, Answer::There(stat))) => {
                        part.scanned.blobs += 1;
                        part.scanned.bytes += stat.size;
                        if !named.contains(&Key::of(&digest)) {
                            unnamed += 1;
                            bytes += stat.size;
                        }
                    }
                    _ if entry.kind != EntryKind::Directory => part.information.temporary_files += 1,
                    _ => {}
                }
            });
            if !matches!(listed, Answer::There(_) | Answer::Absent) {
                part.findings.push(unreachable_because(&format!("layers/{name}: {}", listed.reason())));
            }
        }
    }
    let mut quarantined = 0;
    // Where there is none, nothing is set aside.
    let _ = listing.each(layers, layers.root(), b"quarantine", |_, _| quarantined += 1);
    part.information.quarantined_files = Some(quarantined);
    if settings.repositories.is_empty() {
        part.information.unreferenced_blobs = Some(unnamed);
        part.information.unreferenced_bytes = Some(bytes);
        let lone = |digest: &&Digest| !named.contains(&Key::of(digest));
        part.information.unreferenced_corrupt = settings.deep.then(|| corrupt.keys().filter(lone).count() as u64);
    }
}
