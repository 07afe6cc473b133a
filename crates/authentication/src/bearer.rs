//! Bearer tokens: ours, API tokens, the identity service's; never a name with a password.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mcr_access::{Account, Binding, Claims, MAX_TOKEN, Scope, Use, is_ours, verify};
use mcr_registry::API_TOKEN_PREFIX;
use tokio::time::Instant;

use crate::figures::count;
use crate::gate::{Inner, State};
use crate::identity_service::is_token;
use crate::login::Known;
use crate::secrets::{Mark, mark_of};
use crate::settings::{Denied, Peer};
use crate::throttle::Attempt;

/// How every JWT begins: the start of a JSON object in base64. API tokens and the probe's do not.
const OUR_HEAD: &[u8] = b"eyJ";

/// How long a token that was read is not read again; its binding is looked at on every use. A login that was ended
/// just while it was read is refused after this at the latest.
const READ_FOR: Duration = Duration::from_secs(30);

/// A token of ours that was read.
pub(crate) struct Verified {
    name: String,
    scope: Option<Arc<Scope>>,
    binding: Binding,
    /// The mark of the credential it carries.
    carried: Option<Mark>,
    /// The account, and the state of the password file it was taken from.
    bound: Option<(Arc<Account>, u64)>,
    /// Unix seconds.
    expires_at: i64,
    until: Instant,
}

impl Inner {
    /// Whose bearer token it is.
    pub(crate) async fn bearer(&self, token: &str, peer: &Peer) -> Result<Known, Denied> {
        if token.starts_with(API_TOKEN_PREFIX) {
            return self.presented(token, peer);
        }
        if matches!(self.state, State::Open) {
            return Ok(self.nobody());
        }
        let mark = mark_of(token);
        if let Some(verified) = self.read_lately(&mark) {
            count(&self.figures.bearer_hits);
            return self.known(&verified).await;
        }
        count(&self.figures.bearer_misses);
        let ring = self.ring();
        if is_ours(&ring, token) {
            return self.own(token, mark).await;
        }
        match &self.state {
            State::Service(_) => self.identity_token(token, mark, peer).await,
            State::Open | State::Dev(_) | State::File(_) => Err(Denied::Wrong),
        }
    }

    /// Who sends a header with a token of ours that was read lately, if nothing needs to be asked for it: what nearly
    /// every request is, and so without a future, whose state would be moved about.
    pub(crate) fn remembered(&self, header: &[u8]) -> Option<Known> {
        let token = header.strip_prefix(b"Bearer ").filter(|token| token.starts_with(OUR_HEAD))?;
        if token.len() > MAX_TOKEN {
            return None;
        }
        let token = std::str::from_utf8(token).ok()?;
        let verified = self.read_lately(&mark_of(token))?;
        let account = self.standing(&verified)?;
        count(&self.figures.bearer_hits);
        Some(Known { account, scope: verified.scope.clone(), binding: Binding::None, is_password: false })
    }

    fn read_lately(&self, mark: &Mark) -> Option<Arc<Verified>> {
        let verified = self.verified.get(mark)?;
        (Instant::now() < verified.until && self.now() < verified.expires_at).then_some(verified)
    }

