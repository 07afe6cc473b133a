//! The bytes of a blob on their way to a reader, with the last of them held back where they are hashed; never a header.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use mcr_blobs::BlobFile;
use mcr_oci::{Digest, Hasher};
use tokio::task::JoinHandle;

use crate::blob_read::HELD_BACK;
use crate::buffers::{BUFFER, Buffer, Buffers};
use crate::error::Error;
use crate::registry::Registry;

/// A stream of a blob's bytes. Yields exactly the length promised, or an error: the edge then cuts
/// the connection, so that no reader takes a part for the whole.
#[derive(Debug)]
pub struct BlobBody {
    state: State,
    left: u64,
}

#[derive(Debug)]
enum State {
    Empty,
    Bytes(Bytes),
    File(Box<FileState>),
}

#[derive(Debug)]
struct FileState {
    file: Arc<BlobFile>,
    offset: u64,
    buffers: Buffers,
    check: Option<Check>,
    reading: Option<JoinHandle<Result<Read, mcr_blobs::Error>>>,
    /// Damage being booked; the transfer is cut when that is done, so that who asks again at once
    /// meets the 404 and not the same damage.
    booking: Option<JoinHandle<()>>,
}

/// What is needed to hash on the way.
#[derive(Debug)]
struct Check {
    registry: Registry,
    expected: Digest,
    hasher: Option<Hasher>,
}

#[derive(Debug)]
struct Read {
    buffer: Buffer,
    filled: usize,
    hasher: Option<Hasher>,
}

impl BlobBody {
    pub(crate) fn empty() -> Self {
        Self { state: State::Empty, left: 0 }
    }

    pub(crate) fn bytes(bytes: Bytes) -> Self {
        Self { left: bytes.len() as u64, state: State::Bytes(bytes) }
    }

    pub(crate) fn plain(file: BlobFile, offset: u64, length: u64, buffers: Buffers) -> Self {
        let state = FileState { file: Arc::new(file), offset, buffers, check: None, reading: None, booking: None };
        Self { state: State::File(Box::new(state)), left: length }
    }

    pub(crate) fn hashed(file: BlobFile, size: u64, expected: Digest, registry: Registry) -> Self {
        let buffers = registry.parts.buffers.clone();
        let check = Check { hasher: Some(Hasher::new(expected.algorithm())), registry, expected };
        let state =
            FileState { file: Arc::new(file), offset: 0, buffers, check: Some(check), reading: None, booking: None };
        Self { state: State::File(Box::new(state)), left: size }
    }

    /// Bytes not yet yielded.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.left
    }

    /// The next chunk; `None` at the end.
    ///
    /// # Errors (as items)
    /// A read that failed, a file that ended early, a hash that does not match: the transfer must
    /// be cut.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let chunk = match &mut self.state {
            State::Empty => None,
            State::Bytes(bytes) => Some(Ok(std::mem::take(bytes))),
            State::File(file) => Some(ready!(file.poll_chunk(self.left, context))),
        };
        match &chunk {
            Some(Ok(bytes)) => self.left = self.left.saturating_sub(bytes.len() as u64),
            Some(Err(_)) | None => self.left = 0,
        }
        Poll::Ready(chunk)
    }
}

impl FileState {
    fn poll_chunk(&mut self, left: u64, context: &mut Context<'_>) -> Poll<Result<Bytes, Error>> {
        if let Some(booking) = self.booking.as_mut() {
            // Booked or not, what was met is damaged.
            drop(ready!(Pin::new(booking).poll(context)));
            return Poll::Ready(Err(Error::unavailable("the blob is damaged on disk; the transfer is cut")));
        }
        let wanted = self.wanted(left);
        if self.check.is_none() && self.reading.is_none() {
            // Bytes that are in memory already are read here: a hop to another thread costs more.
            let mut buffer = self.buffers.take();
            match self.file.read_at_if_cached(buffer.space(wanted), self.offset) {
                Ok(Some(filled)) if filled > 0 => {
                    return Poll::Ready(self.yielded(Read { buffer, filled, hasher: None }, left));
                }
                // Not in memory, or the kernel cannot say: read where blocking is allowed.
                Ok(_) => self.begin_read(buffer, wanted),
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        } else if self.reading.is_none() {
            let buffer = self.buffers.take();
            self.begin_read(buffer, wanted);
        }
        let Some(reading) = self.reading.as_mut() else { return Poll::Ready(Err(Error::stopping())) };
        let joined = ready!(Pin::new(reading).poll(context));
        self.reading = None;
        let yielded = match joined {
            Ok(Ok(read)) => self.yielded(read, left),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(Error::stopping()),
        };
        if yielded.is_err() && self.booking.is_some() {
            return self.poll_chunk(left, context);
        }
        Poll::Ready(yielded)
    }

    /// How much to read next: where bytes are hashed, the last [`HELD_BACK`] are a chunk of their own.
    fn wanted(&self, left: u64) -> usize {
        let buffer = BUFFER as u64;
        let most =
            if self.check.is_some() && left > HELD_BACK { (left - HELD_BACK).min(buffer) } else { left.min(buffer) };
        usize::try_from(most).unwrap_or(BUFFER)
    }

    fn begin_read(&mut self, mut buffer: Buffer, wanted: usize) {
        let (file, offset) = (Arc::clone(&self.file), self.offset);
        let mut hasher = self.check.as_mut().and_then(|c| c.hasher.take());
        self.reading = Some(tokio::task::spawn_blocking(move || {
            let space = buffer.space(wanted);
            let filled = crate::blob_read::read_full(&file, space, offset)?;
            if let (Some(hasher), Some(bytes)) = (hasher.as_mut(), space.get(..filled)) {
                hasher.update(bytes);
            }
            Ok(Read { buffer, filled, hasher })
        }));
    }

    fn yielded(&mut self, read: Read, left: u64) -> Result<Bytes, Error> {
        let filled = read.filled as u64;
        self.offset += filled;
        if filled == 0 {
            tracing::error!(offset = self.offset, left, "a blob's file ended early while it was sent");
            return Err(Error::unavailable("the blob ended early on disk; the transfer is cut"));
        }
        if let Some(check) = self.check.as_mut() {
            check.hasher = read.hasher;
            check.registry.parts.counters.hashed_bytes.fetch_add(filled, Ordering::Relaxed);
            if filled == left {
                self.booking = check.conclude(&self.file)?;
                if self.booking.is_some() {
                    return Err(Error::unavailable("the blob is damaged on disk"));
                }
            }
        }
        Ok(read.buffer.into_bytes(read.filled))
    }
}

impl Check {
    /// The whole blob has been hashed: book it as sound, or have it quarantined.
    fn conclude(&mut self, file: &BlobFile) -> Result<Option<JoinHandle<()>>, Error> {
        let Some(computed) = self.hasher.take().map(Hasher::finish) else { return Err(Error::stopping()) };
        if computed == self.expected {
            self.registry.record_hash(&self.expected, file.stat());
            return Ok(None);
        }
        let (registry, expected) = (self.registry.clone(), self.expected.clone());
        Ok(Some(self.registry.parts.tasks.spawn(async move {
            if let Err(error) = registry.report_corrupt(expected, computed).await {
                tracing::error!(%error, "damage met by a read could not be booked");
            }
        })))
    }
}
