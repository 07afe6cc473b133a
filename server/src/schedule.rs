//! What the server does by itself at set times: retention and garbage collection, snapshots; never how it is done.
//!
//! Each schedule has one task that runs its job and then waits for the next tick: runs never overlap, and ticks that
//! come meanwhile are dropped, not queued.

use mcr_probe::{Schedule, Ticks, Zone};
use mcr_registry::{Error, Registry};
use mcr_seams::Clock;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;

/// The schedules of this server.
#[derive(Debug)]
pub struct Schedules {
    /// Retention, then garbage collection.
    pub gc: Scheduled,
    /// Snapshots of the database.
    pub backup: Scheduled,
}

/// A schedule, or that there is none.
#[derive(Debug)]
pub struct Scheduled {
    schedule: Option<Schedule>,
    clock: Clock,
}

impl Scheduled {
    fn new(name: &str, text: Option<&str>, zone: Zone) -> Result<Self, String> {
        let schedule = text.map(Schedule::parse).transpose().map_err(|error| format!("{name}: {error}"))?;
        Ok(Self { schedule: schedule.map(|schedule| schedule.within(zone)), clock: Clock::system() })
    }

    /// As it was written; none while it is off.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        self.schedule.as_ref().map(|schedule| schedule.as_str().to_owned())
    }

    /// When it comes next, in Unix milliseconds; none while it is off.
    #[must_use]
    pub fn next_ms(&self) -> Option<i64> {
        self.schedule.as_ref()?.next_after(self.clock.now_ms())
    }
}

impl Schedules {
    /// As they are configured.
    ///
    /// # Errors
    /// A schedule that is none, which the configuration would have refused.
    pub fn new(config: &Config) -> Result<Self, String> {
        let zone = config.server.timezone;
        Ok(Self {
            gc: Scheduled::new("[gc] schedule", config.gc.schedule.as_deref(), zone)?,
            backup: Scheduled::new("[backup] schedule", config.backup.schedule.as_deref(), zone)?,
        })
    }

    /// Begins to follow them, until `stopping`.
    pub fn follow(&self, registry: &Registry, stopping: &CancellationToken, tasks: &TaskTracker) {
        if let Some(schedule) = self.gc.schedule.clone() {
            let (registry, stopping) = (registry.clone(), stopping.clone());
            tasks.spawn(follow("gc", schedule, stopping, move || clean(registry.clone())));
        }
        if let Some(schedule) = self.backup.schedule.clone() {
            let (registry, stopping) = (registry.clone(), stopping.clone());
            tasks.spawn(follow("backup", schedule, stopping, move || back_up(registry.clone())));
        }
    }
}

/// Runs `job` at every tick of a schedule, one after the other, until `stopping`. A run under way is left to whoever
/// waits for the registry's own work: it can be stopped at any point and goes on at the next start.
async fn follow<F>(name: &'static str, schedule: Schedule, stopping: CancellationToken, job: impl Fn() -> F)
where
    F: Future<Output = ()>,
{
    let mut ticks = match Box::pin(Ticks::start(&schedule)).await {
        Ok(ticks) => ticks,
        Err(error) => {
            tracing::error!(%error, schedule = name, "this schedule is not followed");
            return;
        }
    };
    while stopping.run_until_cancelled(ticks.next()).await.is_some() {
        if stopping.run_until_cancelled(job()).await.is_none() {
            break;
        }
    }
    Box::pin(ticks.stop()).await;
}

/// Retention first: what it deletes begins to wait before the collector looks.
async fn clean(registry: Registry) {
    told("retention", registry.run_scheduled_retention().await);
    told("garbage collection", registry.run_scheduled_gc().await);
}

async fn back_up(registry: Registry) {
    match registry.run_scheduled_snapshot().await {
        Ok((record, copied)) => {
            tracing::info!(snapshot = record.name, bytes = record.bytes, ?copied, "a snapshot was taken at its time");
        }
        Err(error) => told("the snapshot", Err(error)),
    }
}

/// Logs why a run did not happen. One that another run or the read-only state keeps from running comes at the next tick.
fn told(what: &'static str, outcome: Result<(), Error>) {
    match outcome {
        Ok(()) => {}
        Err(error @ (Error::Conflict(_) | Error::ReadOnly(_))) => {
            tracing::warn!(%error, "{what} did not run at its time; it runs at the next one");
        }
        Err(error) => tracing::error!(%error, "{what} did not run at its time"),
    }
}
