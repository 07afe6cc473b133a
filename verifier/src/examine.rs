//! Looking at each digest of a closure once, with bounded concurrency; never where in the closure it stands.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use mcr_oci::{Descriptor, Digest, Edge, EdgeTarget, FindingKind, Hasher, Manifest, ManifestKind};

use crate::options::Options;
use crate::source::{Look, Problem, Source};
use crate::walk::Root;

/// What one digest turned out to be.
#[derive(Debug, Clone)]
pub(crate) enum Examined {
    /// A manifest that hashes and parses; its size and stored type.
    Manifest { manifest: Arc<Manifest>, size: u64, media_type: Option<String> },
    /// A manifest below which everything was found sound earlier; its edges are forgotten.
    Sound { size: u64, media_type: Option<Box<str>>, index: bool },
    /// A blob that can be served.
    Blob { size: u64 },
    /// Something that cannot.
    Broken(Problem),
}

/// All that a walk looked at, by digest.
pub(crate) type Seen = HashMap<Digest, Examined>;

/// Looks at everything `roots` reach, each digest once, and not at what was `seen` before.
///
/// # Errors
/// The source's inability to look. What was seen until then stays; what was under way is forgotten.
pub(crate) async fn closures<S: Source>(
    roots: &[Root],
    source: &S,
    options: &Options,
    seen: &mut Seen,
) -> Result<(), S::Error> {
    let mut queue = Queue { waiting: VecDeque::new(), manifests: vec![0; roots.len()], manifest_bytes: 0 };
    for (root, start) in roots.iter().enumerate() {
        queue.begin(root, start, seen, options);
    }
    let mut running = FuturesUnordered::new();
    let outcome = loop {
        while running.len() < options.jobs.max(1) {
            let Some(Waiting { descriptor, target, depth, root }) = queue.waiting.pop_front() else { break };
            if seen.contains_key(&descriptor.digest) {
                continue;
            }
            if let Some(refused) = queue.over_limits(target, depth, root, options) {
                seen.insert(descriptor.digest, Examined::Broken(refused));
                continue;
            }
            // Claimed before the answer, so that no digest is asked for twice.
            seen.insert(descriptor.digest.clone(), Examined::Broken(Problem::bare(FindingKind::Unreachable)));
            let digest = descriptor.digest.clone();
            running.push(look(source, descriptor, target).map(move |answer| (digest, depth, root, answer)));
        }
        let Some((digest, depth, root, answer)) = running.next().await else { break Ok(()) };
        match answer {
            Ok(examined) => {
                if let Examined::Manifest { manifest, size, .. } = &examined {
                    queue.manifest_bytes += size;
                    queue.follow(manifest, depth + 1, root, seen, options);
                }
                seen.insert(digest, examined);
            }
            Err(error) => {
                seen.remove(&digest);
                break Err(error);
            }
        }
    };
    if outcome.is_err() {
        seen.retain(|_, examined| !matches!(examined, Examined::Broken(p) if p.kind == FindingKind::Unreachable));
    }
    outcome
}

/// One edge that is still to be looked at.
struct Waiting {
    descriptor: Descriptor,
    target: EdgeTarget,
    depth: usize,
    /// Which root it was first reached from.
    root: usize,
}

/// What is still to be looked at, and how many manifests each root led to.
struct Queue {
    waiting: VecDeque<Waiting>,
    manifests: Vec<usize>,
    /// Of all roots together.
    manifest_bytes: u64,
}

impl Queue {
    fn begin(&mut self, root: usize, start: &Root, seen: &mut Seen, options: &Options) {
        match start {
            Root::Parsed { digest, manifest, size } => {
                if !seen.contains_key(digest) {
                    self.follow(manifest, 1, root, seen, options);
                    let media_type = Some(manifest.media_type.clone());
                    let manifest = Arc::clone(manifest);
                    seen.insert(digest.clone(), Examined::Manifest { manifest, size: *size, media_type });
                }
            }
            Root::Named(descriptor) => self.waiting.push_back(Waiting {
                descriptor: descriptor.as_ref().clone(),
                target: EdgeTarget::Manifest,
                depth: 0,
                root,
            }),
        }
    }

