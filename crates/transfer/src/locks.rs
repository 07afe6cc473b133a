//! One lock per digest, so that no blob is brought twice at the same time; never what is brought.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use mcr_oci::Digest;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Dead entries that are tolerated before they are swept.
const SWEEP_AT: usize = 1024;

/// The locks of all digests in use.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    held: Mutex<HashMap<Digest, Weak<AsyncMutex<()>>>>,
}

impl Locks {
    pub(crate) async fn lock(&self, digest: &Digest) -> OwnedMutexGuard<()> {
        self.of(digest).lock_owned().await
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
