//! The probe of this server: when it runs, whose account it has, and what it shows; never the walk, which is `mcr-probe`'s.

mod compare;
mod credential;
mod listener;
mod rows;
mod run;
mod runner;
mod seen;
mod settle;

use std::time::Duration;

use mcr_metadata::ProbeRun;
use mcr_probe::{BrokenTag, Exposition, Gauges, Level, MAX_BROKEN_SERIES, Schedule, Zone};
use mcr_registry::Registry;
use mcr_seams::Clock;
use prometheus::proto::MetricFamily;

pub use credential::Credential;
pub use runner::{Runner, Target};

use crate::config;

/// How long after the start the first run begins: the contract allows a minute.
const FIRST_RUN_AFTER: Duration = Duration::from_secs(5);

/// What everybody may know of the probe: its settings, its next run, its figures.
#[derive(Debug)]
pub struct Probe {
    schedule: Option<Schedule>,
    level: Level,
    first_run_ms: i64,
    figures: Exposition,
    clock: Clock,
}

impl Probe {
    /// The probe as it is configured, without figures.
    ///
    /// # Errors
    /// A schedule that is none, which the configuration would have refused.
    pub fn new(config: &config::Probe, zone: Zone, clock: Clock) -> Result<Self, String> {
        let schedule = config.schedule.as_deref().map(Schedule::parse).transpose();
        let after = i64::try_from(FIRST_RUN_AFTER.as_millis()).unwrap_or(0);
        Ok(Self {
            schedule: schedule.map_err(|error| format!("[probe] schedule: {error}"))?.map(|it| it.within(zone)),
            level: config.level,
            first_run_ms: clock.now_ms().saturating_add(after),
            figures: Exposition::new(None).map_err(|error| error.to_string())?,
            clock,
        })
    }

    /// Shows what the last complete run came to, so that a restart clears no alert. Nothing is shown while the probe
    /// is off: figures that nobody renews would pass for news.
    pub async fn restore(&self, registry: &Registry) {
        if !self.is_on() {
            return;
        }
        match restored(registry).await {
            Ok((gauges, catalog)) => {
                gauges.iter().for_each(|gauges| self.figures.show(gauges));
                catalog.into_iter().for_each(|accessible| self.figures.catalog_accessible(accessible));
            }
            Err(error) => tracing::warn!(%error, "what the probe saw last could not be read; its next run shows anew"),
        }
    }

    /// Whether it runs at all.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.schedule.is_some()
    }

    /// The schedule as it was written; none while the probe is off.
    #[must_use]
    pub fn schedule(&self) -> Option<&str> {
        self.schedule.as_ref().map(Schedule::as_str)
    }

    /// How closely it looks.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.level
    }

    /// Now, by the clock that runs are timed with, in Unix milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// When the next run begins, in Unix milliseconds; none while the probe is off.
    #[must_use]
    pub fn next_run_ms(&self) -> Option<i64> {
        let now = self.clock.now_ms();
        let scheduled = self.schedule.as_ref()?.next_after(now)?;
        Some(if now < self.first_run_ms { scheduled.min(self.first_run_ms) } else { scheduled })
    }

    /// Its figures; what no run has said yet is not among them.
    #[must_use]
    pub fn gather(&self) -> Vec<MetricFamily> {
        self.figures.gather()
    }
}

/// The figures of the last complete run, and how the catalog was at the last attempt.
async fn restored(registry: &Registry) -> Result<(Option<Gauges>, Option<bool>), mcr_registry::Error> {
    let state = registry.probe_state(1).await?;
    let Some(run) = state.last_complete else {
        return Ok((None, state.catalog_accessible));
    };
    let mut broken: Vec<BrokenTag> = Vec::new();
    for found in registry.probe_findings(mcr_metadata::MAX_PROBE_FINDINGS).await? {
        let repository = found.finding.repository.unwrap_or_default();
        broken.push(BrokenTag { repository, tag: found.finding.tag.unwrap_or_default(), kind: found.finding.kind });
    }
    broken.sort();
    broken.dedup();
    broken.truncate(MAX_BROKEN_SERIES);
    Ok((Some(gauges(&run, broken)), state.catalog_accessible))
}

fn gauges(run: &ProbeRun, broken: Vec<BrokenTag>) -> Gauges {
    Gauges {
        failures: run.findings,
        undetermined: run.undetermined,
        repositories: run.repositories,
        tags: run.tags,
        indexes: run.indexes,
        ended_at_ms: run.ended_at_ms,
        duration: Duration::from_millis(run.duration_ms),
        broken,
    }
}

#[cfg(test)]
mod tests;
