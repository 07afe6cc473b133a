//! The registry as plain sets: what the database must agree with; never SQL.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use mcr_oci::Digest;
use serde_json::json;

use crate::testing::{Pushed, image, index};

pub(super) const REPOSITORIES: [&str; 2] = ["a/b", "c"];
pub(super) const TAGS: [&str; 3] = ["latest", "v1", "v2"];
pub(super) const BLOBS: [&str; 6] = ["zero", "one", "two", "three", "four", "five"];

/// One manifest that may be pushed, and what it names.
pub(super) struct Known {
    pub(super) pushed: Pushed,
    blobs: Vec<usize>,
    manifests: Vec<usize>,
    is_index: bool,
}

/// All manifests there are.
pub(super) fn universe() -> &'static [Known] {
    static UNIVERSE: LazyLock<Vec<Known>> = LazyLock::new(|| {
        let mut all = Vec::new();
        for blobs in [vec![0, 1], vec![0, 2, 1, 1], vec![3, 4], vec![5]] {
            let layers: Vec<&str> = blobs[1..].iter().map(|blob| BLOBS[*blob]).collect();
            all.push(Known { pushed: image(BLOBS[blobs[0]], &layers), blobs, manifests: vec![], is_index: false });
        }
        for (manifests, blobs) in [(vec![0, 1], vec![]), (vec![2], vec![]), (vec![4, 2], vec![]), (vec![3], vec![1])] {
            let mut children: Vec<_> = manifests
                .iter()
                .map(|child: &usize| all.get(*child).map(|known: &Known| known.pushed.descriptor()).unwrap())
                .collect();
            children.extend(blobs.iter().map(|blob: &usize| {
                let digest = Digest::sha256(BLOBS[*blob].as_bytes());
                json!({ "mediaType": "application/x", "digest": digest.as_str(), "size": BLOBS[*blob].len() })
            }));
            all.push(Known { pushed: index(&children), blobs, manifests, is_index: true });
        }
        all
    });
    &UNIVERSE
}

#[derive(Clone, Debug)]
pub(super) enum Operation {
    PushBlob { to: usize, blob: usize },
    Mount { from: Option<usize>, to: usize, blob: usize },
    Push { to: usize, manifest: usize, tag: Option<usize> },
    Delete { from: usize, manifest: usize },
    DeleteTag { from: usize, tag: usize },
    DeleteBlob { from: usize, blob: usize },
    Damage { blob: usize },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Healed(bool),
    Done(bool),
    Committed { moved: Vec<Option<Digest>>, created: bool },
    Refused,
    Deleted(Vec<String>),
    NamedBy(BTreeSet<Digest>),
    NotFound,
}

#[derive(Default)]
pub(super) struct Repository {
    pub(super) blobs: BTreeSet<usize>,
    pub(super) manifests: BTreeSet<usize>,
    pub(super) tags: BTreeMap<usize, usize>,
}

#[derive(Default)]
pub(super) struct Model {
    pub(super) repositories: [Repository; 2],
    /// Blobs that have a file, or had one.
    known: BTreeSet<usize>,
    pub(super) damaged: BTreeSet<usize>,
}

impl Model {
    pub(super) fn apply(&mut self, operation: &Operation) -> Answer {
        match *operation {
            Operation::PushBlob { to, blob } => {
                self.known.insert(blob);
                self.repositories[to].blobs.insert(blob);
                Answer::Healed(self.damaged.remove(&blob))
            }
            Operation::Mount { from, to, blob } => {
                let there = |at: usize| self.repositories[at].blobs.contains(&blob);
                let found = from.map_or_else(|| there(0) || there(1), there) && !self.damaged.contains(&blob);
                if found {
                    self.repositories[to].blobs.insert(blob);
                }
                Answer::Done(found)
            }
            Operation::Push { to, manifest, tag } => self.push(to, manifest, tag),
            Operation::Delete { from, manifest } => self.delete(from, manifest),
            Operation::DeleteTag { from, tag } => match self.repositories[from].tags.remove(&tag) {
                Some(_) => Answer::Deleted(vec![TAGS[tag].to_owned()]),
                None => Answer::NotFound,
            },
            Operation::DeleteBlob { from, blob } => {
                if !self.repositories[from].blobs.contains(&blob) {
                    return Answer::NotFound;
                }
                let holders = self.holders_of_blob(from, blob);
                if !holders.is_empty() {
                    return Answer::NamedBy(holders);
                }
                self.repositories[from].blobs.remove(&blob);
                Answer::Deleted(vec![])
            }
            Operation::Damage { blob } => {
                let known = self.known.contains(&blob);
                if known {
                    self.damaged.insert(blob);
                }
                Answer::Done(known)
            }
        }
    }

