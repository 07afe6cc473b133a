//! `/v2/token`: from a credential and the scope asked for to an access token; never the form of the request.
//!
//! What each client does with an answer decides what is answered (clients.md 1.2):
//!
//! * **Somebody who logged in** always gets a token, for what was asked *and* is allowed, possibly nothing: that is how
//!   `docker login` (no scope) and a push with a mount from elsewhere (one scope of two) work. What the token lacks
//!   is then refused with 403 where it is asked for, since rules are asked before the scope.
//! * **Nobody in particular** gets a token only if it gives something, else 401: docker, containerd, crane and skopeo
//!   then say "unauthorized" or "authentication required" at once, instead of asking again with a token that opens
//!   nothing. Asked for no scope, it gets one where any rule opens anything to everybody, so that clients which look
//!   at `/v2/` before they pull from there do not give up.
//! * A refresh token is given to who asks for one with a password. Not for an identity or API token, which the client
//!   keeps itself, and no second one for a refresh token, which stays good.

use std::sync::Arc;
use std::time::Duration;

use mcr_access::{
    Account, AccountKind, ActionSet, Binding, Claims, Effect, Identity, Kind, PROBE_ACCOUNT, Policy, Rule, Scope, Use,
    is_allowed, is_ours,
};
use mcr_oci::RepositoryName;

use crate::figures::count;
use crate::gate::{Gate, Inner, State};
use crate::login::{Known, token_id};
use crate::secrets::mark_of;
use crate::settings::{Denied, IssuedToken, Peer, TokenCredentials, TokenRequest};

/// Longest life of a refresh token.
pub(crate) const REFRESH: Duration = Duration::from_secs(30 * 24 * 3600);
/// A refresh token with less left than this is not worth keeping, in seconds.
const REFRESH_MIN: i64 = 60;
/// Most bytes of repository names in one token; what was asked for beyond them is not given. Longer tokens meet the
/// limits that proxies have for a header.
const MAX_NAMES: usize = 4 << 10;

impl Gate {
    /// Answers `/v2/token`.
    ///
    /// # Errors
    /// [`Denied`]. [`Denied::Missing`] only for a request without credentials.
    pub async fn token(&self, request: TokenRequest, peer: &Peer) -> Result<IssuedToken, Denied> {
        let inner = &self.inner;
        let known = match &request.credentials {
            TokenCredentials::Anonymous => Ok(inner.nobody()),
            // The probe has no use for tokens.
            TokenCredentials::Basic(given) if given.username == PROBE_ACCOUNT => Err(Denied::Wrong),
            TokenCredentials::Basic(given) => inner.basic(given, peer).await,
            TokenCredentials::RefreshToken(token) => inner.refreshed(token, peer).await,
        };
        let known = known.inspect_err(|denied| inner.count_denied(denied))?;
        let policy = inner.ledger.policy();
        let granted = granted(&policy, &known, &request.scope);
        let is_nobody = request.credentials == TokenCredentials::Anonymous && self.needs_login();
        if is_nobody && !gives_anything(&granted) {
            let asked_nothing = request.scope.iter().all(|scope| scope.trim().is_empty());
            if !(asked_nothing && is_open_to_all(&policy)) {
                return Err(Denied::Missing);
            }
        }
        inner.issue(&known, granted, request.offline)
    }
}

impl Inner {
    fn issue(&self, known: &Known, scope: Scope, offline: bool) -> Result<IssuedToken, Denied> {
        let now = self.now();
        let expires_in = u32::try_from(self.token_ttl.as_secs()).unwrap_or(u32::MAX);
        let text = scope.to_string();
        let claims = Claims {
            used_for: Use::Access,
            account: known.account.brief(),
            scope: Some(scope),
            binding: known.binding.clone(),
            id: token_id()?,
            issued_at: now,
            expires_at: now.saturating_add(expires_in.into()),
        };
        let token = self.signed(&claims)?;
        let expires_at = if offline && known.is_password { self.refresh_until(known, now) } else { None };
        let refresh_token = match expires_at {
            None => None,
            Some(expires_at) => {
                let id = token_id()?;
                Some(self.signed(&Claims { used_for: Use::Refresh, scope: None, id, expires_at, ..claims })?)
            }
        };
        count(&self.figures.tokens_issued);
        Ok(IssuedToken { token, expires_in, issued_at_ms: now.saturating_mul(1000), refresh_token, scope: text })
    }

