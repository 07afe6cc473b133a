//! What the gate is told and what it answers, as plain values; never where settings come from, nor a status.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mcr_access::{Account, CheckPassword, Credentials};
use mcr_seams::Clock;
use reqwest::Url;

/// Longest life of an access token (contract section 10).
pub const MAX_TOKEN_TTL: Duration = Duration::from_secs(300);
/// Shortest one: docker and containers/image take a shorter one for this.
pub const MIN_TOKEN_TTL: Duration = Duration::from_secs(60);

/// What a gate is opened with.
#[derive(Clone)]
pub struct GateSettings {
    /// How callers are told apart.
    pub mode: Mode,
    /// `service` of challenges, `iss` and `aud` of our tokens.
    pub service: String,
    /// `[auth] token_ttl`; brought between [`MIN_TOKEN_TTL`] and [`MAX_TOKEN_TTL`].
    pub token_ttl: Duration,
    /// The file of signing keys; made with mode 0600 where there is none.
    pub keys: PathBuf,
    /// Where the time comes from.
    pub clock: Clock,
}

/// How callers are told apart (`[auth] mode`).
#[derive(Clone)]
pub enum Mode {
    /// `none`: everyone is administrator. Loopback only, which the configuration enforces.
    Open,
    /// `--dev`: one administrator.
    Dev(Arc<dyn CheckPassword>),
    /// `htpasswd`: a file of accounts.
    Htpasswd(HtpasswdSettings),
    /// `mcias`: an identity service is asked.
    Mcias(IdentityServiceSettings),
}

/// `[auth]` in mode `htpasswd`. The lists are globs of account names.
#[derive(Debug, Clone, Default)]
pub struct HtpasswdSettings {
    /// The file: bcrypt lines only.
    pub file: PathBuf,
    /// Administrators.
    pub admins: Vec<String>,
    /// People who get nothing but what rules give them.
    pub guests: Vec<String>,
    /// Machines.
    pub system: Vec<String>,
}

/// `[mcias]`.
#[derive(Debug, Clone)]
pub struct IdentityServiceSettings {
    /// `https://` and where; a path is kept.
    pub server_url: Url,
    /// PEM of the authorities that are believed instead of the system's; read anew when it changes.
    pub ca_cert: Option<PathBuf>,
    /// What we call ourselves there.
    pub service_name: String,
    /// What our logins are tagged with.
    pub tags: Vec<String>,
}

/// Where a request comes from, as far as it can be told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Peer {
    /// The client's address.
    pub address: Option<IpAddr>,
    /// The address is that of a trusted proxy which named no client: many may stand behind it, and none is limited
    /// for another.
    pub is_shared: bool,
}

/// Why a caller gets no identity, token or session. The text is for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Nothing was sent, and it needs a login. 401. Longer than docker's own text for 401: where both are the same,
    /// docker does not recognise the code and tries for a minute (its `retryOnError`).
    #[error("authentication required; log in first")]
    Missing,
    /// Wrong account or password; a token that is unknown, run out, revoked or not for us. 401. Says not which.
    #[error("wrong account, password or token; log in again")]
    Wrong,
    /// Too many wrong tries. 429.
    #[error("too many failed logins; wait {retry_after} s before the next try")]
    Throttled {
        /// Seconds until the next try can be looked at.
        retry_after: u32,
    },
    /// It cannot be found out now: 503, never 401, never an open door.
    #[error("{message}")]
    Unavailable {
        /// What fails, for the client.
        message: String,
        /// Seconds after which it may have passed.
        retry_after: u32,
    },
    /// The request itself is wrong. 400.
    #[error("{0}")]
    BadRequest(String),
}

/// What `/v2/token` was asked.
#[derive(Debug, Clone, Default)]
pub struct TokenRequest {
    /// By whom.
    pub credentials: TokenCredentials,
    /// The service named, if any. Tokens are for ours whatever it says.
    pub service: Option<String>,
    /// The `scope` parameters, each possibly several joined by spaces.
    pub scope: Vec<String>,
    /// Whether a refresh token is asked for: `offline_token=true`, `access_type=offline`.
    pub offline: bool,
    /// What the client calls itself.
    pub client_id: Option<String>,
}

/// How the caller of `/v2/token` shows who it is.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum TokenCredentials {
    /// Not at all.
    #[default]
    Anonymous,
    /// Name and password: HTTP Basic, or the grant `password`.
    Basic(Credentials),
    /// The grant `refresh_token`.
    RefreshToken(String),
}

impl fmt::Debug for TokenCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("Anonymous"),
            Self::Basic(credentials) => credentials.fmt(f),
            Self::RefreshToken(_) => f.write_str("RefreshToken(***)"),
        }
    }
}

/// What `/v2/token` answers.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedToken {
    /// The access token: `token` and `access_token`.
    pub token: String,
    /// Seconds it is good for; 60 to 300.
    pub expires_in: u32,
    /// When it was made, in Unix milliseconds.
    pub issued_at_ms: i64,
    /// What gives more access tokens later; only where asked for, and only for a password.
    pub refresh_token: Option<String>,
    /// What was granted, in the grammar of `scope`.
    pub scope: String,
}

impl fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedToken").field("scope", &self.scope).field("token", &"***").finish_non_exhaustive()
    }
}

/// What `/v1/auth/login` answers.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// A bearer token, not limited by a scope.
    pub token: String,
    /// When it runs out, in Unix milliseconds.
    pub expires_at_ms: i64,
    /// Whose it is.
    pub account: Account,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("account", &self.account.name).field("token", &"***").finish_non_exhaustive()
    }
}
