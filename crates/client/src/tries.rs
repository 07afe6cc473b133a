//! How often a failing request is tried, and how long is waited in between; never the request itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::error::Error;

/// The pauses before a connection that could not be made is tried again; no longer than failures are spread over.
const CONNECT_PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// The pauses before a body that ended early is asked for again, the last one also after that; and before a request
/// that was reset is made again, beyond the attempts that count.
const SHORT_PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// How often one request waits because it was told to.
const WAITS_MAX: u32 = 10;

/// No `Retry-After` makes us wait longer than this at a time.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Nor shorter: a `Retry-After: 0` is no leave to hammer.
const WAIT_MIN: Duration = Duration::from_millis(200);

/// The first wait where nothing was told; it doubles.
const BACK_OFF: Duration = Duration::from_secs(1);

/// Where doubling ends.
const BACK_OFF_MAX: Duration = Duration::from_secs(30);

/// Why one try came to nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No connection.
    Unconnected {
        /// [`Error::Unreachable`].
        error: Error,
        /// Whether it may be otherwise in a moment; a certificate will not.
        again: bool,
    },
    /// The registry asks for patience.
    Busy { status: u16, wait: Option<Duration>, said: Option<String> },
    /// A connection that ended without an answer. Where a network flaps that says little of the request.
    Reset { reason: String },
    /// A 5xx, a stall.
    Broken { status: Option<u16>, reason: String },
    /// What no further try changes.
    Said(Error),
}

/// Why a request was last tried again, shared by all requests of a client.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trouble(Arc<Mutex<Option<String>>>);

impl Trouble {
    pub(crate) fn last(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn tell(&self, what: &str, failure: &Failure) {
        let why = match failure {
            Failure::Busy { status, said: None, .. } => format!("answers {status}"),
            Failure::Busy { status, said: Some(said), .. } => format!("answers {status}: {said}"),
            Failure::Broken { reason, .. } | Failure::Reset { reason } => reason.clone(),
            Failure::Unconnected { error, .. } | Failure::Said(error) => error.to_string(),
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("{what}: {why}"));
    }
}

/// The tries of one request.
#[derive(Debug)]
pub(crate) struct Tries {
    what: String,
    attempts: u32,
    over: Duration,
    unconnected: usize,
    waits: u32,
    resets: usize,
    broken: u32,
    broken_since: Option<Instant>,
    short: u32,
    trouble: Trouble,
}

impl Tries {
    /// For the request `what`: `attempts` failures over at least `over` are its end.
    pub(crate) fn new(what: String, attempts: u32, over: Duration) -> Self {
        Self {
            what,
            attempts: attempts.max(1),
            over,
            unconnected: 0,
            waits: 0,
            resets: 0,
            broken: 0,
            broken_since: None,
            short: 0,
            trouble: Trouble::default(),
        }
    }

    /// Tells what it waits for there too.
    pub(crate) fn telling(mut self, trouble: &Trouble) -> Self {
        self.trouble = trouble.clone();
        self
    }

    /// Waits until the request may be tried again.
    ///
    /// # Errors
    /// What to tell, where it was tried often enough.
    pub(crate) async fn again(&mut self, failure: Failure) -> Result<(), Error> {
        self.trouble.tell(&self.what, &failure);
        match failure {
            Failure::Said(error) => return Err(error),
            Failure::Unconnected { error, again } => {
                let pause = CONNECT_PAUSES.get(self.unconnected).filter(|_| again).ok_or(error)?;
                self.unconnected = self.unconnected.saturating_add(1);
                sleep((*pause).min(self.over)).await;
            }
            Failure::Busy { status, wait, said } => {
                if self.waits >= WAITS_MAX {
                    let said = said.map(|said| format!(" ({said})")).unwrap_or_default();
                    return Err(Error::Busy { status, what: self.what.clone(), waits: self.waits, said });
                }
                let wait = wait.unwrap_or_else(|| back_off(self.waits)).clamp(WAIT_MIN, WAIT_MAX);
                self.waits = self.waits.saturating_add(1);
                tracing::debug!(what = self.what, status, seconds = wait.as_secs_f64(), "waits as the registry asks");
                sleep(wait).await;
            }
            Failure::Reset { reason } => match SHORT_PAUSES.get(self.resets) {
                Some(pause) => {
                    self.resets = self.resets.saturating_add(1);
                    sleep((*pause).min(self.over)).await;
                }
                None => self.broken(None, reason).await?,
            },
            Failure::Broken { status, reason } => self.broken(status, reason).await?,
        }
        Ok(())
    }

    async fn broken(&mut self, status: Option<u16>, reason: String) -> Result<(), Error> {
        let since = *self.broken_since.get_or_insert_with(Instant::now);
        self.broken = self.broken.saturating_add(1);
        if self.broken >= self.attempts {
            let over = since.elapsed();
            let (attempts, what) = (self.broken, self.what.clone());
            return Err(Error::Failing { status, attempts, over, what, reason });
        }
        tracing::debug!(what = self.what, status, reason, failures = self.broken, "failed; is tried again");
        sleep(pause(self.over, self.attempts, self.broken)).await;
        Ok(())
    }

    /// After a body that ended early: waits a moment; `false` where it was tried often enough.
    pub(crate) async fn once_more(&mut self) -> bool {
        self.short = self.short.saturating_add(1);
        if self.short >= self.attempts {
            return false;
        }
        let index = usize::try_from(self.short).unwrap_or(usize::MAX).saturating_sub(1);
        let [.., last] = SHORT_PAUSES;
        sleep(SHORT_PAUSES.get(index).copied().unwrap_or(last).min(self.over)).await;
        true
    }
}

/// 1 s, 2 s, 4 s … up to [`BACK_OFF_MAX`].
fn back_off(waits: u32) -> Duration {
    BACK_OFF.saturating_mul(2_u32.saturating_pow(waits)).min(BACK_OFF_MAX)
}

/// The pause after failure number `failures` (from 1) of `attempts`. Together the pauses are `over`: the first is a
/// tenth of the others' length, since most failures are over at once.
fn pause(over: Duration, attempts: u32, failures: u32) -> Duration {
    const FIRST: u32 = 1;
    const LATER: u32 = 9;
    let later = attempts.saturating_sub(2);
    let (weight, total) = match later {
        0 => (1, 1),
        _ if failures <= 1 => (FIRST, FIRST.saturating_add(LATER.saturating_mul(later))),
        _ => (LATER, FIRST.saturating_add(LATER.saturating_mul(later))),
    };
    // Rounded up: fewer nanoseconds would be less than what was promised.
    over.saturating_mul(weight).checked_div(total).unwrap_or(over).saturating_add(Duration::from_nanos(1))
}

#[cfg(test)]
mod tests;
