//! When runs begin: schedules as crontab writes them, and ticks that never overlap; never what a run does.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds};
use mcr_seams::Clock;
use tokio::sync::mpsc;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

/// A schedule of five fields (minute, hour, day, month, weekday) or six with seconds before them, by the clock of a
/// time zone.
#[derive(Clone, Debug)]
pub struct Schedule {
    text: String,
    cron: Cron,
    zone: Zone,
}

/// A time zone of the IANA database, with its summer time; UTC unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone(Tz);

impl Zone {
    /// The zone of this name, such as `Europe/Vienna`.
    ///
    /// # Errors
    /// [`ScheduleError::UnknownZone`].
    pub fn named(name: &str) -> Result<Self, ScheduleError> {
        name.parse().map(Self).map_err(|_| ScheduleError::UnknownZone(name.to_owned()))
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// A time (Unix milliseconds) by this zone's clock, as RFC 3339 has it.
    #[must_use]
    pub fn rfc3339(self, ms: i64) -> String {
        match DateTime::<Utc>::from_timestamp_millis(ms) {
            Some(time) => time.with_timezone(&self.0).to_rfc3339_opts(SecondsFormat::Millis, true),
            None => mcr_seams::rfc3339(ms),
        }
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self(Tz::UTC)
    }
}

/// Why a text is no schedule, or cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Not of the form.
    #[error(
        "{text:?} is no schedule: {reason}; expected five fields as in crontab, such as \"*/15 * * * *\", or six with seconds first"
    )]
    Malformed {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No time zone has this name.
    #[error("{0:?} is no time zone; expected a name of the IANA database, such as \"UTC\" or \"Europe/Vienna\"")]
    UnknownZone(String),
    /// The scheduler cannot be started.
    #[error("the scheduler cannot be started: {0}")]
    Scheduler(String),
}

impl Schedule {
    /// Reads a schedule, of UTC.
    ///
    /// # Errors
    /// [`ScheduleError::Malformed`], also for one that never comes.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let malformed = |reason: String| ScheduleError::Malformed { text: text.to_owned(), reason };
        let fields = text.split_whitespace().count();
        if !(5..=6).contains(&fields) {
            return Err(malformed(format!("it has {fields} fields")));
        }
        let parser = CronParser::builder().seconds(Seconds::Optional).build();
        let cron = parser.parse(text).map_err(|error| malformed(error.to_string()))?;
        let schedule = Self { text: text.to_owned(), cron, zone: Zone::default() };
        match schedule.next_after(0) {
            Some(_) => Ok(schedule),
            None => Err(malformed("it never comes".to_owned())),
        }
    }

    /// The same, by the clock of `zone`. An hour that summer time leaves out comes when it ends; one that it repeats
    /// comes once.
    #[must_use]
    pub fn within(self, zone: Zone) -> Self {
        Self { zone, ..self }
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first time after `ms` (Unix milliseconds), in the same unit.
    #[must_use]
    pub fn next_after(&self, ms: i64) -> Option<i64> {
        let after = DateTime::<Utc>::from_timestamp_millis(ms)?.with_timezone(&self.zone.0);
        self.cron.find_next_occurrence(&after, false).ok().map(|next| next.timestamp().saturating_mul(1000))
    }
}

/// The ticks of a schedule, for one who handles them one after the other: those that come meanwhile are dropped, so
/// that runs never overlap and never queue.
pub struct Ticks {
    schedule: Schedule,
    clock: Clock,
    scheduler: JobScheduler,
    sender: mpsc::Sender<()>,
    receiver: mpsc::Receiver<()>,
    /// Whether a tick is on its way.
    asked: bool,
}

impl std::fmt::Debug for Ticks {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Ticks").field("schedule", &self.schedule).finish_non_exhaustive()
    }
}

impl Ticks {
    /// Starts to follow a schedule.
    ///
    /// # Errors
    /// [`ScheduleError::Scheduler`].
    pub async fn start(schedule: &Schedule) -> Result<Self, ScheduleError> {
        let scheduler = JobScheduler::new().await?;
        scheduler.start().await?;
        let (sender, receiver) = mpsc::channel(1);
        let (schedule, clock) = (schedule.clone(), Clock::system());
        Ok(Self { schedule, clock, scheduler, sender, receiver, asked: false })
    }

    /// Waits for the next tick after now; those that come while nobody waits are none. May be dropped before it ends.
    pub async fn next(&mut self) {
        if self.receiver.try_recv().is_ok() {
            self.asked = false;
        }
        if !self.asked
            && let Err(error) = self.ask().await
        {
            tracing::error!(%error, schedule = self.schedule.as_str(), "this schedule is not followed any further");
            std::future::pending::<()>().await;
        }
        // The sender is ours: it is never gone.
        let _ = self.receiver.recv().await;
        self.asked = false;
    }

    /// Has the scheduler tick once, at the next time: its own repeated jobs keep the offset that their zone had when
    /// they were made, and would be an hour off after the first change to or from summer time.
    async fn ask(&mut self) -> Result<(), ScheduleError> {
        let now_ms = self.clock.now_ms();
        let Some(due_ms) = self.schedule.next_after(now_ms) else {
            return Err(ScheduleError::Scheduler("it never comes again".to_owned()));
        };
        // Whole seconds, which is what the scheduler counts in: never early, or the same tick would come twice.
        let seconds = due_ms.saturating_sub(now_ms).max(0).unsigned_abs().div_ceil(1000);
        let sender = self.sender.clone();
        let job = Job::new_one_shot(Duration::from_secs(seconds), move |_, _| {
            // Full: a tick already waits, and one more says nothing.
            let _ = sender.try_send(());
        });
        self.scheduler.add(job?).await?;
        self.asked = true;
        Ok(())
    }

    /// Stops ticking.
    pub async fn stop(mut self) {
        if let Err(error) = self.scheduler.shutdown().await {
            tracing::debug!(%error, "the scheduler did not stop in order");
        }
    }
}

impl From<JobSchedulerError> for ScheduleError {
    fn from(error: JobSchedulerError) -> Self {
        Self::Scheduler(error.to_string())
    }
}
