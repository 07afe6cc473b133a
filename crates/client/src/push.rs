//! Pushing as good clients do: mount, else send in one piece; manifests by tag or digest; never what belongs
//! together, and in which order.

use std::convert::Infallible;

use bytes::Bytes;
use mcr_oci::{Digest, Reference, RepositoryName};
use reqwest::header::LOCATION;
use reqwest::{Method, Url};

use crate::absent::absent;
use crate::answers::{Announced, BlobAnswer};
use crate::auth::Want;
use crate::client::{Client, Inner, strange};
use crate::error::{Error, PushError};
use crate::payload::{Content, Payload, Upload};
use crate::response::Answer;
use crate::tries::{Failure, Tries};
use crate::wire::Ask;

/// How a blob came to be in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// Another repository had it.
    Mounted,
    /// It was sent.
    Sent,
}

/// What the beginning of an upload came to.
enum Begun {
    Mounted,
    At(Url),
}

impl Client {
    /// Whether a repository that is pushed to holds a blob, asked as somebody who may push: registries that know of
    /// damage answer those so that they send it again.
    ///
    /// # Errors
    /// [`Error`] where there is no answer that says anything about the blob.
    pub async fn holds_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<BlobAnswer<Announced>, Error> {
        let ask = self.inner.ask(Method::HEAD, &format!("v2/{repository}/blobs/{digest}"))?;
        let answer = self.inner.answer(&ask, &Want::push(repository, None), &mut self.inner.tries(&ask)).await?;
        if answer.status() == 200 {
            return Ok(BlobAnswer::Found(Announced { size: answer.content_length() }));
        }
        let said = absent(&ask, answer).await?;
        Ok(BlobAnswer::Missing { status: said.status, detail: said.detail })
    }

    /// What a tag leads to, or whether a manifest is there, in a repository that is pushed to. `None` also where the
    /// registry does not tell the digest.
    ///
    /// # Errors
    /// [`Error`] where there is no answer that says anything about the manifest.
    pub async fn holds_manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<Digest>, Error> {
        let mut ask = self.inner.ask(Method::HEAD, &format!("v2/{repository}/manifests/{reference}"))?;
        ask.accept = Some(crate::manifests::ACCEPT);
        let answer = self.inner.answer(&ask, &Want::push(repository, None), &mut self.inner.tries(&ask)).await?;
        if answer.status() != 200 {
            return absent(&ask, answer).await.map(|_| None);
        }
        Ok(match reference {
            Reference::Digest(digest) => Some(digest.clone()),
            Reference::Tag(_) => told_digest(&answer),
        })
    }

    /// Brings a blob of `size` bytes into a repository: nothing is sent where the registry mounts it out of `from`. It is
    /// sent in one piece, in constant memory, and anew where that fails. Whoever wants to know first whether it is there
    /// asks [`Self::holds_blob`].
    ///
    /// # Errors
    /// [`PushError`]; the blob is then not known to be there.
    pub async fn push_blob<C: Content>(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        size: u64,
        content: &C,
        from: Option<&RepositoryName>,
    ) -> Result<Pushed, PushError<C::Error>> {
        let ask = self.inner.ask(Method::PUT, &format!("v2/{repository}/blobs/uploads/"))?;
        let mut tries = self.inner.tries(&ask);
        let mut from = from.filter(|from| *from != repository);
        loop {
            let begun = self.inner.begin(repository, digest, from.take(), &mut tries).await?;
            let Begun::At(location) = begun else { return Ok(Pushed::Mounted) };
            let upload = Upload::new(content, size);
            let mut put = Ask::new(Method::PUT, with_digest(&location, digest));
            put.payload = Some(Payload { media_type: "application/octet-stream".to_owned(), streamed: upload.clone() });
            let sent = self.inner.at_session(&put, repository).await;
            if let Some(error) = upload.failure() {
                // It would be in the way until it ends by itself. Whether this is done is nobody's concern.
                let _ = self.inner.at_session(&Ask::new(Method::DELETE, location), repository).await;
                return Err(PushError::Content(error));
            }
            let failure = match sent {
                Ok(answer) if matches!(answer.status(), 200 | 201 | 204) => {
                    is_stored(&put, &answer, digest)?;
                    return Ok(Pushed::Sent);
                }
                // The session is gone, or holds what a try before brought: a new one is begun.
                Ok(mut answer) if matches!(answer.status(), 404 | 416) => {
                    let reason = answer.said().await.text.unwrap_or_else(|| answer.status_text());
                    Failure::Broken { status: Some(answer.status()), reason }
                }
                Ok(answer) => return Err(refused(&put, answer).await),
                Err(failure) => failure,
            };
            tries.again(failure).await?;
        }
    }

