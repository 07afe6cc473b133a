//! Reading a whole blob and hashing it on the way, in constant memory; never keeping it.

use mcr_oci::{Digest, RepositoryName};

use crate::answers::{BlobAnswer, Piece, Whole};
use crate::client::Client;
use crate::error::Error;

impl Client {
    /// Reads a whole blob of `size` bytes and hashes it, in constant memory. `sink` is handed every byte once and in
    /// order, also when the transfer had to be taken up again: what it got is what was hashed. Nothing that it got is
    /// to be believed before the answer is [`Whole::Verified`].
    ///
    /// # Errors
    /// [`Error`] where there is no answer that says anything about the blob.
    pub async fn blob_verified(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        size: u64,
        mut sink: impl FnMut(&[u8]) + Send,
    ) -> Result<BlobAnswer<Whole>, Error> {
        let mut reader = self.read_blob(repository, digest, size)?;
        loop {
            match reader.next().await? {
                Piece::Bytes(bytes) => sink(&bytes),
                Piece::End(answer) => return Ok(answer),
            }
        }
    }
}

#[cfg(test)]
mod tests;
