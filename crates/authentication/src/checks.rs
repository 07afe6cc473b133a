//! Password checks on threads that may block: a bounded number at once, a bounded number waiting; never what is checked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use crate::settings::Denied;

/// Checks under way at once. Each keeps a core busy; pulls need the others.
pub(crate) const CHECKS_AT_ONCE: usize = 2;
/// Checks that may wait for their turn; whoever comes after is told to come back.
pub(crate) const CHECKS_WAITING: usize = 64;

/// The door to those threads.
pub(crate) struct Checks {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Checks {
    /// The door for whoever comes.
    pub(crate) fn of_strangers() -> Self {
        Self::with(CHECKS_AT_ONCE)
    }

    /// A door beside it, for pairs that were right lately: a crowd of strangers does not keep them waiting.
    pub(crate) fn of_friends() -> Self {
        Self::with(1)
    }

    fn with(places: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), waiting: AtomicUsize::new(0) }
    }
}

/// One that waits, until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Checks {
    /// Runs a check. One whose caller goes runs to its end and keeps its place until then.
    ///
    /// # Errors
    /// [`Denied::Unavailable`] where too many wait, or the process stops.
    pub(crate) async fn run<T: Send + 'static>(&self, check: impl FnOnce() -> T + Send + 'static) -> Result<T, Denied> {
        let place = {
            let before = self.waiting.fetch_add(1, Ordering::AcqRel);
            let _waiting = Waiting(&self.waiting);
            if before >= CHECKS_WAITING {
                return Err(busy("too many logins at once; try again in a moment", 2));
            }
            let place = Arc::clone(&self.places).acquire_owned().await;
            place.map_err(|_| busy("the registry is stopping", 5))?
        };
        let checked = tokio::task::spawn_blocking(move || {
            let _place = place;
            check()
        });
        checked.await.map_err(|error| {
            tracing::error!(%error, "a password check failed");
            busy("a login could not be checked; the log has more", 5)
        })
    }
}

fn busy(message: &str, retry_after: u32) -> Denied {
    Denied::Unavailable { message: message.to_owned(), retry_after }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn only_so_many_run_and_only_so_many_wait() {
        let checks = Arc::new(Checks::of_strangers());
        let (release, held) = mpsc::channel::<()>();
        let held = Arc::new(std::sync::Mutex::new(held));
        let running = Arc::new(AtomicUsize::new(0));
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..CHECKS_AT_ONCE + CHECKS_WAITING + 10 {
            let (checks, held, running) = (Arc::clone(&checks), Arc::clone(&held), Arc::clone(&running));
            all.spawn(async move {
                checks
                    .run(move || {
                        let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                        let _ = held.lock().unwrap().recv();
                        running.fetch_sub(1, Ordering::SeqCst);
                        now
                    })
                    .await
            });
        }
        // The ones too many are turned away at once.
        let mut refused = 0;
        while refused < 10 {
            let outcome = all.join_next().await.unwrap().unwrap();
            assert!(matches!(outcome, Err(Denied::Unavailable { .. })));
            refused += 1;
        }
        drop(release);
        while let Some(outcome) = all.join_next().await {
            assert!(outcome.unwrap().is_ok_and(|running| running <= CHECKS_AT_ONCE));
        }
        assert_eq!(checks.waiting.load(Ordering::SeqCst), 0);
    }
}
