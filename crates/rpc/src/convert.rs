//! From the registry's own words to messages, where both crates know the word; never the other way.

use mcr_oci::Finding;

use crate::v1;

impl From<&Finding> for v1::Finding {
    fn from(finding: &Finding) -> Self {
        Self {
            kind: finding.kind.as_str().to_owned(),
            digest: finding.digest.as_ref().map(ToString::to_string),
            media_type: finding.media_type.clone(),
            size: finding.size,
            repository: finding.repository.clone(),
            tag: finding.tag.clone(),
            path: finding.path.iter().map(ToString::to_string).collect(),
            platform: finding.platform.clone(),
            status: finding.status.map(u32::from),
            detail: finding.detail.clone(),
        }
    }
}
