//! Identity tokens and what the identity service said of them, for half a minute; never how it is asked.
//!
//! What was validated holds for [`VALID_FOR`] from the moment before it was asked, also while the service is away;
//! after that only an answer opens the door. No answer is never "wrong", and "wrong" is kept for a moment only.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mcr_access::{Account, PROBE_ACCOUNT};
use mcr_seams::Clock;
use quick_cache::sync::Cache;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::figures::{Figures, count};
use crate::flight::Flights;
use crate::identity_service::{IdentityClaims, IdentityToken, Shared, Trouble};
use crate::ledger::Ledger;
use crate::secrets::{Mark, hex, mark_of};
use crate::settings::Denied;

/// How long a validation holds (contract section 10).
pub(crate) const VALID_FOR: Duration = Duration::from_secs(30);
/// How long "wrong" is not asked again.
const WRONG_FOR: Duration = Duration::from_secs(1);
/// How long a service that gave no sign of life is left alone.
const SILENT_FOR: Duration = Duration::from_secs(1);
/// Tokens remembered.
const REMEMBERED: usize = 16 * 1024;
/// Requests to the service under way at once; more wait.
const AT_ONCE: usize = 64;
/// How long one waits for its place.
const PATIENCE: Duration = Duration::from_secs(5);
/// Seconds to come back after, where the service names none.
const RETRY_AFTER: u32 = 5;
/// How long the end of a login is remembered whose own end nobody told: as long as a login can live.
const ENDED_FOR_MS: i64 = 366 * 24 * 3_600_000;

/// A token that was validated.
pub(crate) struct Validated {
    pub(crate) account: Arc<Account>,
    /// When it runs out, in Unix milliseconds, where the service said so.
    pub(crate) expires_at_ms: Option<i64>,
    until: Instant,
}

/// What is known of a token beside what a validation says, from the login that just gave it.
#[derive(Clone, Copy, Default)]
struct Hint<'a> {
    name: Option<&'a str>,
    expires_at_ms: Option<i64>,
}

/// The identity service and what it said lately.
pub(crate) struct Validations {
    service: Shared,
    ledger: Arc<dyn Ledger>,
    figures: Arc<Figures>,
    clock: Clock,
    known: Cache<Mark, Arc<Validated>>,
    wrong: Cache<Mark, Instant>,
    /// Names people know accounts by, by subject: a service that does not say them said so at a login.
    names: Cache<String, Arc<str>>,
    under_way: Flights<Mark, Result<Arc<Validated>, Denied>>,
    places: Semaphore,
    up: AtomicBool,
    silent_until: Mutex<Option<Instant>>,
}

impl Validations {
    pub(crate) fn new(service: Shared, ledger: Arc<dyn Ledger>, figures: Arc<Figures>, clock: Clock) -> Self {
        Self {
            service,
            ledger,
            figures,
            clock,
            known: Cache::new(REMEMBERED),
            wrong: Cache::new(REMEMBERED),
            names: Cache::new(REMEMBERED),
            under_way: Flights::default(),
            places: Semaphore::new(AT_ONCE),
            up: AtomicBool::new(true),
            silent_until: Mutex::new(None),
        }
    }

    /// Whether the service answered when it was last asked.
    pub(crate) fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// What is known of a token from the last half minute.
    pub(crate) fn known(&self, mark: &Mark) -> Option<Arc<Validated>> {
        let known = self.known.get(mark)?;
        (Instant::now() < known.until && self.is_running(&known)).then_some(known)
    }

    fn is_running(&self, validated: &Validated) -> bool {
        validated.expires_at_ms.is_none_or(|at| self.clock.now_ms() < at)
    }

    /// Whose token it is.
    ///
    /// # Errors
    /// [`Denied::Wrong`] where the service says so, [`Denied::Unavailable`] where it says nothing one can go by.
    pub(crate) async fn validate(&self, token: &str) -> Result<Arc<Validated>, Denied> {
        self.validate_with(token, Hint::default()).await
    }

    async fn validate_with(&self, token: &str, hint: Hint<'_>) -> Result<Arc<Validated>, Denied> {
        let mark = mark_of(token);
        if let Some(known) = self.known(&mark) {
            count(&self.figures.validation_hits);
            return Ok(known);
        }
        if self.wrong.get(&mark).is_some_and(|until| Instant::now() < until) {
            return Err(Denied::Wrong);
        }
        self.under_way.join(mark, || self.ask(token, mark, hint)).await
    }

    async fn ask(&self, token: &str, mark: Mark, hint: Hint<'_>) -> Result<Arc<Validated>, Denied> {
        if self.ledger.is_revoked(&ended_name(&mark)) {
            return Err(Denied::Wrong);
        }
        // From here on it holds: what happened meanwhile, the service may not have known yet.
        let asked = Instant::now();
        count(&self.figures.validation_misses);
        match self.asked(self.service.validate(token)).await {
            Ok(claims) => {
                let validated = Arc::new(self.validated(&claims, hint, asked));
                if !self.is_running(&validated) || validated.account.name == PROBE_ACCOUNT {
                    self.known.remove(&mark);
                    return Err(Denied::Wrong);
                }
                self.known.insert(mark, Arc::clone(&validated));
                Ok(validated)
            }
            Err(Denied::Wrong) => {
                self.known.remove(&mark);
                self.wrong.insert(mark, Instant::now() + WRONG_FOR);
                Err(Denied::Wrong)
            }
            Err(other) => Err(other),
        }
    }

