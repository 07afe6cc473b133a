//! Why bytes are no manifest that can be accepted; never why its parts are not there.

use super::MANIFEST_MAX;
use crate::digest::Digest;
use crate::error_code::ErrorCode;

/// Why bytes are no manifest that can be accepted. The texts are meant for the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// More than [`MANIFEST_MAX`] bytes.
    #[error("the manifest has {length} bytes; at most {MANIFEST_MAX} are accepted")]
    TooLarge {
        /// Its length in bytes.
        length: usize,
    },
    /// Not a JSON object that can be read.
    #[error("the manifest cannot be read: {detail}")]
    Json {
        /// What is wrong, with line and column.
        detail: String,
    },
    /// A key beside the descriptors has a value it cannot have.
    #[error("{what}: {detail}")]
    Field {
        /// Where, such as `annotations: org.example`.
        what: String,
        /// What is wrong, with line and column.
        detail: String,
    },
    /// A descriptor is not one.
    #[error("{what}: {detail}")]
    Descriptor {
        /// Which one and what of it, such as `layers[2]: digest`.
        what: String,
        /// What is wrong.
        detail: String,
    },
    /// The `data` of a descriptor is not the content it names.
    #[error("{what}: data: {detail}")]
    Data {
        /// Which descriptor, such as `config`.
        what: String,
        /// What is wrong.
        detail: String,
    },
    /// One digest is given with two sizes, so that one of them is wrong.
    #[error("{what}: size {size} for {digest}, which {first} gives {first_size}")]
    SizeConflict {
        /// The descriptor that disagrees.
        what: String,
        /// The descriptor before it.
        first: String,
        /// The digest both name.
        digest: Digest,
        /// What `what` gives, in bytes.
        size: u64,
        /// What `first` gives, in bytes.
        first_size: u64,
    },
    /// A docker manifest of schema 1.
    #[error("docker manifests of schema 1 are not accepted; push with a client that writes schema 2 or OCI")]
    Schema1,
    /// A `schemaVersion` that is neither 1 nor 2.
    #[error("schemaVersion: {found} is not known; expected 2")]
    SchemaVersion {
        /// What was found.
        found: u64,
    },
    /// A type that is no manifest's.
    #[error("{what} `{found}` is not the type of a manifest; known are OCI image manifests and indexes and docker's")]
    MediaType {
        /// Where it stands: `Content-Type` or `mediaType`.
        what: &'static str,
        /// What was found, shortened.
        found: String,
    },
    /// The body says another type than HTTP.
    #[error("mediaType is `{declared}`, but the Content-Type is `{content_type}`; they must be equal")]
    ContentType {
        /// What the body says, shortened.
        declared: String,
        /// What HTTP says, shortened.
        content_type: String,
    },
    /// Neither the body nor HTTP says a type, and no key tells it.
    #[error(
        "the manifest says no mediaType, came without a Content-Type, and has neither manifests, config nor layers"
    )]
    NoMediaType,
    /// Keys of an image and of an index at once: clients would read two different things.
    #[error("the manifest is an {kind} and must not have `{key}` as well")]
    Ambiguous {
        /// What its type says it is: `image` or `index`.
        kind: &'static str,
        /// The key that only the other has.
        key: &'static str,
    },
    /// An image manifest without config.
    #[error("config: missing; every image manifest has one")]
    NoConfig,
}

impl ManifestError {
    /// The code to answer with.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::TooLarge { .. } | Self::SizeConflict { .. } => ErrorCode::SizeInvalid,
            Self::Json { .. }
            | Self::Field { .. }
            | Self::Descriptor { .. }
            | Self::Data { .. }
            | Self::Schema1
            | Self::SchemaVersion { .. }
            | Self::MediaType { .. }
            | Self::ContentType { .. }
            | Self::NoMediaType
            | Self::Ambiguous { .. }
            | Self::NoConfig => ErrorCode::ManifestInvalid,
        }
    }
}
