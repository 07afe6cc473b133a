//! Looking at each digest of a closure once, with bounded concurrency; never where in the closure it stands.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt};
use mcr_oci::{Descriptor, Digest, Edge, EdgeTarget, FindingKind, Hasher, Manifest, ManifestKind};

use crate::source::{Look, Problem, Source};
use crate::walk::{Options, Root};

/// What one digest turned out to be.
#[derive(Debug, Clone)]
pub(crate) enum Examined {
    /// A manifest that hashes and parses; its size and stored type.
    Manifest { manifest: Arc<Manifest>, size: u64, media_type: Option<String> },
    /// A blob that can be served.
    Blob { size: u64 },
    /// Something that cannot.
    Broken(Problem),
}

/// All that a walk looked at, by digest.
pub(crate) type Seen = HashMap<Digest, Examined>;

/// Looks at everything `root` reaches, each digest once.
///
/// # Errors
/// The source's inability to look.
pub(crate) async fn closure<S: Source>(root: &Root, source: &S, options: &Options) -> Result<Seen, S::Error> {
    let mut seen = Seen::new();
    let mut waiting: VecDeque<(Descriptor, EdgeTarget, usize)> = VecDeque::new();
    let mut manifests = 0_usize;
    match root {
        Root::Parsed { digest, manifest, size } => {
            waiting.extend(edges(manifest, 1));
            let media_type = Some(manifest.media_type.clone());
            seen.insert(digest.clone(), Examined::Manifest { manifest: Arc::clone(manifest), size: *size, media_type });
        }
        Root::Named(descriptor) => waiting.push_back((descriptor.as_ref().clone(), EdgeTarget::Manifest, 0)),
    }
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < options.jobs.max(1) {
            let Some((descriptor, target, depth)) = waiting.pop_front() else { break };
            if seen.contains_key(&descriptor.digest) {
                continue;
            }
            if let Some(refused) = over_limits(target, depth, &mut manifests, options) {
                seen.insert(descriptor.digest, Examined::Broken(refused));
                continue;
            }
            // Claimed before the answer, so that no digest is asked for twice.
            seen.insert(descriptor.digest.clone(), Examined::Broken(Problem::bare(FindingKind::Unreachable)));
            running.push(look(source, descriptor, target, depth));
        }
        let Some(answer) = running.next().await else { break };
        let (digest, examined, depth) = answer?;
        if let Examined::Manifest { manifest, .. } = &examined {
            waiting.extend(edges(manifest, depth + 1).filter(|(d, _, _)| !seen.contains_key(&d.digest)));
        }
        seen.insert(digest, examined);
    }
    Ok(seen)
}

fn edges(manifest: &Manifest, depth: usize) -> impl Iterator<Item = (Descriptor, EdgeTarget, usize)> + '_ {
    manifest.edges.iter().filter(|e| e.is_required()).map(move |e: &Edge| (e.descriptor.clone(), e.target(), depth))
}

fn over_limits(target: EdgeTarget, depth: usize, manifests: &mut usize, options: &Options) -> Option<Problem> {
    if matches!(target, EdgeTarget::Blob) {
        return None;
    }
    *manifests += 1;
    if depth > options.limits.depth {
        return Some(Problem::new(
            FindingKind::ManifestInvalid,
            format!("indexes are nested deeper than {} levels", options.limits.depth),
        ));
    }
    (*manifests > options.limits.manifests).then(|| {
        Problem::new(
            FindingKind::ManifestInvalid,
            format!("the closure has more than {} manifests", options.limits.manifests),
        )
    })
}

async fn look<S: Source>(
    source: &S,
    descriptor: Descriptor,
    target: EdgeTarget,
    depth: usize,
) -> Result<(Digest, Examined, usize), S::Error> {
    let examined = match target {
        EdgeTarget::Blob => blob(source, &descriptor).await?,
        EdgeTarget::Manifest => manifest(source, &descriptor).await?,
        EdgeTarget::Either => match blob(source, &descriptor).await? {
            Examined::Broken(as_blob) if as_blob.kind == FindingKind::BlobMissing => {
                match manifest(source, &descriptor).await? {
                    Examined::Broken(p) if p.kind == FindingKind::ManifestMissing => Examined::Broken(as_blob),
                    found => found,
                }
            }
            found => found,
        },
    };
    Ok((descriptor.digest, examined, depth))
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
