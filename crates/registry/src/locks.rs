//! One lock per digest, made when asked for and gone when unused; never what is done under it.
//!
//! Everything that changes a blob's file or decides on its soundness holds its digest's lock:
//! upload commit, quarantine, re-hash, removal. No registry-wide lock exists.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use mcr_oci::Digest;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// How many dead entries are tolerated before they are swept.
const SWEEP_AT: usize = 1024;

/// The locks of all digests in use.
#[derive(Debug, Default)]
pub struct DigestLocks {
    held: Mutex<HashMap<Digest, Weak<AsyncMutex<()>>>>,
}

impl DigestLocks {
    /// Waits for the digest's lock. Holders do bounded work: a sync, a rename, one hash.
    pub async fn lock(&self, digest: &Digest) -> OwnedMutexGuard<()> {
        self.of(digest).lock_owned().await
    }

    /// The digest's lock if nobody holds it.
    pub(crate) fn try_lock(&self, digest: &Digest) -> Option<OwnedMutexGuard<()>> {
        self.of(digest).try_lock_owned().ok()
    }

    fn of(&self, digest: &Digest) -> Arc<AsyncMutex<()>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = held.get(digest).and_then(Weak::upgrade) {
            return lock;
        }
        if held.len() >= SWEEP_AT {
            held.retain(|_, lock| lock.strong_count() > 0);
        }
        let lock = Arc::new(AsyncMutex::new(()));
        held.insert(digest.clone(), Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_same_digest_waits_and_another_does_not() {
        let locks = DigestLocks::default();
        let (a, b) = (Digest::sha256(b"a"), Digest::sha256(b"b"));
        let first = locks.lock(&a).await;
        let _other = locks.lock(&b).await;
        let second = tokio::time::timeout(std::time::Duration::from_millis(20), locks.lock(&a)).await;
        assert!(second.is_err(), "the second holder must wait");
        drop(first);
        tokio::time::timeout(std::time::Duration::from_secs(5), locks.lock(&a)).await.unwrap();
    }
}
