//! Request bodies into sessions: collecting, writing and hashing side by side; never what a session becomes.

use bytes::Bytes;

use crate::error::Error;
use crate::registry::Registry;
use crate::sessions::InHand;

/// Bytes handed to blocking jobs at a time.
const BATCH: usize = 256 * 1024;
/// A frame of this size is not copied.
const LARGE_FRAME: usize = 64 * 1024;
/// A batch of this size is hashed beside being written.
const SIDE_BY_SIDE: usize = 128 * 1024;

/// A request body that ended before it was whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BodyLost(pub String);

/// A request body, as the edge hands it over.
pub trait Body: Send {
    /// The next bytes; `None` at the end of a whole body.
    fn next(&mut self) -> impl Future<Output = Option<Result<Bytes, BodyLost>>> + Send;
}

/// A chunk of an upload.
#[derive(Debug)]
pub struct Chunk<B> {
    /// First and last byte, both included, where the client said so.
    pub range: Option<(u64, u64)>,
    /// The length the client announced.
    pub length: Option<u64>,
    /// Its bytes.
    pub body: B,
}

impl Registry {
    /// Writes a chunk's bytes as they come: while one batch is written the next one is collected.
    ///
    /// What arrived before a body broke off stays in the session, as a resuming client expects; a
    /// chunk that is not as long as it said is taken back whole.
    pub(crate) async fn receive<B: Body>(
        &self,
        mut held: InHand,
        mut chunk: Chunk<B>,
        before: u64,
    ) -> Result<InHand, Error> {
        let mut arrived = 0_u64;
        let mut carry = Bytes::new();
        let mut batch = self.collect_batch(&mut chunk.body, &mut carry).await;
        while batch.length > 0 {
            arrived += batch.length as u64;
            if batch.ended.is_some() {
                held = self.write(held, std::mem::take(&mut batch.pieces), batch.length).await?;
                break;
            }
            let writing = self.write(held, batch.pieces, batch.length);
            let (written, next) = tokio::join!(writing, self.collect_batch(&mut chunk.body, &mut carry));
            (held, batch) = (written?, next);
        }
        if let Some(Err(lost)) = batch.ended {
            return Err(Error::BodyLost(lost.0));
        }
        let said = chunk.range.map(|(start, end)| end - start + 1).or(chunk.length);
        if let Some(said) = said.filter(|said| *said != arrived) {
            self.take_back(held, before).await?;
            return Err(Error::SizeInvalid(format!("the chunk says {said} bytes and has {arrived}")));
        }
        Ok(held)
    }

    /// Collects up to [`BATCH`] bytes of the body. Small frames are joined, since each write and
    /// hash has its price; large ones are taken as they are.
    async fn collect_batch<B: Body>(&self, body: &mut B, carry: &mut Bytes) -> Batch {
        let mut batch = Batch { pieces: Vec::new(), length: 0, ended: None };
        let mut joined = self.parts.buffers.take();
        loop {
            let large = carry.len() >= LARGE_FRAME;
            if large && joined.is_empty() {
                batch.push(std::mem::take(carry));
            } else if !large {
                let taken = joined.append(carry);
                // What did not fit begins the next batch.
                *carry = carry.slice(taken..);
            }
            if large || joined.is_full() || batch.length + joined.as_ref().len() >= BATCH {
                batch.push(joined.into_filled());
                if batch.length >= BATCH || !carry.is_empty() {
                    return batch;
                }
                joined = self.parts.buffers.take();
            }
            match body.next().await {
                Some(Ok(frame)) => *carry = frame,
                ended => {
                    batch.push(joined.into_filled());
                    batch.ended = Some(ended.map_or(Ok(()), |lost| lost.map(drop)));
                    return batch;
                }
            }
        }
    }

    /// Writes and hashes a batch: side by side where it is large, since either costs as much as the other.
    async fn write(&self, mut held: InHand, pieces: Vec<Bytes>, length: usize) -> Result<InHand, Error> {
        let registry = self.clone();
        let lent = held.as_mut().filter(|_| length >= SIDE_BY_SIDE).and_then(mcr_blobs::Upload::lend_hasher);
        let Some(mut hasher) = lent else {
            let write = move || {
                registry.parts.volume.room_for(length as u64)?;
                let Some(upload) = held.as_mut() else { return Err(Error::stopping()) };
                for piece in &pieces {
                    upload.append(piece)?;
                }
                Ok(held)
            };
            return self.parts.blocking.run(write).await?;
        };
        let hashed = pieces.clone();
        let hashing = self.parts.blocking.run(move || {
            for piece in &hashed {
                hasher.update(piece);
            }
            hasher
        });
        let writing = self.parts.blocking.run(move || {
            registry.parts.volume.room_for(length as u64)?;
            let Some(upload) = held.as_mut() else { return Err(Error::stopping()) };
            upload.append_hashed(pieces.iter().map(Bytes::as_ref))?;
            Ok(held)
        });
        let (hasher, written) = tokio::join!(hashing, writing);
        let mut held = written??;
        if let Some(upload) = held.as_mut() {
            upload.return_hasher(hasher?);
        }
        Ok(held)
    }

    pub(crate) async fn take_back(&self, mut held: InHand, size: u64) -> Result<InHand, Error> {
        self.parts
            .blocking
            .run(move || {
                if let Some(upload) = held.as_mut() {
                    upload.truncate_to(size)?;
                }
                Ok(held)
            })
            .await?
    }
}

/// Bytes of a body, and how it ended if it did.
struct Batch {
    pieces: Vec<Bytes>,
    length: usize,
    ended: Option<Result<(), BodyLost>>,
}

impl Batch {
    fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.length += piece.len();
            self.pieces.push(piece);
        }
    }
}
