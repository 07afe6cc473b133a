//! Looking at one blob or manifest: hashed without its lock, judged under it where the hash is bad; never what comes next.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use mcr_blobs::{BlobFile, FileStat};
use mcr_metadata::{BrokenBy, RecordHash, ScrubBlob, ScrubManifest, UnfitBlob};
use mcr_oci::{Digest, Hasher};
use tokio::time::Instant;

use super::run::Runner;
use super::sweep::Batch;
use crate::error::Error;
use crate::integrity::{Judged, Suspect, recorded};

/// What a file costs at least, in bytes: opening one and moving a disk's head there is no less work.
pub(super) const FILE_COSTS: u64 = 64 * 1024;

/// What a manifest costs at least, in bytes: a page of the database.
const ROW_COSTS: u64 = 4096;

/// How often a file that changes while it is read is read again.
const ATTEMPTS: u32 = 3;

/// Tags that a line of the log names.
const NAMED: usize = 20;

/// How a look ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Examined {
    /// Its bytes are right.
    Right,
    /// They are not; that is booked.
    Damaged,
    /// It has gone, or a push replaced it meanwhile.
    Past,
    /// The disk did not let it be read, or it kept changing: nothing is known of it.
    Unreadable,
    /// The blob volume went away.
    Away,
    /// The registry closes.
    Stopped,
}

/// What hashing an opened file gave.
#[derive(Debug)]
pub(super) enum Hashing {
    /// These are the bytes of the digest.
    Right(FileStat),
    /// They are not.
    Wrong(Suspect),
    /// No file of that length stands there, or it kept changing.
    Unfit,
    /// The registry closes.
    Stopped,
}

/// A file under way.
struct Open {
    file: BlobFile,
    hasher: Hasher,
    buffer: Vec<u8>,
}

impl Runner {
    /// Looks at a blob.
    pub(super) async fn blob(&mut self, blob: &ScrubBlob, batch: &mut Batch) -> Examined {
        // A push meanwhile is newer news than this hash.
        let hashed_at_ms = self.registry.parts.clock.now_ms();
        let suspect = match self.hash_file(&blob.digest, blob.size).await {
            Ok(Hashing::Right(stat)) => {
                let (digest, stat) = (blob.digest.clone(), recorded(stat));
                let hash = RecordHash { digest, stat, hashed_at_ms, now_ms: hashed_at_ms };
                batch.blob(hash, blob.size);
                self.registry.parts.scrub.blobs.fetch_add(1, Ordering::Relaxed);
                return Examined::Right;
            }
            Ok(Hashing::Wrong(suspect)) => Some(suspect),
            Ok(Hashing::Unfit) => None,
            Ok(Hashing::Stopped) => return Examined::Stopped,
            Err(error) => return self.unable(blob.digest.as_str(), &error),
        };
        match self.registry.judge_scrubbed(blob.digest.clone(), suspect).await {
            Ok((Judged::Damaged { kind, detail }, true)) => {
                let broken = self.broken_by(&blob.digest).await;
                tracing::error!(digest = %blob.digest, kind = kind.as_str(), %detail, %broken, "scrub: a blob is damaged");
                self.found(batch);
                Examined::Damaged
            }
            Ok((Judged::Damaged { .. }, false)) => Examined::Damaged,
            Ok((Judged::Sound | Judged::Unknown, _)) => Examined::Past,
            Err(error) => self.unable(blob.digest.as_str(), &error),
        }
    }

    /// Looks at a manifest.
    pub(super) async fn manifest(&mut self, manifest: ScrubManifest, batch: &mut Batch) -> Examined {
        let (began, hashed_at_ms) = (Instant::now(), self.registry.parts.clock.now_ms());
        let metadata = Arc::clone(&self.registry.parts.metadata);
        let stored = self.blocking.run(move || {
            let stored = metadata.stored_manifest(manifest.id)?;
            Ok::<_, mcr_metadata::Error>(stored.map(|stored| {
                let mut hasher = Hasher::new(stored.digest.algorithm());
                hasher.update(&stored.bytes);
                (hasher.finish() == stored.digest, stored)
            }))
        });
        let stored = match stored.await.and_then(|read| Ok(read?)) {
            Ok(stored) => stored,
            Err(error) => {
                let called = self.manifest_called(manifest.id).await;
                return self.unable(&called, &error);
            }
        };
        let Some((right, stored)) = stored else { return Examined::Past };
        let bytes = stored.bytes.len() as u64;
        if right {
            batch.manifest(manifest.id, hashed_at_ms, bytes);
            self.registry.parts.scrub.manifests.fetch_add(1, Ordering::Relaxed);
            self.count_bytes(bytes);
            return if self.pay(began, bytes.max(ROW_COSTS)).await { Examined::Right } else { Examined::Stopped };
        }
        let (repository, digest) = (stored.repository, stored.digest);
        let found = self.registry.book_corrupt_manifest(&repository, &digest).await;
        let metadata = Arc::clone(&self.registry.parts.metadata);
        let (name, asked) = (repository.clone(), digest.clone());
        let broken = self.blocking.run(move || metadata.broken_by_manifest(&name, &asked, NAMED)).await;
        let broken = named(broken.ok().and_then(Result::ok));
        tracing::error!(%repository, %digest, %broken, detail = %found, "scrub: a manifest is damaged");
        self.found(batch);
        Examined::Damaged
    }

