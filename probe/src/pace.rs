//! How many requests are under way at once, however many repositories and tags are; never what they ask.

use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};

/// Places for requests, shared by everything that looks at one registry.
#[derive(Clone, Debug)]
pub struct Pace(Arc<Semaphore>);

impl Pace {
    /// So many places, one at least.
    #[must_use]
    pub fn new(jobs: usize) -> Self {
        Self(Arc::new(Semaphore::new(jobs.clamp(1, Semaphore::MAX_PERMITS))))
    }

    /// Waits for a place. `None` only if the semaphore were closed, which nobody does.
    pub async fn place(&self) -> Option<SemaphorePermit<'_>> {
        self.0.acquire().await.ok()
    }
}
