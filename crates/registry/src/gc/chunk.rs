//! Removing a few blobs, step by step: locks, rows, another look at what snapshots hold, files; never how many or when.
//!
//! The order is the point (contract section 2.4). Whoever pushes one of these digests waits at its lock; whoever mounts,
//! asks for or names one is before or behind the rows' transaction, which looks at everything again. Once that is
//! durable all locks are free; each file goes under its own, taken anew, if there is still no row: so a push waits at
//! most for the unlink of its own digest, and one that was quicker keeps its file. Whoever takes a snapshot shows it
//! before its view begins: so once the rows are gone, one look more tells whether any snapshot can still have them.

use mcr_blobs::Store;
use mcr_metadata::{Actor, BlobStep, Due, Metadata, Removal, RemoveBlobs};
use mcr_oci::Digest;
use mcr_seams::fault;
use tokio::sync::OwnedMutexGuard;

use crate::error::Error;
use crate::holds::Holds;
use crate::locks::DigestLocks;

/// Blobs about to be removed, their locks held.
pub(crate) struct Chunk {
    held: Vec<(BlobStep, Option<OwnedMutexGuard<()>>)>,
}

/// A blob whose row is gone and whose file must go.
#[derive(Debug)]
pub(crate) struct Doomed {
    pub(crate) digest: Digest,
    /// The length of the file, which the row's removal counted as freed.
    pub(crate) bytes: u64,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unlinked {
    /// It is gone.
    Gone,
    /// There was none.
    Absent,
    /// A push brought the blob back meanwhile: the file is that one's.
    Back,
    /// A snapshot came meanwhile: it stays, without a row, for a reconcile to come.
    Held,
    /// It cannot be removed: it stays, without a row, for a reconcile to come. The log says why.
    Stuck,
}

impl Chunk {
    /// Takes the locks of `steps`; the second half are those somebody else has something to do with just now. A link
    /// needs no lock: no file goes with it.
    pub(crate) fn lock(locks: &DigestLocks, steps: Vec<BlobStep>) -> (Self, Vec<BlobStep>) {
        let (mut held, mut busy) = (Vec::with_capacity(steps.len()), Vec::new());
        for step in steps {
            if step.link_of.is_some() {
                held.push((step, None));
                continue;
            }
            match locks.try_lock(&step.digest) {
                Some(guard) => held.push((step, Some(guard))),
                None => busy.push(step),
            }
        }
        (Self { held }, busy)
    }

    /// The write that removes the rows.
    pub(crate) fn request(&self, plan: &str, due: Due, actor: &Actor) -> RemoveBlobs {
        let steps = self.held.iter().map(|(step, _)| step.clone()).collect();
        RemoveBlobs { plan: plan.to_owned(), steps, due, actor: actor.clone() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// After the write is durable: the files that must go, and the steps that must be asked for again. All locks are free
    /// from here on.
    pub(crate) fn removed(self, removals: &[Removal]) -> (Vec<Doomed>, Vec<BlobStep>) {
        let (mut doomed, mut again) = (Vec::new(), Vec::new());
        for ((step, _guard), removal) in self.held.into_iter().zip(removals) {
            match removal {
                Removal::Gone { bytes } if step.link_of.is_none() => {
                    doomed.push(Doomed { digest: step.digest, bytes: *bytes });
                }
                Removal::Again => again.push(step),
                Removal::Gone { .. } | Removal::Buried | Removal::Kept(_) => {}
            }
        }
        (doomed, again)
    }
}

impl Doomed {
    /// Removes the file, whose digest's lock the caller holds, and gives the lock back. Blocks.
    ///
    /// # Errors
    /// When it cannot be known whether there is a row, or what snapshots hold: the file is then still there.
    pub(crate) fn unlink(
        &self,
        _lock: OwnedMutexGuard<()>,
        metadata: &Metadata,
        blobs: &Store,
        holds: &Holds,
    ) -> Result<Unlinked, Error> {
        fault::point("gc.rows_gone").map_err(|error| {
            tracing::error!(%error, "gc.rows_gone");
            Error::unavailable("a fault was asked for")
        })?;
        if metadata.blob_anywhere(&self.digest)?.is_some() {
            return Ok(Unlinked::Back);
        }
        if holds.keeps(&self.digest)? {
            return Ok(Unlinked::Held);
        }
        Ok(match blobs.remove(&self.digest) {
            Ok(true) => Unlinked::Gone,
            Ok(false) => Unlinked::Absent,
            // One file that cannot be removed must not keep all the others.
            Err(error) => {
                tracing::error!(%error, digest = %self.digest, "a file whose row is gone cannot be removed");
                Unlinked::Stuck
            }
        })
    }
}
