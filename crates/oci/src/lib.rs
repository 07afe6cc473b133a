//! The vocabulary of the registry: digests, names, descriptors, manifests, findings, error codes; never I/O, a clock or a runtime.

mod descriptor;
mod digest;
mod error_code;
mod finding;
pub mod glob;
mod json;
mod manifest;
pub mod media_type;
mod name;
pub mod range;
mod reference;
mod text;

pub use descriptor::{Descriptor, Platform};
pub use digest::{Algorithm, Digest, DigestError, Hasher};
pub use error_code::ErrorCode;
pub use finding::{Finding, FindingKind};
pub use manifest::{Edge, EdgeKind, EdgeTarget, MANIFEST_MAX, Manifest, ManifestError, ManifestKind};
pub use name::{NAME_MAX, NameError, RepositoryName};
pub use reference::{Reference, ReferenceError, TAG_MAX, Tag, TagError};
