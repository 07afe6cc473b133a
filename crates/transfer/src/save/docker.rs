//! Which image docker's part of a tar names, and whether docker could load it; never the OCI part.

use std::collections::BTreeMap;

use bytes::Bytes;
use mcr_oci::{Digest, EdgeKind, Finding, ManifestKind};
use mcr_verifier::{Look, PlatformFilter};
use serde::Deserialize;

use super::archive::Pieces;
use super::{Plan, Read, SaveError, Shelf, Wanted, part};

/// No config that docker reads is longer, in bytes.
const CONFIG_MAX: u64 = 8 << 20;

/// What docker makes of an image.
pub(super) enum Part {
    /// This.
    Image(Entry),
    /// Nothing, and why.
    Nothing(String),
}

/// An image as docker's `manifest.json` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its config, whose digest is the image's id.
    pub(super) config: Digest,
    /// Its layers, the lowest first.
    pub(super) layers: Vec<Digest>,
}

/// What docker needs of a config.
#[derive(Deserialize)]
struct Config {
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    #[serde(default)]
    diff_ids: Vec<String>,
}

/// Docker's part of the image at `root`: itself, or the one for `platform`, or the only one.
pub(super) async fn part<S: Shelf>(
    plan: &Plan<S>,
    wanted: &Wanted<S>,
    root: &Read,
    platform: &PlatformFilter,
    reads: &BTreeMap<Digest, Read>,
) -> Result<Part, SaveError> {
    let image = match root.manifest.kind {
        ManifestKind::Image => root.clone(),
        ManifestKind::Index => {
            let images = part::images(plan, wanted, root, None, &mut reads.clone()).await?;
            let named = |of: &dyn Fn(&mcr_oci::Platform) -> bool| -> Vec<&Read> {
                let has = images.iter().filter(|(_, platform)| platform.as_ref().is_some_and(of));
                has.map(|(read, _)| read).collect()
            };
            let fitting = named(&|one| platform.takes(Some(one)));
            // Attestations are images of an unknown platform.
            let real = named(&|one| one.os != "unknown");
            match (fitting.first(), real.as_slice()) {
                (Some(first), _) => (*first).clone(),
                (None, [only]) => (*only).clone(),
                (None, _) => {
                    let why = "no part of it is for this machine: docker load finds nothing; choose with --platform";
                    return Ok(Part::Nothing(why.to_owned()));
                }
            }
        }
    };
    entry(wanted, &image).await
}

async fn entry<S: Shelf>(wanted: &Wanted<S>, image: &Read) -> Result<Part, SaveError> {
    let nothing = |why: &str| Ok(Part::Nothing(format!("{why}: docker load finds nothing of it")));
    let edges = &image.manifest.edges;
    let Some(config) = edges.iter().find(|edge| edge.kind == EdgeKind::Config) else {
        return nothing("it has no config");
    };
    let layers: Vec<_> = edges.iter().filter(|edge| edge.kind == EdgeKind::Layer).collect();
    if layers.iter().any(|edge| !edge.is_required()) {
        return nothing("it has layers that no registry holds");
    }
    if config.descriptor.size > CONFIG_MAX {
        return nothing("its config is none of an image");
    }
    let bytes = config_bytes(wanted, &config.descriptor.digest, config.descriptor.size).await?;
    match serde_json::from_slice::<Config>(&bytes) {
        Ok(parsed) if !layers.is_empty() && parsed.rootfs.diff_ids.len() == layers.len() => Ok(Part::Image(Entry {
            config: config.descriptor.digest.clone(),
            layers: layers.iter().map(|edge| edge.descriptor.digest.clone()).collect(),
        })),
        _ => nothing("it is no image of a file system"),
    }
}

async fn config_bytes<S: Shelf>(wanted: &Wanted<S>, digest: &Digest, size: u64) -> Result<Bytes, SaveError> {
    let problem = match wanted.shelf.blob(&wanted.repository, digest, size).await? {
        Look::Whole(bytes) => {
            let mut pieces = Pieces::new(bytes, digest, size);
            let mut whole = Vec::new();
            loop {
                match pieces.next().await? {
                    Ok(Some(piece)) => whole.extend_from_slice(&piece),
                    Ok(None) => return Ok(whole.into()),
                    Err(problem) => break problem,
                }
            }
        }
        Look::Broken(problem) => problem,
    };
    Err(SaveError::Unsound(vec![found(&problem, digest, &wanted.repository)]))
}

/// A problem as a finding at its place.
pub(super) fn found(problem: &mcr_verifier::Problem, digest: &Digest, repository: &mcr_oci::RepositoryName) -> Finding {
    Finding {
        digest: Some(digest.clone()),
        repository: Some(repository.to_string()),
        status: problem.status,
        detail: problem.detail.clone(),
        ..Finding::new(problem.kind)
    }
}
