//! Waiting, from async code, for database writes that answer by callback; never a write itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mcr_metadata::{Done, Metadata};
use tokio::sync::{Semaphore, oneshot};

use crate::error::Error;

/// Writes waited for at once. Below the writer's own queue length, so that queueing never blocks
/// an async thread.
const MAX_WAITING: usize = 512;

/// The way to the database's one writer.
#[derive(Clone)]
pub(crate) struct Writes {
    metadata: Arc<Metadata>,
    places: Arc<Semaphore>,
    dropped: Arc<AtomicU64>,
    waited_for: Arc<AtomicU64>,
}

impl std::fmt::Debug for Writes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writes").field("free", &self.places.available_permits()).finish_non_exhaustive()
    }
}

impl Writes {
    pub(crate) fn new(metadata: Arc<Metadata>) -> Self {
        Self {
            metadata,
            places: Arc::new(Semaphore::new(MAX_WAITING)),
            dropped: Arc::default(),
            waited_for: Arc::default(),
        }
    }

    /// Queues a write and waits until it is durable.
    ///
    /// `after` runs on the writer's thread before anybody is answered, also when the waiting
    /// request has gone: caches are told there.
    pub(crate) async fn durable<T, Q, A>(&self, queue: Q, after: A) -> Result<T, Error>
    where
        T: Send + 'static,
        Q: FnOnce(&Metadata, Done<T>),
        A: FnOnce(&T) + Send + 'static,
    {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| Error::stopping())?;
        self.waited_for.fetch_add(1, Ordering::Relaxed);
        let (tell, told) = oneshot::channel();
        queue(
            &self.metadata,
            Box::new(move |result| {
                if let Ok(value) = &result {
                    after(value);
                }
                drop(place);
                // The asker may have gone; the write stands all the same.
                drop(tell.send(result));
            }),
        );
        match told.await {
            Ok(result) => Ok(result?),
            Err(_) => Err(Error::stopping()),
        }
    }

    /// Queues a record that accompanies a read; it may be dropped, and is then counted
    /// (contract section 2.10).
    ///
    /// `after` runs once it is durable; caches are told there.
    pub(crate) fn droppable<T, Q, A>(&self, queue: Q, after: A)
    where
        T: Send + 'static,
        Q: FnOnce(&Metadata, Done<T>),
        A: FnOnce() + Send + 'static,
    {
        self.attempt(queue, move |written| {
            if written {
                after();
            }
        });
    }

    /// The same; `after` runs once in any case, and learns whether it is durable.
    pub(crate) fn attempt<T, Q, A>(&self, queue: Q, after: A)
    where
        T: Send + 'static,
        Q: FnOnce(&Metadata, Done<T>),
        A: FnOnce(bool) + Send + 'static,
    {
        let dropped = Arc::clone(&self.dropped);
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            dropped.fetch_add(1, Ordering::Relaxed);
            after(false);
            return;
        };
        queue(
            &self.metadata,
            Box::new(move |result| {
                drop(place);
                if let Err(error) = &result {
                    dropped.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(%error, "a record that accompanies a read was dropped");
                }
                after(result.is_ok());
            }),
        );
    }

    /// Counts a record that accompanies a read and could not be written.
    pub(crate) fn count_dropped(&self, what: &str, error: &Error) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        tracing::error!(%error, "{what} could not be written to the database");
    }

    /// Writes that somebody waited for, so far.
    pub(crate) fn waited_for(&self) -> u64 {
        self.waited_for.load(Ordering::Relaxed)
    }

    /// Records dropped so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
