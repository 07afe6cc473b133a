//! Blob uploads: sessions, chunks, and the commit that makes bytes a blob; never a header.
//!
//! Contract sections 2.3 and 8. The bytes of a session are written as they come, by at most one
//! blocking job a session; a blob's row is written only when its file stands in its place, synced.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use mcr_access::{Permit, Push};
use mcr_blobs::{CommitError, Committed, PutError, UploadId};
use mcr_metadata::{RecordBlob, RecordedBlob};
use mcr_oci::{Digest, RepositoryName};

use crate::error::Error;
use crate::integrity::recorded;
use crate::receive::{Body, Chunk};
use crate::registry::{Registry, actor};
use crate::sessions::InHand;

/// A whole body up to this size skips the session's file.
const SMALL: usize = 256 * 1024;

/// How far a session is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadStatus {
    /// The session.
    pub id: String,
    /// Bytes it holds.
    pub size: u64,
}

/// A blob that was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredUpload {
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// True when damaged bytes of the same digest were replaced.
    pub healed: bool,
}

impl Registry {
    /// Begins a session.
    ///
    /// # Errors
    /// [`Error::DiskFull`] below the reserve; inability.
    pub async fn begin_upload(&self, permit: &Permit<Push>) -> Result<UploadStatus, Error> {
        self.may_write()?;
        self.parts.sessions.begin()?;
        let (registry, repository) = (self.clone(), permit.repository().to_string());
        let begun = self
            .parts
            .blocking
            .run(move || -> Result<UploadId, Error> {
                registry.parts.volume.room_for(0)?;
                Ok(registry.parts.blobs.create_upload(&repository, registry.parts.clock.now_ms())?)
            })
            .await
            .and_then(|created| created);
        match begun {
            Ok(id) => Ok(UploadStatus { id: id.to_string(), size: 0 }),
            Err(error) => {
                self.parts.sessions.unbook();
                Err(error)
            }
        }
    }

    /// How far a session is.
    ///
    /// # Errors
    /// [`Error::UploadUnknown`]; inability.
    pub async fn upload_status(&self, permit: &Permit<Push>, id: &str) -> Result<UploadStatus, Error> {
        self.volume_present()?;
        let id = self.session(permit.repository(), id).await?;
        let (blobs, asked) = (Arc::clone(&self.parts.blobs), id.clone());
        match self.parts.blocking.run(move || blobs.upload(&asked)).await?? {
            Some(info) => Ok(UploadStatus { id: id.to_string(), size: info.size }),
            None => Err(Error::UploadUnknown(id.to_string())),
        }
    }

    /// Appends a chunk.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] when it does not begin where the session ends, which leaves the session
    /// as it was; [`Error::SizeInvalid`] when it is not as long as its range says.
    pub async fn append<B: Body>(
        &self,
        permit: &Permit<Push>,
        id: &str,
        chunk: Chunk<B>,
    ) -> Result<UploadStatus, Error> {
        self.may_write()?;
        let id = self.session(permit.repository(), id).await?;
        let mut held = self.pick_up(&id).await?;
        let before = size_of(&held);
        check_order(&chunk, before)?;
        held = self.receive(held, chunk, before).await?;
        Ok(UploadStatus { id: id.to_string(), size: size_of(&held) })
    }

    /// Appends the last chunk, if there is one, and makes the session's bytes the blob `digest`.
    ///
    /// # Errors
    /// [`Error::DigestInvalid`] when they hash to something else: the session is then as it was
    /// before this request.
    pub async fn finish_upload<B: Body>(
        &self,
        permit: &Permit<Push>,
        id: &str,
        chunk: Chunk<B>,
        digest: Digest,
    ) -> Result<StoredUpload, Error> {
        self.may_write()?;
        let id = self.session(permit.repository(), id).await?;
        let mut held = self.pick_up(&id).await?;
        let before = size_of(&held);
        check_order(&chunk, before)?;
        if before == 0 && is_small(&chunk) {
            let bytes = collect(chunk).await?;
            let stored = self.store_bytes(permit, bytes, digest).await?;
            self.drop_session(&id).await;
            return Ok(stored);
        }
        if let Some(upload) = held.as_mut() {
            upload.set_algorithm(digest.algorithm());
        }
        held = self.receive(held, chunk, before).await?;
        self.commit(permit, id, held, before, digest).await
    }

