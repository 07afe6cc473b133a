//! Opening a blob for a reader: row, file, their comparison, and the promise that goes with a 200; never a header.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use mcr_access::{Permit, Pull};
use mcr_blobs::BlobFile;
use mcr_metadata::{BlobState, Content, Lookup, RecordHash, RenewLease, RequestScrub, latest_known};
use mcr_oci::range::{RangeAnswer, parse_range};
use mcr_oci::{Digest, Finding, FindingKind, Hasher, RepositoryName};

use crate::blob_body::BlobBody;
use crate::cache::CachedBlob;
use crate::error::Error;
use crate::integrity::{Compared, Judged, compare, damage_of, recorded};
use crate::manifest_read::PROMISE_AHEAD_MS;
use crate::registry::Registry;
use crate::settings::VerifyOnRead;

/// Blobs up to this many bytes are hashed before the head is sent; of larger ones so many bytes
/// are held back until the hash matched (contract section 2.6).
pub(crate) const HELD_BACK: u64 = 64 * 1024;

/// A blob that can be promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobInfo {
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
}

/// Which bytes of a blob are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of them.
    Whole,
    /// From `start` to `end`, both included.
    Range {
        /// First byte.
        start: u64,
        /// Last byte.
        end: u64,
    },
    /// The range asked for lies outside the blob.
    Unsatisfiable,
}

/// A blob opened for a reader.
#[derive(Debug)]
pub struct OpenBlob {
    /// Which blob.
    pub info: BlobInfo,
    /// Which bytes.
    pub part: Part,
    /// The bytes; empty for [`Part::Unsatisfiable`].
    pub body: BlobBody,
}

impl Registry {
    /// Looks whether a blob can be pulled, and promises it (HEAD).
    ///
    /// # Errors
    /// [`Error::BlobUnknown`] with the finding where it is damaged; inability.
    pub async fn blob_info(&self, permit: &Permit<Pull>, digest: &Digest) -> Result<BlobInfo, Error> {
        self.volume_present()?;
        let cached = self.promised_blob(permit.repository(), digest).await?;
        self.ask_for_scrub_if_stale(permit, &cached);
        Ok(BlobInfo { digest: digest.clone(), size: cached.row.size })
    }

    /// A blob of this repository whose file can be promised, its lease written where nothing live
    /// refers to it. What mount, HEAD and ranges stand on.
    pub(crate) async fn promised_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Arc<CachedBlob>, Error> {
        let cached = self.known_blob(repository, digest).await?;
        let (blobs, asked) = (Arc::clone(&self.parts.blobs), digest.clone());
        let stat = self.parts.blocking.run(move || blobs.stat(&asked)).await??;
        if compare(&cached.row, stat) != Compared::Same {
            self.settled(repository, digest).await?;
        }
        self.promise_blob(repository, &cached).await?;
        Ok(cached)
    }

    /// Opens a blob for reading: whole, or the part that a `Range` header (RFC 9110 section 14) asks for.
    ///
    /// # Errors
    /// As [`Registry::blob_info`].
    pub async fn open_blob(
        &self,
        permit: &Permit<Pull>,
        digest: &Digest,
        range: Option<&str>,
    ) -> Result<OpenBlob, Error> {
        self.volume_present()?;
        let repository = permit.repository();
        let cached = self.known_blob(repository, digest).await?;
        let size = cached.row.size;
        let part = match range.map(|header| parse_range(header, size)) {
            None | Some(RangeAnswer::Whole) => Part::Whole,
            Some(RangeAnswer::Single { start, end_inclusive }) => Part::Range { start, end: end_inclusive },
            Some(RangeAnswer::Unsatisfiable) => Part::Unsatisfiable,
        };
        let info = BlobInfo { digest: digest.clone(), size };
        let (file, compared) = self.open_compared(repository, digest, &cached, part).await?;
        self.promise_blob(repository, &cached).await?;
        let body = match part {
            Part::Unsatisfiable => BlobBody::empty(),
            Part::Range { start, end } => {
                self.ask_for_scrub_if_stale(permit, &cached);
                self.plain_body(file, start, end.saturating_add(1).saturating_sub(start))
            }
            Part::Whole if compared == Compared::Changed || self.must_hash(&cached) => {
                self.hashed_body(repository, file, digest, size).await?
            }
            Part::Whole => self.plain_body(file, 0, size),
        };
        Ok(OpenBlob { info, part, body })
    }

