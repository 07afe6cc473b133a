//! A distribution tree as a place to take images from: what its registry would serve, repository by repository; never a
//! scan of it, and never a change.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use mcr_oci::{Descriptor, Digest, Finding, FindingKind};
use mcr_verifier::{Look, Problem, Report, Source, StoredBlob, StoredManifest};

use super::links::{self, Link, Patience};
use super::source::{Links, Repository, unreachable_bytes};
use super::store::{Store, data_name};
use super::{Opened, Shared, repositories, repository, tags};
use crate::error::ScanError;
use crate::io::{Answer, Directory, Listing, Tree};
use crate::judge;
use crate::key::{ALGORITHMS, Key, digest_of};
use crate::kind::{Judged, Kind, KindRules};
use crate::layout::{self, Layout, Registries};
use crate::settings::{Settings, Watch};

/// Nanoseconds of a millisecond.
const NS_A_MS: i128 = 1_000_000;

/// A distribution tree that is open for reading.
#[derive(Debug)]
pub struct OpenTree {
    name: String,
    path: PathBuf,
    judged: Judged,
    opened: Opened,
    store: Store,
    settings: Settings,
    /// Nothing is known to be corrupt: whoever takes bytes hashes them.
    corrupt: HashMap<Digest, Digest>,
}

/// The trees of a path.
#[derive(Debug)]
pub struct Trees {
    /// Those that are open, by name.
    pub trees: Vec<OpenTree>,
    /// Whether something beside them could not be looked into, and may be a tree another time.
    pub closed: bool,
    /// What was passed over, each as `unreachable`.
    pub findings: Vec<Finding>,
}

/// A tag of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeTag {
    /// The tag.
    pub tag: String,
    /// The manifest its link leads to.
    pub digest: Digest,
    /// When the link was written, in Unix milliseconds: the last push of the tag.
    pub written_ms: Option<i64>,
}

/// The tags of a repository.
#[derive(Clone, Debug, Default)]
pub struct TreeTags {
    /// Those that lead to a manifest, by name.
    pub tags: Vec<TreeTag>,
    /// What is wrong with the others.
    pub findings: Vec<Finding>,
}

/// One repository of a tree, as its registry would serve it. A [`Source`] that never waits.
#[derive(Debug)]
pub struct TreeRepository<'a> {
    inner: Repository<'a>,
    at: &'a Directory,
}

