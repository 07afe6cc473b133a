//! What the scrub does beside its passes: damaged bytes that were kept long enough go, files that came back are noticed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mcr_blobs::FileStat;
use mcr_metadata::ScrubBlob;
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

/// Files in the place of damaged blobs that are remembered as wrong too, some five megabytes. More of them are not hashed.
const REJECTED: usize = 1 << 16;

/// How long a file waits for another look that could not be read.
const UNREAD_FOR: Duration = Duration::from_secs(600);

/// Bytes of files that came back and are hashed before the pass has a turn: those of a second, and one file at least.
const RETURN_SECONDS: u64 = 1;

/// When what is due, and what was seen.
#[derive(Debug)]
pub(super) struct Chores {
    expire_at: Instant,
    return_at: Instant,
    returned_to: i64,
    /// Files that were met in this round and in the one before, by the blob's row: hashed again only when they change.
    rejected: [HashMap<i64, Rejected>; 2],
}

/// A file that is no blob's.
#[derive(Debug, Clone, Copy)]
struct Rejected {
    stat: FileStat,
    /// When it is read all the same: its bytes are not known.
    again_at: Option<Instant>,
}

impl Rejected {
    fn still_stands(&self, stat: FileStat) -> bool {
        self.stat == stat && self.again_at.is_none_or(|at| at > Instant::now())
    }
}

impl Chores {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { expire_at: now, return_at: now, returned_to: 0, rejected: Default::default() }
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

    /// As if it were time to look whether files came back.
    #[cfg(test)]
    pub(super) fn look_again_for_returned(&mut self) {
        self.chores.return_at = Instant::now();
    }

    async fn expire_quarantine(&mut self) -> Result<(), Error> {
        self.chores.expire_at = Instant::now() + EXPIRE_EVERY;
        let keep = self.registry.parts.settings.scrub.quarantine_keep;
        let keep_ms = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
        let before_ms = self.registry.parts.clock.now_ms().saturating_sub(keep_ms);
        let blobs = Arc::clone(&self.registry.parts.blobs);
        let expired = self.blocking.run(move || blobs.expire_quarantine(before_ms, EXPIRE_AT_ONCE)).await??;
        let removed = expired.removed;
        if let Some(error) = expired.error {
            tracing::warn!(files = expired.kept, %error, "damaged bytes that were kept long enough cannot be removed");
        }
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
            let last = page.last().map(|row| row.as_ref().map_or_else(|unfit| unfit.id, |blob| blob.id));
            let to = last.filter(|_| page.len() == RETURN_AT_ONCE).unwrap_or(0);
            let mut back = Vec::new();
            // What a row does not name cannot come back.
            for blob in page.into_iter().flatten() {
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
        let (before, most) = (self.spent, self.registry.parts.settings.scrub.rate.saturating_mul(RETURN_SECONDS));
        for (blob, stat) in back {
            if self.is_rejected(blob.id, stat) {
                continue;
            }
            if self.spent.saturating_sub(before) > most {
                // The others wait until the pass had a turn.
                (self.chores.returned_to, self.chores.return_at) = (blob.id - 1, Instant::now());
                return Ok(Next::Wait(Duration::ZERO));
            }
            if self.returned(blob, stat).await? == Next::Stopped {
                return Ok(Next::Stopped);
            }
        }
        self.chores.returned_to = to;
        if to == 0 {
            // A round is over: what was not met in it is no damaged blob's any more.
            self.chores.rejected = [HashMap::new(), std::mem::take(&mut self.chores.rejected[0])];
        }
        Ok(Next::Wait(Duration::ZERO))
    }

    /// Whether the file is known not to be the blob's, or can no longer be remembered.
    fn is_rejected(&mut self, row: i64, stat: FileStat) -> bool {
        let [met, before] = &mut self.chores.rejected;
        if let Some(known) =
            met.get(&row).or_else(|| before.get(&row)).filter(|known| known.still_stands(stat)).copied()
        {
            met.insert(row, known);
            return true;
        }
        met.len() >= REJECTED
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
                self.chores.rejected[0].insert(blob.id, Rejected { stat, again_at: None });
            }
            // It is changing: the next look is soon enough.
            Ok(Hashing::Unfit) => {}
            Err(_) => {
                let again_at = Some(Instant::now() + UNREAD_FOR);
                self.chores.rejected[0].insert(blob.id, Rejected { stat, again_at });
            }
        }
        Ok(Next::Wait(Duration::ZERO))
    }
}