    /// Opens the file and compares what was opened, not what a path may name a moment later.
    async fn open_compared(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        cached: &CachedBlob,
        part: Part,
    ) -> Result<(BlobFile, Compared), Error> {
        for _ in 0..2 {
            let (blobs, asked) = (Arc::clone(&self.parts.blobs), digest.clone());
            let file = self.parts.blocking.run(move || blobs.open_blob(&asked)).await??;
            let compared = compare(&cached.row, file.as_ref().map(BlobFile::stat));
            if let (Some(file), Compared::Same | Compared::Changed) = (file, compared)
                && (compared == Compared::Same || part == Part::Whole)
            {
                return Ok((file, compared));
            }
            self.settled(repository, digest).await?;
            // Settled as sound: the file was replaced or re-recorded since the row was read. What
            // is opened next is right, though it differs from the row in hand.
            let (blobs, asked) = (Arc::clone(&self.parts.blobs), digest.clone());
            if let Some(file) = self.parts.blocking.run(move || blobs.open_blob(&asked)).await??
                && file.stat().size == cached.row.size
            {
                return Ok((file, Compared::Same));
            }
        }
        Err(Error::unavailable(format!("{digest} is changing on disk; try again shortly")))
    }

    async fn known_blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<Arc<CachedBlob>, Error> {
        match self.blob_row(repository, digest).await? {
            Lookup::Found(cached) if cached.row.state == BlobState::Sound => Ok(cached),
            Lookup::Found(cached) => {
                let (kind, detail) = damage_of(&cached.row);
                Err(damaged_blob(repository, digest, kind, detail))
            }
            Lookup::NotFound => Err(unknown_blob(repository, digest)),
            Lookup::NoRepository => Err(Error::NameUnknown(repository.to_string())),
        }
    }

    async fn settled(&self, repository: &RepositoryName, digest: &Digest) -> Result<(), Error> {
        match self.settle(digest).await? {
            Judged::Sound => Ok(()),
            Judged::Damaged { kind, detail } => Err(damaged_blob(repository, digest, kind, detail)),
            Judged::Unknown => Err(unknown_blob(repository, digest)),
        }
    }

    /// Makes the promise of an unreferenced blob durable before it is answered (section 2.8).
    async fn promise_blob(&self, repository: &RepositoryName, cached: &CachedBlob) -> Result<(), Error> {
        let now = self.parts.clock.now_ms();
        if cached.row.referenced || cached.promised_until.load(Ordering::Acquire) >= now {
            return Ok(());
        }
        let until_ms = now + PROMISE_AHEAD_MS;
        let digest = cached.row.digest.clone();
        let lease = RenewLease { repository: repository.clone(), digest, content: Content::Blob, until_ms };
        if self.promise(lease).await? {
            cached.promised_until.store(until_ms, Ordering::Release);
            return Ok(());
        }
        self.parts.caches.blob_changed(&cached.row.digest);
        Err(unknown_blob(repository, &cached.row.digest))
    }

    fn is_stale(&self, cached: &CachedBlob) -> bool {
        let fresh_for = i64::try_from(self.parts.settings.fresh_for.as_millis()).unwrap_or(i64::MAX);
        let (hashed_at, now) = (cached.row.hashed_at_ms, self.parts.clock.now_ms());
        // A time that is still to come was noted by a clock that was ahead, and tells of nothing.
        hashed_at.saturating_add(fresh_for) < now || hashed_at > latest_known(now)
    }

    fn must_hash(&self, cached: &CachedBlob) -> bool {
        match self.parts.settings.verify_on_read {
            VerifyOnRead::Off => false,
            VerifyOnRead::Stale => self.is_stale(cached),
            VerifyOnRead::Always => true,
        }
    }

