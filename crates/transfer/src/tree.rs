//! Storage trees on disk as an origin; never a change of them, and never how they are laid out (the scanner's).

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use futures_util::FutureExt as _;
use mcr_oci::{Digest, EdgeKind, Finding, FindingKind, MANIFEST_MAX, Manifest, RepositoryName, Tag};
use mcr_scanner::{KindRules, OpenTree, ScanError, TreeRepository, TreeTag, TreeTags, Trees, open_trees};
use mcr_verifier::{Located, Look, Report};

use crate::closure::{self, Walked};
use crate::options::Times;
use crate::origin::{Blob, BlobBytes, Closure, Loose, Origin, Place, Places, TagAt, Tags, Trouble, Untagged};

/// Trees of one path.
#[derive(Debug)]
pub struct TreeOrigin {
    name: String,
    trees: Vec<Arc<OpenTree>>,
    /// What was passed over beside them.
    findings: Vec<Finding>,
    /// Whether their repositories go below their names.
    several: bool,
    prefix: Option<String>,
    times: Times,
}

impl TreeOrigin {
    /// The trees at `path`: one, or a folder of several, whose repositories then go below their names. All of them go
    /// below `prefix`. What lies beside them and cannot be looked at is a finding, and counts as one of several: names
    /// are the same again when it can be.
    ///
    /// # Errors
    /// Where there is none, or it cannot be looked at.
    pub fn open(
        path: &Path,
        kinds: &KindRules,
        prefix: Option<String>,
        times: Times,
        now_ms: i64,
        watch: &dyn mcr_scanner::Watch,
    ) -> Result<Self, ScanError> {
        let Trees { trees, closed, findings } = open_trees(path, kinds, now_ms, watch)?;
        let several = trees.len() > 1 || closed;
        let trees = trees.into_iter().map(Arc::new).collect();
        Ok(Self { name: path.display().to_string(), trees, findings, several, prefix, times })
    }

    /// Where they lie.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.trees.iter().map(|tree| tree.path())
    }

    /// The name that a repository gets here.
    fn here(&self, tree: &OpenTree, name: &str) -> String {
        let registry = self.several.then(|| tree.name());
        let parts = self.prefix.as_deref().into_iter().chain(registry).chain([name]);
        parts.collect::<Vec<_>>().join("/")
    }

    fn tree(&self, place: &Place) -> Result<Arc<OpenTree>, Trouble> {
        self.trees.get(place.registry).cloned().ok_or_else(|| Trouble("no such tree".to_owned()))
    }

    /// Does `work` with a repository on a thread that may wait for a disk.
    async fn visit<T: Send + 'static>(
        &self,
        place: &Place,
        work: impl FnOnce(&TreeRepository<'_>) -> T + Send + 'static,
    ) -> Result<Result<T, Finding>, Trouble> {
        let (tree, name) = (self.tree(place)?, place.there.clone());
        tokio::task::spawn_blocking(move || tree.visit(&name, work)).await.map_err(Trouble::of)
    }
}

impl Origin for TreeOrigin {
    fn name(&self) -> &str {
        &self.name
    }

    async fn repositories(&self) -> Result<Places, Trouble> {
        let mut places = Places { below: self.prefix.clone(), findings: self.findings.clone(), ..Places::default() };
        for (registry, tree) in self.trees.iter().enumerate() {
            let listing = Arc::clone(tree);
            let listed = tokio::task::spawn_blocking(move || listing.repositories());
            let (names, findings) = listed.await.map_err(Trouble::of)?;
            places.findings.extend(findings);
            for there in names {
                let wanted = self.here(tree, &there);
                match RepositoryName::parse(&wanted) {
                    Ok(here) => places.repositories.push(Place { here, there, registry }),
                    Err(error) => places.findings.push(Finding {
                        repository: Some(wanted),
                        detail: Some(format!("no client can ask for a repository of this name: {error}")),
                        ..Finding::new(FindingKind::Unreachable)
                    }),
                }
            }
        }
        places.repositories.sort_unstable();
        Ok(places)
    }

    async fn tags(&self, place: &Place) -> Result<Tags, Trouble> {
        let listed = match self.visit(place, tags_of).await? {
            Ok(listed) => listed,
            Err(finding) => return Ok(Tags { findings: vec![finding], ..Tags::default() }),
        };
        let tag =
            |tag: TreeTag| Some(TagAt { tag: Tag::parse(&tag.tag).ok()?, digest: tag.digest, at_ms: tag.written_ms });
        let tags = listed.tags.into_iter().filter_map(tag).collect();
        Ok(Tags { tags, findings: listed.findings, absent: false })
    }

