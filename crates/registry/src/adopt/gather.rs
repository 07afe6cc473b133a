//! Blobs that were hashed side by side, made durable and booked together: a sync of the disk costs the same for one and
//! for many; never one without its digest's lock.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use mcr_blobs::{Adopted, Committed, PutError, Staged, Syncs};
use mcr_metadata::{AdoptBlobs, AdoptedBlob};
use mcr_oci::Digest;
use tokio::sync::oneshot;

use super::BlobTaken;
use crate::error::Error;
use crate::integrity::recorded;
use crate::registry::Registry;

/// Most blobs of one batch.
const TOGETHER: usize = 256;

/// Blobs that wait for their turn. Whoever gets the turn does the work of all that wait.
#[derive(Debug, Default)]
pub(super) struct Gather {
    /// Open from before the first byte: see [`Syncs`].
    syncs: Mutex<Option<Arc<Syncs>>>,
    waiting: Mutex<Vec<Waiting>>,
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Waiting {
    staged: Staged,
    digest: Digest,
    how: Adopted,
    tell: oneshot::Sender<Result<BlobTaken, Error>>,
}

impl Gather {
    /// What batches are synced by; asked for before anything is staged.
    pub(super) fn syncs(&self, registry: &Registry) -> Result<Arc<Syncs>, Error> {
        let mut syncs = self.syncs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = &*syncs {
            return Ok(Arc::clone(open));
        }
        let open = Arc::new(registry.parts.blobs.open_syncs()?);
        *syncs = Some(Arc::clone(&open));
        Ok(open)
    }

    /// Makes staged bytes the blob `digest`, if they are, durably, and books it.
    pub(super) async fn book(
        &self,
        registry: &Registry,
        staged: Staged,
        digest: Digest,
        how: Adopted,
    ) -> Result<BlobTaken, Error> {
        registry.may_write()?;
        let (tell, mut told) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(Waiting { staged, digest, how, tell });
        loop {
            let _turn = self.turn.lock().await;
            match told.try_recv() {
                Ok(answer) => return answer,
                Err(oneshot::error::TryRecvError::Closed) => return Err(Error::stopping()),
                Err(oneshot::error::TryRecvError::Empty) => {}
            }
            let (registry, batch, syncs) = (registry.clone(), self.batch(), self.syncs(registry)?);
            let work = registry.clone();
            let done = async move {
                work.commit_batch(batch, syncs).await;
                Ok(())
            };
            registry.finish(done).await?;
        }
    }

    /// Those that waited longest, no digest twice: each is held by its lock.
    fn batch(&self) -> Vec<Waiting> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut digests = HashSet::new();
        let (batch, rest) = std::mem::take(&mut *waiting)
            .into_iter()
            .partition(|each| digests.len() < TOGETHER && digests.insert(each.digest.clone()));
        *waiting = rest;
        batch
    }
}

impl Registry {
    /// Commits a batch under its locks, and answers everybody in it.
    async fn commit_batch(&self, mut batch: Vec<Waiting>, syncs: Arc<Syncs>) {
        // In one order, so that two who take several locks never wait for each other.
        batch.sort_by(|one, two| one.digest.cmp(&two.digest));
        let mut locks = Vec::with_capacity(batch.len());
        for each in &batch {
            locks.push(self.parts.locks.lock(&each.digest).await);
        }
        let (staged, told): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|each| ((each.staged, each.digest), (each.how, each.tell))).unzip();
        let sizes: Vec<u64> = staged.iter().map(|(staged, _)| staged.size()).collect();
        let blobs = Arc::clone(&self.parts.blobs);
        let committed = self.parts.blocking.run(move || blobs.commit_all(&staged, &syncs)).await;
        let outcome = match committed {
            Ok(Ok(committed)) => self.book_all(&committed).await.map(|()| committed),
            Ok(Err(error)) => Err(error.into()),
            Err(error) => Err(error),
        };
        drop(locks);
        match outcome {
            Ok(committed) => {
                for ((committed, size), (how, tell)) in committed.into_iter().zip(sizes).zip(told) {
                    // Who asked may have gone; the blob stands all the same.
                    drop(tell.send(answer(committed, how, size)));
                }
            }
            Err(error) => {
                for (_, tell) in told {
                    drop(tell.send(Err(same(&error))));
                }
            }
        }
    }

    /// Writes the rows of those that are in their places.
    async fn book_all(&self, committed: &[Result<Committed, PutError>]) -> Result<(), Error> {
        let row = |committed: &Committed| AdoptedBlob {
            digest: committed.digest.clone(),
            size: committed.size,
            stat: recorded(committed.stat),
        };
        let blobs: Vec<AdoptedBlob> = committed.iter().filter_map(|each| each.as_ref().ok()).map(row).collect();
        if blobs.is_empty() {
            return Ok(());
        }
        let write = AdoptBlobs { blobs, at_ms: self.parts.clock.now_ms() };
        let caches = Arc::clone(&self.parts.caches);
        let after = move |(): &()| caches.everything_changed();
        self.parts.writes.durable(|m, done| m.adopt_blobs(write, done), after).await
    }
}

fn answer(committed: Result<Committed, PutError>, how: Adopted, size: u64) -> Result<BlobTaken, Error> {
    match committed {
        Ok(committed) => Ok(BlobTaken::Whole(how, committed.size)),
        Err(PutError::DigestMismatch { computed, .. }) => Ok(BlobTaken::Differs { computed, size }),
        Err(PutError::Io(error)) => Err(error.into()),
    }
}

/// The same inability, for each of those it befell.
fn same(error: &Error) -> Error {
    match error {
        Error::DiskFull(why) => Error::DiskFull(why.clone()),
        other => Error::unavailable(other.to_string()),
    }
}
