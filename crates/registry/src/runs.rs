//! Which jobs run now, one of each kind at most, and how many plans wait; never what a job does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mcr_metadata::PlanJob as Job;

use crate::error::Error;
use crate::plans;

/// The runs of a registry.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    gc: Slot,
    retention: Slot,
}

#[derive(Debug, Default)]
struct Slot {
    running: Arc<AtomicBool>,
    waiting: AtomicU64,
}

/// A run under way; another may begin when this is dropped.
#[derive(Debug)]
pub(crate) struct Run(Arc<AtomicBool>);

impl Drop for Run {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Runs {
    /// Begins a run of `job`.
    ///
    /// # Errors
    /// [`Error::Conflict`] while one is under way.
    pub(crate) fn begin(&self, job: Job) -> Result<Run, Error> {
        let running = &self.slot(job).running;
        if running.swap(true, Ordering::AcqRel) {
            return Err(plans::under_way(job));
        }
        Ok(Run(Arc::clone(running)))
    }

    /// Whether a run of `job` is under way.
    pub(crate) fn is_running(&self, job: Job) -> bool {
        self.slot(job).running.load(Ordering::Acquire)
    }

    /// Plans of `job` that wait for a person.
    pub(crate) fn waiting(&self, job: Job) -> u64 {
        self.slot(job).waiting.load(Ordering::Relaxed)
    }

    pub(crate) fn set_waiting(&self, job: Job, plans: u64) {
        self.slot(job).waiting.store(plans, Ordering::Relaxed);
    }

    const fn slot(&self, job: Job) -> &Slot {
        match job {
            Job::Gc => &self.gc,
            Job::Retention => &self.retention,
        }
    }
}
