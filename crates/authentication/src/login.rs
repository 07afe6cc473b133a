//! Names with passwords: checked once in half a minute, limited in number, told to the audit trail; and the sessions
//! that `mcrctl` and the web pages keep. Never a scope.

use std::sync::Arc;
use std::time::Duration;

use mcr_access::{Account, Binding, Claims, Credentials, Scope, Use, is_ours, sign};
use mcr_registry::{API_TOKEN_PREFIX, LoginEvent};
use mcr_seams::random_hex;
use serde_json::json;
use tokio::time::Instant;

use crate::accounts::Checked;
use crate::figures::count;
use crate::gate::{Gate, Inner, State, address};
use crate::identity_service::is_token;
use crate::names::{is_name, shown};
use crate::secrets::{Mark, mark_of};
use crate::settings::{Denied, Peer, Session};
use crate::throttle::Attempt;
use crate::validations::Validations;

/// How long a pair that was right is not checked again (contract section 10).
const GOOD_FOR: Duration = Duration::from_secs(30);
/// How long a session of ours lasts.
const SESSION: Duration = Duration::from_secs(12 * 3600);
/// Longest password that is looked at, in bytes: identity tokens are passwords too.
const MAX_PASSWORD: usize = 8 * 1024;
/// Shortest text that may be an identity token and no password.
const MIN_IDENTITY_TOKEN: usize = 20;
/// What is said of the end of an identity token whose end the service does not tell, in milliseconds.
const UNTOLD_MS: i64 = 3_600_000;

/// A caller who is known.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) account: Arc<Account>,
    /// What the credential was limited to.
    pub(crate) scope: Option<Arc<Scope>>,
    /// What tokens made now stand and fall with.
    pub(crate) binding: Binding,
    /// Whether it was shown with a password, so that a refresh token may be given.
    pub(crate) is_password: bool,
}

impl Known {
    /// Somebody without a credential.
    pub(crate) fn nobody(account: Arc<Account>) -> Self {
        Self { account, scope: None, binding: Binding::None, is_password: false }
    }
}

/// A pair that was right.
#[derive(Clone)]
pub(crate) struct Good {
    known: Known,
    until: Instant,
}

impl Inner {
    /// Whose name and password these are.
    pub(crate) async fn basic(&self, given: &Credentials, peer: &Peer) -> Result<Known, Denied> {
        if is_api_token(&given.password) {
            return self.presented(&given.password, peer);
        }
        if matches!(self.state, State::Open) {
            return Ok(self.nobody());
        }
        let mark = self.readable(given, peer)?;
        if let Some(known) = self.good(given, &mark).await? {
            count(&self.figures.password_hits);
            return Ok(known);
        }
        // Equal pairs from one address wait for one try, and those from anywhere for one check.
        let here = self.marker.mark(&[&given.username, &given.password, &address(peer).unwrap_or_default()]);
        self.admitting.join(here, || self.admitted(given, mark, peer, false)).await
    }

    /// The mark of a pair that can be somebody's.
    fn readable(&self, given: &Credentials, peer: &Peer) -> Result<Mark, Denied> {
        let may_be = is_name(&given.username) && !given.password.is_empty() && given.password.len() <= MAX_PASSWORD;
        // A token of ours is no password, and nobody else is shown it.
        if !may_be || is_ours(&self.ring(), &given.password) {
            self.tell_unlimited("nobody", &given.username, peer, "wrong account or password");
            return Err(Denied::Wrong);
        }
        Ok(self.marker.mark(&[&given.username, &given.password]))
    }

