//! Asking for a manifest; never looking into it.

use mcr_oci::{Reference, RepositoryName};

use crate::answers::ManifestAnswer;
use crate::client::{Client, unfinished};
use crate::error::Error;

impl Client {
    /// A manifest by tag or by digest, unhashed, of at most [`mcr_oci::MANIFEST_MAX`] bytes.
    ///
    /// # Errors
    /// [`Error`] where there is no answer that says anything about the manifest.
    pub async fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<ManifestAnswer, Error> {
        let _ = (repository, reference);
        Err(unfinished(self))
    }
}