    /// Stores a blob that comes whole with the request that announces it (monolithic POST).
    ///
    /// # Errors
    /// As [`Registry::finish_upload`]; nothing is left behind.
    pub async fn upload_whole<B: Body>(
        &self,
        permit: &Permit<Push>,
        chunk: Chunk<B>,
        digest: Digest,
    ) -> Result<StoredUpload, Error> {
        let begun = self.begin_upload(permit).await?;
        let stored = self.finish_upload(permit, &begun.id, chunk, digest).await;
        if stored.is_err()
            && let Ok(id) = UploadId::parse(&begun.id)
        {
            self.drop_session(&id).await;
        }
        stored
    }

    /// Ends a session and forgets its bytes.
    ///
    /// # Errors
    /// [`Error::UploadUnknown`]; inability.
    pub async fn cancel_upload(&self, permit: &Permit<Push>, id: &str) -> Result<(), Error> {
        self.volume_present()?;
        let id = self.session(permit.repository(), id).await?;
        let mut held = self.parts.sessions.take(&id).await?;
        *held = None;
        let (blobs, asked) = (Arc::clone(&self.parts.blobs), id.clone());
        let cancelled = self.parts.blocking.run(move || blobs.cancel_upload(&asked)).await??;
        if !cancelled {
            self.parts.sessions.forget(&id);
            return Err(Error::UploadUnknown(id.to_string()));
        }
        self.parts.sessions.end(&id);
        Ok(())
    }

    /// A session's id, if it is one of this repository.
    async fn session(&self, repository: &RepositoryName, id: &str) -> Result<UploadId, Error> {
        let parsed = UploadId::parse(id).map_err(|_| Error::UploadUnknown(printable(id)))?;
        let (blobs, asked) = (Arc::clone(&self.parts.blobs), parsed.clone());
        match self.parts.blocking.run(move || blobs.upload(&asked)).await?? {
            Some(info) if info.repository == repository.as_str() => Ok(parsed),
            _ => Err(Error::UploadUnknown(printable(id))),
        }
    }

    async fn pick_up(&self, id: &UploadId) -> Result<InHand, Error> {
        let mut held = self.parts.sessions.take(id).await?;
        if held.is_none() {
            let (blobs, asked) = (Arc::clone(&self.parts.blobs), id.clone());
            *held = match self.parts.blocking.run(move || blobs.open_upload(&asked)).await? {
                Err(error) if error.is_busy() => {
                    return Err(Error::unavailable("this upload session is in use; try again"));
                }
                opened => opened?,
            };
        }
        if held.is_none() {
            self.parts.sessions.forget(id);
            return Err(Error::UploadUnknown(id.to_string()));
        }
        Ok(held)
    }

    /// Makes a session's bytes a blob. Goes on when the client has gone.
    async fn commit(
        &self,
        permit: &Permit<Push>,
        id: UploadId,
        mut held: InHand,
        before: u64,
        digest: Digest,
    ) -> Result<StoredUpload, Error> {
        let (registry, permit) = (self.clone(), permit.clone());
        self.finish(async move {
            let lock = registry.parts.locks.lock(&digest).await;
            let Some(upload) = held.take() else { return Err(Error::UploadUnknown(id.to_string())) };
            let (blobs, expected) = (Arc::clone(&registry.parts.blobs), digest.clone());
            let committed = match registry.parts.blocking.run(move || blobs.commit_upload(upload, &expected)).await? {
                Ok(committed) => committed,
                Err(CommitError::DigestMismatch { expected, computed, upload }) => {
                    *held = Some(*upload);
                    registry.take_back(held, before).await?;
                    return Err(mismatch(&expected, &computed));
                }
                Err(CommitError::Io(error)) if error.is_gone() => {
                    registry.parts.sessions.forget(&id);
                    return Err(Error::UploadUnknown(id.to_string()));
                }
                Err(CommitError::Io(error)) => return Err(error.into()),
            };
            let stored = registry.book_blob(&permit, committed).await;
            drop(lock);
            registry.parts.sessions.end(&id);
            stored
        })
        .await
    }