    /// The probe asks for no scrub: it meets every blob, and a list of all of them would say nothing.
    fn ask_for_scrub_if_stale(&self, permit: &Permit<Pull>, cached: &CachedBlob) {
        if !cached.row.scrub_requested && !permit.identity().is_probe() && self.is_stale(cached) {
            let (digest, at) = (cached.row.digest.clone(), self.parts.clock.now_ms());
            let (caches, changed) = (Arc::clone(&self.parts.caches), digest.clone());
            let request = RequestScrub { digest, at_ms: at };
            self.parts
                .writes
                .droppable(|m, done| m.request_scrub(request, done), move || caches.blob_changed(&changed));
        }
    }

    fn plain_body(&self, file: BlobFile, start: u64, length: u64) -> BlobBody {
        BlobBody::plain(file, start, length, self.parts.buffers.clone())
    }

    /// A body that is hashed while it is sent; a small one before it is.
    async fn hashed_body(
        &self,
        repository: &RepositoryName,
        file: BlobFile,
        digest: &Digest,
        size: u64,
    ) -> Result<BlobBody, Error> {
        if size > HELD_BACK {
            return Ok(BlobBody::hashed(file, size, digest.clone(), self.clone()));
        }
        let expected = digest.clone();
        let length = usize::try_from(size).unwrap_or(usize::MAX);
        let (bytes, computed, stat) = self
            .parts
            .blocking
            .run(move || -> Result<_, Error> {
                let mut bytes = vec![0; length];
                let read = read_full(&file, &mut bytes, 0)?;
                bytes.truncate(read);
                let mut hasher = Hasher::new(expected.algorithm());
                hasher.update(&bytes);
                Ok((bytes, hasher.finish(), file.stat()))
            })
            .await??;
        if computed == *digest {
            self.record_hash(digest, stat);
            return Ok(BlobBody::bytes(Bytes::from(bytes)));
        }
        self.report_corrupt(digest.clone(), computed.clone()).await?;
        Err(damaged_blob(
            repository,
            digest,
            FindingKind::BlobCorrupt,
            format!("its bytes hash to {computed}; push it again to heal it"),
        ))
    }

    /// Books that a read found the bytes right. Droppable: the next read hashes again.
    pub(crate) fn record_hash(&self, digest: &Digest, stat: mcr_blobs::FileStat) {
        let (changed, caches) = (digest.clone(), Arc::clone(&self.parts.caches));
        let now_ms = self.parts.clock.now_ms();
        let write = RecordHash { digest: digest.clone(), stat: recorded(stat), hashed_at_ms: now_ms, now_ms };
        self.parts.writes.droppable(|m, done| m.record_hash(write, done), move || caches.blob_changed(&changed));
    }
}

/// Reads until `buffer` is full or the file ends.
pub(crate) fn read_full(file: &BlobFile, buffer: &mut [u8], mut offset: u64) -> Result<usize, mcr_blobs::Error> {
    let mut filled = 0;
    while let Some(space) = buffer.get_mut(filled..).filter(|s| !s.is_empty()) {
        let read = file.read_at(space, offset)?;
        if read == 0 {
            break;
        }
        filled += read;
        offset += read as u64;
    }
    Ok(filled)
}

/// The 404 of a blob that was never here or is deleted.
pub(crate) fn unknown_blob(repository: &RepositoryName, digest: &Digest) -> Error {
    Error::BlobUnknown { message: format!("blob unknown: {repository} has no blob {digest}"), finding: None }
}

fn damaged_blob(repository: &RepositoryName, digest: &Digest, kind: FindingKind, detail: String) -> Error {
    let message = format!("blob unknown: {repository}@{digest} cannot be served: {}: {detail}", kind.as_str());
    let finding = Finding {
        digest: Some(digest.clone()),
        repository: Some(repository.to_string()),
        detail: Some(detail),
        ..Finding::new(kind)
    };
    Error::BlobUnknown { message, finding: Some(Box::new(finding)) }
}
