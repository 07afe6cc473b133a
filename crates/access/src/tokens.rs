//! The form of our own tokens: signed, pinned to one algorithm and one service; never who gets one, nor for what.
//!
//! JWT (RFC 7519) with EdDSA over Ed25519, claims as in distribution's "Token Authentication Implementation":
//! `iss`, `aud`, `sub`, `exp`, `nbf`, `iat`, `jti`, `access`. Ours beside them: `typ` (what the token is for), `name`,
//! `kind`, `roles`, and `bound` or `sealed` (what it stands and falls with).

use std::fmt;

use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};

use crate::identity::{Account, AccountKind};
use crate::keys::KeyRing;
use crate::scope::{ActionSet, Grant, MAX_SCOPE, Scope};

/// Longest token of ours, in bytes; a longer one is not looked at.
pub const MAX_TOKEN: usize = 16 * 1024;

/// How far `nbf` and `iat` may lie ahead, in seconds: the clock may have been set back since. There is none on
/// `exp`: who checks a token is who made it, so no two clocks can differ.
const LEEWAY: i64 = 60;

/// What a token is for. One is never taken for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Use {
    /// For requests, within its scope.
    Access,
    /// For access tokens at `/v2/token`, and nothing else.
    Refresh,
    /// For requests, without a scope: what `mcrctl login` keeps.
    Session,
}

/// What a token stands and falls with beside its time.
#[derive(Clone, PartialEq, Eq)]
pub enum Binding {
    /// Nothing: it was given to nobody in particular.
    None,
    /// The password of the account as it was: a fingerprint of what is kept of it.
    Password(String),
    /// Another credential, which the token carries encrypted and which is asked again on use.
    Credential(String),
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Password(_) => "Password(***)",
            Self::Credential(_) => "Credential(***)",
        })
    }
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// What it is for.
    pub used_for: Use,
    /// Whom it was given to, as known then.
    pub account: Account,
    /// What it is limited to; none for one that is not.
    pub scope: Option<Scope>,
    /// What it stands and falls with.
    pub binding: Binding,
    /// Its own identifier.
    pub id: String,
    /// When it was made, in Unix seconds.
    pub issued_at: i64,
    /// From when on it is no longer good, in Unix seconds.
    pub expires_at: i64,
}

/// Why a token is not taken. For the log: a client is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Longer than [`MAX_TOKEN`].
    #[error("the token is too long")]
    TooLong,
    /// No token, or signed with no key of ours.
    #[error("the token is not ours")]
    NotOurs,
    /// Its signature, algorithm, service or form is wrong.
    #[error("the token is not valid")]
    Invalid,
    /// Its time is past.
    #[error("the token has run out")]
    Expired,
    /// Its time has not come.
    #[error("the token is of the future")]
    NotYet,
    /// It could not be made.
    #[error("the token could not be signed")]
    Unsigned,
}

/// One entry of `access`.
#[derive(Serialize, Deserialize)]
struct Access {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    actions: Vec<String>,
}

/// The claims as they are written.
#[derive(Serialize, Deserialize)]
struct Written {
    iss: String,
    aud: String,
    sub: String,
    exp: i64,
    nbf: i64,
    iat: i64,
    jti: String,
    typ: Use,
    name: String,
    kind: String,
    roles: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<Vec<Access>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bound: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed: Option<String>,
}

/// Signs `claims` for `service` with the current key.
///
/// # Errors
/// [`TokenError::TooLong`] for more than [`MAX_TOKEN`] bytes, [`TokenError::Unsigned`] where the crypto library refuses.
pub fn sign(ring: &KeyRing, service: &str, claims: &Claims) -> Result<String, TokenError> {
    let key = ring.current().ok_or(TokenError::Unsigned)?;
    let (bound, sealed) = match &claims.binding {
        Binding::None => (None, None),
        Binding::Password(fingerprint) => (Some(fingerprint.clone()), None),
        Binding::Credential(text) => (None, Some(key.seal(text, &claims.id).ok_or(TokenError::Unsigned)?)),
    };
    let written = Written {
        iss: service.to_owned(),
        aud: service.to_owned(),
        sub: claims.account.subject.clone(),
        exp: claims.expires_at,
        nbf: claims.issued_at,
        iat: claims.issued_at,
        jti: claims.id.clone(),
        typ: claims.used_for,
        name: claims.account.name.clone(),
        kind: claims.account.kind.as_str().to_owned(),
        roles: claims.account.roles.clone(),
        access: claims.scope.as_ref().map(accesses),
        bound,
        sealed,
    };
    let header = Header { kid: Some(key.id().to_owned()), ..Header::new(Algorithm::EdDSA) };
    let token = encode(&header, &written, key.signing()).map_err(|_| TokenError::Unsigned)?;
    if token.len() > MAX_TOKEN { Err(TokenError::TooLong) } else { Ok(token) }
}

