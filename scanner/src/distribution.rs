//! The tree of `distribution` 2 and 3, judged by what that registry would serve; never by what lies about in it.

mod layers;
mod links;
mod open;
mod repair;
mod repositories;
mod repository;
mod source;
mod store;
mod tags;
mod uploads;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use mcr_oci::{Digest, Finding, FindingKind};

use crate::deep::{self, Shelf};
use crate::error::ScanError;
use crate::io::{Answer, Directory, Listing, Tree};
use crate::key::ALGORITHMS;
use crate::kind::{Judged, Kind};
use crate::layout::Found;
use crate::pool;
use crate::report::{Information, Scanned};
use crate::settings::{Settings, Watch};
use crate::{Part, suggestion};
use links::{Link, Patience};
pub use open::{OpenTree, TreeRepository, TreeTag, TreeTags, Trees, open_trees};
pub(crate) use repair::plan;
use repository::Outcome;
use store::Store;

/// A repository with more links or tags than this has all threads for itself, after the small ones.
const LARGE: usize = 4_096;

/// What the repositories of one registry share.
#[derive(Debug)]
pub(crate) struct Shared<'a> {
    tree: &'a Tree,
    store: &'a Store,
    /// Blobs whose bytes do not hash right, and what they hash to.
    corrupt: &'a HashMap<Digest, Digest>,
    kind: Kind,
    settings: &'a Settings,
    patience: Patience,
}

impl Shared<'_> {
    /// Reads a link that counts.
    fn link(&self, at: &Directory, name: &[u8]) -> Link {
        links::read_settled(self.tree, at, name, &self.patience)
    }
}

/// A distribution tree that is open.
#[derive(Debug)]
pub(crate) struct Opened {
    tree: Tree,
    v2: Directory,
}

/// Opens the tree that was found.
///
/// # Errors
/// Where it cannot be looked at.
pub(crate) fn open(found: &Found) -> Result<Opened, ScanError> {
    let unreachable = |why| ScanError::Unreachable { path: found.path.clone(), why };
    let tree = match Tree::open(&found.path) {
        Answer::There(tree) => tree,
        other => return Err(unreachable(other.reason())),
    };
    let inside = if found.inside.is_empty() { b".".as_slice() } else { &found.inside };
    match tree.directory(tree.root(), inside) {
        Answer::There(v2) => Ok(Opened { v2, tree }),
        other => Err(unreachable(other.reason())),
    }
}

/// Hashes every blob of the tree; gives those whose bytes are not theirs.
pub(crate) fn hash(opened: &Opened, settings: &Settings, watch: &dyn Watch) -> HashMap<Digest, Digest> {
    let mut shelves = Vec::new();
    for algorithm in ALGORITHMS {
        for shard in 0..=u8::MAX {
            let name = format!("blobs/{algorithm}/{shard:02x}").into_bytes();
            shelves.push(Shelf { name, algorithm, suffix: b"/data" });
        }
    }
    deep::hash(&opened.tree, &opened.v2, &shelves, settings, watch)
}

/// Looks at every repository of the tree.
pub(crate) fn scan(opened: &Opened, corrupt: &HashMap<Digest, Digest>, judged: &Judged, settings: &Settings) -> Part {
    let store = Store::list(&opened.tree, &opened.v2, settings.jobs);
    let patience = Patience::new(settings.now_ms);
    let shared = Shared { tree: &opened.tree, store: &store, corrupt, kind: judged.kind, settings, patience };
    let found = repositories::find(&opened.tree, &opened.v2);
    let outcomes = look_at(&shared, &opened.v2, &found.names);

    let registry = |why: &String| Finding { detail: Some(why.clone()), ..Finding::new(FindingKind::Unreachable) };
    let mut part = Part::default();
    part.findings.extend(store.unreachable.iter().chain(&found.unreachable).map(registry));
    part.information.temporary_files = store.temporary + found.temporary;
    let mut lacking = 0;
    for outcome in outcomes {
        part.scanned.add(outcome.scanned);
        part.information.add(&outcome.information);
        part.findings.extend(outcome.findings);
        lacking += outcome.lacking;
    }
    (part.scanned.blobs, part.scanned.bytes) = store.total();
    if settings.repositories.is_empty() {
        let (blobs, bytes) = store.unnamed();
        part.information.unreferenced_blobs = Some(blobs);
        part.information.unreferenced_bytes = Some(bytes);
        let unnamed = |digest: &&Digest| !store.is_named(digest);
        part.information.unreferenced_corrupt = settings.deep.then(|| corrupt.keys().filter(unnamed).count() as u64);
    }
    part.information.suggestion = suggestion(judged, lacking, part.scanned.indexes);
    part
}

/// Small repositories side by side, large ones one after the other with all threads.
fn look_at(shared: &Shared<'_>, v2: &Directory, names: &[Vec<u8>]) -> Vec<Outcome> {
    let settings = shared.settings;
    let wanted: Vec<(usize, String)> = names
        .iter()
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .enumerate()
        .filter(|(_, name)| settings.takes(name))
        .collect();
    let done = Mutex::new(Vec::new());
    let large = Mutex::new(Vec::new());
    pool::each(settings.jobs, &wanted, Listing::new, |listing, (number, name)| {
        let outcome = match open_repository(shared, v2, names, *number) {
            Answer::There(at) => {
                if settings.jobs > 1 && is_large(shared, &at, listing) {
                    large.lock().unwrap_or_else(PoisonError::into_inner).push((*number, name.clone()));
                    return;
                }
                repository::scan(shared, name, &at, 1)
            }
            // It went while others were looked at.
            Answer::Absent => return,
            other => unreachable(name, &other.reason()),
        };
        done.lock().unwrap_or_else(PoisonError::into_inner).push((*number, outcome));
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    for (number, name) in large.into_inner().unwrap_or_else(PoisonError::into_inner) {
        match open_repository(shared, v2, names, number) {
            Answer::There(at) => done.push((number, repository::scan(shared, &name, &at, settings.jobs))),
            Answer::Absent => {}
            other => done.push((number, unreachable(&name, &other.reason()))),
        }
    }
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

fn open_repository(shared: &Shared<'_>, v2: &Directory, names: &[Vec<u8>], number: usize) -> Answer<Directory> {
    let name = names.get(number).map(Vec::as_slice).unwrap_or_default();
    shared.tree.directory(v2, &[b"repositories/", name].concat())
}

fn is_large(shared: &Shared<'_>, at: &Directory, listing: &mut Listing) -> bool {
    let mut entries = 0;
    for name in [b"_layers/sha256".as_slice(), b"_manifests/tags"] {
        // Only a guess at the amount of work; what cannot be listed is told by whoever does it.
        let _ = listing.each(shared.tree, at, name, |_, _| entries += 1);
    }
    entries > LARGE
}

fn unreachable(name: &str, why: &str) -> Outcome {
    Outcome {
        findings: vec![repository::unreachable(name, why)],
        scanned: Scanned { repositories: 1, ..Scanned::default() },
        information: Information::default(),
        lacking: 0,
    }
}
