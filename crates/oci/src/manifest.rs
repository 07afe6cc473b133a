//! Manifests: what an image or an index says it is made of; never whether those parts are there.

mod check;
mod edge;
mod error;
mod wire;

use std::collections::BTreeMap;

pub use edge::{Edge, EdgeKind, EdgeTarget};
pub use error::ManifestError;

use crate::descriptor::Descriptor;
use crate::media_type::{self, strip_parameters};
use wire::Wire;

/// The longest manifest that is accepted, in bytes (distribution-spec asks for at least 4 MiB).
pub const MANIFEST_MAX: usize = 4 * 1024 * 1024;

/// The two shapes of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ManifestKind {
    /// A config and layers.
    Image,
    /// Children.
    Index,
}

/// A manifest that can be accepted, once what its edges name is found to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Its effective media type without parameters: one for which [`media_type::is_manifest`] holds.
    pub media_type: String,
    /// Its shape, as the media type says.
    pub kind: ManifestKind,
    /// What it is made of, in order: config and layers, or children. Duplicates are kept.
    pub edges: Vec<Edge>,
    /// What it refers to; a weak edge.
    pub subject: Option<Descriptor>,
    /// What referrers lists are filtered by: `artifactType`, or for an image without one its config's media type.
    pub artifact_type: Option<String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// What the client did wrong without harm, one sentence each, plain ASCII.
    pub warnings: Vec<String>,
}

impl Manifest {
    /// Reads the bytes of a manifest, of which HTTP said it is of type `content_type`.
    ///
    /// Tolerant where clients are sloppy (null or absent arrays, absent media types, unknown keys, parameters of
    /// the content type) and strict where readers could disagree about what the manifest is made of.
    ///
    /// # Errors
    /// [`ManifestError`], whose text names the descriptor or key that is wrong and whose code is the one to answer.
    pub fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<Self, ManifestError> {
        if bytes.len() > MANIFEST_MAX {
            return Err(ManifestError::TooLarge { length: bytes.len() });
        }
        let content_type = content_type.map(strip_parameters).filter(|text| !text.is_empty());
        if content_type.is_some_and(media_type::is_schema1) {
            return Err(ManifestError::Schema1);
        }
        let wire = wire::read(bytes)?;
        let warnings = warnings(&wire);
        check::schema_version(&wire)?;
        let media_type = check::media_type(&wire, content_type)?;
        let kind = if media_type::is_index(&media_type) { ManifestKind::Index } else { ManifestKind::Image };
        check::shape(&wire, kind)?;
        let artifact_type = artifact_type(&wire, kind);
        let Wire { config, layers, manifests, subject, annotations, .. } = wire;
        let edges = edges(kind, config, layers, manifests)?;
        check::data(&edges, subject.as_ref())?;
        check::sizes(&edges)?;
        Ok(Self { media_type, kind, edges, subject, artifact_type, annotations, warnings })
    }
}

/// What is wrong and harmless.
fn warnings(wire: &Wire) -> Vec<String> {
    let mut warnings = Vec::new();
    if wire.schema_version.is_none() {
        warnings.push("the manifest has no schemaVersion; image-spec requires 2".to_owned());
    }
    let empty_config = wire.config.as_ref().is_some_and(|config| config.media_type == media_type::OCI_EMPTY);
    if empty_config && wire.artifact_type.is_none() {
        // image-spec, manifest.md, on artifactType.
        warnings.push("artifactType must be set where config.mediaType is the empty type".to_owned());
    }
    warnings
}

/// distribution-spec, "Listing Referrers": `artifactType`, else for an image the media type of its config.
fn artifact_type(wire: &Wire, kind: ManifestKind) -> Option<String> {
    let config = wire.config.as_ref().filter(|_| kind == ManifestKind::Image);
    let fallback = config.map(|config| config.media_type.clone()).filter(|text| !text.is_empty());
    wire.artifact_type.clone().or(fallback)
}

/// The edges in the order they are written.
fn edges(
    kind: ManifestKind,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
) -> Result<Vec<Edge>, ManifestError> {
    let all = |kind, list: Option<Vec<_>>| {
        list.unwrap_or_default().into_iter().map(move |descriptor| Edge { kind, descriptor })
    };
    match kind {
        ManifestKind::Index => Ok(all(EdgeKind::Child, manifests).collect()),
        ManifestKind::Image => {
            let config = config.ok_or(ManifestError::NoConfig)?;
            let config = Edge { kind: EdgeKind::Config, descriptor: config };
            Ok(std::iter::once(config).chain(all(EdgeKind::Layer, layers)).collect())
        }
    }
}

#[cfg(test)]
mod tests;
