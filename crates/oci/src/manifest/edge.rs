//! Edges: a descriptor and the part it plays in its manifest; never what it resolves to.

use crate::descriptor::Descriptor;
use crate::media_type;

/// The part a descriptor plays in its manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EdgeKind {
    /// An entry of `manifests`.
    Child,
    /// The `config`.
    Config,
    /// An entry of `layers`.
    Layer,
}

impl EdgeKind {
    /// The part in words, as messages say it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Child => "index child",
            Self::Config => "config",
            Self::Layer => "layer",
        }
    }
}

impl std::fmt::Display for EdgeKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What an edge may lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EdgeTarget {
    /// A committed manifest.
    Manifest,
    /// A blob.
    Blob,
    /// A blob or a manifest: index children that are no manifests by type, such as the layers of build caches.
    Either,
}

/// One descriptor that a manifest is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The part it plays.
    pub kind: EdgeKind,
    /// What it names.
    pub descriptor: Descriptor,
}

impl Edge {
    /// Whether what it names must be here: everything but layers of a non-distributable type, whose size is not
    /// checked either. Judged by the media type, never by `urls`.
    #[must_use]
    pub fn is_required(&self) -> bool {
        !(self.kind == EdgeKind::Layer && media_type::is_non_distributable(&self.descriptor.media_type))
    }

    /// What it may lead to.
    #[must_use]
    pub fn target(&self) -> EdgeTarget {
        match self.kind {
            EdgeKind::Config | EdgeKind::Layer => EdgeTarget::Blob,
            EdgeKind::Child if media_type::is_manifest(&self.descriptor.media_type) => EdgeTarget::Manifest,
            EdgeKind::Child => EdgeTarget::Either,
        }
    }
}
