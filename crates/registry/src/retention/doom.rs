//! What goes with tags and untagged manifests: the same walk as the rows' own (`metadata/bury.rs`), over facts in memory, for plans.
//!
//! Pure. Tests compare it with what the rows do.

use std::collections::{HashMap, HashSet, VecDeque};

use mcr_metadata::{RepositoryFacts, TagGuard};

/// A repository's graph while things go from it.
pub(crate) struct Graph<'a> {
    facts: &'a RepositoryFacts,
    immutable: Option<&'a TagGuard>,
    /// Live manifests, with the live subject of each.
    subjects: HashMap<i64, Option<i64>>,
    children: HashMap<i64, Vec<i64>>,
    referrers: HashMap<i64, Vec<i64>>,
    /// Tags named after a manifest.
    followers: HashMap<i64, Vec<usize>>,
    /// Tags and live indexes that name a manifest.
    names: HashMap<i64, usize>,
    dropped: HashSet<usize>,
}

/// Something that goes, with why it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gone {
    /// A tag, by its place among the facts.
    Tag(usize),
    /// A manifest, by its row.
    Manifest(i64),
}

impl<'a> Graph<'a> {
    pub(crate) fn new(facts: &'a RepositoryFacts, immutable: Option<&'a TagGuard>) -> Self {
        let mut graph = Self {
            facts,
            immutable,
            subjects: facts.manifests.iter().map(|manifest| (manifest.id, manifest.subject)).collect(),
            children: HashMap::new(),
            referrers: HashMap::new(),
            followers: HashMap::new(),
            names: HashMap::new(),
            dropped: HashSet::new(),
        };
        for manifest in &facts.manifests {
            if let Some(subject) = manifest.subject {
                graph.referrers.entry(subject).or_default().push(manifest.id);
            }
        }
        for (parent, child) in &facts.children {
            graph.children.entry(*parent).or_default().push(*child);
            *graph.names.entry(*child).or_default() += 1;
        }
        for (at, tag) in facts.tags.iter().enumerate() {
            *graph.names.entry(tag.manifest).or_default() += 1;
            if let Some(followed) = facts.followed.get(&tag.name) {
                graph.followers.entry(*followed).or_default().push(at);
            }
        }
        graph
    }

    /// Whether a tag, a live index or a live subject holds a live manifest.
    pub(crate) fn is_held(&self, manifest: i64) -> bool {
        self.names.get(&manifest).is_some_and(|names| *names > 0)
            || self
                .subjects
                .get(&manifest)
                .is_some_and(|subject| subject.is_some_and(|id| self.subjects.contains_key(&id)))
    }

    /// Drops a tag with what only it keeps; nothing where it has gone already.
    pub(crate) fn drop_tag(&mut self, at: usize) -> Vec<Gone> {
        let Some(tag) = self.facts.tags.get(at).filter(|_| self.dropped.insert(at)) else { return Vec::new() };
        let mut gone = vec![Gone::Tag(at)];
        self.unname(tag.manifest);
        self.bury(tag.manifest, &mut gone);
        gone
    }

    /// Buries an untagged manifest with what only it keeps; nothing where something holds it.
    pub(crate) fn drop_untagged(&mut self, manifest: i64) -> Vec<Gone> {
        let mut gone = Vec::new();
        self.bury(manifest, &mut gone);
        gone
    }

    fn unname(&mut self, manifest: i64) {
        if let Some(names) = self.names.get_mut(&manifest) {
            *names = names.saturating_sub(1);
        }
    }

    fn bury(&mut self, start: i64, gone: &mut Vec<Gone>) {
        let mut queue = VecDeque::from([start]);
        while let Some(id) = queue.pop_front() {
            if !self.subjects.contains_key(&id) || self.is_held(id) {
                continue;
            }
            self.subjects.remove(&id);
            gone.push(Gone::Manifest(id));
            for at in self.followers.remove(&id).unwrap_or_default() {
                let Some(tag) = self.facts.tags.get(at) else { continue };
                let held = self.immutable.is_some_and(|guard| guard.holds(&tag.name));
                if !held && self.dropped.insert(at) {
                    gone.push(Gone::Tag(at));
                    self.unname(tag.manifest);
                    queue.push_back(tag.manifest);
                }
            }
            for child in self.children.remove(&id).unwrap_or_default() {
                self.unname(child);
                queue.push_back(child);
            }
            queue.extend(self.referrers.remove(&id).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests;
