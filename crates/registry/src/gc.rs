//! Garbage collection as an operator meets it: started, scheduled, looked at; how it plans and removes is in `gc/`.
//!
//! Contract sections 2.4, 2.8 and 9.

mod asked;
mod chunk;
mod pace;
pub(crate) mod planning;
mod reconcile;
mod removal;
mod run;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use mcr_access::{Administer, GlobalPermit};
use mcr_metadata::{Actor, PlanJob as Job, PlanRecord, PlanState};

use crate::error::Error;
use crate::plans;
use crate::registry::{Registry, actor};
use crate::runs::Run;

/// What a run of the collector shall do; what is not said is as configured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GcOptions {
    /// Instead of `[gc] grace`. What is leased stays all the same.
    pub grace: Option<Duration>,
    /// Instead of `[gc] undo`.
    pub undo: Option<Duration>,
    /// Remove files without rows, and report rows without files.
    pub reconcile: bool,
    /// Only show what would go.
    pub dry_run: bool,
    /// A person said yes: the brake does not hold.
    pub confirmed: bool,
}

/// How the collector is doing.
#[derive(Debug, Clone, PartialEq)]
pub struct GcStatus {
    /// Whether a run is under way.
    pub running: bool,
    /// The plan of that run.
    pub current: Option<PlanRecord>,
    /// The plan of the last run that was applied or given up.
    pub last: Option<PlanRecord>,
}

/// Figures of the collector since the start, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct GcFigures {
    /// Whether a run is under way.
    pub running: bool,
    /// Runs that ended well.
    pub runs: u64,
    /// Runs that were given up.
    pub failures: u64,
    /// Blobs removed.
    pub blobs_removed: u64,
    /// Manifests removed.
    pub manifests_removed: u64,
    /// Files without rows removed.
    pub files_removed: u64,
    /// Bytes freed.
    pub bytes_freed: u64,
    /// How long the last run took, in seconds.
    pub last_seconds: f64,
    /// When the last run ended well, in Unix milliseconds; none before there was one.
    pub last_success_ms: Option<i64>,
}

/// Counters behind [`GcFigures`].
#[derive(Debug, Default)]
pub(crate) struct GcCounters {
    runs: AtomicU64,
    failures: AtomicU64,
    blobs: AtomicU64,
    manifests: AtomicU64,
    files: AtomicU64,
    bytes: AtomicU64,
    last_ms: AtomicU64,
    last_success_ms: AtomicI64,
}

impl Registry {
    /// Begins a run in the background and gives the id of its plan.
    ///
    /// # Errors
    /// [`Error::Conflict`] while one is under way; [`Error::ReadOnly`]; [`Error::Unavailable`] while the blob volume is
    /// away; inability.
    pub async fn start_gc(&self, permit: &GlobalPermit<Administer>, options: GcOptions) -> Result<String, Error> {
        let (registry, who) = (self.clone(), actor(permit.identity()));
        // A plan that was begun has somebody who works on it, though who asked for it goes away meanwhile.
        self.finish(async move {
            let (id, options, run) = registry.begin_gc(options, who).await?;
            let (plan, tasks) = (id.clone(), registry.parts.tasks.clone());
            tasks.spawn(async move { registry.collect(&plan, options, run).await });
            Ok(id)
        })
        .await
    }

    /// One run as the schedule asks for it, as configured: waits until it is over.
    ///
    /// # Errors
    /// As [`start_gc`](Self::start_gc).
    pub async fn run_scheduled_gc(&self) -> Result<(), Error> {
        let registry = self.clone();
        self.finish(async move {
            let (id, options, run) = registry.begin_gc(GcOptions::default(), plans::system()).await?;
            registry.collect(&id, options, run).await;
            Ok(())
        })
        .await
    }

    async fn begin_gc(&self, mut options: GcOptions, actor: Actor) -> Result<(String, GcOptions, Run), Error> {
        self.may_write()?;
        let run = self.parts.runs.begin(Job::Gc)?;
        // Files that a kill or a snapshot left without a row are remembered.
        options.reconcile |= self.wants_reconcile().await?;
        let asked = self.asked(options);
        let id = self.begin_plan(Job::Gc, options.dry_run, asked.to_json(), actor).await?;
        Ok((id, options, run))
    }

    /// How the collector is doing.
    ///
    /// # Errors
    /// Inability only.
    pub async fn gc_status(&self, _permit: &GlobalPermit<Administer>) -> Result<GcStatus, Error> {
        let running = self.parts.runs.is_running(Job::Gc);
        let metadata = Arc::clone(&self.parts.metadata);
        let (open, last) = self
            .parts
            .blocking
            .run(move || -> Result<_, mcr_metadata::Error> {
                Ok((metadata.open_plans()?, metadata.last_plan(Job::Gc)?))
            })
            .await??;
        let under_way =
            |plan: &PlanRecord| plan.job == Job::Gc && matches!(plan.state, PlanState::Planning | PlanState::Running);
        let current = open.into_iter().find(under_way);
        Ok(GcStatus { running: running || current.is_some(), current, last })
    }

    /// What the collector did since the start.
    #[must_use]
    pub fn gc_figures(&self) -> GcFigures {
        let counters = &self.parts.gc;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let success = counters.last_success_ms.load(Ordering::Relaxed);
        GcFigures {
            running: self.parts.runs.is_running(Job::Gc),
            runs: read(&counters.runs),
            failures: read(&counters.failures),
            blobs_removed: read(&counters.blobs),
            manifests_removed: read(&counters.manifests),
            files_removed: read(&counters.files),
            bytes_freed: read(&counters.bytes),
            last_seconds: Duration::from_millis(read(&counters.last_ms)).as_secs_f64(),
            last_success_ms: (success > 0).then_some(success),
        }
    }
}

#[cfg(test)]
mod tests;