    async fn closure(&self, place: &Place, root: &Digest) -> Result<Closure, Trouble> {
        let (root, times) = (root.clone(), self.times);
        let walked = self.visit(place, move |repository| walk(repository, &root, times)).await?;
        Ok(walked.unwrap_or_else(|finding| Closure { findings: vec![finding], ..Closure::default() }))
    }

    fn asks_by_subject(&self) -> bool {
        false
    }

    async fn loose(&self, place: &Place, _subjects: &[Digest]) -> Result<Untagged, Trouble> {
        let listed = self.visit(place, |repository| {
            let all = repository.revisions().into_iter();
            all.map(|digest| Loose { subject: subject(repository, &digest), digest }).collect::<Vec<_>>()
        });
        let mut untagged = match listed.await? {
            Ok(loose) => Untagged { loose, findings: Vec::new() },
            Err(finding) => Untagged { loose: Vec::new(), findings: vec![finding] },
        };
        untagged.loose.sort_unstable_by(|one, two| one.digest.cmp(&two.digest));
        Ok(untagged)
    }

    async fn blob(&self, place: &Place, blob: &Blob) -> Result<Look<BlobBytes>, Trouble> {
        let digest = blob.digest.clone();
        let opened = self.visit(place, move |repository| repository.open_blob(&digest)).await?;
        Ok(match opened {
            Ok(Look::Whole((file, size))) => Look::Whole(BlobBytes::File { file, size }),
            Ok(Look::Broken(problem)) => Look::Broken(problem),
            Err(finding) => {
                let why = finding.detail.unwrap_or_default();
                Look::Broken(mcr_verifier::Problem::new(FindingKind::Unreachable, why))
            }
        })
    }
}

fn tags_of(repository: &TreeRepository<'_>) -> TreeTags {
    repository.tags()
}

fn walk(repository: &TreeRepository<'_>, root: &Digest, times: Times) -> Closure {
    // Files answer at once: nothing in this walk ever waits.
    let done = closure::walk(root, repository, true, 1).now_or_never();
    let mut walked = match done {
        Some(Ok(walked)) => walked,
        Some(Err(never)) => match never {},
        None => return Closure::default(),
    };
    let absent = Absent::count(&walked.report);
    let created_ms = if times == Times::Created { created(repository, &walked) } else { None };
    let before = walked.report.findings.len();
    let report = Report { findings: std::mem::take(&mut walked.report.findings), ..walked.report.clone() };
    let findings = repository.findings(report);
    let all_told = findings.len() == before;
    for descriptor in std::mem::take(&mut walked.optional) {
        // What need not be there is brought where it is.
        if let Look::Whole((_, size)) = repository.open_blob(&descriptor.digest) {
            let blob = Blob { digest: descriptor.digest, size };
            if !walked.blobs.iter().any(|known| known.digest == blob.digest) {
                walked.blobs.push(blob);
            }
        }
    }
    let beside = Closure {
        findings,
        absent_children: if all_told { 0 } else { absent.children },
        absent_blobs: if all_told { 0 } else { absent.blobs },
        pushed_ms: repository.pushed_ms(root),
        created_ms,
        ..Closure::default()
    };
    walked.closure(beside)
}

/// What is not there.
struct Absent {
    children: u64,
    blobs: u64,
}

impl Absent {
    fn count(report: &Report) -> Self {
        let absent = |located: &&Located| {
            matches!(
                located.finding.kind,
                FindingKind::ManifestMissing
                    | FindingKind::ManifestUnlinked
                    | FindingKind::BlobMissing
                    | FindingKind::BlobUnlinked
            )
        };
        let (children, blobs): (Vec<_>, Vec<_>) =
            report.findings.iter().filter(absent).partition(|located| located.edge == Some(EdgeKind::Child));
        Self { children: children.len() as u64, blobs: blobs.len() as u64 }
    }
}

/// When the images of a closure say they were made; the latest of them.
fn created(repository: &TreeRepository<'_>, walked: &Walked) -> Option<i64> {
    let configs = walked.configs().filter_map(|descriptor| {
        let Look::Whole((file, _)) = repository.open_blob(&descriptor.digest) else { return None };
        let mut bytes = Vec::new();
        file.take(MANIFEST_MAX as u64).read_to_end(&mut bytes).ok()?;
        closure::created_ms(&bytes)
    });
    configs.max().or_else(|| walked.annotated_ms())
}

fn subject(repository: &TreeRepository<'_>, digest: &Digest) -> Option<Digest> {
    let descriptor = mcr_oci::Descriptor::new("", digest.clone(), 0);
    let look = mcr_verifier::Source::manifest(repository, &descriptor).now_or_never()?;
    let Ok(Look::Whole(stored)) = look else { return None };
    let manifest = Manifest::parse(&stored.bytes, stored.media_type.as_deref()).ok()?;
    manifest.subject.map(|subject| subject.digest)
}
