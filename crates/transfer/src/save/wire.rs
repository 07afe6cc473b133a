//! A registry as the place that images are saved from; never what is made of them.

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use mcr_client::{BlobAnswer, BlobReader, Client, ManifestAnswer, Piece, Whole};
use mcr_oci::{Digest, FindingKind, Reference, RepositoryName};
use mcr_probe::{Level, VerifyOptions};
use mcr_verifier::{Look, PlatformFilter, Problem};

use super::shelf::{Found, Shelf};
use crate::origin::{BlobBytes, StreamEnd, Trouble};

/// A registry.
#[derive(Clone, Debug)]
pub struct Wire {
    client: Client,
    jobs: usize,
}

impl Wire {
    /// The registry that `client` asks, with so many questions at once.
    #[must_use]
    pub fn new(client: Client, jobs: usize) -> Self {
        Self { client, jobs }
    }
}

/// Nobody looks on: what is counted is what is written.
struct Unwatched;

impl mcr_probe::Watch for Unwatched {}

impl Shelf for Wire {
    async fn check(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        platform: Option<&PlatformFilter>,
    ) -> Result<Found, Trouble> {
        // Every byte is read soon after: more than heads would be asked for twice.
        let options = VerifyOptions { level: Level::Head, jobs: self.jobs, platform: platform.cloned() };
        let verified = mcr_probe::verify(&self.client, repository, reference, &options, &Unwatched).await;
        let verified = verified.map_err(Trouble::of)?;
        Ok(Found { digest: verified.digest, findings: verified.findings })
    }

    async fn manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<(Option<String>, Bytes)>, Trouble> {
        let asked = self.client.manifest(repository, &Reference::Digest(digest.clone())).await;
        match asked.map_err(Trouble::of)? {
            ManifestAnswer::Found { media_type, bytes, .. } => Ok(Some((media_type, Bytes::from_owner(bytes)))),
            ManifestAnswer::Missing { .. } => Ok(None),
            ManifestAnswer::TooLarge { .. } => {
                Err(Trouble(format!("{repository}@{digest} is larger than a manifest may be")))
            }
            ManifestAnswer::EndedEarly { announced, received } => {
                Err(Trouble(format!("{repository}@{digest} ends after {received} of {announced} bytes")))
            }
        }
    }

    async fn blob(&self, repository: &RepositoryName, digest: &Digest, size: u64) -> Result<Look<BlobBytes>, Trouble> {
        let reader = self.client.read_blob(repository, digest, size).map_err(Trouble::of)?;
        Ok(Look::Whole(BlobBytes::Stream(stream::unfold(Some(reader), next).boxed())))
    }
}

async fn next(reader: Option<BlobReader>) -> Option<(Result<Bytes, StreamEnd>, Option<BlobReader>)> {
    let mut reader = reader?;
    let end = match reader.next().await {
        Ok(Piece::Bytes(bytes)) => return Some((Ok(bytes), Some(reader))),
        Ok(Piece::End(BlobAnswer::Found(Whole::Verified { .. }))) => return None,
        Ok(Piece::End(answer)) => StreamEnd::Broken(problem(answer)),
        Err(error) => StreamEnd::Gone(Trouble::of(error)),
    };
    Some((Err(end), None))
}

fn problem(answer: BlobAnswer<Whole>) -> Problem {
    match answer {
        BlobAnswer::Missing { status, detail } => {
            Problem { kind: FindingKind::BlobMissing, status: Some(status), detail }
        }
        BlobAnswer::Found(Whole::OtherSize { announced }) => {
            Problem::new(FindingKind::BlobSizeMismatch, format!("{announced} bytes are announced"))
        }
        BlobAnswer::Found(Whole::EndedEarly { announced, received }) => {
            Problem::new(FindingKind::BlobTruncated, format!("its body ends after {received} of {announced} bytes"))
        }
        BlobAnswer::Found(Whole::WrongBytes { computed }) => {
            Problem::new(FindingKind::BlobCorrupt, format!("its bytes hash to {computed}"))
        }
        BlobAnswer::Found(Whole::Verified { .. }) => Problem::new(FindingKind::Unreachable, "it is whole"),
    }
}
