//! Asking for a blob: its head, its last byte; never keeping it.

mod reader;
mod whole;

use mcr_oci::{Digest, RepositoryName};
use reqwest::Method;
use reqwest::header::CONTENT_RANGE;

use crate::absent::{Absent, absent};
use crate::answers::{Announced, BlobAnswer, Tail};
use crate::auth::Want;
use crate::client::Client;
use crate::content_range::{self, ContentRange};
use crate::error::Error;
use crate::response::{Answer, Cut};
use crate::tries::Failure;
use crate::wire::Ask;

pub use reader::BlobReader;

/// How the reading of one answer went.
enum Read<T> {
    Settled(T),
    Short { announced: u64, received: u64 },
    Failed(Failure),
}

impl Client {
    fn blob(&self, method: Method, repository: &RepositoryName, digest: &Digest) -> Result<(Ask, Want), Error> {
        let ask = self.inner.ask(method, &format!("v2/{repository}/blobs/{digest}"))?;
        Ok((ask, Want::pull(repository)))
    }

    /// What a HEAD of a blob announces.
    ///
    /// # Errors
    /// [`Error`] where there is no answer that says anything about the blob.
    pub async fn head_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<BlobAnswer<Announced>, Error> {
        let (ask, want) = self.blob(Method::HEAD, repository, digest)?;
        let mut tries = self.inner.tries(&ask);
        let answer = self.inner.answer(&ask, &want, &mut tries).await?;
        if answer.status() == 200 {
            return Ok(BlobAnswer::Found(Announced { size: answer.content_length() }));
        }
        missing(&ask, answer).await
    }

    /// Asks for the last byte of a blob of `size` bytes, which one that was cut cannot answer. Where the registry does
    /// not honour ranges, or `size` is 0, all of it is read and counted, in constant memory.
    ///
    /// # Errors
    /// [`Error`] where there is no answer that says anything about the blob.
    pub async fn blob_tail(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        size: u64,
    ) -> Result<BlobAnswer<Tail>, Error> {
        let (mut ask, want) = self.blob(Method::GET, repository, digest)?;
        ask.range = size.checked_sub(1).map(|last| format!("bytes={last}-{last}"));
        let mut tries = self.inner.tries(&ask);
        loop {
            let answer = self.inner.answer(&ask, &want, &mut tries).await?;
            let read = match answer.status() {
                206 => one_byte(&ask, answer, size).await?,
                200 => counted(answer, size).await,
                416 if ask.range.is_some() => {
                    let size = match range_of(&answer) {
                        Some(ContentRange::Unsatisfied { total }) => Some(total),
                        _ => None,
                    };
                    return Ok(BlobAnswer::Found(Tail::NotSatisfiable { size }));
                }
                _ => return missing(&ask, answer).await,
            };
            match read {
                Read::Settled(tail) => return Ok(BlobAnswer::Found(tail)),
                Read::Failed(failure) => tries.again(failure).await?,
                Read::Short { announced, received } => {
                    if !tries.once_more().await {
                        return Ok(BlobAnswer::Found(Tail::EndedEarly { announced, received }));
                    }
                }
            }
        }
    }
}

async fn missing<T>(ask: &Ask, answer: Answer) -> Result<BlobAnswer<T>, Error> {
    let Absent { status, detail } = absent(ask, answer).await?;
    Ok(BlobAnswer::Missing { status, detail })
}

fn range_of(answer: &Answer) -> Option<ContentRange> {
    answer.header(CONTENT_RANGE).and_then(content_range::parse)
}

/// The 206 for the last byte of `size`.
async fn one_byte(ask: &Ask, mut answer: Answer, size: u64) -> Result<Read<Tail>, Error> {
    let total = match range_of(&answer) {
        Some(ContentRange::Part { total: Some(total), .. }) if total != size => {
            return Ok(Read::Settled(Tail::OtherSize { size: total }));
        }
        Some(ContentRange::Part { first, last, .. }) if first == last && Some(last) == size.checked_sub(1) => size,
        _ => return Err(wrong_range(ask, &answer)),
    };
    let mut received: u64 = 0;
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) => received = received.saturating_add(length(&chunk)),
            Ok(None) | Err(Cut::Ended(_)) if received == 0 => return Ok(Read::Short { announced: 1, received }),
            Ok(None) | Err(Cut::Ended(_)) => break,
            Err(cut @ Cut::Stalled(_)) => return Ok(Read::Failed(cut.into())),
        }
        if received > 1 {
            let reason = format!("sends more than the last byte of {total}, which it announced");
            return Err(Error::Unexpected { what: ask.what(), reason });
        }
    }
    Ok(Read::Settled(Tail::Whole))
}

/// A 200 in place of a range: how many bytes come.
async fn counted(mut answer: Answer, size: u64) -> Read<Tail> {
    let announced = answer.content_length();
    if let Some(other) = announced.filter(|announced| *announced != size) {
        return Read::Settled(Tail::OtherSize { size: other });
    }
    let mut received: u64 = 0;
    let cut = loop {
        match answer.chunk().await {
            Ok(Some(chunk)) => received = received.saturating_add(length(&chunk)),
            Ok(None) => break None,
            Err(cut) => break Some(cut),
        }
        if received > size {
            return Read::Settled(Tail::OtherSize { size: received });
        }
    };
    match cut {
        Some(cut @ Cut::Stalled(_)) => Read::Failed(cut.into()),
        _ if received == size => Read::Settled(Tail::Whole),
        // A body without an announced length that ends as it should is simply shorter.
        None if announced.is_none() => Read::Settled(Tail::OtherSize { size: received }),
        _ => Read::Short { announced: size, received },
    }
}

fn wrong_range(ask: &Ask, answer: &Answer) -> Error {
    let range = answer.header(CONTENT_RANGE).map_or_else(|| "none".to_owned(), crate::text::line);
    let asked = ask.range.as_deref().unwrap_or_default();
    Error::Unexpected { what: ask.what(), reason: format!("asked for {asked}, answers with the range `{range}`") }
}

fn length(chunk: &[u8]) -> u64 {
    u64::try_from(chunk.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
