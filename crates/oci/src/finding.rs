//! Findings: the one vocabulary for what is wrong with content; never the inability to look, except as `unreachable`.

use serde::{Deserialize, Serialize};

use crate::descriptor::Descriptor;
use crate::digest::Digest;

/// What is wrong (contract, "Findings").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// A manifest that a tag or an index names is not there.
    ManifestMissing,
    /// The bytes of a manifest do not hash to its digest.
    ManifestCorrupt,
    /// The bytes of a manifest are not a manifest.
    ManifestInvalid,
    /// The bytes of a manifest are there, but not in this repository.
    ManifestUnlinked,
    /// A config or layer is not there.
    BlobMissing,
    /// The bytes of a blob are there, but not in this repository.
    BlobUnlinked,
    /// The announced or stored size differs from the descriptor's.
    BlobSizeMismatch,
    /// The bytes of a blob end early.
    BlobTruncated,
    /// The bytes of a blob do not hash to its digest.
    BlobCorrupt,
    /// This manifest failed three times over while the registry otherwise answered.
    ManifestUnservable,
    /// This blob failed three times over while the registry otherwise answered.
    BlobUnservable,
    /// A tag that holds no readable digest.
    TagDangling,
    /// A layer link with no bytes behind it.
    LinkOrphan,
    /// The registry or tree could not be looked at; neither broken nor sound.
    Unreachable,
}

impl FindingKind {
    /// Every kind.
    pub const ALL: [Self; 14] = [
        Self::ManifestMissing,
        Self::ManifestCorrupt,
        Self::ManifestInvalid,
        Self::ManifestUnlinked,
        Self::BlobMissing,
        Self::BlobUnlinked,
        Self::BlobSizeMismatch,
        Self::BlobTruncated,
        Self::BlobCorrupt,
        Self::ManifestUnservable,
        Self::BlobUnservable,
        Self::TagDangling,
        Self::LinkOrphan,
        Self::Unreachable,
    ];

    /// The kind as it stands in JSON, metrics and text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ManifestMissing => "manifest-missing",
            Self::ManifestCorrupt => "manifest-corrupt",
            Self::ManifestInvalid => "manifest-invalid",
            Self::ManifestUnlinked => "manifest-unlinked",
            Self::BlobMissing => "blob-missing",
            Self::BlobUnlinked => "blob-unlinked",
            Self::BlobSizeMismatch => "blob-size-mismatch",
            Self::BlobTruncated => "blob-truncated",
            Self::BlobCorrupt => "blob-corrupt",
            Self::ManifestUnservable => "manifest-unservable",
            Self::BlobUnservable => "blob-unservable",
            Self::TagDangling => "tag-dangling",
            Self::LinkOrphan => "link-orphan",
            Self::Unreachable => "unreachable",
        }
    }

    /// The kind of that exact name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl std::fmt::Display for FindingKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// One thing that is wrong, and where. As JSON, what is not known is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What is wrong.
    pub kind: FindingKind,
    /// The digest it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The media type its descriptor gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The size its descriptor gives, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The repository it was met in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The tag it was reached from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// From the root to the parent of `digest`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<Digest>,
    /// The platform of the image it belongs to, such as `linux/amd64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The HTTP status that was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What was seen, for a reader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Finding {
    /// A finding of which only the kind is known yet.
    #[must_use]
    pub const fn new(kind: FindingKind) -> Self {
        Self {
            kind,
            digest: None,
            media_type: None,
            size: None,
            repository: None,
            tag: None,
            path: Vec::new(),
            platform: None,
            status: None,
            detail: None,
        }
    }

    /// A finding about what `descriptor` names.
    #[must_use]
    pub fn about(kind: FindingKind, descriptor: &Descriptor) -> Self {
        let media_type = Some(descriptor.media_type.clone()).filter(|media_type| !media_type.is_empty());
        Self {
            digest: Some(descriptor.digest.clone()),
            media_type,
            size: Some(descriptor.size),
            platform: descriptor.platform.as_ref().map(ToString::to_string),
            ..Self::new(kind)
        }
    }
}

#[cfg(test)]
mod tests;
