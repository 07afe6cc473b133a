//! From what was looked at to findings with paths: judging every edge of the closure; never looking itself.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mcr_oci::{Descriptor, Digest, Edge, EdgeKind, EdgeTarget, Finding, FindingKind, Manifest};

use crate::examine::{self, Examined, Seen};
use crate::options::{Absence, Options};
use crate::report::{Checked, Located, Report, Skipped};
use crate::source::{Problem, Source};

/// Where a walk begins.
#[derive(Debug, Clone)]
pub enum Root {
    /// A manifest whose bytes are in hand: a push.
    Parsed {
        /// Its digest.
        digest: Digest,
        /// What it says.
        manifest: Arc<Manifest>,
        /// Its length in bytes.
        size: u64,
    },
    /// A manifest the source is asked for.
    Named(Box<Descriptor>),
}

impl Root {
    fn digest(&self) -> &Digest {
        match self {
            Self::Parsed { digest, .. } => digest,
            Self::Named(descriptor) => &descriptor.digest,
        }
    }
}

/// Walks the closure of `root` and reports every incomplete edge, on every path that reaches it.
///
/// A digest is looked at once, however often it is named (contract section 4).
///
/// # Errors
/// Only the source's inability to look; what is broken is in the report.
pub async fn walk<S: Source>(root: &Root, source: &S, options: &Options) -> Result<Report, S::Error> {
    let mut memory = Memory::default();
    examine::closures(std::slice::from_ref(root), source, options, &mut memory.seen).await?;
    Ok(judge(root, &memory.seen, options))
}

/// What walks of one repository looked at, so that later walks do not look again.
#[derive(Debug, Default)]
pub struct Memory {
    seen: Seen,
}

impl Memory {
    /// How many digests were looked at.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// True before the first look.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// How many distinct indexes were looked at.
    #[must_use]
    pub fn indexes(&self) -> usize {
        let index = |examined: &&Examined| match examined {
            Examined::Manifest { manifest, .. } => examine::is_index(manifest),
            Examined::Sound { index, .. } => *index,
            Examined::Blob { .. } | Examined::Broken(_) => false,
        };
        self.seen.values().filter(index).count()
    }

    /// What a manifest says that was looked at, whole and not [forgotten](Self::forget_sound).
    #[must_use]
    pub fn manifest(&self, digest: &Digest) -> Option<&Arc<Manifest>> {
        match self.seen.get(digest)? {
            Examined::Manifest { manifest, .. } => Some(manifest),
            Examined::Sound { .. } | Examined::Blob { .. } | Examined::Broken(_) => None,
        }
    }

    /// Keeps of the manifests of a sound closure only that they are sound, so that many tags need little room.
    pub fn forget_sound(&mut self, report: &Report) {
        if report.is_sound() {
            examine::forget_edges(&report.root, &mut self.seen);
        }
    }
}

/// Walks several closures of one repository together: what they share is looked at once, and what `memory` holds
/// not at all. One report per root, in their order.
///
/// # Errors
/// Only the source's inability to look.
pub async fn walk_all<S: Source>(
    roots: &[Root],
    source: &S,
    options: &Options,
    memory: &mut Memory,
) -> Result<Vec<Report>, S::Error> {
    examine::closures(roots, source, options, &mut memory.seen).await?;
    Ok(roots.iter().map(|root| judge(root, &memory.seen, options)).collect())
}

fn judge(root: &Root, seen: &Seen, options: &Options) -> Report {
    let mut judge = Judge {
        seen,
        options,
        report: Report {
            root: root.digest().clone(),
            findings: Vec::new(),
            findings_cut: false,
            checked: Checked::default(),
            skipped: Vec::new(),
        },
        counted: HashSet::new(),
        platforms: Vec::new(),
        broken_below: HashMap::new(),
    };
    match seen.get(root.digest()) {
        Some(Examined::Manifest { manifest, size, .. }) => {
            judge.count_manifest(root.digest(), manifest, *size);
            judge.descend(root.digest(), manifest, &mut Vec::new());
        }
        Some(Examined::Sound { size, index, .. }) => judge.count_known(root.digest(), *index, *size),
        Some(Examined::Broken(problem)) => judge.push(None, root.digest(), problem, &[]),
        Some(Examined::Blob { .. }) | None => {}
    }
    judge.report
}

struct Judge<'a> {
    seen: &'a Seen,
    options: &'a Options,
    report: Report,
    counted: HashSet<Digest>,
    /// The platforms on the way from the root, the innermost last.
    platforms: Vec<String>,
    /// Whether anything below a manifest was broken, so that whole subtrees are entered once
    /// however many paths lead to them.
    broken_below: HashMap<Digest, bool>,
}

