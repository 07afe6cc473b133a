//! What a walk found, as plain data; never how it is printed.

use mcr_oci::{Descriptor, Digest, EdgeKind, Finding};

/// How much a walk looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Checked {
    /// Index manifests, the root included.
    pub indexes: u64,
    /// Image manifests, the root included.
    pub manifests: u64,
    /// Config blobs.
    pub configs: u64,
    /// Layer blobs (and index children that are blobs).
    pub layers: u64,
    /// Bytes of distinct manifests and blobs.
    pub bytes: u64,
}

/// A finding and the edge it was met on.
#[derive(Debug, Clone)]
pub struct Located {
    /// What is wrong, with its path.
    pub finding: Finding,
    /// The kind of edge that leads to it; `None` for the root itself.
    pub edge: Option<EdgeKind>,
    /// The descriptor on that edge; `None` for the root itself.
    pub descriptor: Option<Descriptor>,
    /// The size that is stored, where a size is what differs.
    pub stored_size: Option<u64>,
    /// The media type that is stored, where a type is what differs.
    pub stored_type: Option<String>,
}

/// An edge whose absence is no finding.
#[derive(Debug, Clone)]
pub struct Skipped {
    /// The manifest that has the edge.
    pub parent: Digest,
    /// What it names.
    pub descriptor: Descriptor,
    /// Why it was not looked for, in one clause.
    pub reason: &'static str,
}

/// The answer of a walk.
#[derive(Debug, Clone)]
pub struct Report {
    /// The root's digest.
    pub root: Digest,
    /// Everything that is wrong, in the order of the closure.
    pub findings: Vec<Located>,
    /// True where more findings were met than [`crate::MAX_FINDINGS`].
    pub findings_cut: bool,
    /// How much was looked at.
    pub checked: Checked,
    /// Edges that were rightly not required.
    pub skipped: Vec<Skipped>,
}

impl Report {
    /// True when nothing is wrong: the closure is complete.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }
}
