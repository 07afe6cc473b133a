//! How a walk is done: what may be absent, which platforms, how many at once, the bounds; never the walk.

use mcr_oci::{Edge, EdgeKind, Platform};

/// Most findings one report holds; a closure can have more paths than memory.
pub const MAX_FINDINGS: usize = 10_000;
/// Most levels of indexes within indexes.
pub const MAX_DEPTH: usize = 32;
/// Most distinct manifests in one closure.
pub const MAX_MANIFESTS: usize = 20_000;

/// Most bytes of manifests looked at in one walk: what a hostile registry can make a walk hold.
pub const MAX_MANIFEST_BYTES: u64 = 256 << 20;

/// Bounds of one walk.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Levels of nesting.
    pub depth: usize,
    /// Distinct manifests.
    pub manifests: usize,
    /// Bytes of manifests, of all roots together; what lies beyond is not looked at, and said to be so.
    pub manifest_bytes: u64,
    /// Findings kept of one root.
    pub findings: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: MAX_DEPTH, manifests: MAX_MANIFESTS, manifest_bytes: MAX_MANIFEST_BYTES, findings: MAX_FINDINGS }
    }
}

/// What the absence of something is (contract section 4); damage stays a finding always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// A finding, whatever is absent.
    Finding,
    /// Index children may be absent: `commit = "sparse"`.
    OfChildrenAllowed,
    /// Children, configs and layers may be absent: a pull-through cache holds what was asked for.
    Allowed,
}

/// Which children of an index are looked at: `os/architecture[/variant]`, as clients write it after `--platform`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformFilter {
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl PlatformFilter {
    /// Reads `os/architecture` or `os/architecture/variant`; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/').map(|part| Some(part).filter(|part| !part.is_empty()).map(str::to_owned));
        let filter = Self {
            os: parts.next()??,
            architecture: parts.next()??,
            variant: parts.next().map_or(Some(None), |v| v.map(Some))?,
        };
        parts.next().is_none().then_some(filter)
    }

    /// Any variant of this operating system and architecture.
    #[must_use]
    pub fn of(os: &str, architecture: &str) -> Self {
        Self { os: os.to_owned(), architecture: architecture.to_owned(), variant: None }
    }

    /// Whether a child of this platform is looked at. A child without a platform always is.
    #[must_use]
    pub fn takes(&self, platform: Option<&Platform>) -> bool {
        platform.is_none_or(|platform| {
            platform.os == self.os
                && platform.architecture == self.architecture
                && self
                    .variant
                    .as_deref()
                    .is_none_or(|variant| platform.variant.as_deref().unwrap_or_default() == variant)
        })
    }
}

/// How to walk.
#[derive(Debug, Clone)]
pub struct Options {
    /// Looks under way at once.
    pub jobs: usize,
    /// What an absent child or blob is.
    pub absence: Absence,
    /// The only children looked at; `None` looks at all.
    pub platform: Option<PlatformFilter>,
    /// Bounds.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self { jobs: 8, absence: Absence::Finding, platform: None, limits: Limits::default() }
    }
}

impl Options {
    /// Whether `edge` is among the platforms that are looked at.
    pub(crate) fn takes(&self, edge: &Edge) -> bool {
        edge.kind != EdgeKind::Child
            || self.platform.as_ref().is_none_or(|filter| filter.takes(edge.descriptor.platform.as_ref()))
    }
}