    fn follow(&mut self, manifest: &Manifest, depth: usize, root: usize, seen: &Seen, options: &Options) {
        let wanted =
            |edge: &&Edge| edge.is_required() && options.takes(edge) && !seen.contains_key(&edge.descriptor.digest);
        self.waiting.extend(manifest.edges.iter().filter(wanted).map(|edge| Waiting {
            descriptor: edge.descriptor.clone(),
            target: edge.target(),
            depth,
            root,
        }));
    }

    fn over_limits(&mut self, target: EdgeTarget, depth: usize, root: usize, options: &Options) -> Option<Problem> {
        if matches!(target, EdgeTarget::Blob) {
            return None;
        }
        let manifests = self.manifests.get_mut(root)?;
        *manifests += 1;
        let limits = &options.limits;
        if depth > limits.depth {
            let detail = format!("indexes are nested deeper than {} levels", limits.depth);
            return Some(Problem::new(FindingKind::ManifestInvalid, detail));
        }
        if self.manifest_bytes > limits.manifest_bytes {
            let detail = format!("not looked at: more than {} bytes of manifests", limits.manifest_bytes);
            return Some(Problem::new(FindingKind::Unreachable, detail));
        }
        (*manifests > limits.manifests).then(|| {
            let detail = format!("the closure has more than {} manifests", limits.manifests);
            Problem::new(FindingKind::ManifestInvalid, detail)
        })
    }
}

/// Keeps of a sound manifest and those below it only that they are sound.
pub(crate) fn forget_edges(root: &Digest, seen: &mut Seen) {
    let mut below = vec![root.clone()];
    while let Some(digest) = below.pop() {
        let Some(entry) = seen.get_mut(&digest) else { continue };
        if let Examined::Manifest { manifest, size, media_type } = entry {
            let children = manifest.edges.iter().filter(|edge| edge.target() != EdgeTarget::Blob);
            below.extend(children.map(|edge| edge.descriptor.digest.clone()));
            let media_type = media_type.take().map(String::into_boxed_str);
            *entry = Examined::Sound { size: *size, media_type, index: is_index(manifest) };
        }
    }
}

async fn look<S: Source>(source: &S, descriptor: Descriptor, target: EdgeTarget) -> Result<Examined, S::Error> {
    match target {
        EdgeTarget::Blob => blob(source, &descriptor).await,
        EdgeTarget::Manifest => manifest(source, &descriptor).await,
        EdgeTarget::Either => match blob(source, &descriptor).await? {
            // A tree on disk keeps the bytes of manifests beside those of blobs: unlinked as a blob says little.
            Examined::Broken(as_blob)
                if matches!(as_blob.kind, FindingKind::BlobMissing | FindingKind::BlobUnlinked) =>
            {
                Ok(match manifest(source, &descriptor).await? {
                    Examined::Broken(p)
                        if matches!(p.kind, FindingKind::ManifestMissing | FindingKind::ManifestUnlinked) =>
                    {
                        Examined::Broken(as_blob)
                    }
                    found => found,
                })
            }
            found => Ok(found),
        },
    }
}

async fn blob<S: Source>(source: &S, descriptor: &Descriptor) -> Result<Examined, S::Error> {
    Ok(match source.blob(descriptor).await? {
        Look::Whole(stored) => Examined::Blob { size: stored.size },
        Look::Broken(problem) => Examined::Broken(problem),
    })
}

async fn manifest<S: Source>(source: &S, descriptor: &Descriptor) -> Result<Examined, S::Error> {
    let stored = match source.manifest(descriptor).await? {
        Look::Whole(stored) => stored,
        Look::Broken(problem) => return Ok(Examined::Broken(problem)),
    };
    let mut hasher = Hasher::new(descriptor.digest.algorithm());
    hasher.update(&stored.bytes);
    let computed = hasher.finish();
    if computed != descriptor.digest {
        let detail = format!("its bytes hash to {computed}");
        return Ok(Examined::Broken(Problem::new(FindingKind::ManifestCorrupt, detail)));
    }
    Ok(match Manifest::parse(&stored.bytes, stored.media_type.as_deref()) {
        Ok(parsed) => Examined::Manifest {
            manifest: Arc::new(parsed),
            size: stored.bytes.len() as u64,
            media_type: stored.media_type,
        },
        Err(error) => Examined::Broken(Problem::new(FindingKind::ManifestInvalid, error.to_string())),
    })
}

/// Counts one examined digest as what its edge says it is.
pub(crate) fn is_index(manifest: &Manifest) -> bool {
    matches!(manifest.kind, ManifestKind::Index)
}
