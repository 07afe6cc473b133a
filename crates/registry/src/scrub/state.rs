//! What is told of the scrub: to metrics from memory, to the API also from the database; never the scrub itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mcr_metadata::{ScrubPass, ScrubSurvey};

use crate::error::Error;
use crate::registry::Registry;

/// What the scrub is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ScrubActivity {
    /// Nothing: it is switched off.
    Off,
    /// Nothing: everything is fresh.
    #[default]
    Idle,
    /// It hashes.
    Running,
    /// Nothing: the blob volume is away.
    Waiting,
}

impl ScrubActivity {
    /// The activity in one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Idle => "idle",
            Self::Running => "running",
            Self::Waiting => "waiting",
        }
    }
}

/// Figures for metrics, from memory. Counts begin at the start of the process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScrubFigures {
    /// Bytes hashed, of blobs and manifests.
    pub hashed_bytes: u64,
    /// Blobs hashed.
    pub blobs: u64,
    /// Manifests hashed.
    pub manifests: u64,
    /// What was found damaged.
    pub findings: u64,
    /// Times that a blob or manifest could not be read.
    pub unreadable: u64,
    /// When the longest unseen blob or manifest was last hashed, in Unix milliseconds; none where there is nothing, or
    /// nobody has looked yet. At most some minutes old.
    pub oldest_verified_ms: Option<i64>,
}

/// The scrub as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrubState {
    /// What it is doing.
    pub activity: ScrubActivity,
    /// Bytes a second at most.
    pub rate: u64,
    /// How old the oldest hash may become; zero: no scrub runs.
    pub full_pass: Duration,
    /// When the longest unseen blob or manifest was last hashed, in Unix milliseconds.
    pub oldest_verified_ms: Option<i64>,
    /// The pass that goes on, if one does.
    pub pass: Option<ScrubPass>,
    /// The last one that ended.
    pub last_pass: Option<ScrubPass>,
    /// The last passes, newest first, as many as were asked for.
    pub history: Vec<ScrubPass>,
    /// Sound blobs.
    pub blobs_total: u64,
    /// Sound manifests that are listed.
    pub manifests_total: u64,
    /// Bytes of both: what a pass reads.
    pub bytes_total: u64,
    /// Blobs whose bytes are damaged and set aside, or gone.
    pub unsound: u64,
    /// Why the pace does not allow to hash everything within `full_pass`, if it does not.
    pub behind: Option<String>,
}

/// What the loop and those who ask share.
#[derive(Debug, Default)]
pub(crate) struct Scrub {
    pub(super) hashed_bytes: AtomicU64,
    pub(super) blobs: AtomicU64,
    pub(super) manifests: AtomicU64,
    pub(super) findings: AtomicU64,
    pub(super) unreadable: AtomicU64,
    seen: Mutex<Seen>,
}

/// What the loop last saw.
#[derive(Debug, Clone, Default)]
struct Seen {
    activity: ScrubActivity,
    survey: Option<ScrubSurvey>,
    behind: Option<String>,
}

impl Scrub {
    fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_activity(&self, activity: ScrubActivity) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).activity = activity;
    }

    /// Keeps what a survey said; answers why the pace is too slow, where that was not said before.
    pub(super) fn surveyed(&self, survey: ScrubSurvey, behind: Option<String>) -> Option<String> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let news = behind.clone().filter(|_| seen.behind.is_none());
        seen.survey = Some(survey);
        seen.behind = behind;
        news
    }
}

impl Registry {
    /// Figures of the scrub, from memory.
    #[must_use]
    pub fn scrub_figures(&self) -> ScrubFigures {
        let scrub = &self.parts.scrub;
        ScrubFigures {
            hashed_bytes: scrub.hashed_bytes.load(Ordering::Relaxed),
            blobs: scrub.blobs.load(Ordering::Relaxed),
            manifests: scrub.manifests.load(Ordering::Relaxed),
            findings: scrub.findings.load(Ordering::Relaxed),
            unreadable: scrub.unreadable.load(Ordering::Relaxed),
            oldest_verified_ms: scrub.seen().survey.and_then(|survey| survey.oldest_hashed_at_ms),
        }
    }

    /// The scrub as it stands, with at most `history` passes.
    ///
    /// # Errors
    /// Inability only.
    pub async fn scrub_state(&self, history: usize) -> Result<ScrubState, Error> {
        let settings = &self.parts.settings.scrub;
        let (metadata, least, now) =
            (Arc::clone(&self.parts.metadata), super::examine::FILE_COSTS, self.parts.clock.now_ms());
        let seen = self.parts.scrub.seen();
        let known = seen.survey;
        let read = move || -> Result<_, mcr_metadata::Error> {
            // Two at least: the one that goes on, and the one before it.
            let passes = metadata.scrub_passes(history.max(2))?;
            let survey = known.map_or_else(|| metadata.scrub_survey(least, now), Ok)?;
            Ok((passes, survey, metadata.unsound_blobs_count()?))
        };
        let (mut passes, survey, unsound) = self.parts.blocking.run(read).await??;
        let last_pass = passes.iter().find(|pass| pass.ended_at_ms.is_some()).cloned();
        let pass = passes.iter().find(|pass| pass.ended_at_ms.is_none()).cloned();
        passes.truncate(history);
        Ok(ScrubState {
            activity: seen.activity,
            rate: settings.rate,
            full_pass: settings.full_pass,
            oldest_verified_ms: survey.oldest_hashed_at_ms,
            pass,
            last_pass,
            history: passes,
            blobs_total: survey.blobs,
            manifests_total: survey.manifests,
            bytes_total: survey.bytes.saturating_add(survey.manifest_bytes),
            unsound,
            behind: seen.behind,
        })
    }
}