    /// Stores bytes that are in hand whole.
    pub(crate) async fn store_bytes(
        &self,
        permit: &Permit<Push>,
        bytes: Bytes,
        digest: Digest,
    ) -> Result<StoredUpload, Error> {
        let (registry, permit) = (self.clone(), permit.clone());
        self.finish(async move {
            let lock = registry.parts.locks.lock(&digest).await;
            let (inner, expected) = (registry.clone(), digest.clone());
            let put = registry
                .parts
                .blocking
                .run(move || {
                    inner.parts.volume.room_for(bytes.len() as u64)?;
                    Ok::<_, Error>(inner.parts.blobs.put_bytes(&bytes, &expected))
                })
                .await??;
            let committed = match put {
                Ok(committed) => committed,
                Err(PutError::DigestMismatch { expected, computed }) => return Err(mismatch(&expected, &computed)),
                Err(PutError::Io(error)) => return Err(error.into()),
            };
            let stored = registry.book_blob(&permit, committed).await;
            drop(lock);
            stored
        })
        .await
    }

    /// Writes the row of a blob whose file stands. Called under the digest's lock.
    async fn book_blob(&self, permit: &Permit<Push>, committed: Committed) -> Result<StoredUpload, Error> {
        let now = self.parts.clock.now_ms();
        let write = RecordBlob {
            repository: permit.repository().clone(),
            digest: committed.digest.clone(),
            size: committed.size,
            stat: recorded(committed.stat),
            hashed_at_ms: now,
            actor: actor(permit.identity()),
            at_ms: now,
        };
        let (caches, changed) = (Arc::clone(&self.parts.caches), committed.digest.clone());
        let after = move |recorded: &RecordedBlob| {
            caches.blob_changed(&changed);
            if recorded.healed {
                caches.everything_changed();
            }
        };
        let recorded = self.parts.writes.durable(|m, done| m.record_blob(write, done), after).await?;
        if recorded.healed {
            self.parts.counters.healed.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(digest = %committed.digest, "a push healed a damaged blob");
        }
        Ok(StoredUpload { digest: committed.digest, size: committed.size, healed: recorded.healed })
    }

    /// Removes what is left of a session; a failure leaves it to expiry.
    async fn drop_session(&self, id: &UploadId) {
        let (blobs, asked) = (Arc::clone(&self.parts.blobs), id.clone());
        match self.parts.blocking.run(move || blobs.cancel_upload(&asked)).await {
            Ok(Ok(_)) => self.parts.sessions.end(id),
            Ok(Err(error)) => tracing::warn!(%error, "a finished upload session could not be removed; it will expire"),
            Err(error) => tracing::warn!(%error, "a finished upload session could not be removed; it will expire"),
        }
    }
}

fn size_of(held: &InHand) -> u64 {
    held.as_ref().map_or(0, mcr_blobs::Upload::size)
}

fn is_small<B>(chunk: &Chunk<B>) -> bool {
    chunk.length.is_some_and(|length| (1..=SMALL as u64).contains(&length))
}

/// Collects a small announced body; never more than it announced.
async fn collect<B: Body>(mut chunk: Chunk<B>) -> Result<Bytes, Error> {
    let said = chunk.range.map(|(start, end)| end - start + 1).or(chunk.length).unwrap_or(0);
    let mut whole = Vec::with_capacity(usize::try_from(said).unwrap_or(0).min(SMALL));
    while let Some(frame) = chunk.body.next().await {
        let frame = frame.map_err(|lost| Error::BodyLost(lost.0))?;
        if whole.len() + frame.len() > SMALL {
            return Err(Error::SizeInvalid(format!("the body is longer than the {said} bytes it announced")));
        }
        whole.extend_from_slice(&frame);
    }
    if whole.len() as u64 != said {
        return Err(Error::SizeInvalid(format!("the chunk says {said} bytes and has {}", whole.len())));
    }
    Ok(Bytes::from(whole))
}

fn check_order<B>(chunk: &Chunk<B>, have: u64) -> Result<(), Error> {
    let Some((start, end)) = chunk.range else { return Ok(()) };
    if start != have {
        return Err(Error::OutOfOrder { have, got: start });
    }
    match chunk.length {
        Some(length) if length != end - start + 1 => {
            Err(Error::SizeInvalid(format!("Content-Range says {} bytes, Content-Length {length}", end - start + 1)))
        }
        _ => Ok(()),
    }
}

fn mismatch(expected: &Digest, computed: &Digest) -> Error {
    Error::DigestInvalid(format!(
        "the bytes hash to {computed}, not to {expected}: nothing was stored; send them again"
    ))
}

/// What of a client's text may stand in an error: no control characters, no great length.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}
