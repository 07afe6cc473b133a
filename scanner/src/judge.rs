//! From what a walk reports to the findings of a scan; never a look at a tree.

use mcr_oci::{Digest, EdgeKind, Finding, FindingKind};
use mcr_verifier::{Located, Report};

use crate::kind::Kind;

/// Where a closure hangs: what its findings are told to be about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) repository: Option<&'a str>,
    pub(crate) tag: Option<&'a str>,
}

/// What a layout knows that the walk does not.
pub(crate) trait Knows {
    /// How many bytes are stored of a digest.
    fn stored_size(&self, digest: &Digest) -> Option<u64>;
    /// Whether a link is there that names nothing.
    fn is_damaged(&self, digest: &Digest) -> bool;
}

/// Whether this kind only says that something is not here, or not for this repository.
pub(crate) const fn is_absence(kind: FindingKind) -> bool {
    matches!(
        kind,
        FindingKind::ManifestMissing
            | FindingKind::ManifestUnlinked
            | FindingKind::BlobMissing
            | FindingKind::BlobUnlinked
    )
}

/// The findings of a closure, in the words of a scan.
pub(crate) fn findings(report: Report, kind: Kind, knows: &impl Knows) -> Vec<Finding> {
    let held = |located: &Located| {
        kind == Kind::Private
            || !is_absence(located.finding.kind)
            || located.finding.digest.as_ref().is_some_and(|digest| knows.is_damaged(digest))
    };
    report.findings.into_iter().filter(held).map(|located| named(located, knows)).collect()
}

/// The same finding at its place.
pub(crate) fn at(finding: &Finding, place: Place<'_>) -> Finding {
    Finding { repository: place.repository.map(str::to_owned), tag: place.tag.map(str::to_owned), ..finding.clone() }
}

/// On disk, a length that differs tells what happened: shorter is cut, longer is another size. That goes before the
/// hash, which then cannot be right.
fn named(located: Located, knows: &impl Knows) -> Finding {
    let mut finding = located.finding;
    let is_blob = matches!(located.edge, Some(EdgeKind::Config | EdgeKind::Layer));
    let stored = match finding.kind {
        FindingKind::BlobSizeMismatch if is_blob => located.stored_size,
        FindingKind::BlobCorrupt => finding.digest.as_ref().and_then(|digest| knows.stored_size(digest)),
        _ => None,
    };
    if let (Some(stored), Some(said)) = (stored, finding.size)
        && stored != said
    {
        finding.kind = if stored < said { FindingKind::BlobTruncated } else { FindingKind::BlobSizeMismatch };
        finding.detail = Some(format!("the descriptor says {said} bytes, {stored} are stored"));
    }
    finding
}

/// How many indexes of a closure lack children.
pub(crate) fn lacking_indexes(report: &Report) -> u64 {
    let mut lacking: Vec<&Digest> = report
        .findings
        .iter()
        .filter(|located| located.edge == Some(EdgeKind::Child) && is_absence(located.finding.kind))
        .filter_map(|located| located.finding.path.last())
        .collect();
    lacking.sort_unstable();
    lacking.dedup();
    lacking.len() as u64
}
