//! The journal beside the blobs: the loop that writes it behind the database, and how it stands; never a row or a file call.
//!
//! It is written from the audit trail, where every change of a manifest or tag stands in the order of the commits. So
//! nothing waits for it and no push writes for it, and its position is the last place of the trail that it names.

mod dump;
mod effect;
mod find;
mod keeper;
pub(crate) mod line;
mod writer;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::blocking::Blocking;
use crate::registry::Registry;
use keeper::Keeper;

/// How often the trail is looked at. With the write and the sync it stays below the promised second.
const EVERY: Duration = Duration::from_millis(400);
/// The pause between pages while everything is told anew: at most 40 MiB/s.
const PAUSE: Duration = Duration::from_millis(50);
/// The first and the longest pause after a failure.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How long the end of the process waits for what is not written yet.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Why the journal cannot be written now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error(transparent)]
    Blobs(#[from] mcr_blobs::Error),
    #[error(transparent)]
    Metadata(#[from] mcr_metadata::Error),
    #[error("a line cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the blob directory is not mounted")]
    Away,
    #[error("the blob directory's marker cannot be read")]
    Marker,
}

/// How the journal stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JournalState {
    /// The generation that is being written; 0 before the first.
    pub generation: u64,
    /// Whether it tells the whole registry; while it does not, the one before it is kept.
    pub complete: bool,
    /// Its length in bytes.
    pub bytes: u64,
    /// Rows of the audit trail that are not in it yet, at the last look.
    pub lag_rows: u64,
    /// Since when it has been behind, in Unix milliseconds; none while it is not.
    pub behind_since_ms: Option<i64>,
    /// Why it cannot be written, if it cannot.
    pub trouble: Option<String>,
}

/// The journal of a registry.
pub(crate) struct Journal {
    keeper: Arc<Mutex<Keeper>>,
    state: Mutex<JournalState>,
    door: Blocking,
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self { keeper: Arc::default(), state: Mutex::default(), door: Blocking::new(1) }
    }

    fn state(&self) -> MutexGuard<'_, JournalState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What health says of it, if something is wrong.
    pub(crate) fn trouble(&self) -> Option<String> {
        let state = self.state();
        let (trouble, since) = (state.trouble.as_ref()?, state.behind_since_ms?);
        Some(format!(
            "journal: it has not been written since {}, so that what came later would be lost with the database: {trouble}",
            mcr_seams::rfc3339(since)
        ))
    }
}

/// The loop; ends when the registry closes.
pub(crate) async fn keep(registry: Registry) {
    let mut retry = RETRY.0;
    loop {
        let pause = match registry.journal_step(None).await {
            Ok(true) => PAUSE,
            Ok(false) => EVERY,
            Err(()) => retry,
        };
        retry = if pause == retry { (retry * 2).min(RETRY.1) } else { RETRY.0 };
        tokio::select! {
            () = registry.parts.volume.stopped() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

impl Registry {
    /// How the journal beside the blobs stands.
    #[must_use]
    pub fn journal_state(&self) -> JournalState {
        self.parts.journal.state().clone()
    }

    /// Writes what the trail says beyond the journal. `Ok(true)` where more is to be done at once.
    async fn journal_step(&self, last: Option<Instant>) -> Result<bool, ()> {
        let (parts, keeper) = (Arc::clone(&self.parts), Arc::clone(&self.parts.journal.keeper));
        let stepped = self
            .parts
            .journal
            .door
            .run(move || {
                let mut keeper = keeper.lock().unwrap_or_else(PoisonError::into_inner);
                let outcome = keeper.step(&parts, last);
                (outcome, keeper.standing(&parts))
            })
            .await;
        // The process is stopping, or a panic was told by the door.
        let Ok((outcome, standing)) = stepped else { return Err(()) };
        let mut state = self.parts.journal.state();
        let before = std::mem::replace(&mut *state, standing);
        let now = self.parts.clock.now_ms();
        state.behind_since_ms = (state.lag_rows > 0 || outcome.is_err()).then(|| before.behind_since_ms.unwrap_or(now));
        match outcome {
            Ok(more) => {
                if before.trouble.is_some() {
                    tracing::info!("the journal beside the blobs is written again");
                }
                Ok(more)
            }
            // The registry says so itself, and writes nothing meanwhile: the journal is not behind for it.
            Err(Trouble::Away) => Ok(false),
            Err(trouble) => {
                let said = trouble.to_string();
                if before.trouble.as_ref() != Some(&said) {
                    tracing::error!(
                        trouble = said,
                        "the journal beside the blobs cannot be written; it is tried again"
                    );
                }
                state.trouble = Some(said);
                Err(())
            }
        }
    }

    /// One step, whatever comes of it.
    #[cfg(test)]
    pub(crate) async fn journal_for_tests(&self) {
        let _ = self.journal_step(None).await;
    }

    /// Writes what is not in the journal yet; gives up after some seconds.
    pub(crate) async fn finish_journal(&self) {
        let deadline = Instant::now() + LAST_WORDS;
        while let Ok(true) = self.journal_step(Some(deadline)).await
            && Instant::now() < deadline
        {}
    }
}

#[cfg(test)]
mod tests;
