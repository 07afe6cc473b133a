//! Where everything lies on disk: the only place that turns a digest or a session id into a path.
//! Nothing here touches the disk; `docs/on-disk-format.md` describes the same tree in words.

use std::path::PathBuf;

use mcr_oci::{Algorithm, Digest};

use crate::{Options, UploadId};

/// The digest algorithms that have a directory below `layers_path`.
pub(crate) const ALGORITHMS: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Sha512];

/// The file below `layers_path` that names the registry the blobs belong to.
const MARKER: &str = "mcr-registry-id";

/// Ends the name of a session's sidecar in `uploads_path`.
pub(crate) const SESSION_SUFFIX: &str = ".session";

/// Ends the name of a file in `uploads_path` that no session owns and that nobody needs after a crash.
pub(crate) const TEMPORARY_SUFFIX: &str = ".tmp";

/// The two directories everything is below.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) layers: PathBuf,
    pub(crate) uploads: PathBuf,
}

impl Layout {
    pub(crate) fn new(options: Options) -> Layout {
        Layout { layers: options.layers, uploads: options.uploads }
    }

    /// `layers_path/<algorithm>`: holds the shards.
    pub(crate) fn algorithm(&self, algorithm: Algorithm) -> PathBuf {
        self.layers.join(algorithm.as_str())
    }

    /// `layers_path/<algorithm>/<first 2 hex>`: holds the blobs whose digests begin so.
    pub(crate) fn shard(&self, digest: &Digest) -> PathBuf {
        self.algorithm(digest.algorithm()).join(shard_name(digest))
    }

    /// `layers_path/<algorithm>/<first 2 hex>/<full hex>`: the blob.
    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.shard(digest).join(digest.hex())
    }

    pub(crate) fn marker(&self) -> PathBuf {
        self.layers.join(MARKER)
    }

    /// `layers_path/quarantine`: damaged bytes, kept for whoever looks into the damage.
    pub(crate) fn quarantine(&self) -> PathBuf {
        self.layers.join("quarantine")
    }

    /// `layers_path/journal`: what the database says of manifests and tags, should it be lost.
    pub(crate) fn journal(&self) -> PathBuf {
        self.layers.join("journal")
    }

    /// `layers_path/quarantine/<algorithm>-<hex>.<unix-ms>`.
    pub(crate) fn quarantined(&self, digest: &Digest, at_ms: i64) -> PathBuf {
        let name = format!("{}-{}.{at_ms}", digest.algorithm().as_str(), digest.hex());
        self.quarantine().join(name)
    }

    /// `uploads_path/<id>`: the bytes of a session.
    pub(crate) fn upload(&self, id: &UploadId) -> PathBuf {
        self.uploads.join(id.as_str())
    }

    /// `uploads_path/<id>.session`: what a restart has to know about a session.
    pub(crate) fn session(&self, id: &UploadId) -> PathBuf {
        self.uploads.join(format!("{id}{SESSION_SUFFIX}"))
    }

    /// `uploads_path/<name>.tmp`: a file that exists only while one call runs.
    pub(crate) fn temporary(&self, name: &str) -> PathBuf {
        self.uploads.join(format!("{name}{TEMPORARY_SUFFIX}"))
    }
}

/// The first two hex digits; a parsed digest always has them.
pub(crate) fn shard_name(digest: &Digest) -> &str {
    digest.hex().get(..2).unwrap_or_default()
}
