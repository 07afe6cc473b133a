//! An OCI image layout, judged from its `index.json`: blobs by digest and nothing else; never a registry's tree.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use mcr_oci::{Descriptor, Digest, Finding, FindingKind, MANIFEST_MAX, Manifest};
use mcr_verifier::{Look, Options, Problem, Report, Root, Source, StoredBlob, StoredManifest, walk};

use crate::Part;
use crate::deep::{self, Shelf};
use crate::error::ScanError;
use crate::io::{Answer, Content, EntryKind, FileStat, Listing, Tree};
use crate::judge::{self, Knows, Place};
use crate::key::{ALGORITHMS, Key, digest_of, table};
use crate::kind::Judged;
use crate::layout::Found;
use crate::report::Information;
use crate::settings::{Settings, Watch};
use crate::suggestion;

/// The annotation that holds a tag (image-spec, annotations.md).
const REF_NAME: &str = "org.opencontainers.image.ref.name";

struct OciLayout {
    tree: Tree,
    corrupt: HashMap<Digest, Digest>,
    /// What some manifest names.
    named: Mutex<HashSet<(usize, Key)>>,
}

/// Looks at the layout.
///
/// # Errors
/// Where it cannot be looked at.
pub(crate) fn scan(found: &Found, judged: &Judged, settings: &Settings, watch: &dyn Watch) -> Result<Part, ScanError> {
    let tree = match Tree::open(&found.path) {
        Answer::There(tree) => tree,
        other => return Err(ScanError::Unreachable { path: found.path.clone(), why: other.reason() }),
    };
    let corrupt = if settings.deep { hash(&tree, settings, watch) } else { HashMap::new() };
    let layout = OciLayout { tree, corrupt, named: Mutex::new(HashSet::new()) };
    let mut part = Part::default();
    match layout.index() {
        Ok(index) => layout.walk(&index, judged, &mut part),
        Err(finding) => part.findings.push(finding),
    }
    layout.unreferenced(settings, &mut part);
    Ok(part)
}

fn hash(tree: &Tree, settings: &Settings, watch: &dyn Watch) -> HashMap<Digest, Digest> {
    let shelf = |algorithm| Shelf { name: format!("blobs/{algorithm}").into_bytes(), algorithm, suffix: b"" };
    deep::hash(tree, tree.root(), &ALGORITHMS.map(shelf), settings, watch)
}

/// `index.json`, which names everything.
struct Index {
    digest: Digest,
    manifest: Arc<Manifest>,
    size: u64,
}

impl OciLayout {
    fn index(&self) -> Result<Index, Finding> {
        let broken = |kind, why: String| Finding { detail: Some(format!("index.json: {why}")), ..Finding::new(kind) };
        let bytes = match self.tree.read(self.tree.root(), b"index.json", MANIFEST_MAX) {
            Answer::There(Content::Bytes(bytes)) => bytes,
            Answer::There(Content::TooLong(size)) => {
                return Err(broken(FindingKind::ManifestInvalid, format!("{size} bytes are too many")));
            }
            answer @ (Answer::Absent | Answer::Odd(_)) => {
                return Err(broken(FindingKind::ManifestMissing, answer.reason()));
            }
            answer => return Err(broken(FindingKind::Unreachable, answer.reason())),
        };
        let manifest = Manifest::parse(&bytes, Some(mcr_oci::media_type::OCI_INDEX));
        let manifest = manifest.map_err(|error| broken(FindingKind::ManifestInvalid, error.to_string()))?;
        Ok(Index { digest: Digest::sha256(&bytes), manifest: Arc::new(manifest), size: bytes.len() as u64 })
    }

    fn walk(&self, index: &Index, judged: &Judged, part: &mut Part) {
        let Index { digest, manifest, size } = index;
        let root = Root::Parsed { digest: digest.clone(), manifest: Arc::clone(manifest), size: *size };
        // Files answer at once: nothing in this walk ever waits.
        let walked = walk(&root, self, &Options { jobs: 1, ..Options::default() }).now_or_never();
        let report = match walked {
            Some(Ok(report)) => report,
            Some(Err(never)) => match never {},
            None => return,
        };
        part.scanned.manifests = report.checked.manifests;
        // The index that is a file and no blob is not counted.
        part.scanned.indexes = report.checked.indexes.saturating_sub(1);
        let lacking = judge::lacking_indexes(&report);
        part.information.suggestion = suggestion(judged, lacking, report.checked.indexes);
        self.name_skipped(&report);
        let tags = tags(manifest);
        part.scanned.tags = tags.values().map(|tags| tags.len() as u64).sum();
        for finding in judge::findings(report, judged.kind, self) {
            part.findings.extend(told(finding, digest, &tags));
        }
    }

    fn name_skipped(&self, report: &Report) {
        for skipped in &report.skipped {
            self.name(&skipped.descriptor.digest);
        }
    }

    fn name(&self, digest: &Digest) {
        self.named.lock().unwrap_or_else(PoisonError::into_inner).insert(Key::of(digest));
    }

