//! The border to blocking work: a bounded number of file and database reads at once; never what they do.

use tokio::sync::Semaphore;

use crate::error::Error;

/// Blocking jobs under way at once; more wait their turn.
pub(crate) const MAX_BLOCKING: usize = 64;
/// Walks under way at once. They have places of their own: a walk waits for other blocking jobs,
/// and must not hold one of the places those need.
pub(crate) const MAX_WALKING: usize = 16;

/// The bounded door to threads that may block.
#[derive(Debug)]
pub(crate) struct Blocking {
    places: std::sync::Arc<Semaphore>,
}

impl Blocking {
    /// A door for `places` jobs at once.
    pub(crate) fn new(places: usize) -> Self {
        Self { places: std::sync::Arc::new(Semaphore::new(places)) }
    }

    /// Runs `job` on a thread that may block.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the process is stopping or the job panicked.
    pub(crate) async fn run<T, F>(&self, job: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let place = std::sync::Arc::clone(&self.places).acquire_owned().await.map_err(|_| Error::stopping())?;
        tokio::task::spawn_blocking(move || {
            let _place = place;
            job()
        })
        .await
        .map_err(|error| {
            tracing::error!(%error, "a blocking job failed");
            Error::unavailable("an internal job failed; the log has more")
        })
    }
}
