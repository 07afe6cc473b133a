//! Is this blob's file what it was when it was last hashed: the one place that decides, quarantines and re-hashes.
//!
//! Contract section 2.5. *Missing or wrong length* is quarantined in the same step. *Changed but of
//! the right length* may be read while being hashed; every promise (HEAD, range, mount, commit)
//! waits for one hash. EIO and its like are inability, never damage. What never lives here: HTTP,
//! and how a blob gets into its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use mcr_blobs::FileStat;
use mcr_metadata::{BlobRow, BlobState, Lookup, RecordHash, RecordedStat, ReturnBlob, SetBlobState};
use mcr_oci::{Digest, Finding, FindingKind, RepositoryName};

use crate::cache::CachedBlob;
use crate::error::Error;
use crate::registry::Registry;

/// How long a promise waits for a hash (contract section 2.5).
const HASH_WAIT: Duration = Duration::from_secs(10);

/// How a file compares with what was recorded of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compared {
    /// The very file that was hashed.
    Same,
    /// Another inode or time, the right length.
    Changed,
    /// Shorter or longer than it must be.
    WrongLength(u64),
    /// No file.
    Absent,
}

/// The judgement on one blob.
#[derive(Debug, Clone)]
pub(crate) enum Judged {
    /// It can be served.
    Sound,
    /// It cannot: this is wrong.
    Damaged { kind: FindingKind, detail: String },
    /// No row: nothing was ever promised.
    Unknown,
}

/// Compares a file's stat with the row.
pub(crate) fn compare(row: &BlobRow, stat: Option<FileStat>) -> Compared {
    match stat {
        None => Compared::Absent,
        Some(stat) if stat.size != row.size => Compared::WrongLength(stat.size),
        Some(stat) if recorded(stat) == row.stat => Compared::Same,
        Some(_) => Compared::Changed,
    }
}

/// The stat as the database keeps it.
pub(crate) fn recorded(stat: FileStat) -> RecordedStat {
    RecordedStat { inode: stat.inode, size: stat.size, mtime_ns: stat.mtime_ns, ctime_ns: stat.ctime_ns }
}

/// A file whose bytes were hashed without the digest's lock, and are not those of the digest.
#[derive(Debug, Clone)]
pub(crate) struct Suspect {
    /// The file, the same before and after the reading.
    pub(crate) stat: FileStat,
    /// What its bytes hash to.
    pub(crate) computed: Digest,
}

/// What is wrong with a row that is not sound.
pub(crate) fn damage_of(row: &BlobRow) -> (FindingKind, String) {
    let kind = match row.state {
        BlobState::Missing => FindingKind::BlobMissing,
        BlobState::Quarantined | BlobState::Sound => row.damage.unwrap_or(FindingKind::BlobCorrupt),
    };
    let detail = row.detail.clone().unwrap_or_else(|| match row.state {
        BlobState::Missing => "its bytes are gone; push it again to heal it".into(),
        _ => "its bytes are damaged and quarantined; push it again to heal it".into(),
    });
    (kind, detail)
}