    /// Puts a manifest by tag or by digest. What it names has to be there before.
    ///
    /// # Errors
    /// [`PushError`]; never [`PushError::Content`].
    pub async fn push_manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        digest: &Digest,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<(), PushError<Infallible>> {
        let mut ask = self.inner.ask(Method::PUT, &format!("v2/{repository}/manifests/{reference}"))?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        ask.payload = Some(Payload { media_type: media_type.to_owned(), streamed: Upload::new(&bytes, length) });
        let mut tries = self.inner.tries(&ask);
        let answer = self.inner.answer(&ask, &Want::push(repository, None), &mut tries).await?;
        if !matches!(answer.status(), 200..=202 | 204) {
            return Err(refused(&ask, answer).await);
        }
        Ok(is_stored(&ask, &answer, digest)?)
    }
}

impl Inner {
    /// Begins an upload, or has the blob mounted; who may not read where it is mounted from may still send it.
    async fn begin<E>(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        from: Option<&RepositoryName>,
        tries: &mut Tries,
    ) -> Result<Begun, PushError<E>> {
        let path = format!("v2/{repository}/blobs/uploads/");
        if let Some(from) = from {
            let ask = self.ask(Method::POST, &format!("{path}?mount={digest}&from={from}"))?;
            match self.answer(&ask, &Want::push(repository, Some(from)), tries).await {
                Ok(answer) if answer.status() == 201 => return Ok(Begun::Mounted),
                Ok(answer) if answer.status() == 202 => return Ok(Begun::At(self.session(&ask, &answer)?)),
                Ok(mut answer) => answer.drain().await,
                Err(Error::Unauthorized { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let ask = self.ask(Method::POST, &path)?;
        let answer = self.answer(&ask, &Want::push(repository, None), tries).await?;
        match answer.status() {
            202 => Ok(Begun::At(self.session(&ask, &answer)?)),
            _ => Err(refused(&ask, answer).await),
        }
    }

    /// Where an upload goes on. On the registry itself its scheme does not matter: behind a proxy a registry often does
    /// not know by which one it is asked.
    fn session(&self, ask: &Ask, answer: &Answer) -> Result<Url, Error> {
        let wrong = |reason: &str| Error::Unexpected { what: ask.what(), reason: reason.to_owned() };
        let told = answer.header(LOCATION).ok_or_else(|| wrong("takes an upload and does not say where"))?;
        let mut url = ask.url.join(told).map_err(|_| wrong("takes an upload at what is no URL"))?;
        crate::wire::without_user(&mut url);
        url.set_fragment(None);
        let implied = url.port().is_none() && self.base.port().is_none();
        let same_port = implied || url.port_or_known_default() == self.base.port_or_known_default();
        if url.host_str() == self.base.host_str() && same_port {
            let mut own = self.base.clone();
            own.set_path(url.path());
            own.set_query(url.query());
            return Ok(own);
        }
        match (self.base.scheme(), url.scheme()) {
            (_, "https") | ("http", "http") => Ok(url),
            _ => Err(wrong("takes an upload at an address that is not https, which is not followed")),
        }
    }

    /// A request to where an upload goes on: with the login on the registry itself, with none elsewhere.
    async fn at_session(&self, ask: &Ask, repository: &RepositoryName) -> Result<Answer, Failure> {
        if ask.url.origin() == self.base.origin() {
            return self.exchange(ask, &Want::push(repository, None)).await;
        }
        let answer = self.wire.follow(ask, None).await?;
        self.wire.judged(answer).await
    }
}

/// The address of an upload with the digest that ends it; what the registry put there stays as it is.
fn with_digest(location: &Url, digest: &Digest) -> Url {
    let mut url = location.clone();
    url.query_pairs_mut().append_pair("digest", digest.as_str());
    url
}

fn told_digest(answer: &Answer) -> Option<Digest> {
    answer.header("docker-content-digest").and_then(|text| Digest::parse(text).ok())
}

/// Whether what was stored is what was sent, where the registry says.
fn is_stored(ask: &Ask, answer: &Answer, digest: &Digest) -> Result<(), Error> {
    match told_digest(answer) {
        Some(other) if other != *digest => {
            Err(Error::Unexpected { what: ask.what(), reason: format!("stored {other} where {digest} was sent") })
        }
        _ => Ok(()),
    }
}

/// What the registry says against it, where it is a registry that says so.
async fn refused<E>(ask: &Ask, mut answer: Answer) -> PushError<E> {
    let status = answer.status();
    let said = answer.said().await.text;
    if matches!(status, 400..=499 | 507) {
        let reason = said.unwrap_or_else(|| answer.status_text());
        return PushError::Refused { status, what: ask.what(), reason };
    }
    PushError::Registry(strange(ask, &answer, said))
}

#[cfg(test)]
mod tests;
