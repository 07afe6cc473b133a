//! Asking for a manifest; never looking into it.

use mcr_oci::{MANIFEST_MAX, Reference, RepositoryName};
use reqwest::Method;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};

use crate::absent::{Absent, absent};
use crate::answers::ManifestAnswer;
use crate::auth::Want;
use crate::client::Client;
use crate::error::Error;
use crate::response::{Answer, Cut};
use crate::tries::Failure;
use crate::wire::Ask;

/// Every type that a manifest may have: a registry that is not told all of them may answer that there is none, or
/// convert what there is.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.oci.artifact.manifest.v1+json, */*;q=0.1";

/// How the reading of one body went.
enum Read {
    Settled(ManifestAnswer),
    Short { announced: u64, received: u64 },
    Failed(Failure),
}

impl Client {
    /// A manifest by tag or by digest, unhashed, of at most [`mcr_oci::MANIFEST_MAX`] bytes.
    ///
    /// # Errors
    /// [`Error`] where there is no answer that says anything about the manifest.
    pub async fn manifest(&self, repository: &RepositoryName, reference: &Reference) -> Result<ManifestAnswer, Error> {
        let mut ask = self.inner.ask(Method::GET, &format!("v2/{repository}/manifests/{reference}"))?;
        ask.accept = Some(ACCEPT);
        let want = Want::pull(repository);
        let mut tries = self.inner.tries(&ask);
        loop {
            let answer = self.inner.answer(&ask, &want, &mut tries).await?;
            if answer.status() != 200 {
                let Absent { status, detail } = absent(&ask, answer).await?;
                return Ok(ManifestAnswer::Missing { status, detail });
            }
            if let Some(error) = foreign_page(&ask, &answer) {
                return Err(error);
            }
            match read(answer).await {
                Read::Settled(answer) => return Ok(answer),
                Read::Failed(failure) => tries.again(failure).await?,
                Read::Short { announced, received } => {
                    if !tries.once_more().await {
                        return Ok(ManifestAnswer::EndedEarly { announced, received });
                    }
                }
            }
        }
    }
}

/// What a 200 cannot be if a registry gave it.
fn foreign_page(ask: &Ask, answer: &Answer) -> Option<Error> {
    let reason = match (answer.essence(), answer.header(CONTENT_ENCODING)) {
        (Some(essence), _) if essence == "text/html" => "answers with a web page".to_owned(),
        (_, Some(encoding)) if !encoding.eq_ignore_ascii_case("identity") => {
            format!("answers encoded ({}) although it was asked not to", crate::text::line(encoding))
        }
        _ => return None,
    };
    Some(Error::Unexpected { what: ask.what(), reason })
}

async fn read(mut answer: Answer) -> Read {
    let announced = answer.content_length();
    let max = u64::try_from(MANIFEST_MAX).unwrap_or(u64::MAX);
    if announced.is_some_and(|announced| announced > max) {
        return Read::Settled(ManifestAnswer::TooLarge { announced });
    }
    let mut bytes = Vec::new();
    let whole = answer.collect(MANIFEST_MAX, &mut bytes).await;
    let received = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    match (whole, announced) {
        (Ok(false), _) => Read::Settled(ManifestAnswer::TooLarge { announced }),
        (Err(Cut::Ended(_)), Some(announced)) => Read::Short { announced, received },
        (Err(cut), _) => Read::Failed(cut.into()),
        (Ok(true), Some(announced)) if received < announced => Read::Short { announced, received },
        (Ok(true), _) => Read::Settled(ManifestAnswer::Found {
            media_type: answer.header(CONTENT_TYPE).map(str::to_owned),
            digest_header: answer.header("docker-content-digest").map(str::to_owned),
            bytes: bytes.into(),
        }),
    }
}

#[cfg(test)]
mod tests;