/// Opens the trees at `path`: it is one, or a folder of several.
///
/// # Errors
/// Where there is none, one has another layout, or one cannot be looked at.
pub fn open_trees(path: &Path, kinds: &KindRules, now_ms: i64, watch: &dyn Watch) -> Result<Trees, ScanError> {
    let mut trees = Vec::new();
    let Registries { found: all, passed } = layout::find(path, None, watch)?;
    if let Some(name) = kinds.names().find(|name| !all.iter().any(|found| found.name == *name)) {
        let found = all.iter().map(|found| found.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(ScanError::NoSuchName { name: name.to_owned(), found });
    }
    for found in all {
        if found.layout != Layout::Distribution {
            return Err(ScanError::NothingToTake { path: found.path, layout: found.layout.as_str() });
        }
        let opened = super::open(&found)?;
        let store = Store::unlisted(&opened.tree, &opened.v2);
        let judged = kinds.judge(&found.name, found.has_proxy_state);
        let settings = Settings { now_ms, ..Settings::default() };
        trees.push(OpenTree {
            name: found.name,
            path: found.path,
            judged,
            opened,
            store,
            settings,
            corrupt: HashMap::new(),
        });
    }
    let closed = passed.iter().any(|passed| passed.closed);
    let unreachable = |line: String| Finding { detail: Some(line), ..Finding::new(FindingKind::Unreachable) };
    Ok(Trees { trees, closed, findings: passed.into_iter().map(|passed| unreachable(passed.line)).collect() })
}

impl OpenTree {
    /// What it is called: its folder's name, below the folder that was named.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it may lack what nobody asked it for.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.judged.kind
    }

    /// Its repositories, by name, and what could not be looked at.
    #[must_use]
    pub fn repositories(&self) -> (Vec<String>, Vec<Finding>) {
        let found = repositories::find(&self.opened.tree, &self.opened.v2);
        let mut names = Vec::new();
        let unreachable = |why: String| Finding { detail: Some(why), ..Finding::new(FindingKind::Unreachable) };
        let mut findings: Vec<Finding> = found.unreachable.into_iter().map(unreachable).collect();
        for name in found.names {
            match String::from_utf8(name) {
                Ok(name) => names.push(name),
                Err(error) => {
                    let shown = String::from_utf8_lossy(error.as_bytes()).into_owned();
                    findings.push(repository::unreachable(&shown, "its name is not UTF-8: no client can ask for it"));
                }
            }
        }
        (names, findings)
    }

    /// Hands a repository to `work`.
    ///
    /// # Errors
    /// A finding that says why it cannot be looked at.
    pub fn visit<T>(&self, name: &str, work: impl FnOnce(&TreeRepository<'_>) -> T) -> Result<T, Finding> {
        let unreachable = |why: &str| repository::unreachable(name, why);
        let shared = Shared {
            tree: &self.opened.tree,
            store: &self.store,
            corrupt: &self.corrupt,
            kind: self.judged.kind,
            settings: &self.settings,
            patience: Patience::new(self.settings.now_ms),
        };
        let at = match shared.tree.directory(&self.opened.v2, &[b"repositories/", name.as_bytes()].concat()) {
            Answer::There(at) => at,
            other => return Err(unreachable(&other.reason())),
        };
        let (layers, layers_closed) = Repository::link_directories(&shared, &at, "_layers");
        let (revisions, revisions_closed) = Repository::link_directories(&shared, &at, "_manifests/revisions");
        if let Some(why) = layers_closed.or(revisions_closed) {
            return Err(unreachable(&why));
        }
        let inner = Repository {
            shared: &shared,
            layers: Links { directories: layers, ..Links::default() },
            revisions: Links { directories: revisions, ..Links::default() },
            damaged: Mutex::new(HashSet::new()),
            marks: false,
            marked: AtomicU64::new(0),
        };
        Ok(work(&TreeRepository { inner, at: &at }))
    }
}

impl TreeRepository<'_> {
    fn tree(&self) -> &Tree {
        self.inner.shared.tree
    }

    /// Its tags, and since when they lead where they lead.
    #[must_use]
    pub fn tags(&self) -> TreeTags {
        let listed = tags::list(self.inner.shared, self.at, &mut Listing::new());
        let mut found = TreeTags { tags: Vec::new(), findings: listed.findings };
        for (digest, tag) in listed.tagged {
            found.tags.push(self.dated(tag, digest));
        }
        for name in listed.dangling {
            // Looked at once more: a push may have been writing it.
            let Some(link) = tags::now(self.inner.shared, self.at, &name) else { continue };
            if let Some(finding) = tags::dangling(&name, &link, self.inner.shared.kind) {
                found.findings.push(finding);
            } else if let Link::To(digest) = link {
                found.tags.push(self.dated(String::from_utf8_lossy(&name).into_owned(), digest));
            }
        }
        found.tags.sort_unstable_by(|one, two| one.tag.cmp(&two.tag));
        found
    }

    fn dated(&self, tag: String, digest: Digest) -> TreeTag {
        let written_ms = self.written_ms(&format!("_manifests/tags/{tag}/current/link"));
        TreeTag { tag, digest, written_ms }
    }

    fn written_ms(&self, name: &str) -> Option<i64> {
        let stat = self.tree().stat(self.at, name.as_bytes()).there()?;
        i64::try_from(stat.mtime_ns.div_euclid(NS_A_MS)).ok()
    }

    /// When a manifest was pushed, in Unix milliseconds: when its revision link was written.
    #[must_use]
    pub fn pushed_ms(&self, digest: &Digest) -> Option<i64> {
        self.written_ms(&format!("_manifests/revisions/{}/{}/link", digest.algorithm(), digest.hex()))
    }

    /// Every manifest that has a revision link, whatever leads to it, in no order.
    #[must_use]
    pub fn revisions(&self) -> Vec<Digest> {
        let mut found = Vec::new();
        let mut listing = Listing::new();
        for algorithm in ALGORITHMS {
            let name = format!("_manifests/revisions/{algorithm}");
            // What cannot be listed was told when the repository was opened.
            let _ = listing.each(self.tree(), self.at, name.as_bytes(), |directory, entry| {
                if Key::of_hex(entry.name, algorithm).is_none() {
                    return;
                }
                let link = links::read(self.tree(), directory, &[entry.name, b"/link"].concat());
                if matches!(link, Link::To(_)) {
                    found.extend(digest_of(entry.name, algorithm));
                }
            });
        }
        found
    }

    /// Opens what the registry would serve as this blob: the file, at its beginning, and its length. Its bytes are not
    /// hashed yet.
    #[must_use]
    pub fn open_blob(&self, digest: &Digest) -> Look<(File, u64)> {
        if let Look::Broken(problem) = self.inner.look_blob(digest) {
            return Look::Broken(problem);
        }
        let target = match self.inner.link(&self.inner.layers, digest) {
            // A link may lead to the same bytes under another algorithm's digest.
            Link::To(target) => target,
            Link::Absent | Link::Damaged(_) | Link::Unreachable(_) => digest.clone(),
        };
        let directory = self.inner.shared.store.directory(target.algorithm());
        match directory.and_then(|directory| self.tree().regular(directory, data_name(&target).as_bytes())) {
            Answer::There((file, stat)) => Look::Whole((File::from(file), stat.size)),
            Answer::Absent => Look::Broken(Problem::new(FindingKind::BlobMissing, "bytes gone")),
            Answer::Odd(what) => Look::Broken(Problem::new(FindingKind::BlobMissing, format!("bytes gone: {what}"))),
            answer @ (Answer::Failed(_) | Answer::Outside) => Look::Broken(unreachable_bytes(&answer.reason())),
        }
    }

    /// The findings of a walk in the words of a scan: what is cut and what is of another size, and nothing that a
    /// pull-through cache merely does not hold.
    #[must_use]
    pub fn findings(&self, report: Report) -> Vec<Finding> {
        judge::findings(report, self.inner.shared.kind, &self.inner)
    }
}

impl Source for TreeRepository<'_> {
    type Error = Infallible;

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Look<StoredManifest>, Infallible> {
        Ok(self.inner.look_manifest(&descriptor.digest))
    }

    async fn blob(&self, descriptor: &Descriptor) -> Result<Look<StoredBlob>, Infallible> {
        Ok(self.inner.look_blob(&descriptor.digest))
    }
}

#[cfg(test)]
mod tests;
