//! What is told of a repository's tags that did not come; never why they did not.

use std::collections::{BTreeMap, HashSet};

use mcr_oci::{Digest, Finding, RepositoryName};
use mcr_verifier::Problem;

use super::Root;
use crate::origin::{Blob, Closure, Origin, Place, TagAt};
use crate::report::{BrokenTag, LeftTag, MAX_LISTED_TAGS};
use crate::run::Run;
use crate::sink::{Sink, TagHere};

/// Findings kept of one tag.
const FINDINGS_MAX: usize = 100;
/// So many broken tags are told with all of these; the others with their first one.
const IN_FULL: usize = 1_000;

impl<O: Origin, S: Sink> Run<'_, O, S> {
    /// A finding of a listing: of a tag that leads nowhere, or of the repository.
    pub(super) fn without_digest(&self, place: &Place, mut finding: Finding) {
        finding.repository = Some(place.here.to_string());
        let mut report = self.report();
        let Some(tag) = finding.tag.clone() else {
            keep(&mut report.findings, [finding]);
            return;
        };
        report.counts.tags += 1;
        report.counts.broken += 1;
        let repository = place.here.to_string();
        keep(&mut report.broken, [BrokenTag { repository, tag, digest: None, findings: vec![finding] }]);
    }

    /// Tags that an earlier run brought and the origin does not list any more.
    pub(crate) fn gone(
        &self,
        here: &RepositoryName,
        tags: &BTreeMap<String, TagHere>,
        named: &HashSet<String>,
        reason: &str,
    ) {
        let mut report = self.report();
        for (tag, at) in tags.iter().filter(|(tag, at)| at.imported == Some(true) && !named.contains(*tag)) {
            report.counts.gone += 1;
            let gone = LeftTag {
                repository: here.to_string(),
                tag: tag.clone(),
                here: Some(at.digest.clone()),
                there: None,
                reason: reason.to_owned(),
            };
            keep(&mut report.gone, [gone]);
        }
    }

    /// A manifest that was left out because something is broken.
    pub(super) fn broken(&self, place: &Place, root: &Root, mut findings: Vec<Finding>) {
        findings.truncate(FINDINGS_MAX);
        for finding in &mut findings {
            finding.repository = Some(place.here.to_string());
        }
        let mut report = self.report();
        if root.tags.is_empty() {
            keep(&mut report.findings, findings);
            return;
        }
        for tag in &root.tags {
            let at = |finding: &Finding| Finding { tag: Some(tag.tag.to_string()), ..finding.clone() };
            let most = if report.broken.len() < IN_FULL { FINDINGS_MAX } else { 1 };
            let broken = || BrokenTag {
                repository: place.here.to_string(),
                tag: tag.tag.to_string(),
                digest: Some(root.digest.clone()),
                findings: findings.iter().take(most).map(at).collect(),
            };
            report.counts.broken += 1;
            keep(&mut report.broken, std::iter::once_with(broken));
        }
        drop(report);
        self.watch.tags_done(root.tags.len() as u64);
    }

    /// An image that was left out because a cache does not hold all of it.
    pub(super) fn partial(&self, place: &Place, tags: &[TagAt], root: &Digest, reason: &str) {
        let mut report = self.report();
        report.counts.partial += tags.len() as u64;
        keep(&mut report.partial, tags.iter().map(|tag| left(place, tag, root, reason)));
        drop(report);
        self.watch.tags_done(tags.len() as u64);
    }

    /// An image that this registry does not take.
    pub(super) fn refused(&self, place: &Place, tags: &[TagAt], root: &Digest, reason: &str) {
        let mut report = self.report();
        report.counts.refused += tags.len().max(1) as u64;
        keep(&mut report.refused, tags.iter().map(|tag| left(place, tag, root, reason)));
        drop(report);
        self.watch.tags_done(tags.len() as u64);
    }
}

/// Adds to a list of a report as long as it is short enough.
pub(super) fn keep<T>(list: &mut Vec<T>, more: impl IntoIterator<Item = T>) {
    list.extend(more.into_iter().take(MAX_LISTED_TAGS.saturating_sub(list.len())));
}

fn left(place: &Place, tag: &TagAt, root: &Digest, reason: &str) -> LeftTag {
    LeftTag {
        repository: place.here.to_string(),
        tag: tag.tag.to_string(),
        here: None,
        there: Some(root.clone()),
        reason: reason.to_owned(),
    }
}

/// What is wrong with a blob of a closure, with the way that leads to it.
pub(super) fn finding(closure: &Closure, root: &Digest, blob: &Blob, problem: Problem) -> Finding {
    let mut path = Vec::new();
    let mut child = &blob.digest;
    // Parents come after their children: one pass leads up to the root.
    for piece in &closure.manifests {
        if piece.manifest.edges.iter().any(|edge| edge.descriptor.digest == *child) {
            path.push(piece.digest.clone());
            child = &piece.digest;
            if child == root {
                break;
            }
        }
    }
    path.reverse();
    Finding {
        digest: Some(blob.digest.clone()),
        size: Some(blob.size),
        path,
        status: problem.status,
        detail: problem.detail,
        ..Finding::new(problem.kind)
    }
}