    /// What a manifest that cannot be read is called in the log.
    async fn manifest_called(&self, id: i64) -> String {
        let metadata = Arc::clone(&self.registry.parts.metadata);
        let called = self.blocking.run(move || metadata.manifest_called(id)).await;
        called.ok().and_then(Result::ok).flatten().unwrap_or_else(|| format!("the manifest in row {id}"))
    }

    /// Passes by a blob whose row is damaged: nothing says what its bytes must be.
    pub(super) fn pass_by(&mut self, row: &UnfitBlob) -> Examined {
        self.registry.parts.scrub.unreadable.fetch_add(1, Ordering::Relaxed);
        if self.shall_name(&format!("row {}", row.id)) {
            tracing::error!(row = row.id, error = row.why, "scrub: a blob's row in the database is damaged");
        }
        Examined::Unreadable
    }

    /// Hashes the file that stands in a blob's place, without its lock: a file that is replaced meanwhile stays open.
    pub(super) async fn hash_file(&mut self, digest: &Digest, size: u64) -> Result<Hashing, Error> {
        for _ in 0..ATTEMPTS {
            let (blobs, asked, step) = (Arc::clone(&self.registry.parts.blobs), digest.clone(), self.pace.step());
            let began = Instant::now();
            let opened = self.blocking.run(move || {
                mcr_seams::fault::point("scrub.open").map_err(|error| Error::unavailable(error.to_string()))?;
                let Some(file) = blobs.open_blob(&asked)? else { return Ok(None) };
                file.expect_medium_reads();
                let buffer = vec![0; step.min(usize::try_from(file.stat().size).unwrap_or(step))];
                Ok::<_, Error>(Some(Open { file, hasher: Hasher::new(asked.algorithm()), buffer }))
            });
            let Some(open) = opened.await?? else { return Ok(Hashing::Unfit) };
            let before = open.file.stat();
            if before.size != size {
                return Ok(Hashing::Unfit);
            }
            let Some(open) = self.read_whole(open, size).await? else { return Ok(Hashing::Stopped) };
            if !self.pay(began, FILE_COSTS.saturating_sub(size)).await {
                return Ok(Hashing::Stopped);
            }
            let file = open.file;
            if self.blocking.run(move || file.stat_now()).await?? == before {
                let computed = open.hasher.finish();
                let right = computed == *digest;
                return Ok(if right {
                    Hashing::Right(before)
                } else {
                    Hashing::Wrong(Suspect { stat: before, computed })
                });
            }
        }
        Ok(Hashing::Unfit)
    }

    /// Reads `size` bytes at the pace; none where the registry closes.
    async fn read_whole(&mut self, mut open: Open, size: u64) -> Result<Option<Open>, Error> {
        let mut offset = 0;
        while offset < size {
            let began = Instant::now();
            let wanted = usize::try_from(size - offset).unwrap_or(usize::MAX);
            let reading = self.blocking.run(move || {
                mcr_seams::fault::point("scrub.read").map_err(|error| Error::unavailable(error.to_string()))?;
                let wanted = wanted.min(open.buffer.len());
                let read = open.file.read_from_medium(open.buffer.get_mut(..wanted).unwrap_or_default(), offset)?;
                open.hasher.update(open.buffer.get(..read).unwrap_or_default());
                Ok::<_, Error>((open, read as u64))
            });
            let (back, read) = reading.await??;
            open = back;
            if read == 0 {
                break;
            }
            offset += read;
            self.count_bytes(read);
            if !self.pay(began, read).await {
                return Ok(None);
            }
        }
        Ok(Some(open))
    }

    /// Waits until `bytes` are paid for; false where the registry closes.
    async fn pay(&mut self, began: Instant, bytes: u64) -> bool {
        self.spent = self.spent.saturating_add(bytes);
        tokio::select! {
            biased;
            () = self.registry.parts.volume.stopped() => false,
            () = self.pace.pay(began, bytes) => true,
        }
    }

    fn count_bytes(&self, bytes: u64) {
        self.registry.parts.scrub.hashed_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn found(&self, batch: &mut Batch) {
        batch.found();
        self.registry.parts.scrub.findings.fetch_add(1, Ordering::Relaxed);
    }

    /// Inability says nothing of the bytes: it is counted, told, and tried again later.
    fn unable(&mut self, what: &str, error: &Error) -> Examined {
        if self.registry.volume_present().is_err() {
            return Examined::Away;
        }
        self.registry.parts.scrub.unreadable.fetch_add(1, Ordering::Relaxed);
        if self.shall_name(what) {
            tracing::warn!(what, %error, "scrub: it could not be read; it is tried again later");
        }
        Examined::Unreadable
    }

    async fn broken_by(&self, digest: &Digest) -> String {
        let (metadata, asked) = (Arc::clone(&self.registry.parts.metadata), digest.clone());
        let broken = self.blocking.run(move || metadata.broken_by_blob(&asked, NAMED)).await;
        named(broken.ok().and_then(Result::ok))
    }
}

/// Tags as a line of the log has them.
fn named(broken: Option<BrokenBy>) -> String {
    let Some(broken) = broken else { return "not known: the database did not answer".to_owned() };
    let mut tags: Vec<String> = broken.tags.iter().map(|(repository, tag)| format!("{repository}:{tag}")).collect();
    if tags.is_empty() {
        return "no tag".to_owned();
    }
    if broken.more {
        tags.push("and more".to_owned());
    }
    tags.join(", ")
}