impl Judge<'_> {
    /// Judges the edges of one manifest; true when something at or below them is wrong.
    fn descend(&mut self, digest: &Digest, manifest: &Manifest, path: &mut Vec<Digest>) -> bool {
        if self.broken_below.get(digest) == Some(&false) || self.report.findings_cut {
            return false;
        }
        path.push(digest.clone());
        let before = self.report.findings.len();
        let mut named = HashSet::new();
        for edge in &manifest.edges {
            if !edge.is_required() {
                self.skip(digest, edge, "non-distributable layer");
            } else if !self.options.takes(edge) {
                self.skip(digest, edge, "another platform");
            } else if named.insert((edge.descriptor.digest.clone(), edge.descriptor.size)) {
                self.edge(edge, path);
            }
        }
        path.pop();
        let broken = self.report.findings.len() > before || self.report.findings_cut;
        self.broken_below.insert(digest.clone(), broken);
        broken
    }

    fn edge(&mut self, edge: &Edge, path: &mut Vec<Digest>) {
        let seen = self.seen;
        let digest = &edge.descriptor.digest;
        match seen.get(digest) {
            Some(Examined::Blob { size }) => {
                if edge.target() == EdgeTarget::Manifest {
                    return self.push(Some(edge), digest, &Problem::bare(FindingKind::ManifestMissing), path);
                }
                self.count_blob(edge, *size);
                self.compare_size(edge, *size, path);
            }
            Some(Examined::Manifest { manifest, size, media_type }) => {
                if edge.target() == EdgeTarget::Blob {
                    return self.push(Some(edge), digest, &Problem::bare(FindingKind::BlobMissing), path);
                }
                self.count_manifest(digest, manifest, *size);
                self.compare_size(edge, *size, path);
                self.compare_type(edge, media_type.as_deref(), path);
                let platform = edge.descriptor.platform.as_ref().map(ToString::to_string);
                let named = platform.is_some();
                self.platforms.extend(platform);
                self.descend(digest, manifest, path);
                if named {
                    self.platforms.pop();
                }
            }
            Some(Examined::Sound { size, index, media_type }) => {
                if edge.target() == EdgeTarget::Blob {
                    return self.push(Some(edge), digest, &Problem::bare(FindingKind::BlobMissing), path);
                }
                self.count_known(digest, *index, *size);
                self.compare_size(edge, *size, path);
                self.compare_type(edge, media_type.as_deref(), path);
            }
            Some(Examined::Broken(problem)) => {
                if self.may_be_absent(edge, problem.kind) {
                    if let Some(parent) = path.last().cloned() {
                        self.skip(&parent, edge, "absent, which is allowed here");
                    }
                } else {
                    self.push(Some(edge), digest, problem, path);
                }
            }
            // Every required edge was examined; an edge that was not is one the walk failed to follow.
            None => self.push(Some(edge), digest, &Problem::new(FindingKind::Unreachable, "was not looked at"), path),
        }
    }

    fn may_be_absent(&self, edge: &Edge, kind: FindingKind) -> bool {
        let absent = matches!(kind, FindingKind::ManifestMissing | FindingKind::BlobMissing);
        absent
            && match self.options.absence {
                Absence::Finding => false,
                Absence::OfChildrenAllowed => edge.kind == EdgeKind::Child,
                Absence::Allowed => true,
            }
    }

    fn compare_size(&mut self, edge: &Edge, stored: u64, path: &[Digest]) {
        let said = edge.descriptor.size;
        if said != stored {
            let detail = format!("the descriptor says {said} bytes, {stored} are stored");
            self.push(Some(edge), &edge.descriptor.digest, &Problem::new(FindingKind::BlobSizeMismatch, detail), path);
            if let Some(last) = self.report.findings.last_mut() {
                last.stored_size = Some(stored);
            }
        }
    }

    fn compare_type(&mut self, edge: &Edge, stored: Option<&str>, path: &[Digest]) {
        let Some(stored) = stored else { return };
        let said = edge.descriptor.media_type.as_str();
        if said != stored {
            let detail = format!("the descriptor says {said}, it is stored as {stored}");
            self.push(Some(edge), &edge.descriptor.digest, &Problem::new(FindingKind::ManifestInvalid, detail), path);
            if let Some(last) = self.report.findings.last_mut() {
                last.stored_type = Some(stored.to_owned());
            }
        }
    }

    fn push(&mut self, edge: Option<&Edge>, digest: &Digest, problem: &Problem, path: &[Digest]) {
        if self.report.findings.len() >= self.options.limits.findings {
            self.report.findings_cut = true;
            return;
        }
        let descriptor = edge.map(|e| &e.descriptor);
        let own = descriptor.and_then(|d| d.platform.as_ref()).map(ToString::to_string);
        self.report.findings.push(Located {
            finding: Finding {
                kind: problem.kind,
                digest: Some(digest.clone()),
                media_type: descriptor.map(|d| d.media_type.clone()).filter(|t| !t.is_empty()),
                size: descriptor.map(|d| d.size),
                repository: None,
                tag: None,
                path: path.to_vec(),
                platform: own.or_else(|| self.platforms.last().cloned()),
                status: problem.status,
                detail: problem.detail.clone(),
            },
            edge: edge.map(|e| e.kind),
            descriptor: descriptor.cloned(),
            stored_size: None,
            stored_type: None,
        });
    }

    fn skip(&mut self, parent: &Digest, edge: &Edge, reason: &'static str) {
        if self.report.skipped.len() < self.options.limits.findings {
            self.report.skipped.push(Skipped { parent: parent.clone(), descriptor: edge.descriptor.clone(), reason });
        }
    }

    fn count_manifest(&mut self, digest: &Digest, manifest: &Manifest, size: u64) {
        self.count_known(digest, examine::is_index(manifest), size);
    }

    fn count_known(&mut self, digest: &Digest, index: bool, size: u64) {
        if self.counted.insert(digest.clone()) {
            self.report.checked.bytes += size;
            if index {
                self.report.checked.indexes += 1;
            } else {
                self.report.checked.manifests += 1;
            }
        }
    }

    fn count_blob(&mut self, edge: &Edge, size: u64) {
        if self.counted.insert(edge.descriptor.digest.clone()) {
            self.report.checked.bytes += size;
            match edge.kind {
                EdgeKind::Config => self.report.checked.configs += 1,
                EdgeKind::Layer | EdgeKind::Child => self.report.checked.layers += 1,
            }
        }
    }
}
