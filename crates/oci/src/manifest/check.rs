//! The rules that hold within one manifest; never those that need other content.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::wire::Wire;
use super::{Edge, EdgeKind, ManifestError, ManifestKind};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::media_type::{self, strip_parameters};
use crate::text::excerpt;

/// Docker's schema 1 is refused by name; an absent version is forgiven.
pub(super) fn schema_version(wire: &Wire) -> Result<(), ManifestError> {
    let declared_schema1 = wire.media_type.as_deref().is_some_and(media_type::is_schema1);
    match wire.schema_version {
        _ if declared_schema1 || wire.fs_layers => Err(ManifestError::Schema1),
        Some(1) => Err(ManifestError::Schema1),
        None | Some(2) => Ok(()),
        Some(found) => Err(ManifestError::SchemaVersion { found }),
    }
}

/// The effective media type: what body and HTTP agree on, or what one of them says, or what the keys tell.
pub(super) fn media_type(wire: &Wire, content_type: Option<&str>) -> Result<String, ManifestError> {
    let declared = wire.media_type.as_deref().map(strip_parameters);
    let (what, found) = match (declared, content_type) {
        (Some(declared), Some(content_type)) if declared != content_type => {
            let (declared, content_type) = (excerpt(declared), excerpt(content_type));
            return Err(ManifestError::ContentType { declared, content_type });
        }
        (_, Some(content_type)) => ("Content-Type", content_type),
        (Some(declared), None) => ("mediaType", declared),
        (None, None) if wire.manifests.is_some() => ("mediaType", media_type::OCI_INDEX),
        (None, None) if wire.config.is_some() || wire.layers.is_some() => ("mediaType", media_type::OCI_MANIFEST),
        (None, None) => return Err(ManifestError::NoMediaType),
    };
    let known = media_type::is_manifest(found);
    if known { Ok(found.to_owned()) } else { Err(ManifestError::MediaType { what, found: excerpt(found) }) }
}

/// An image has no children and an index neither config nor layers: clients differ in which they would follow.
pub(super) fn shape(wire: &Wire, kind: ManifestKind) -> Result<(), ManifestError> {
    match kind {
        ManifestKind::Image if wire.manifests.is_some() => {
            Err(ManifestError::Ambiguous { kind: "image", key: "manifests" })
        }
        ManifestKind::Index if wire.layers.is_some() => Err(ManifestError::Ambiguous { kind: "index", key: "layers" }),
        ManifestKind::Index if wire.config.is_some() => Err(ManifestError::Ambiguous { kind: "index", key: "config" }),
        ManifestKind::Image | ManifestKind::Index => Ok(()),
    }
}

/// Inline content must be what its descriptor names (image-spec, descriptor.md, "Embedded Content").
pub(super) fn data(edges: &[Edge], subject: Option<&Descriptor>) -> Result<(), ManifestError> {
    for (position, edge) in edges.iter().enumerate() {
        descriptor_data(&edge.descriptor, || place(edge.kind, position))?;
    }
    subject.map_or(Ok(()), |subject| descriptor_data(subject, || "subject".to_owned()))
}

fn descriptor_data(descriptor: &Descriptor, what: impl Fn() -> String) -> Result<(), ManifestError> {
    let Some(data) = &descriptor.data else {
        return Ok(());
    };
    let wrong = |detail: String| ManifestError::Data { what: what(), detail };
    let content = STANDARD.decode(data).map_err(|error| wrong(format!("not base64: {error}")))?;
    let length = u64::try_from(content.len()).unwrap_or(u64::MAX);
    if length != descriptor.size {
        return Err(wrong(format!("{length} bytes, but the descriptor's size is {}", descriptor.size)));
    }
    let computed = Digest::of(descriptor.digest.algorithm(), &content);
    if computed != descriptor.digest {
        return Err(wrong(format!("hashes to {computed}, but the descriptor's digest is {}", descriptor.digest)));
    }
    Ok(())
}

/// A digest has one size. Layers that need not be here are not held to theirs.
pub(super) fn sizes(edges: &[Edge]) -> Result<(), ManifestError> {
    let mut seen = HashMap::with_capacity(edges.len());
    for (position, edge) in edges.iter().enumerate().filter(|(_, edge)| edge.is_required()) {
        let Descriptor { digest, size, .. } = &edge.descriptor;
        match seen.entry(digest) {
            Entry::Vacant(entry) => {
                entry.insert((position, edge.kind, *size));
            }
            Entry::Occupied(entry) => {
                let (first, first_kind, first_size) = *entry.get();
                if first_size != *size {
                    let (what, first) = (place(edge.kind, position), place(first_kind, first));
                    return Err(ManifestError::SizeConflict {
                        what,
                        first,
                        digest: digest.clone(),
                        size: *size,
                        first_size,
                    });
                }
            }
        }
    }
    Ok(())
}

/// The edge at `position` as messages say it.
fn place(kind: EdgeKind, position: usize) -> String {
    match kind {
        EdgeKind::Child => format!("manifests[{position}]"),
        EdgeKind::Config => "config".to_owned(),
        // The config comes first.
        EdgeKind::Layer => format!("layers[{}]", position.saturating_sub(1)),
    }
}
