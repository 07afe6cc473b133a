//! What can go wrong in a use case, each with the sentence a user reads; never a status code (the edge maps those).

use mcr_oci::{ErrorCode, Finding};

/// One thing a refused push lacks.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The OCI error code.
    pub code: ErrorCode,
    /// Enough by itself: docker and others drop the detail.
    pub message: String,
    /// The finding it rests on.
    pub finding: Option<Finding>,
}

/// A use case's refusal or inability.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such repository.
    #[error("repository {0} is not known here")]
    NameUnknown(String),
    /// No such manifest, or one that cannot be pulled whole.
    #[error("{message}")]
    ManifestUnknown {
        /// Which, and why.
        message: String,
        /// What is broken, where something is.
        finding: Option<Box<Finding>>,
    },
    /// No such blob, or one that is damaged.
    #[error("{message}")]
    BlobUnknown {
        /// Which, and why.
        message: String,
        /// What is broken, where something is.
        finding: Option<Box<Finding>>,
    },
    /// No such upload session in this repository.
    #[error("upload session {0} is not known here: it was finished, cancelled or has expired; start a new one")]
    UploadUnknown(String),
    /// Bytes do not hash to what was said.
    #[error("{0}")]
    DigestInvalid(String),
    /// Not a manifest this registry takes.
    #[error("{0}")]
    ManifestInvalid(String),
    /// A length that is not what was said.
    #[error("{0}")]
    SizeInvalid(String),
    /// A manifest whose closure is not complete here: everything that is missing.
    #[error("the manifest is incomplete: {} of its descriptors cannot be served from this repository", .0.len())]
    Incomplete(Vec<Refusal>),
    /// A chunk that does not begin where the session ends.
    #[error("the chunk begins at {got}, the session holds {have} bytes: continue at {have}")]
    OutOfOrder {
        /// Bytes the session holds.
        have: u64,
        /// Where the chunk begins.
        got: u64,
    },
    /// A delete of something a live manifest still names.
    #[error("{message}")]
    StillNamed {
        /// By what, and what to delete first.
        message: String,
        /// The digests that name it.
        holders: Vec<String>,
    },
    /// A rule of this repository forbids it.
    #[error("{0}")]
    Denied(String),
    /// A request of the admin API that says something impossible.
    #[error("{0}")]
    Invalid(String),
    /// What the admin API was asked about is not there.
    #[error("{0}")]
    NoSuch(String),
    /// What the admin API was asked for does not fit with how things are.
    #[error("{0}")]
    Conflict(String),
    /// Writes are switched off.
    #[error("this registry is read-only for now: {0}")]
    ReadOnly(String),
    /// Not enough free space to take anything new.
    #[error("{0}")]
    DiskFull(String),
    /// Nothing is wrong with the request: try again.
    #[error("{message}")]
    Unavailable {
        /// Why.
        message: String,
        /// Seconds after which to try again.
        retry_after: u32,
    },
    /// The client's body ended before it was whole.
    #[error("the request body ended early: {0}")]
    BodyLost(String),
}

impl Error {
    /// A passing inability, worth a retry in a few seconds.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::Unavailable { message: message.into(), retry_after: 5 }
    }

    /// What was to be drawn cannot be.
    pub(crate) fn no_random(error: &std::io::Error) -> Self {
        tracing::error!(%error, "no random bytes to be had");
        Self::unavailable("the system has no random bytes to give")
    }

    pub(crate) fn stopping() -> Self {
        Self::unavailable("the registry is shutting down")
    }
}

impl From<mcr_blobs::Error> for Error {
    /// An I/O error is never "not found": a full disk is 507, anything else 503.
    fn from(error: mcr_blobs::Error) -> Self {
        if error.is_disk_full() {
            tracing::error!(%error, "the blob disk is full");
            return Self::DiskFull(
                "this registry's disk is full: nothing new can be stored until space is freed".into(),
            );
        }
        tracing::error!(%error, "blob storage failed");
        if error.is_read_only() {
            return Self::unavailable("this registry's blob disk is read-only: pulls go on, pushes cannot be taken");
        }
        Self::unavailable("this registry's blob storage failed; its log names the file and the error")
    }
}

impl From<mcr_metadata::Error> for Error {
    fn from(error: mcr_metadata::Error) -> Self {
        if matches!(error, mcr_metadata::Error::ClosureTooLarge(_)) {
            return Self::ManifestInvalid(error.to_string());
        }
        if error.is_disk_full() {
            tracing::error!(%error, "the database disk is full");
            return Self::DiskFull(
                "this registry's disk is full: its database cannot be written until space is freed".into(),
            );
        }
        tracing::error!(%error, "the database failed");
        if error.is_read_only() {
            return Self::unavailable(
                "this registry's database disk is read-only: pulls go on, changes cannot be taken",
            );
        }
        Self::unavailable("this registry's database failed; its log has the error")
    }
}