    /// Who a pair is that was right within the last half minute.
    async fn good(&self, given: &Credentials, mark: &Mark) -> Result<Option<Known>, Denied> {
        let Some(good) = self.good.get(mark).filter(|good| Instant::now() < good.until) else { return Ok(None) };
        match self.stands(&given.username, &good.known.binding).await {
            Ok(account) => Ok(Some(Known { account, ..good.known })),
            Err(Denied::Wrong) => {
                // The password changed, the token behind it was revoked: the pair is to be looked at anew.
                self.good.remove(mark);
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// Checks a pair, if there may be another try. `anew` asks whatever is known, and what comes of it is not for others.
    async fn admitted(&self, given: &Credentials, mark: Mark, peer: &Peer, anew: bool) -> Result<Known, Denied> {
        let attempt = Attempt { account: Some(&given.username), credential: mark, peer: *peer };
        let leave = self.throttle.leave(&attempt).map_err(|retry_after| self.throttled(retry_after))?;
        let until = Instant::now() + GOOD_FOR;
        let outcome = if anew {
            self.checked(given, mark, peer).await
        } else {
            let remembered = async || {
                let known = self.checked(given, mark, peer).await?;
                self.good.insert(mark, Good { known: known.clone(), until });
                Ok(known)
            };
            self.checking.join(mark, remembered).await
        };
        match outcome {
            Ok(known) => {
                leave.right();
                Ok(known)
            }
            Err(Denied::Wrong) => {
                leave.wrong();
                Err(Denied::Wrong)
            }
            Err(other) => {
                leave.unseen();
                Err(other)
            }
        }
    }

    /// Checks a pair, and tells it.
    async fn checked(&self, given: &Credentials, mark: Mark, peer: &Peer) -> Result<Known, Denied> {
        let Some(known) = self.check(given, &mark).await? else {
            self.tell_failed(&given.username, peer, "wrong account or password");
            return Err(Denied::Wrong);
        };
        self.tell_login(&known.account.name, peer, if known.is_password { "password" } else { "identity token" });
        Ok(known)
    }

    async fn check(&self, given: &Credentials, mark: &Mark) -> Result<Option<Known>, Denied> {
        let (name, password) = (given.username.as_str(), given.password.as_str());
        let checks = if self.throttle.was_right(mark) { &self.friends } else { &self.checks };
        let checked = match &self.state {
            State::Open => return Ok(Some(self.nobody())),
            State::Dev(dev) => dev.check(checks, name, password).await?,
            State::File(file) => file.check(checks, name, password).await?,
            State::Service(validations) => return ask_service(validations, name, password).await,
        };
        Ok(checked.map(|Checked { account, fingerprint }| Known {
            account,
            scope: None,
            binding: Binding::Password(fingerprint),
            is_password: true,
        }))
    }

    pub(crate) fn tell_login(&self, account: &str, peer: &Peer, method: &str) {
        count(&self.figures.logins_ok);
        self.record(LoginEvent::Login, account, peer, json!({ "method": method }));
    }

    pub(crate) fn tell_failed(&self, account: &str, peer: &Peer, reason: &str) {
        count(&self.figures.logins_failed);
        let (account, address) = (shown(account), address(peer).unwrap_or_default());
        tracing::info!(account, address, reason, "a login failed");
        self.record(LoginEvent::Failed, &account, peer, json!({ "reason": reason }));
    }

    /// Tells of a try that no limit counts, with what was given in the details. Repeats are counted by account and
    /// address: under a name that its sender chooses, each of any number of tries would be a row of the audit trail.
    pub(crate) fn tell_unlimited(&self, account: &'static str, given: &str, peer: &Peer, reason: &str) {
        count(&self.figures.logins_failed);
        if !self.throttle.may_tell(peer) {
            return;
        }
        let (given, address) = (shown(given), address(peer).unwrap_or_default());
        tracing::info!(account, given, address, reason, "a login failed");
        self.record(LoginEvent::Failed, account, peer, json!({ "reason": reason, "given": given }));
    }
}

/// Asks the identity service about a pair, whose password may be a token of it. What looks like one is tried as one
/// first, so that no token is sent as a password where that can be helped.
async fn ask_service(validations: &Validations, name: &str, password: &str) -> Result<Option<Known>, Denied> {
    let (is_jwt, may_be_token) = (is_jwt(password), password.len() >= MIN_IDENTITY_TOKEN && is_token(password));
    let by_token = async || match validations.validate(password).await {
        Ok(validated) => Ok(Some(known(&validated.account, password, false))),
        Err(Denied::Wrong) => Ok(None),
        Err(other) => Err(other),
    };
    if is_jwt && let Some(known) = by_token().await? {
        return Ok(Some(known));
    }
    match validations.login(name, password).await {
        Ok((token, validated)) => Ok(Some(known(&validated.account, &token.token, true))),
        Err(Denied::Wrong) if may_be_token && !is_jwt => by_token().await,
        Err(Denied::Wrong) => Ok(None),
        Err(other) => Err(other),
    }
}

fn known(account: &Arc<Account>, token: &str, is_password: bool) -> Known {
    Known { account: Arc::clone(account), scope: None, binding: Binding::Credential(token.to_owned()), is_password }
}

fn is_jwt(text: &str) -> bool {
    text.starts_with("eyJ") && text.matches('.').count() == 2 && is_token(text)
}

/// Whether a password has the form of an API token; then it is nothing else, and goes to nobody else.
fn is_api_token(password: &str) -> bool {
    let parts = password.strip_prefix(API_TOKEN_PREFIX).and_then(|rest| rest.split_once('_'));
    parts.is_some_and(|(id, secret)| id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit()) && secret.len() >= 32)
}

impl Gate {
    /// Logs in for longer than a request: `/v1/auth/login`. With an identity service the session is the token that
    /// it gives; else one of ours, good for 12 hours, that falls with the account's password.
    ///
    /// # Errors
    /// [`Denied`]; [`Denied::BadRequest`] for an API token, which needs no login.
    pub async fn login(&self, username: &str, password: &str, peer: &Peer) -> Result<Session, Denied> {
        let inner = &self.inner;
        if is_api_token(password) {
            let message = "an API token needs no login: send it as a bearer token, or as the password";
            return Err(Denied::BadRequest(message.to_owned()));
        }
        let known = if matches!(inner.state, State::Open) {
            inner.nobody()
        } else {
            let given = Credentials { username: username.to_owned(), password: password.to_owned() };
            let mark = inner.readable(&given, peer)?;
            // Never a token that another login was given: ending one must not end the other.
            inner.admitted(&given, mark, peer, true).await.inspect_err(|denied| inner.count_denied(denied))?
        };
        let account = Account::clone(&known.account);
        if let (State::Service(validations), Binding::Credential(token)) = (&inner.state, &known.binding) {
            let validated = validations.validate(token).await?;
            let expires_at_ms =
                validated.expires_at_ms.unwrap_or_else(|| inner.clock.now_ms().saturating_add(UNTOLD_MS));
            return Ok(Session { token: token.clone(), expires_at_ms, account });
        }
        let (now, life) = (inner.now(), i64::try_from(SESSION.as_secs()).unwrap_or(i64::MAX));
        let claims = Claims {
            used_for: Use::Session,
            account: known.account.brief(),
            scope: None,
            binding: known.binding,
            id: token_id()?,
            issued_at: now,
            expires_at: now.saturating_add(life),
        };
        let token = inner.signed(&claims)?;
        Ok(Session { token, expires_at_ms: claims.expires_at.saturating_mul(1000), account })
    }

    /// Ends what [`Gate::login`] gave, at once and also after a restart; an access or refresh token as well.
    ///
    /// # Errors
    /// [`Denied::Wrong`] for what is no token, or no longer; [`Denied::BadRequest`] for an API token;
    /// [`Denied::Unavailable`] where it could not be written down or the identity service could not be told.
    pub async fn logout(&self, token: &str, peer: &Peer) -> Result<(), Denied> {
        let inner = &self.inner;
        if token.starts_with(API_TOKEN_PREFIX) {
            return Err(Denied::BadRequest("an API token is ended with `mcrctl token revoke`".to_owned()));
        }
        let mark = mark_of(token);
        if is_ours(&inner.ring(), token) {
            let claims = inner.read_own(token)?;
            inner.ledger.revoke(&claims.id, claims.expires_at.saturating_mul(1000)).await?;
            inner.verified.remove(&mark);
            inner.record(LoginEvent::Logout, &claims.account.name, peer, json!({}));
            return Ok(());
        }
        let State::Service(validations) = &inner.state else { return Err(Denied::Wrong) };
        let known = inner.bearer(token, peer).await?;
        let expires_at_ms = validations.known(&mark).and_then(|validated| validated.expires_at_ms);
        let ended = validations.revoke(token, expires_at_ms).await;
        inner.record(LoginEvent::Logout, &known.account.name, peer, json!({}));
        ended.inspect_err(|denied| inner.count_denied(denied))
    }
}

impl Inner {
    /// A token of ours.
    ///
    /// # Errors
    /// [`Denied::Unavailable`] where it cannot be made.
    pub(crate) fn signed(&self, claims: &Claims) -> Result<String, Denied> {
        sign(&self.ring(), &self.service, claims).map_err(|error| {
            tracing::error!(%error, "a token could not be made");
            unmade()
        })
    }

    pub(crate) fn count_denied(&self, denied: &Denied) {
        if matches!(denied, Denied::Unavailable { .. }) {
            count(&self.figures.unavailable);
        }
    }
}

/// The identifier of a new token.
///
/// # Errors
/// [`Denied::Unavailable`] where there is no randomness.
pub(crate) fn token_id() -> Result<String, Denied> {
    random_hex(16).map_err(|error| {
        tracing::error!(%error, "no random bytes to be had");
        unmade()
    })
}

fn unmade() -> Denied {
    Denied::Unavailable { message: "a token could not be made; the log has more".to_owned(), retry_after: 5 }
}
