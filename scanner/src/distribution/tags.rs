//! The tags of one repository: which manifest each leads to; never what is below it.

use mcr_oci::{Digest, Finding, FindingKind, Tag};

use super::Shared;
use super::layers::unlisted;
use super::links::{self, Link};
use crate::io::{Answer, Directory, Entry, EntryKind, Listing, Tree};
use crate::kind::Kind;

/// What listing the tags of a repository gave.
#[derive(Debug, Default)]
pub(crate) struct Tags {
    /// Manifests and the tags that lead to them, sorted.
    pub(crate) tagged: Vec<(Digest, String)>,
    /// Tags that lead to nothing; to be looked at again.
    pub(crate) dangling: Vec<Vec<u8>>,
    /// How many there are.
    pub(crate) count: u64,
    /// Files that no registry looks for.
    pub(crate) temporary: u64,
    /// What could not be looked at.
    pub(crate) findings: Vec<Finding>,
}

/// Where the tags of a repository lie in it.
const TAGS: &[u8] = b"_manifests/tags";

/// Reads every tag of the repository at `at`.
pub(crate) fn list(shared: &Shared<'_>, at: &Directory, listing: &mut Listing) -> Tags {
    let mut tags = Tags::default();
    let listed = listing.each(shared.tree, at, TAGS, |directory, entry| tags.look(shared, directory, entry));
    if !matches!(listed, Answer::There(_) | Answer::Absent) {
        tags.findings.push(unlisted(at, &format!("_manifests/tags: {}", listed.reason())));
    }
    tags.tagged.sort_unstable();
    tags
}

/// What one tag is now: its link, or `None` where the tag is gone altogether.
pub(crate) fn now(shared: &Shared<'_>, at: &Directory, name: &[u8]) -> Option<Link> {
    let directory = shared.tree.directory(at, TAGS).there()?;
    loop {
        let link = shared.link(&directory, &[name, CURRENT].concat());
        if link != Link::Absent {
            return Some(link);
        }
        // A push makes the tag's directory first, and its link a moment later.
        match shared.tree.directory(&directory, name) {
            Answer::Absent => return None,
            Answer::There(tag) if shared.patience.waits(Tree::written_ns(&tag)) => {}
            _ => return Some(Link::Absent),
        }
    }
}

/// The finding of a tag that leads to nothing, if it is one here.
pub(crate) fn dangling(name: &[u8], link: &Link, kind: Kind) -> Option<Finding> {
    let tag = String::from_utf8_lossy(name).into_owned();
    let (found, detail) = match link {
        Link::To(_) if Tag::parse(&tag).is_ok() => return None,
        Link::To(_) => (FindingKind::TagDangling, "no client can ask for a tag of this name".to_owned()),
        // A cache asks upstream where a tag leads.
        Link::Absent if kind == Kind::PullThrough => return None,
        Link::Absent => (FindingKind::TagDangling, "it has no current/link".to_owned()),
        Link::Damaged(what) => (FindingKind::TagDangling, format!("its current/link {what}")),
        Link::Unreachable(why) => {
            (FindingKind::Unreachable, format!("the tag's current/link cannot be looked at: {why}"))
        }
    };
    Some(Finding { tag: Some(tag), detail: Some(detail), ..Finding::new(found) })
}

/// The link that says where a tag leads, below its directory.
const CURRENT: &[u8] = b"/current/link";

impl Tags {
    fn look(&mut self, shared: &Shared<'_>, directory: &Directory, entry: Entry<'_>) {
        let tag = std::str::from_utf8(entry.name).ok().filter(|name| Tag::parse(name).is_ok());
        if tag.is_none() && matches!(entry.kind, EntryKind::File | EntryKind::Other) {
            self.temporary += 1;
            return;
        }
        self.count += 1;
        let mut path = Vec::with_capacity(entry.name.len() + CURRENT.len());
        path.extend_from_slice(entry.name);
        path.extend_from_slice(CURRENT);
        match (links::read(shared.tree, directory, &path), tag) {
            (Link::To(digest), Some(tag)) => self.tagged.push((digest, tag.to_owned())),
            _ => self.dangling.push(entry.name.to_vec()),
        }
    }
}
