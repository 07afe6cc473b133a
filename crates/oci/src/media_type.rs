//! Media types and what they decide; never an allow-list: a type that is not here is content like any other.

/// An OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// An OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An OCI image configuration.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// An OCI layer, an uncompressed tar.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// An OCI layer, a tar compressed with gzip.
pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// An OCI layer, a tar compressed with zstd.
pub const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// The two bytes `{}` (image-spec, manifest.md, "Guidance for an Empty Descriptor").
pub const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// A docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// A docker image manifest, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// A docker image configuration.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// A docker layer.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// A docker layer that is fetched from elsewhere.
pub const DOCKER_FOREIGN_LAYER: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
/// A docker manifest, schema 1, unsigned.
pub const DOCKER_SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+json";
/// A docker manifest, schema 1, signed.
pub const DOCKER_SCHEMA1_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";
/// Bytes of no known meaning.
pub const OCTET_STREAM: &str = "application/octet-stream";

/// Layers that need not be here (image-spec, layer.md, "Non-Distributable Layers"), by the beginning of their type.
const NON_DISTRIBUTABLE: [&str; 2] =
    ["application/vnd.oci.image.layer.nondistributable.", "application/vnd.docker.image.rootfs.foreign."];

/// Whether it is an index or a manifest list: its edges are children.
#[must_use]
pub fn is_index(media_type: &str) -> bool {
    matches!(strip_parameters(media_type), OCI_INDEX | DOCKER_LIST)
}

/// Whether it is an image manifest: its edges are a config and layers.
#[must_use]
pub fn is_image(media_type: &str) -> bool {
    matches!(strip_parameters(media_type), OCI_MANIFEST | DOCKER_MANIFEST)
}

/// Whether it is a manifest that this registry stores as one: an index or an image.
#[must_use]
pub fn is_manifest(media_type: &str) -> bool {
    is_index(media_type) || is_image(media_type)
}

/// Whether a layer of this type may be absent: judged by the type, never by `urls`.
#[must_use]
pub fn is_non_distributable(media_type: &str) -> bool {
    NON_DISTRIBUTABLE.iter().any(|prefix| media_type.starts_with(prefix))
}

/// Whether it is a docker manifest of schema 1, which is refused.
#[must_use]
pub fn is_schema1(media_type: &str) -> bool {
    matches!(strip_parameters(media_type), DOCKER_SCHEMA1 | DOCKER_SCHEMA1_SIGNED)
}

/// `media_type` without parameters (`; charset=…`) and without the blanks around it.
#[must_use]
pub fn strip_parameters(media_type: &str) -> &str {
    media_type.split_once(';').map_or(media_type, |(essence, _)| essence).trim()
}

#[cfg(test)]
mod tests;