/// Whether a token names a key of ours. That says nothing of its signature: only where it is to be checked.
#[must_use]
pub fn is_ours(ring: &KeyRing, token: &str) -> bool {
    token.len() <= MAX_TOKEN && decode_header(token).is_ok_and(|h| h.kid.is_some_and(|kid| ring.find(&kid).is_some()))
}

/// Reads a token that was signed for `service`, at `now` (Unix seconds).
///
/// # Errors
/// [`TokenError`]; of two reasons the one that is looked at first.
pub fn verify(ring: &KeyRing, service: &str, token: &str, now: i64) -> Result<Claims, TokenError> {
    if token.len() > MAX_TOKEN {
        return Err(TokenError::TooLong);
    }
    let header = decode_header(token).map_err(|_| TokenError::NotOurs)?;
    let key = header.kid.and_then(|kid| ring.find(&kid)).ok_or(TokenError::NotOurs)?;
    // The algorithm is ours to say, not the token's.
    let mut rules = Validation::new(Algorithm::EdDSA);
    rules.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
    rules.set_audience(&[service]);
    rules.set_issuer(&[service]);
    // Compared below, with the clock that tests can set.
    rules.validate_exp = false;
    let written: Written = decode(token, key.verifying(), &rules).map_err(|_| TokenError::Invalid)?.claims;
    if written.exp <= now {
        return Err(TokenError::Expired);
    }
    if written.nbf > now.saturating_add(LEEWAY) || written.iat > now.saturating_add(LEEWAY) {
        return Err(TokenError::NotYet);
    }
    let binding = match (written.bound, written.sealed) {
        (None, None) => Binding::None,
        (Some(fingerprint), None) => Binding::Password(fingerprint),
        (None, Some(sealed)) => Binding::Credential(key.unseal(&sealed, &written.jti).ok_or(TokenError::Invalid)?),
        (Some(_), Some(_)) => return Err(TokenError::Invalid),
    };
    let kind = AccountKind::parse(&written.kind).ok_or(TokenError::Invalid)?;
    let roles: Vec<&str> = written.roles.iter().map(String::as_str).collect();
    Ok(Claims {
        used_for: written.typ,
        account: Account::new(written.name, written.sub, kind, &roles),
        scope: written.access.as_deref().map(scope_of),
        binding,
        id: written.jti,
        issued_at: written.iat,
        expires_at: written.exp,
    })
}

fn accesses(scope: &Scope) -> Vec<Access> {
    let repository = |grant: &Grant| Access {
        kind: "repository".to_owned(),
        name: grant.repositories.clone(),
        actions: grant.actions.names().into_iter().map(str::to_owned).collect(),
    };
    let mut all: Vec<Access> = scope.grants.iter().map(repository).collect();
    if scope.catalog {
        let (kind, name) = ("registry".to_owned(), "catalog".to_owned());
        all.push(Access { kind, name, actions: vec!["*".to_owned()] });
    }
    all
}

fn scope_of(accesses: &[Access]) -> Scope {
    let mut scope = Scope::default();
    for access in accesses.iter().take(MAX_SCOPE + 1) {
        match access.kind.as_str() {
            "repository" => scope.add(&access.name, ActionSet::parse(&access.actions.join(","))),
            "registry" if access.name == "catalog" => scope.catalog = true,
            _ => {}
        }
    }
    scope
}

#[cfg(test)]
mod tests;