impl Registry {
    /// The blob's row as this repository sees it.
    pub(crate) async fn blob_row(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Lookup<Arc<CachedBlob>>, Error> {
        let key = (repository.clone(), digest.clone());
        let stamp = match self.parts.caches.blob(&key) {
            Ok(cached) => return Ok(Lookup::Found(cached)),
            Err(stamp) => stamp,
        };
        let (metadata, asked) = (Arc::clone(&self.parts.metadata), key.clone());
        match self.parts.blocking.run(move || metadata.blob(&asked.0, &asked.1)).await?? {
            Lookup::Found(row) => {
                let promised_until = AtomicI64::new(row.unreferenced_since_ms.unwrap_or(0));
                let cached = Arc::new(CachedBlob { row, promised_until });
                // Damage is never cached: healing then needs no word to the caches.
                if cached.row.state == BlobState::Sound {
                    self.parts.caches.keep_blob(key, Arc::clone(&cached), stamp);
                }
                Ok(Lookup::Found(cached))
            }
            Lookup::NotFound => Ok(Lookup::NotFound),
            Lookup::NoRepository => Ok(Lookup::NoRepository),
        }
    }

    /// Makes sure that a blob can be promised: its file is what it was, or hashes to what it must.
    ///
    /// Waits at most [`HASH_WAIT`] for a hash, which runs on when the client has gone.
    ///
    /// # Errors
    /// Inability to look; [`Error::Unavailable`] when the hash takes longer.
    pub(crate) async fn settle(&self, digest: &Digest) -> Result<Judged, Error> {
        let (registry, settled) = (self.clone(), digest.clone());
        let work = self.finish(async move { registry.settle_locked(settled).await });
        tokio::time::timeout(HASH_WAIT, work).await.unwrap_or_else(|_| {
            Err(Error::unavailable(format!("{digest} changed on disk and is being hashed again; try again shortly")))
        })
    }

    /// Judges one digest under its lock, and books what it finds.
    async fn settle_locked(&self, digest: Digest) -> Result<Judged, Error> {
        let _held = self.parts.locks.lock(&digest).await;
        let (registry, asked) = (self.clone(), digest.clone());
        let looked = self.parts.blocking.run(move || registry.look_at(&asked, false)).await??;
        self.book(digest, looked).await
    }

    /// Judges what the scrub met, under the lock: `suspect` is the file whose bytes it hashed, if it hashed any. The
    /// answer's second half says whether damage is new.
    ///
    /// # Errors
    /// Inability to look.
    pub(crate) async fn judge_scrubbed(
        &self,
        digest: Digest,
        suspect: Option<Suspect>,
    ) -> Result<(Judged, bool), Error> {
        let registry = self.clone();
        self.finish(async move {
            let _held = registry.parts.locks.lock(&digest).await;
            let (inner, asked) = (registry.clone(), digest.clone());
            let looked = registry.parts.blocking.run(move || inner.look_at_suspect(&asked, suspect)).await??;
            let new = matches!(looked, Looked::Damaged { .. });
            Ok((registry.book(digest, looked).await?, new))
        })
        .await
    }

    /// Takes a blob back whose bytes were damaged or gone: `stat` is the file whose bytes hashed right. Says whether it
    /// is sound again.
    ///
    /// # Errors
    /// Inability to look or to write.
    pub(crate) async fn blob_is_back(&self, digest: Digest, stat: FileStat) -> Result<bool, Error> {
        let registry = self.clone();
        self.finish(async move {
            let _held = registry.parts.locks.lock(&digest).await;
            let (blobs, asked) = (Arc::clone(&registry.parts.blobs), digest.clone());
            if registry.parts.blocking.run(move || blobs.stat(&asked)).await?? != Some(stat) {
                return Ok(false);
            }
            let caches = Arc::clone(&registry.parts.caches);
            let hashed_at_ms = registry.parts.clock.now_ms();
            let write = ReturnBlob { digest: digest.clone(), stat: recorded(stat), hashed_at_ms };
            let after = move |_: &bool| caches.everything_changed();
            let returned = registry.parts.writes.durable(|m, done| m.return_blob(write, done), after).await?;
            if returned {
                registry.parts.counters.healed.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%digest, "the file of a damaged blob is back, and its bytes are right: it is served again");
            }
            Ok(returned)
        })
        .await
    }

    /// Books what was found under the lock, which the caller holds.
    async fn book(&self, digest: Digest, looked: Looked) -> Result<Judged, Error> {
        match looked {
            Looked::Sound => Ok(Judged::Sound),
            Looked::Unknown => Ok(Judged::Unknown),
            Looked::Known { kind, detail } => Ok(Judged::Damaged { kind, detail }),
            Looked::Rehashed(stat) => {
                let at = self.parts.clock.now_ms();
                let (caches, changed) = (Arc::clone(&self.parts.caches), digest.clone());
                let write = RecordHash { digest, stat: recorded(stat), hashed_at_ms: at, now_ms: at };
                let recorded = self.parts.writes.durable(|m, done| m.record_hash(write, done), |()| ()).await;
                caches.blob_changed(&changed);
                // A hash time is a record that may be lost: the next promise hashes again.
                if let Err(error) = recorded {
                    self.parts.writes.count_dropped("a hash time", &error);
                }
                Ok(Judged::Sound)
            }
            Looked::Damaged { state, kind, detail } => {
                self.book_damage(digest, state, kind, detail.clone()).await?;
                Ok(Judged::Damaged { kind, detail })
            }
        }
    }

    /// The blocking half: row, file, and where they differ or are distrusted, the hash. Quarantines
    /// what is damaged.
    fn look_at(&self, digest: &Digest, distrust: bool) -> Result<Looked, Error> {
        let Some(row) = self.parts.metadata.blob_anywhere(digest)? else { return Ok(Looked::Unknown) };
        if row.state != BlobState::Sound {
            let (kind, detail) = damage_of(&row);
            return Ok(Looked::Known { kind, detail });
        }
        match compare(&row, self.parts.blobs.stat(digest)?) {
            Compared::Same if !distrust => Ok(Looked::Sound),
            Compared::Same => self.hash_again(digest),
            Compared::Absent => {
                self.parts.volume.must_be_here()?;
                self.absent(digest)
            }
            Compared::WrongLength(found) => {
                let kind = if found < row.size { FindingKind::BlobTruncated } else { FindingKind::BlobSizeMismatch };
                self.quarantine(
                    digest,
                    kind,
                    format!("its file has {found} bytes instead of {}; push it again to heal it", row.size),
                )
            }
            Compared::Changed => self.hash_again(digest),
        }
    }