    fn push(&mut self, to: usize, manifest: usize, tag: Option<usize>) -> Answer {
        let known = &universe()[manifest];
        let repository = &mut self.repositories[to];
        let blobs_hold = known.blobs.iter().all(|blob| repository.blobs.contains(blob) && !self.damaged.contains(blob));
        if !blobs_hold || !known.manifests.iter().all(|child| repository.manifests.contains(child)) {
            return Answer::Refused;
        }
        let created = repository.manifests.insert(manifest);
        let previous = tag.map(|tag| repository.tags.insert(tag, manifest));
        let moved = match previous {
            None => vec![],
            Some(Some(old)) if old == manifest => vec![],
            Some(old) => vec![old.map(|old| universe()[old].pushed.digest.clone())],
        };
        Answer::Committed { moved, created }
    }

    fn delete(&mut self, from: usize, manifest: usize) -> Answer {
        let repository = &self.repositories[from];
        if !repository.manifests.contains(&manifest) {
            return Answer::NotFound;
        }
        let holders: BTreeSet<Digest> = self.parents(from, manifest);
        if !holders.is_empty() {
            return Answer::NamedBy(holders);
        }
        let repository = &mut self.repositories[from];
        repository.manifests.remove(&manifest);
        let gone: Vec<usize> = repository.tags.iter().filter(|(_, to)| **to == manifest).map(|(tag, _)| *tag).collect();
        for tag in &gone {
            repository.tags.remove(tag);
        }
        // The constant is sorted, and so is the answer.
        Answer::Deleted(gone.into_iter().map(|tag| TAGS[tag].to_owned()).collect())
    }

    fn live(&self, at: usize) -> impl Iterator<Item = &'static Known> {
        self.repositories[at].manifests.iter().map(|manifest| &universe()[*manifest])
    }

    fn parents(&self, at: usize, manifest: usize) -> BTreeSet<Digest> {
        let naming = self.live(at).filter(|known| known.manifests.contains(&manifest));
        naming.map(|known| known.pushed.digest.clone()).collect()
    }

    pub(super) fn holders_of_blob(&self, at: usize, blob: usize) -> BTreeSet<Digest> {
        let naming = self.live(at).filter(|known| known.blobs.contains(&blob));
        naming.map(|known| known.pushed.digest.clone()).collect()
    }

    pub(super) fn names_manifest(&self, at: usize, manifest: usize) -> bool {
        self.repositories[at].tags.values().any(|tagged| *tagged == manifest) || !self.parents(at, manifest).is_empty()
    }

    pub(super) fn closure(&self, manifest: usize) -> (BTreeSet<Digest>, BTreeSet<Digest>) {
        let known = &universe()[manifest];
        let mut manifests = BTreeSet::from([known.pushed.digest.clone()]);
        let mut blobs: BTreeSet<Digest> =
            known.blobs.iter().map(|blob| Digest::sha256(BLOBS[*blob].as_bytes())).collect();
        for child in &known.manifests {
            let below = self.closure(*child);
            manifests.extend(below.0);
            blobs.extend(below.1);
        }
        (manifests, blobs)
    }

    pub(super) fn is_whole(&self, manifest: usize) -> bool {
        let known = &universe()[manifest];
        known.blobs.iter().all(|blob| !self.damaged.contains(blob))
            && known.manifests.iter().all(|child| self.is_whole(*child))
    }

    pub(super) fn is_hurt_itself(&self, manifest: usize) -> bool {
        let known = &universe()[manifest];
        !known.is_index && known.blobs.iter().any(|blob| self.damaged.contains(blob))
    }

    pub(super) fn catalog(&self) -> Vec<String> {
        let listed =
            self.repositories.iter().zip(REPOSITORIES).filter(|(repository, _)| !repository.manifests.is_empty());
        listed.map(|(_, name)| name.to_owned()).collect()
    }
}
