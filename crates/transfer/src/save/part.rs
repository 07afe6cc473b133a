//! One platform out of an image of several; never what is written of it.

use std::collections::BTreeMap;

use mcr_oci::{Digest, EdgeTarget, ManifestKind, Platform};
use mcr_verifier::PlatformFilter;

use super::{Plan, Read, SaveError, Shelf, Wanted, read};

/// Indexes within indexes that are looked into.
const DEPTH_MAX: usize = 8;

/// The first image of this platform below `root`, with what the index says it is for. An image is its own.
///
/// # Errors
/// [`SaveError::Refused`] that lists what there is.
pub(super) async fn only<S: Shelf>(
    plan: &Plan<S>,
    wanted: &Wanted<S>,
    root: Read,
    filter: &PlatformFilter,
    reads: &mut BTreeMap<Digest, Read>,
) -> Result<(Read, Option<Platform>), SaveError> {
    if root.manifest.kind == ManifestKind::Image {
        return Ok((root, None));
    }
    let images = images(plan, wanted, &root, Some(filter), reads).await?;
    let has = |platform: &Option<Platform>| platform.as_ref().is_some_and(|platform| filter.takes(Some(platform)));
    match images.iter().find(|(_, platform)| has(platform)) {
        Some(found) => Ok(found.clone()),
        None => {
            let all = root.manifest.edges.iter().filter_map(|edge| edge.descriptor.platform.as_ref());
            let mut known: Vec<String> = all.map(ToString::to_string).filter(|one| !one.contains("unknown")).collect();
            known.sort();
            known.dedup();
            let reference = &wanted.reference;
            let known = if known.is_empty() { "none by name".to_owned() } else { known.join(", ") };
            Err(SaveError::Refused(format!(
                "{}:{reference} has nothing for that --platform; it has {known}",
                wanted.repository
            )))
        }
    }
}

/// The images below an index with the platforms they are named with, in order.
pub(super) async fn images<S: Shelf>(
    plan: &Plan<S>,
    wanted: &Wanted<S>,
    root: &Read,
    filter: Option<&PlatformFilter>,
    reads: &mut BTreeMap<Digest, Read>,
) -> Result<Vec<(Read, Option<Platform>)>, SaveError> {
    let mut found = Vec::new();
    let mut level = vec![root.clone()];
    for _ in 0..DEPTH_MAX {
        let mut deeper = Vec::new();
        for index in level {
            let children = index.manifest.edges.iter().filter(|edge| edge.target() != EdgeTarget::Blob);
            // What is not asked for need not be there.
            let asked =
                children.filter(|edge| filter.is_none_or(|filter| filter.takes(edge.descriptor.platform.as_ref())));
            for edge in asked {
                let Some(child) = read(plan, wanted, &edge.descriptor.digest, reads).await? else { continue };
                match child.manifest.kind {
                    ManifestKind::Image => found.push((child, edge.descriptor.platform.clone())),
                    ManifestKind::Index => deeper.push(child),
                }
            }
        }
        if deeper.is_empty() {
            break;
        }
        level = deeper;
    }
    Ok(found)
}
