//! What the scrub does beside its passes: damaged bytes that were kept long enough go, files that came back are noticed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mcr_blobs::FileStat;
use mcr_metadata::ScrubBlob;
use mcr_oci::Digest;
use tokio::time::Instant;

use super::examine::Hashing;
use super::run::{Next, Runner};
use crate::error::Error;

/// How often quarantined files are looked through.
const EXPIRE_EVERY: Duration = Duration::from_secs(3600);

/// Quarantined files that go at a time.
const EXPIRE_AT_ONCE: usize = 256;

/// How often the places of damaged blobs are looked at.
const RETURN_EVERY: Duration = Duration::from_secs(30);

/// Places of damaged blobs that are looked at each time.
const RETURN_AT_ONCE: usize = 1024;

/// Files in the place of damaged blobs that are remembered as wrong too.
const REJECTED: usize = 1024;

/// When what is due, and what was seen.
#[derive(Debug)]
pub(super) struct Chores {
    expire_at: Instant,
    return_at: Instant,
    returned_to: i64,
    /// Files whose bytes were wrong: hashed again only when they change.
    rejected: HashMap<Digest, FileStat>,
}

impl Chores {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { expire_at: now, return_at: now, returned_to: 0, rejected: HashMap::new() }
    }
}

impl Runner {
    /// Does what is due.
    pub(super) async fn do_chores(&mut self) -> Result<Next, Error> {
        if self.chores.expire_at <= Instant::now() {
            self.expire_quarantine().await?;
        }
        if self.chores.return_at <= Instant::now() && self.is_on() {
            self.chores.return_at = Instant::now() + RETURN_EVERY;
            return self.look_for_returned().await;
        }
        Ok(Next::Wait(Duration::ZERO))
    }

    async fn expire_quarantine(&mut self) -> Result<(), Error> {
        self.chores.expire_at = Instant::now() + EXPIRE_EVERY;
        let keep = self.registry.parts.settings.scrub.quarantine_keep;
        let keep_ms = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
        let before_ms = self.registry.parts.clock.now_ms().saturating_sub(keep_ms);
        let blobs = Arc::clone(&self.registry.parts.blobs);
        let removed = self.blocking.run(move || blobs.expire_quarantine(before_ms, EXPIRE_AT_ONCE)).await??;
        if removed > 0 {
            tracing::info!(files = removed, "damaged bytes older than quarantine_keep were removed");
        }
        if removed == EXPIRE_AT_ONCE {
            self.chores.expire_at = Instant::now();
        }
        Ok(())
    }

    /// Looks whether a hand brought the file of a damaged blob back, as from a backup.
    async fn look_for_returned(&mut self) -> Result<Next, Error> {
        let (metadata, after) = (Arc::clone(&self.registry.parts.metadata), self.chores.returned_to);
        let blobs = Arc::clone(&self.registry.parts.blobs);
        let looked = self.blocking.run(move || {
            let page = metadata.unsound_blobs(after, RETURN_AT_ONCE)?;
            let to = page.last().filter(|_| page.len() == RETURN_AT_ONCE).map_or(0, |last| last.id);
            let mut back = Vec::new();
            for blob in page {
                // What cannot be looked at is not back.
                if let Ok(Some(stat)) = blobs.stat(&blob.digest)
                    && stat.size == blob.size
                {
                    back.push((blob, stat));
                }
            }
            Ok::<_, Error>((to, back))
        });
        let (to, back) = looked.await??;
        self.chores.returned_to = to;
        for (blob, stat) in back {
            if self.chores.rejected.get(&blob.digest) != Some(&stat)
                && self.returned(blob, stat).await? == Next::Stopped
            {
                return Ok(Next::Stopped);
            }
        }
        Ok(Next::Wait(Duration::ZERO))
    }

    async fn returned(&mut self, blob: ScrubBlob, stat: FileStat) -> Result<Next, Error> {
        match self.hash_file(&blob.digest, blob.size).await {
            Ok(Hashing::Stopped) => return Ok(Next::Stopped),
            Ok(Hashing::Right(stat)) => {
                let _taken = self.registry.blob_is_back(blob.digest, stat).await?;
            }
            Ok(Hashing::Wrong(suspect)) => {
                let digest = blob.digest;
                tracing::warn!(%digest, computed = %suspect.computed, "a file in a damaged blob's place has other bytes");
                self.reject(digest, stat);
            }
            // It is looked at again, and the read that could not be done is done then.
            Ok(Hashing::Unfit) | Err(_) => {}
        }
        Ok(Next::Wait(Duration::ZERO))
    }

    fn reject(&mut self, digest: Digest, stat: FileStat) {
        if self.chores.rejected.len() >= REJECTED {
            self.chores.rejected.clear();
        }
        self.chores.rejected.insert(digest, stat);
    }
}
