//! Where things lie in a distribution tree, for whoever damages it; never a look at them.

use std::path::{Path, PathBuf};

use mcr_oci::Digest;

/// A tree, by its storage root.
#[derive(Clone, Debug)]
pub struct Tree(pub PathBuf);

impl Tree {
    fn v2(&self) -> PathBuf {
        self.0.join("docker/registry/v2")
    }

    /// The bytes of a digest.
    #[must_use]
    pub fn data(&self, digest: &Digest) -> PathBuf {
        self.data_of(digest.algorithm().as_str(), digest.hex())
    }

    /// The bytes of a digest by its parts.
    #[must_use]
    pub fn data_of(&self, algorithm: &str, hex: &str) -> PathBuf {
        self.v2().join("blobs").join(algorithm).join(&hex[..2]).join(hex).join("data")
    }

    /// The directory of a repository.
    #[must_use]
    pub fn repository(&self, repository: &str) -> PathBuf {
        self.v2().join("repositories").join(repository)
    }

    /// The link that lets a repository serve a manifest.
    #[must_use]
    pub fn revision(&self, repository: &str, digest: &Digest) -> PathBuf {
        let revisions = self.repository(repository).join("_manifests/revisions");
        revisions.join(digest.algorithm().as_str()).join(digest.hex()).join("link")
    }

    /// The link that lets a repository serve a blob.
    #[must_use]
    pub fn layer(&self, repository: &str, digest: &Digest) -> PathBuf {
        let layers = self.repository(repository).join("_layers");
        layers.join(digest.algorithm().as_str()).join(digest.hex()).join("link")
    }

    /// The directory of a tag.
    #[must_use]
    pub fn tag(&self, repository: &str, tag: &str) -> PathBuf {
        self.repository(repository).join("_manifests/tags").join(tag)
    }

    /// What a tag points at.
    #[must_use]
    pub fn current(&self, repository: &str, tag: &str) -> PathBuf {
        self.tag(repository, tag).join("current/link")
    }

    /// Cuts a file to `length` bytes.
    ///
    /// # Panics
    /// Where it cannot.
    pub fn cut(path: &Path, length: u64) {
        let file = std::fs::OpenOptions::new().write(true).open(path).expect("the file");
        file.set_len(length).expect("it can be cut");
    }

    /// Flips one bit in the middle of a file.
    ///
    /// # Panics
    /// Where it cannot.
    pub fn flip(path: &Path) {
        let mut bytes = std::fs::read(path).expect("the file");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x20;
        std::fs::write(path, bytes).expect("it can be written");
    }
}
