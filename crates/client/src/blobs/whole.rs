//! Reading a whole blob and hashing it on the way, in constant memory; never keeping it.

use mcr_oci::{Digest, Hasher, RepositoryName};
use reqwest::Method;

use super::{length, missing, range_of, wrong_range};
use crate::answers::{BlobAnswer, Whole};
use crate::client::Client;
use crate::content_range::ContentRange;
use crate::error::Error;
use crate::response::{Answer, Cut};
use crate::tries::Failure;
use crate::wire::Ask;

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
        sink: impl FnMut(&[u8]) + Send,
    ) -> Result<BlobAnswer<Whole>, Error> {
        let (mut ask, want) = self.blob(Method::GET, repository, digest)?;
        let mut tries = self.inner.tries(&ask);
        let mut transfer = Transfer { hasher: Hasher::new(digest.algorithm()), size, received: 0, sink };
        loop {
            ask.range = (transfer.received > 0).then(|| format!("bytes={}-", transfer.received));
            let answer = self.inner.answer(&ask, &want, &mut tries).await?;
            if !matches!(answer.status(), 200 | 206 | 416) || (answer.status() == 416 && ask.range.is_none()) {
                return missing(&ask, answer).await;
            }
            let step = match transfer.begin(&ask, &answer)? {
                Ok(skip) => transfer.read(answer, skip).await,
                Err(settled) => Step::Settled(settled),
            };
            match step {
                Step::Whole => return Ok(BlobAnswer::Found(transfer.verdict(digest))),
                Step::Settled(settled) => return Ok(BlobAnswer::Found(settled)),
                Step::Failed(failure) => tries.again(failure).await?,
                Step::Short => {
                    if !tries.once_more().await {
                        return Ok(BlobAnswer::Found(transfer.ended_early()));
                    }
                }
            }
        }
    }
}

/// How one answer ended.
enum Step {
    /// All bytes are here.
    Whole,
    /// No further try would change this.
    Settled(Whole),
    /// The bytes ended too early.
    Short,
    Failed(Failure),
}

/// What has come so far.
struct Transfer<S> {
    hasher: Hasher,
    size: u64,
    received: u64,
    sink: S,
}

impl<S: FnMut(&[u8]) + Send> Transfer<S> {
    fn ended_early(&self) -> Whole {
        Whole::EndedEarly { announced: self.size, received: self.received }
    }

    /// Compares a head with what is expected: how many bytes of its body are here already, or the verdict that it is.
    fn begin(&self, ask: &Ask, answer: &Answer) -> Result<Result<u64, Whole>, Error> {
        match (answer.status(), range_of(answer)) {
            (200, _) => Ok(match answer.content_length() {
                Some(announced) if announced != self.size => Err(Whole::OtherSize { announced }),
                // The range was not honoured: what is here already comes once more.
                _ => Ok(self.received),
            }),
            // It announced more than it has.
            (416, _) => Ok(Err(self.ended_early())),
            (_, Some(ContentRange::Part { total: Some(total), .. })) if total != self.size => {
                Ok(Err(Whole::OtherSize { announced: total }))
            }
            (_, Some(ContentRange::Part { first, .. })) if first == self.received && self.received > 0 => Ok(Ok(0)),
            _ => Err(wrong_range(ask, answer)),
        }
    }

    /// Takes a body in, of which the first `skip` bytes are here already.
    async fn read(&mut self, mut answer: Answer, mut skip: u64) -> Step {
        let announced = answer.content_length().is_some();
        loop {
            let chunk = match answer.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) if self.received == self.size => return Step::Whole,
                Ok(None) if announced || skip > 0 => return Step::Short,
                // A body without an announced length that ends as it should is simply shorter.
                Ok(None) => return Step::Settled(Whole::OtherSize { announced: self.received }),
                Err(Cut::Ended(_)) if self.received == self.size => return Step::Whole,
                Err(Cut::Ended(_)) => return Step::Short,
                Err(cut @ Cut::Stalled(_)) => return Step::Failed(cut.into()),
            };
            let known = usize::try_from(skip).unwrap_or(usize::MAX).min(chunk.len());
            let new = chunk.get(known..).unwrap_or_default();
            skip = skip.saturating_sub(length(&chunk));
            if self.received.saturating_add(length(new)) > self.size {
                return Step::Settled(Whole::OtherSize { announced: self.received.saturating_add(length(new)) });
            }
            self.hasher.update(new);
            self.received = self.received.saturating_add(length(new));
            (self.sink)(new);
        }
    }

    fn verdict(self, expected: &Digest) -> Whole {
        let computed = self.hasher.finish();
        if computed == *expected { Whole::Verified { bytes: self.received } } else { Whole::WrongBytes { computed } }
    }
}

#[cfg(test)]
mod tests;