    fn look(&self, digest: &Digest) -> Answer<FileStat> {
        self.tree.stat(self.tree.root(), path(digest).as_bytes())
    }

    /// Counts the blobs, and those that nothing names.
    fn unreferenced(&self, settings: &Settings, part: &mut Part) {
        let named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut blobs, mut bytes) = (0, 0);
        let Information { temporary_files, .. } = &mut part.information;
        let mut unreachable = Vec::new();
        for algorithm in ALGORITHMS {
            let name = format!("blobs/{algorithm}");
            let listed = Listing::new().each(&self.tree, self.tree.root(), name.as_bytes(), |directory, entry| {
                let stat =
                    digest_of(entry.name, algorithm).map(|digest| (digest, self.tree.stat(directory, entry.name)));
                match stat {
                    Some((digest, Answer::There(stat))) => {
                        part.scanned.blobs += 1;
                        part.scanned.bytes += stat.size;
                        if !named.contains(&(table(algorithm), Key::of(&digest).1)) {
                            blobs += 1;
                            bytes += stat.size;
                        }
                    }
                    _ if entry.kind != EntryKind::Directory => *temporary_files += 1,
                    _ => {}
                }
            });
            if !matches!(listed, Answer::There(_) | Answer::Absent) {
                unreachable.push(format!("{name}: {}", listed.reason()));
            }
        }
        part.information.unreferenced_blobs = Some(blobs);
        part.information.unreferenced_bytes = Some(bytes);
        part.information.unreferenced_corrupt = settings
            .deep
            .then(|| self.corrupt.keys().filter(|digest| !named.contains(&Key::of(digest))).count() as u64);
        part.findings.extend(
            unreachable.into_iter().map(|why| Finding { detail: Some(why), ..Finding::new(FindingKind::Unreachable) }),
        );
    }
}

fn path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

/// The tags that each entry of the index has.
fn tags(index: &Manifest) -> BTreeMap<Digest, Vec<String>> {
    let mut tags: BTreeMap<Digest, Vec<String>> = BTreeMap::new();
    for edge in &index.edges {
        if let Some(tag) = edge.descriptor.annotations.get(REF_NAME) {
            tags.entry(edge.descriptor.digest.clone()).or_default().push(tag.clone());
        }
    }
    tags
}

/// The finding without `index.json` in its path, once for each tag of the entry it hangs below.
fn told(mut finding: Finding, index: &Digest, tags: &BTreeMap<Digest, Vec<String>>) -> Vec<Finding> {
    if finding.path.first() == Some(index) {
        finding.path.remove(0);
    }
    let entry = finding.path.first().or(finding.digest.as_ref());
    match entry.and_then(|entry| tags.get(entry)) {
        None => vec![finding],
        Some(tags) => {
            let place = |tag: &String| judge::at(&finding, Place { repository: None, tag: Some(tag) });
            tags.iter().map(place).collect()
        }
    }
}

impl Source for OciLayout {
    type Error = Infallible;

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Look<StoredManifest>, Infallible> {
        let digest = &descriptor.digest;
        self.name(digest);
        let read = self.tree.read(self.tree.root(), path(digest).as_bytes(), MANIFEST_MAX);
        Ok(match read {
            Answer::There(Content::Bytes(bytes)) => {
                Look::Whole(StoredManifest { media_type: None, bytes: Arc::from(bytes) })
            }
            Answer::There(Content::TooLong(size)) => {
                let detail = format!("{size} bytes are stored; a manifest has at most {MANIFEST_MAX}");
                Look::Broken(Problem::new(FindingKind::ManifestInvalid, detail))
            }
            answer => Look::Broken(not_there(FindingKind::ManifestMissing, &answer.map(drop))),
        })
    }

    async fn blob(&self, descriptor: &Descriptor) -> Result<Look<StoredBlob>, Infallible> {
        let digest = &descriptor.digest;
        self.name(digest);
        if let Some(computed) = self.corrupt.get(digest) {
            let detail = format!("its bytes hash to {computed}");
            return Ok(Look::Broken(Problem::new(FindingKind::BlobCorrupt, detail)));
        }
        Ok(match self.look(digest) {
            Answer::There(stat) => Look::Whole(StoredBlob { size: stat.size }),
            answer => Look::Broken(not_there(FindingKind::BlobMissing, &answer.map(drop))),
        })
    }
}

fn not_there(kind: FindingKind, answer: &Answer<()>) -> Problem {
    match answer {
        Answer::Failed(_) | Answer::Outside => {
            Problem::new(FindingKind::Unreachable, format!("its bytes cannot be looked at: {}", answer.reason()))
        }
        Answer::Odd(what) => Problem::new(kind, format!("bytes gone: {what}")),
        Answer::There(()) | Answer::Absent => Problem::new(kind, "bytes gone"),
    }
}

impl Knows for OciLayout {
    fn stored_size(&self, digest: &Digest) -> Option<u64> {
        self.look(digest).there().map(|stat| stat.size)
    }

    fn is_damaged(&self, _digest: &Digest) -> bool {
        false
    }
}
