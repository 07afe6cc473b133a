//! Asking for a blob: its head, its last byte, all of it; never keeping it.

use mcr_oci::{Digest, RepositoryName};

use crate::answers::{Announced, BlobAnswer, Tail, Whole};
use crate::client::{Client, unfinished};
use crate::error::Error;

impl Client {
    /// What a HEAD of a blob announces.
    ///
    /// # Errors
    /// [`Error`] where there is no answer that says anything about the blob.
    pub async fn head_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<BlobAnswer<Announced>, Error> {
        let _ = (repository, digest);
        Err(unfinished(self))
    }

    /// Asks for the last byte of a blob of `size` bytes (more than zero).
    ///
    /// # Errors
    /// [`Error`] where there is no answer that says anything about the blob.
    pub async fn blob_tail(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        size: u64,
    ) -> Result<BlobAnswer<Tail>, Error> {
        let _ = (repository, digest, size);
        Err(unfinished(self))
    }

    /// Reads a whole blob of `size` bytes and hashes it, in constant memory; `sink` is handed every byte once, in order.
    ///
    /// # Errors
    /// [`Error`] where there is no answer that says anything about the blob.
    pub async fn blob_verified(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        size: u64,
        sink: impl FnMut(&[u8]) + Send,
    ) -> Result<BlobAnswer<Whole>, Error> {
        let _ = (repository, digest, size, sink);
        Err(unfinished(self))
    }
}
