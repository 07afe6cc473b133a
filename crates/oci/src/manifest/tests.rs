//! Tests of manifests: what is accepted, what is refused and how the refusal names it, and random manifests.

mod accepted;
mod random;
mod refused;

use super::*;
use crate::digest::Digest;

/// The descriptor of `content` as JSON, with more keys.
fn described(media_type: &str, content: &[u8], more: &str) -> String {
    let digest = Digest::sha256(content);
    format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{}{more}}}"#, content.len())
}

/// A config descriptor.
fn config() -> String {
    described(media_type::OCI_CONFIG, b"config", "")
}

/// A layer descriptor, different for each number.
fn layer(number: u8) -> String {
    described(media_type::OCI_LAYER_GZIP, &[number], "")
}

/// A descriptor of an image manifest, different for each number.
fn child(number: u8) -> String {
    described(media_type::OCI_MANIFEST, &[number], "")
}

/// An image manifest with these keys behind the config.
fn image(more: &str) -> String {
    format!(r#"{{"schemaVersion":2,"mediaType":"{}","config":{}{more}}}"#, media_type::OCI_MANIFEST, config())
}

/// An index with these keys.
fn index(more: &str) -> String {
    format!(r#"{{"schemaVersion":2,"mediaType":"{}"{more}}}"#, media_type::OCI_INDEX)
}

/// Reads what is expected to be accepted, without a content type.
fn accept(json: &str) -> Manifest {
    Manifest::parse(json.as_bytes(), None).unwrap()
}

/// The message of what is expected to be refused as `MANIFEST_INVALID`.
fn refuse(json: &str) -> String {
    let error = Manifest::parse(json.as_bytes(), None).unwrap_err();
    assert_eq!(error.code(), crate::ErrorCode::ManifestInvalid, "{error}");
    error.to_string()
}