    /// When a refresh token ends: with what it is bound to, if that ends sooner.
    fn refresh_until(&self, known: &Known, now: i64) -> Option<i64> {
        let longest = now.saturating_add(i64::try_from(REFRESH.as_secs()).unwrap_or(i64::MAX));
        let until = match (&self.state, &known.binding) {
            (State::Service(validations), Binding::Credential(token)) => {
                let ends = validations.known(&mark_of(token)).and_then(|validated| validated.expires_at_ms);
                ends.map_or(longest, |ms| longest.min(ms.div_euclid(1000)))
            }
            _ => longest,
        };
        (until.saturating_sub(now) >= REFRESH_MIN).then_some(until)
    }

    /// Whose refresh token it is.
    async fn refreshed(&self, token: &str, peer: &Peer) -> Result<Known, Denied> {
        if matches!(self.state, State::Open) {
            return Ok(self.nobody());
        }
        if !is_ours(&self.ring(), token) {
            // A tool that was given an identity token to keep sends it this way.
            return match &self.state {
                State::Service(_) => self.bearer(token, peer).await,
                State::Open | State::Dev(_) | State::File(_) => Err(self.unrefreshed("unknown", peer)),
            };
        }
        let claims = self.read_own(token).map_err(|_| self.unrefreshed("unknown", peer))?;
        if claims.used_for != Use::Refresh {
            return Err(self.unrefreshed(&claims.account.name, peer));
        }
        match self.stands(&claims.account.name, &claims.binding).await {
            Ok(account) => {
                if self.throttle.may_tell_refresh(&claims.id) {
                    self.tell_login(&account.name, peer, "refresh token");
                }
                Ok(Known { account, scope: None, binding: claims.binding, is_password: false })
            }
            Err(Denied::Wrong) => Err(self.unrefreshed(&claims.account.name, peer)),
            Err(other) => Err(other),
        }
    }

    fn unrefreshed(&self, account: &str, peer: &Peer) -> Denied {
        self.tell_failed(account, peer, "unknown, expired or revoked refresh token");
        Denied::Wrong
    }
}

/// What of the scope asked for the rules give the account now, in the order it was asked for.
fn granted(policy: &Policy, known: &Known, asked: &[String]) -> Scope {
    let asked = Scope::parse(asked.iter().map(String::as_str));
    let identity = Identity::of(Arc::clone(&known.account), known.scope.clone(), None);
    let mut granted = Scope::default();
    let mut bytes = 0_usize;
    for grant in &asked.grants {
        let Ok(name) = grant.repositories.parse::<RepositoryName>() else { continue };
        let is_given = |kind: &Kind| is_allowed(policy, &identity, *kind, Some(&name));
        let actions = grant.actions.kinds().filter(is_given).fold(ActionSet::default(), ActionSet::with);
        bytes = bytes.saturating_add(grant.repositories.len());
        if !actions.is_empty() && bytes <= MAX_NAMES {
            granted.add(&grant.repositories, actions);
        }
    }
    granted.catalog = asked.catalog && is_allowed(policy, &identity, Kind::Catalog, None);
    if granted.catalog {
        // The places of an API token go with it, without what may be done there: its lists show no others.
        for place in known.scope.iter().flat_map(|scope| &scope.grants) {
            granted.add(&place.repositories, ActionSet::default());
        }
    }
    granted
}

fn gives_anything(scope: &Scope) -> bool {
    scope.catalog || !scope.grants.is_empty()
}

/// Whether a rule of the operator's opens anything to whoever comes.
fn is_open_to_all(policy: &Policy) -> bool {
    let nobody = Account::anonymous();
    let opens = |rule: &Rule| {
        rule.id > 0
            && rule.enabled
            && rule.effect == Effect::Allow
            && rule.roles.is_empty()
            && rule.account_types.contains(&AccountKind::Anonymous)
            && rule.subject_uuid.as_ref().is_none_or(|subject| *subject == nobody.subject)
    };
    policy.rules().any(opens)
}
