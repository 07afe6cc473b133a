//! When runs begin: schedules as crontab writes them, and ticks that never overlap; never what a run does.

use chrono::{DateTime, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds};
use tokio::sync::mpsc;
use tokio_cron_scheduler::{Job, JobScheduler};

/// A schedule of five fields (minute, hour, day, month, weekday) or six with seconds before them, in UTC.
#[derive(Clone, Debug)]
pub struct Schedule {
    text: String,
    cron: Cron,
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
    /// The scheduler cannot be started.
    #[error("the scheduler cannot be started: {0}")]
    Scheduler(String),
}

impl Schedule {
    /// Reads a schedule.
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
        let schedule = Self { text: text.to_owned(), cron };
        match schedule.next_after(0) {
            Some(_) => Ok(schedule),
            None => Err(malformed("it never comes".to_owned())),
        }
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first time after `ms` (Unix milliseconds), in the same unit.
    #[must_use]
    pub fn next_after(&self, ms: i64) -> Option<i64> {
        let after = DateTime::<Utc>::from_timestamp_millis(ms)?;
        self.cron.find_next_occurrence(&after, false).ok().map(|next| next.timestamp().saturating_mul(1000))
    }

    /// With seconds, which the scheduler insists on.
    fn with_seconds(&self) -> String {
        if self.text.split_whitespace().count() == 5 { format!("0 {}", self.text) } else { self.text.clone() }
    }
}

/// The ticks of a schedule, for one who handles them one after the other: those that come meanwhile are dropped, so
/// that runs never overlap and never queue.
pub struct Ticks {
    scheduler: JobScheduler,
    receiver: mpsc::Receiver<()>,
}

impl std::fmt::Debug for Ticks {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Ticks")
    }
}

impl Ticks {
    /// Starts ticking.
    ///
    /// # Errors
    /// [`ScheduleError::Scheduler`].
    pub async fn start(schedule: &Schedule) -> Result<Self, ScheduleError> {
        let failed = |error: tokio_cron_scheduler::JobSchedulerError| ScheduleError::Scheduler(error.to_string());
        let (sender, receiver) = mpsc::channel(1);
        let job = Job::new_tz(schedule.with_seconds(), Utc, move |_, _| {
            // Full: a tick already waits, and one more says nothing.
            let _ = sender.try_send(());
        });
        let scheduler = JobScheduler::new().await.map_err(failed)?;
        scheduler.add(job.map_err(failed)?).await.map_err(failed)?;
        scheduler.start().await.map_err(failed)?;
        Ok(Self { scheduler, receiver })
    }

    /// Waits for the next tick after now; those that came while nobody waited are dropped.
    pub async fn next(&mut self) {
        while self.receiver.try_recv().is_ok() {}
        if self.receiver.recv().await.is_none() {
            // The scheduler is gone: there is no next tick.
            std::future::pending::<()>().await;
        }
    }

    /// Stops ticking.
    pub async fn stop(mut self) {
        if let Err(error) = self.scheduler.shutdown().await {
            tracing::debug!(%error, "the scheduler did not stop in order");
        }
    }
}
