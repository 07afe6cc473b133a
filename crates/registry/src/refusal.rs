//! From findings to the sentences a refused push is answered with; never the judgement itself.

use mcr_oci::{EdgeKind, ErrorCode, Finding, FindingKind, Reference, RepositoryName};
use mcr_verifier::Located;

use crate::error::Refusal;

/// One error per incomplete edge. The message alone is enough: docker and others drop the detail
/// (contract section 8).
pub(crate) fn refusals(repository: &RepositoryName, reference: &Reference, findings: &[Located]) -> Vec<Refusal> {
    findings.iter().map(|located| refusal(repository, reference, located)).collect()
}

fn refusal(repository: &RepositoryName, reference: &Reference, located: &Located) -> Refusal {
    let place = match reference {
        Reference::Tag(tag) => format!("{repository}:{tag}"),
        Reference::Digest(digest) => format!("{repository}@{digest}"),
    };
    let mut finding = located.finding.clone();
    finding.repository = Some(repository.to_string());
    if let Reference::Tag(tag) = reference {
        finding.tag = Some(tag.to_string());
    }
    let message = format!("{place}: {}{} {}", subject(located), below(&finding), complaint(located));
    Refusal { code: code(located), message, finding: Some(finding) }
}

fn code(located: &Located) -> ErrorCode {
    if located.stored_size.is_some() {
        // MANIFEST_INVALID would make some clients convert the image and push it again.
        ErrorCode::SizeInvalid
    } else if located.stored_type.is_some() || located.finding.kind == FindingKind::ManifestInvalid {
        ErrorCode::ManifestInvalid
    } else {
        ErrorCode::ManifestBlobUnknown
    }
}

fn subject(located: &Located) -> String {
    let what = located.edge.map_or("manifest", EdgeKind::as_str);
    let digest = located.finding.digest.as_ref().map_or("", |d| d.as_str());
    match &located.finding.platform {
        Some(platform) => format!("{what} {digest} ({platform})"),
        None => format!("{what} {digest}"),
    }
}

/// Names the manifest that has the edge, where it is not the one being pushed.
fn below(finding: &Finding) -> String {
    match finding.path.as_slice() {
        [_, .., parent] => format!(" of manifest {parent}"),
        _ => String::new(),
    }
}

fn complaint(located: &Located) -> String {
    let said = located.descriptor.as_ref().map_or(0, |d| d.size);
    if let Some(stored) = located.stored_size {
        return format!("is {said} bytes by its descriptor, {stored} bytes are stored");
    }
    if let (Some(stored), Some(descriptor)) = (&located.stored_type, &located.descriptor) {
        return format!("is {} by its descriptor, it is stored as {stored}", descriptor.media_type);
    }
    let detail = located.finding.detail.as_deref().unwrap_or_default();
    match (located.finding.kind, located.edge) {
        (FindingKind::ManifestMissing, _) | (FindingKind::BlobMissing, Some(EdgeKind::Child)) => {
            "is not in this repository; push it first (skopeo copy --all, buildah manifest push --all)".into()
        }
        (FindingKind::BlobMissing, _) if detail.is_empty() => "is not in this repository; push it first".into(),
        (kind, _) => format!("cannot be served ({}): {detail}", kind.as_str()),
    }
}