    /// As [`Registry::look_at`], with a hash that was made of an opened file before the lock was taken: it counts if
    /// that is still the file, so that nobody waits for another one.
    fn look_at_suspect(&self, digest: &Digest, suspect: Option<Suspect>) -> Result<Looked, Error> {
        let Some(suspect) = suspect else { return self.look_at(digest, false) };
        let Some(row) = self.parts.metadata.blob_anywhere(digest)? else { return Ok(Looked::Unknown) };
        if row.state == BlobState::Sound && self.parts.blobs.stat(digest)? == Some(suspect.stat) {
            return self.quarantine_corrupt(digest, &suspect.computed);
        }
        self.look_at(digest, false)
    }

    fn hash_again(&self, digest: &Digest) -> Result<Looked, Error> {
        let Some(hashed) = self.parts.blobs.hash(digest)? else {
            return Ok(Looked::Damaged {
                state: BlobState::Missing,
                kind: FindingKind::BlobMissing,
                detail: "its file went away while it was being hashed; push it again to heal it".into(),
            });
        };
        self.parts.counters.hashed_bytes.fetch_add(hashed.stat.size, Ordering::Relaxed);
        if hashed.digest == *digest {
            return Ok(Looked::Rehashed(hashed.stat));
        }
        self.quarantine_corrupt(digest, &hashed.digest)
    }

    fn quarantine_corrupt(&self, digest: &Digest, computed: &Digest) -> Result<Looked, Error> {
        let detail = format!("its bytes hash to {computed}; push it again to heal it");
        self.quarantine(digest, FindingKind::BlobCorrupt, detail)
    }

    /// No file stands in the blob's place, on a volume that is there. What stands there instead goes out of the way.
    fn absent(&self, digest: &Digest) -> Result<Looked, Error> {
        let detail = match self.parts.blobs.quarantine(digest, self.parts.clock.now_ms())? {
            None => "its file is gone from the blob directory; push it again to heal it",
            Some(_) => "a link or a directory stood in its file's place; push it again to heal it",
        };
        tracing::error!(%digest, detail, "a blob's file is gone");
        Ok(Looked::Damaged { state: BlobState::Missing, kind: FindingKind::BlobMissing, detail: detail.into() })
    }

    fn quarantine(&self, digest: &Digest, kind: FindingKind, detail: String) -> Result<Looked, Error> {
        let kept = self.parts.blobs.quarantine(digest, self.parts.clock.now_ms())?;
        tracing::error!(%digest, kind = kind.as_str(), %detail, kept = ?kept, "a damaged blob was quarantined");
        self.parts.counters.quarantined.fetch_add(1, Ordering::Relaxed);
        Ok(Looked::Damaged { state: BlobState::Quarantined, kind, detail })
    }

    /// Books damage. The file is aside already: if the row cannot be written, the next look finds
    /// it missing, so nothing damaged is served either way.
    async fn book_damage(
        &self,
        digest: Digest,
        state: BlobState,
        kind: FindingKind,
        detail: String,
    ) -> Result<(), Error> {
        let caches = Arc::clone(&self.parts.caches);
        caches.everything_changed();
        let finding = Finding { digest: Some(digest.clone()), detail: Some(detail), ..Finding::new(kind) };
        let at_ms = self.parts.clock.now_ms();
        let write = SetBlobState { digest, state, finding: Some(finding), at_ms };
        let booked = self
            .parts
            .writes
            .durable(|m, done| m.set_blob_state(write, done), move |_| caches.everything_changed())
            .await;
        if let Err(error) = booked {
            self.parts.writes.count_dropped("a finding", &error);
        }
        Ok(())
    }

    /// A full read met bytes that do not hash right: judge again under the lock and book it.
    pub(crate) async fn report_corrupt(&self, digest: Digest, computed: Digest) -> Result<(), Error> {
        let registry = self.clone();
        self.finish(async move {
            let _held = registry.parts.locks.lock(&digest).await;
            let (inner, asked) = (registry.clone(), digest.clone());
            // An upload may have replaced the file since it was opened: only what is there now counts.
            let looked = registry.parts.blocking.run(move || inner.look_at(&asked, true)).await??;
            if let Looked::Damaged { state, kind, detail } = looked {
                tracing::warn!(%digest, %computed, "a read met damaged bytes");
                registry.book_damage(digest, state, kind, detail).await?;
            }
            Ok(())
        })
        .await
    }
}

/// What the blocking look found.
enum Looked {
    Sound,
    Unknown,
    /// Damage that is booked already.
    Known {
        kind: FindingKind,
        detail: String,
    },
    /// Changed on disk, and the bytes are right.
    Rehashed(FileStat),
    /// Damage just met.
    Damaged {
        state: BlobState,
        kind: FindingKind,
        detail: String,
    },
}