    fn validated(&self, claims: &IdentityClaims, hint: Hint<'_>, asked: Instant) -> Validated {
        let said = claims.name.as_deref().or(hint.name).map(Arc::from);
        let name = match said {
            Some(name) => {
                self.names.insert(claims.subject.clone(), Arc::clone(&name));
                name
            }
            None => self.names.get(&claims.subject).unwrap_or_else(|| Arc::from(claims.subject.as_str())),
        };
        let roles: Vec<&str> = claims.roles.iter().map(String::as_str).collect();
        let account = Account::new(&*name, claims.subject.as_str(), claims.kind, &roles);
        let expires_at_ms = claims.expires_at_ms.or(hint.expires_at_ms);
        Validated { account: Arc::new(account), expires_at_ms, until: asked + VALID_FOR }
    }

    /// Logs in with a pair; gives the token, and whose it is.
    ///
    /// # Errors
    /// [`Denied::Wrong`], [`Denied::Unavailable`] as [`Validations::validate`].
    pub(crate) async fn login(&self, name: &str, password: &str) -> Result<(IdentityToken, Arc<Validated>), Denied> {
        let token = self.asked(self.service.login(name, password)).await?;
        let hint = Hint { name: Some(name), expires_at_ms: token.expires_at_ms };
        match self.validate_with(&token.token, hint).await {
            Ok(validated) => Ok((token, validated)),
            // It gave a token that it does not take: that says nothing of the password.
            Err(Denied::Wrong) => Err(self.failed("it does not take the token it gave", None)),
            Err(other) => Err(other),
        }
    }

    /// Ends a token here, at once and for good, and at the service if it can.
    ///
    /// # Errors
    /// [`Denied::Unavailable`] where it could not be written down, or the service could not be asked; in the second
    /// case it is ended here all the same.
    pub(crate) async fn revoke(&self, token: &str, expires_at_ms: Option<i64>) -> Result<(), Denied> {
        let mark = mark_of(token);
        let until_ms = expires_at_ms.unwrap_or_else(|| self.clock.now_ms().saturating_add(ENDED_FOR_MS));
        self.ledger.revoke(&ended_name(&mark), until_ms).await?;
        self.known.remove(&mark);
        let ended = self.asked(self.service.revoke(token)).await;
        // Once more: an answer of before may have come meanwhile.
        self.known.remove(&mark);
        ended.map_err(|denied| match denied {
            Denied::Unavailable { retry_after, .. } => Denied::Unavailable {
                message: "logged out here, but the identity service could not be told; try again".to_owned(),
                retry_after,
            },
            other => other,
        })
    }

    /// Asks a service that is down whether it is back: any answer of its own is one.
    pub(crate) async fn look_after(&self) {
        if !self.is_up() {
            let _ = self.asked(self.service.validate("mcr-is-asking-whether-you-are-back")).await;
        }
    }

    /// Runs one exchange with the service, and keeps book of whether it answers.
    async fn asked<T>(&self, exchange: impl Future<Output = Result<T, Trouble>>) -> Result<T, Denied> {
        if self.is_silent() {
            return Err(unavailable(None));
        }
        // Behind a slow service a line would grow by the minute; whoever waited in it that long has gone.
        let Ok(Ok(_place)) = tokio::time::timeout(PATIENCE, self.places.acquire()).await else {
            return Err(unavailable(None));
        };
        // What was learned while waiting.
        if self.is_silent() {
            return Err(unavailable(None));
        }
        let trouble = match exchange.await {
            Ok(answer) => {
                self.answered();
                return Ok(answer);
            }
            Err(Trouble::Wrong) => {
                self.answered();
                return Err(Denied::Wrong);
            }
            Err(Trouble::NotTaken { status }) => {
                // Whoever sends it garbage must not be able to make it look as if it were down.
                self.answered();
                tracing::warn!(status, "the identity service does not take what it was sent");
                unavailable(None)
            }
            Err(Trouble::Unavailable { reason, retry_after, is_silent }) => {
                if is_silent {
                    *self.silent_until() = Some(Instant::now() + SILENT_FOR);
                }
                self.failed(&reason, retry_after)
            }
        };
        Err(trouble)
    }

    fn is_silent(&self) -> bool {
        self.silent_until().is_some_and(|until| Instant::now() < until)
    }

    fn silent_until(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.silent_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answered(&self) {
        if !self.up.swap(true, Ordering::Relaxed) {
            tracing::info!("the identity service answers again");
        }
    }

    fn failed(&self, reason: &str, retry_after: Option<u32>) -> Denied {
        if self.up.swap(false, Ordering::Relaxed) {
            tracing::error!(reason, "the identity service cannot be asked; what it validated holds for 30 s");
        } else {
            tracing::debug!(reason, "the identity service cannot be asked");
        }
        unavailable(retry_after)
    }
}

/// What the end of an identity token is written down under.
fn ended_name(mark: &Mark) -> String {
    format!("identity-{}", hex(mark))
}

fn unavailable(retry_after: Option<u32>) -> Denied {
    let message = "the identity service cannot be asked right now, so nobody can be let in; try again shortly";
    Denied::Unavailable { message: message.to_owned(), retry_after: retry_after.unwrap_or(RETRY_AFTER) }
}

#[cfg(test)]
mod tests;
