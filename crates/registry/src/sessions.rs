//! Which upload sessions are in hand right now, and how many there are; never their bytes.
//!
//! A session lives on disk. What is kept here is only the open handle with its running hash, so
//! that the next chunk need not read the earlier ones again; a session that was put down is picked
//! up from disk.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mcr_blobs::{Upload, UploadId};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::error::Error;

/// Sessions that may exist at once.
pub(crate) const MAX_SESSIONS: usize = 100_000;
/// Handles kept open between requests.
const MAX_IN_HAND: usize = 256;
/// How long a request waits for another one on the same session.
const PATIENCE: Duration = Duration::from_secs(10);

/// One session's handle; `None` while it is only on disk.
pub(crate) type InHand = OwnedMutexGuard<Option<Upload>>;

/// The table of sessions in hand.
#[derive(Debug)]
pub(crate) struct Sessions {
    in_hand: Mutex<HashMap<UploadId, Arc<AsyncMutex<Option<Upload>>>>>,
    count: AtomicU64,
}

impl Sessions {
    pub(crate) fn new(existing: u64) -> Self {
        Self { in_hand: Mutex::default(), count: AtomicU64::new(existing) }
    }

    /// Sessions that exist, on disk or in hand.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Books a new session.
    pub(crate) fn begin(&self) -> Result<(), Error> {
        if self.count.fetch_add(1, Ordering::Relaxed) >= MAX_SESSIONS as u64 {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return Err(Error::unavailable(format!(
                "{MAX_SESSIONS} uploads are open already; finish or cancel some first"
            )));
        }
        Ok(())
    }

    /// Takes back [`Sessions::begin`] for a session that could not be made.
    pub(crate) fn unbook(&self) {
        // Never below zero: a session may be ended by its owner and by expiry at the same time.
        let _before = self.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
    }

    /// Books that a session has ended, and forgets its handle.
    pub(crate) fn end(&self, id: &UploadId) {
        self.table().remove(id);
        self.unbook();
    }

    /// Takes a session in hand, waiting a while for a request that has it.
    pub(crate) async fn take(&self, id: &UploadId) -> Result<InHand, Error> {
        let lock = {
            let mut table = self.table();
            if table.len() >= MAX_IN_HAND && !table.contains_key(id) {
                // Those nobody holds are put down: their bytes and their sidecar are on disk.
                table.retain(|_, session| Arc::strong_count(session) > 1);
            }
            Arc::clone(table.entry(id.clone()).or_default())
        };
        tokio::time::timeout(PATIENCE, lock.lock_owned())
            .await
            .map_err(|_| Error::unavailable("another request is still writing to this upload session"))
    }

    /// Forgets the handle of a session that is not there.
    pub(crate) fn forget(&self, id: &UploadId) {
        self.table().remove(id);
    }

    fn table(&self) -> std::sync::MutexGuard<'_, HashMap<UploadId, Arc<AsyncMutex<Option<Upload>>>>> {
        self.in_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
