//! A whole blob piece by piece, hashed on the way and taken up again where a transfer breaks; never keeping it.

use bytes::Bytes;
use mcr_oci::{Digest, Hasher, RepositoryName};
use reqwest::Method;

use super::{length, missing, range_of, wrong_range};
use crate::answers::{BlobAnswer, Piece, Whole};
use crate::auth::Want;
use crate::client::Client;
use crate::content_range::ContentRange;
use crate::error::Error;
use crate::response::{Answer, Cut};
use crate::tries::{Failure, Tries};
use crate::wire::Ask;

impl Client {
    /// Begins to read a whole blob of `size` bytes. Nothing is sent before the first [`BlobReader::next`].
    ///
    /// # Errors
    /// [`Error::Unexpected`] where the names make no address.
    pub fn read_blob(&self, repository: &RepositoryName, digest: &Digest, size: u64) -> Result<BlobReader, Error> {
        let (ask, want) = self.blob(Method::GET, repository, digest)?;
        let tries = self.inner.tries(&ask);
        Ok(BlobReader {
            client: self.clone(),
            ask,
            want,
            tries,
            digest: digest.clone(),
            hasher: Some(Hasher::new(digest.algorithm())),
            size,
            received: 0,
            body: None,
            settled: None,
        })
    }
}

/// A blob under way, in constant memory: every byte comes once and in order, also where the transfer had to be taken up
/// again. Nothing that came is to be believed before the end says [`Whole::Verified`].
#[derive(Debug)]
pub struct BlobReader {
    client: Client,
    ask: Ask,
    want: Want,
    tries: Tries,
    digest: Digest,
    /// Gone when the verdict is made.
    hasher: Option<Hasher>,
    size: u64,
    received: u64,
    /// The answer that is being read, and how many of its bytes are here already.
    body: Option<(Answer, u64)>,
    settled: Option<BlobAnswer<Whole>>,
}

/// How one answer goes on.
enum Step {
    Bytes(Bytes),
    /// All bytes are here.
    Whole,
    /// No further try would change this.
    Settled(Whole),
    /// The bytes ended too early.
    Short,
    Failed(Failure),
}

impl BlobReader {
    /// The next bytes, or how it ended; the end is told as often as one asks.
    ///
    /// # Errors
    /// [`Error`] where there is no answer that says anything about the blob.
    pub async fn next(&mut self) -> Result<Piece, Error> {
        loop {
            if let Some(settled) = &self.settled {
                return Ok(Piece::End(settled.clone()));
            }
            let step = match &mut self.body {
                None => match self.begin().await? {
                    None => continue,
                    Some(step) => step,
                },
                Some((answer, skip)) => read(answer, skip, self.received, self.size).await,
            };
            match step {
                Step::Bytes(bytes) => {
                    self.received = self.received.saturating_add(length(&bytes));
                    if let Some(hasher) = &mut self.hasher {
                        hasher.update(&bytes);
                    }
                    return Ok(Piece::Bytes(bytes));
                }
                Step::Whole => self.settled = Some(BlobAnswer::Found(self.verdict())),
                Step::Settled(settled) => self.settled = Some(BlobAnswer::Found(settled)),
                Step::Failed(failure) => {
                    self.body = None;
                    self.tries.again(failure).await?;
                }
                Step::Short => {
                    self.body = None;
                    if !self.tries.once_more().await {
                        self.settled = Some(BlobAnswer::Found(self.ended_early()));
                    }
                }
            }
        }
    }

    /// Asks for what is not here yet; `None` where a body begins, or it is settled that none will.
    async fn begin(&mut self) -> Result<Option<Step>, Error> {
        self.ask.range = (self.received > 0).then(|| format!("bytes={}-", self.received));
        let answer = self.client.inner.answer(&self.ask, &self.want, &mut self.tries).await?;
        let status = answer.status();
        if !matches!(status, 200 | 206 | 416) || (status == 416 && self.ask.range.is_none()) {
            self.settled = Some(missing(&self.ask, answer).await?);
            return Ok(None);
        }
        match self.compare(&answer)? {
            Ok(skip) => {
                self.body = Some((answer, skip));
                Ok(None)
            }
            Err(settled) => Ok(Some(Step::Settled(settled))),
        }
    }

    /// Compares a head with what is expected: how many bytes of its body are here already, or the verdict that it is.
    fn compare(&self, answer: &Answer) -> Result<Result<u64, Whole>, Error> {
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
            _ => Err(wrong_range(&self.ask, answer)),
        }
    }

    fn ended_early(&self) -> Whole {
        Whole::EndedEarly { announced: self.size, received: self.received }
    }

    fn verdict(&mut self) -> Whole {
        let computed = self.hasher.take().map_or_else(|| self.digest.clone(), Hasher::finish);
        if computed == self.digest { Whole::Verified { bytes: self.received } } else { Whole::WrongBytes { computed } }
    }
}

/// The next of a body, of which the first `skip` bytes are here already, as are `received` of all `size`.
async fn read(answer: &mut Answer, skip: &mut u64, received: u64, size: u64) -> Step {
    let announced = answer.content_length().is_some();
    loop {
        let mut chunk = match answer.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) | Err(Cut::Ended(_)) if received == size => return Step::Whole,
            Ok(None) if announced || *skip > 0 => return Step::Short,
            // A body without an announced length that ends as it should is simply shorter.
            Ok(None) => return Step::Settled(Whole::OtherSize { announced: received }),
            Err(Cut::Ended(_)) => return Step::Short,
            Err(cut @ Cut::Stalled(_)) => return Step::Failed(cut.into()),
        };
        let known = usize::try_from(*skip).unwrap_or(usize::MAX).min(chunk.len());
        *skip = skip.saturating_sub(length(&chunk));
        let new = chunk.split_off(known);
        let with = received.saturating_add(length(&new));
        if with > size {
            return Step::Settled(Whole::OtherSize { announced: with });
        }
        if !new.is_empty() {
            return Step::Bytes(new);
        }
    }
}