    /// An API token. Guessing one is hopeless, so tries are recorded and not limited.
    pub(crate) fn presented(&self, token: &str, peer: &Peer) -> Result<Known, Denied> {
        if let Some((found, owner)) = self.api_token(token) {
            let binding = Binding::Credential(token.to_owned());
            return Ok(Known { account: owner, scope: Some(found.scope), binding, is_password: false });
        }
        // The part that is no secret, if it has the form.
        let id = token.split('_').nth(1).filter(|id| id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit()));
        self.tell_unlimited("API token", id.unwrap_or_default(), peer, "unknown, revoked or expired API token");
        Err(Denied::Wrong)
    }

    async fn own(&self, token: &str, mark: Mark) -> Result<Known, Denied> {
        let claims = self.read_own(token)?;
        // A refresh token is for `/v2/token` alone; an access token without a scope was not made by us.
        if claims.used_for == Use::Refresh || (claims.used_for == Use::Access && claims.scope.is_none()) {
            return Err(Denied::Wrong);
        }
        let verified = self.verified(claims);
        let known = self.known(&verified).await?;
        self.verified.insert(mark, Arc::new(verified));
        Ok(known)
    }

    /// What a token of ours says, unless it was ended.
    pub(crate) fn read_own(&self, token: &str) -> Result<Claims, Denied> {
        let claims = verify(&self.ring(), &self.service, token, self.now()).map_err(|error| {
            tracing::debug!(%error, "a token is refused");
            Denied::Wrong
        })?;
        if self.ledger.is_revoked(&claims.id) { Err(Denied::Wrong) } else { Ok(claims) }
    }

    fn verified(&self, claims: Claims) -> Verified {
        let bound = match (&self.state, &claims.binding) {
            (State::File(file), Binding::Password(fingerprint)) => {
                let snapshot = file.snapshot();
                let account = snapshot.bound(&claims.account.name, fingerprint);
                account.map(|account| (account, snapshot.generation))
            }
            _ => None,
        };
        let carried = match &claims.binding {
            Binding::Credential(credential) => Some(mark_of(credential)),
            Binding::None | Binding::Password(_) => None,
        };
        Verified {
            name: claims.account.name,
            scope: claims.scope.map(Arc::new),
            binding: claims.binding,
            carried,
            bound,
            expires_at: claims.expires_at,
            until: Instant::now() + READ_FOR,
        }
    }

    /// Who a token is for now, where that is known without asking.
    fn standing(&self, verified: &Verified) -> Option<Arc<Account>> {
        match &self.state {
            State::File(file) => {
                let generation = file.snapshot().generation;
                verified.bound.as_ref().filter(|(_, of)| *of == generation).map(|(account, _)| Arc::clone(account))
            }
            State::Service(validations) => {
                let known = verified.carried.as_ref().and_then(|mark| validations.known(mark))?;
                count(&self.figures.validation_hits);
                Some(Arc::clone(&known.account))
            }
            State::Open | State::Dev(_) => None,
        }
    }

    /// Who a token is for now: a short look at what it is bound to.
    async fn known(&self, verified: &Verified) -> Result<Known, Denied> {
        let account = match self.standing(verified) {
            Some(account) => account,
            None => self.stands(&verified.name, &verified.binding).await?,
        };
        let scope = verified.scope.clone();
        Ok(Known { account, scope, binding: Binding::None, is_password: false })
    }

    /// The account behind a binding, if what it is bound to still is as it was.
    pub(crate) async fn stands(&self, name: &str, binding: &Binding) -> Result<Arc<Account>, Denied> {
        match (binding, &self.state) {
            (Binding::None, _) => Ok(self.nobody().account),
            (Binding::Password(fingerprint), State::Dev(dev)) => dev.bound(name, fingerprint).ok_or(Denied::Wrong),
            (Binding::Password(fingerprint), State::File(file)) => {
                file.snapshot().bound(name, fingerprint).ok_or(Denied::Wrong)
            }
            (Binding::Credential(token), _) if token.starts_with(API_TOKEN_PREFIX) => {
                self.api_token(token).map(|(_, owner)| owner).ok_or(Denied::Wrong)
            }
            (Binding::Credential(token), State::Service(validations)) => {
                validations.validate(token).await.map(|validated| Arc::clone(&validated.account))
            }
            // Made in another mode.
            (Binding::Password(_) | Binding::Credential(_), _) => Err(Denied::Wrong),
        }
    }

    /// A token that is not ours: the identity service knows. Unknown ones are limited by address, so that nobody can
    /// have it asked without end.
    async fn identity_token(&self, token: &str, mark: Mark, peer: &Peer) -> Result<Known, Denied> {
        let State::Service(validations) = &self.state else { return Err(Denied::Wrong) };
        if !is_token(token) {
            return Err(Denied::Wrong);
        }
        let validated = match validations.known(&mark) {
            Some(known) => {
                count(&self.figures.validation_hits);
                known
            }
            None => {
                let leave = match self.throttle.leave(&Attempt { account: None, credential: mark, peer: *peer }) {
                    Ok(leave) => leave,
                    // A client that keeps a token which was revoked is to log in again, not to wait.
                    Err(_) if self.throttle.was_wrong(&mark) => return Err(Denied::Wrong),
                    Err(retry_after) => return Err(self.throttled(retry_after)),
                };
                match validations.validate(token).await {
                    Ok(validated) => {
                        leave.right();
                        validated
                    }
                    Err(Denied::Wrong) => {
                        leave.wrong();
                        return Err(Denied::Wrong);
                    }
                    Err(other) => {
                        leave.unseen();
                        return Err(other);
                    }
                }
            }
        };
        let binding = Binding::Credential(token.to_owned());
        Ok(Known { account: Arc::clone(&validated.account), scope: None, binding, is_password: false })
    }

    pub(crate) fn throttled(&self, retry_after: u32) -> Denied {
        self.figures.logins_throttled.fetch_add(1, Ordering::Relaxed);
        Denied::Throttled { retry_after }
    }
}
