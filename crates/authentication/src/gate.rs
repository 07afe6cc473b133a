//! The gate: who sends a request, from whatever it carries; never what that account may do.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use mcr_access::{Account, AccountKind, CheckPassword, Credentials, Identity, KeyRing, PROBE_ACCOUNT};
use mcr_registry::{ApiToken, LoginEvent, Registry};
use mcr_seams::Clock;
use quick_cache::sync::Cache;
use serde_json::Value;

use crate::accounts::{Dev, FileError, PasswordFile};
use crate::bearer::Verified;
use crate::checks::Checks;
use crate::figures::{Figures, count};
use crate::flight::Flights;
use crate::identity_service::{HttpIdentityService, SetupError, Shared};
use crate::key_file::{self, KeyFileError};
use crate::ledger::Ledger;
use crate::login::{Good, Known};
use crate::names::shown;
use crate::secrets::{Mark, Marker};
use crate::settings::{Denied, GateSettings, MAX_TOKEN_TTL, MIN_TOKEN_TTL, Mode, Peer};
use crate::throttle::Throttle;
use crate::validations::Validations;

/// Longest `Authorization` value that is looked at, in bytes.
pub(crate) const MAX_HEADER: usize = 24 * 1024;
/// Tokens of ours remembered as good.
const VERIFIED: usize = 16 * 1024;
/// Pairs remembered as right.
const PAIRS: usize = 8 * 1024;

/// Why there is no gate. One line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// The password file.
    #[error("[auth] htpasswd_file {0}")]
    Htpasswd(String),
    /// The identity service.
    #[error("{0}")]
    IdentityService(String),
    /// No randomness.
    #[error("no random bytes to be had: {0}")]
    Random(std::io::Error),
}

/// Finds out who is asking. Cheap to clone; every clone is the same gate.
#[derive(Clone)]
pub struct Gate {
    pub(crate) inner: Arc<Inner>,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mode = match self.inner.state {
            State::Open => "Open",
            State::Dev(_) => "Dev",
            State::File(_) => "Htpasswd",
            State::Service(_) => "Mcias",
        };
        f.debug_struct("Gate").field("mode", &mode).finish_non_exhaustive()
    }
}

/// Who knows the accounts.
pub(crate) enum State {
    Open,
    Dev(Dev),
    File(Arc<PasswordFile>),
    Service(Box<Validations>),
}

/// What all clones share.
pub(crate) struct Inner {
    pub(crate) state: State,
    pub(crate) service: String,
    pub(crate) token_ttl: Duration,
    pub(crate) clock: Clock,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) figures: Arc<Figures>,
    pub(crate) keys: RwLock<Arc<KeyRing>>,
    pub(crate) keys_path: PathBuf,
    /// To read its authorities anew.
    pub(crate) http: Option<Arc<HttpIdentityService>>,
    /// Checks the credential of the registry's own probe, in every mode.
    probe: OnceLock<Arc<dyn CheckPassword>>,
    pub(crate) marker: Marker,
    pub(crate) checks: Checks,
    pub(crate) friends: Checks,
    pub(crate) throttle: Throttle,
    /// Tokens of ours that were read lately.
    pub(crate) verified: Cache<Mark, Arc<Verified>>,
    /// Pairs that were right within the last half minute.
    pub(crate) good: Cache<Mark, Good>,
    /// Pairs being checked: by pair, and by pair and address.
    pub(crate) checking: Flights<Mark, Result<Known, Denied>>,
    pub(crate) admitting: Flights<Mark, Result<Known, Denied>>,
}

impl Gate {
    /// Opens the gate: reads the keys or makes the first, reads the password file. Blocks; call it before serving.
    ///
    /// # Errors
    /// [`GateError`]: a server does not start with what it cannot believe.
    pub fn open(settings: GateSettings, registry: Registry) -> Result<Self, GateError> {
        Self::over(settings, Arc::new(registry), None)
    }

    /// The same over any ledger, and over another identity service where one is given.
    pub(crate) fn over(
        settings: GateSettings,
        ledger: Arc<dyn Ledger>,
        service: Option<Shared>,
    ) -> Result<Self, GateError> {
        let figures = Arc::new(Figures::default());
        let keys = key_file::load_or_make(&settings.keys, settings.clock.now_ms())?;
        let mut http = None;
        let state = match settings.mode {
            Mode::Open => State::Open,
            Mode::Dev(passwords) => State::Dev(Dev::new(passwords).map_err(GateError::Random)?),
            Mode::Htpasswd(file) => {
                let opened = PasswordFile::open(file).map_err(|e: FileError| GateError::Htpasswd(e.to_string()))?;
                State::File(Arc::new(opened))
            }
            Mode::Mcias(told) => {
                let service = match service {
                    Some(service) => service,
                    None => {
                        let failed = |e: SetupError| GateError::IdentityService(e.to_string());
                        let real = Arc::new(HttpIdentityService::new(told).map_err(failed)?);
                        http = Some(Arc::clone(&real));
                        real
                    }
                };
                let (ledger, figures) = (Arc::clone(&ledger), Arc::clone(&figures));
                State::Service(Box::new(Validations::new(service, ledger, figures, settings.clock.clone())))
            }
        };
        let inner = Inner {
            state,
            service: settings.service,
            token_ttl: settings.token_ttl.clamp(MIN_TOKEN_TTL, MAX_TOKEN_TTL),
            clock: settings.clock,
            ledger,
            figures,
            keys: RwLock::new(Arc::new(keys)),
            keys_path: settings.keys,
            http,
            probe: OnceLock::new(),
            marker: Marker::new().map_err(GateError::Random)?,
            checks: Checks::of_strangers(),
            friends: Checks::of_friends(),
            throttle: Throttle::new().map_err(GateError::Random)?,
            verified: Cache::new(VERIFIED),
            good: Cache::new(PAIRS),
            checking: Flights::default(),
            admitting: Flights::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The same gate, which also knows the account [`PROBE_ACCOUNT`] by `credential`. The first one given holds.
    #[must_use]
    pub fn with_probe(self, credential: Arc<dyn CheckPassword>) -> Self {
        if self.inner.probe.set(credential).is_err() {
            tracing::warn!("the probe had a credential already");
        }
        self
    }

    /// Who sends a request with this `Authorization` header. Without one it is nobody in particular (or, without
    /// logins, the administrator that everyone is): the edge asks the rules, and challenges.
    ///
    /// A bearer token is one of ours, an API token, the probe's, or with an identity service one of its own. Basic
    /// is a name with a password, an API token or an identity token; with a token the name does not matter.
    /// The probe's name is its own: whoever gives it has the probe's credential or is nobody, in every mode.
    ///
    /// Awaits the identity service or a thread that checks a password at most, and those not at all for what was
    /// right shortly before.
    ///
    /// # Errors
    /// [`Denied`], but neither [`Denied::Missing`] nor [`Denied::BadRequest`].
    pub async fn identify(&self, authorization: Option<&[u8]>, peer: &Peer) -> Result<Identity, Denied> {
        let Some(header) = authorization else {
            return Ok(identity(self.inner.nobody(), peer));
        };
        if let Some(known) = self.inner.remembered(header) {
            return Ok(identity(known, peer));
        }
        match self.inner.read_header(header, peer).await {
            Ok(Caller::Known(known)) => Ok(identity(known, peer)),
            Ok(Caller::Probe) => Ok(Identity::probe(address(peer))),
            Err(denied) => {
                if matches!(denied, Denied::Unavailable { .. }) {
                    count(&self.inner.figures.unavailable);
                }
                Err(denied)
            }
        }
    }

    /// Whether there is anybody to log in as, so that `/v2/` challenges who has not.
    #[must_use]
    pub fn needs_login(&self) -> bool {
        !matches!(self.inner.state, State::Open)
    }

    /// `service` of challenges.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.inner.service
    }

    /// The account of that name, where this program knows accounts: for `policy explain`.
    #[must_use]
    pub fn account_for(&self, name: &str) -> Option<Account> {
        match &self.inner.state {
            State::File(file) => file.snapshot().account(name).map(|account| Account::clone(&account)),
            State::Open | State::Dev(_) | State::Service(_) => None,
        }
    }

    /// Whether the identity service answered when it was last asked; none where there is none.
    #[must_use]
    pub fn identity_up(&self) -> Option<bool> {
        match &self.inner.state {
            State::Service(validations) => Some(validations.is_up()),
            State::Open | State::Dev(_) | State::File(_) => None,
        }
    }

    /// Figures since the start.
    #[must_use]
    pub fn figures(&self) -> &Figures {
        &self.inner.figures
    }
}

/// Who was found behind a header.
enum Caller {
    Known(Known),
    Probe,
}

impl Inner {
    async fn read_header(&self, header: &[u8], peer: &Peer) -> Result<Caller, Denied> {
        let open = matches!(self.state, State::Open);
        let text = std::str::from_utf8(header).ok().filter(|text| text.len() <= MAX_HEADER);
        let Some((scheme, value)) = text.and_then(|text| text.split_once(' ')) else {
            return if open { Ok(Caller::Known(self.nobody())) } else { Err(Denied::Wrong) };
        };
        if scheme.eq_ignore_ascii_case("bearer") {
            let token = value.trim();
            // Whatever begins so is the probe's or nobody's; it is shown to no one else.
            if token.starts_with(PROBE_ACCOUNT) {
                let given = Credentials::from_probe_bearer(header).ok_or(Denied::Wrong)?;
                return self.probe(&given);
            }
            return self.bearer(token, peer).await.map(Caller::Known);
        }
        match Credentials::from_basic(header) {
            Ok(given) if given.username == PROBE_ACCOUNT => self.probe(&given),
            Ok(given) => self.basic(&given, peer).await.map(Caller::Known),
            // Without logins, what somebody's tool has left over does not shut the door.
            Err(_) if open => Ok(Caller::Known(self.nobody())),
            Err(_) => Err(Denied::Wrong),
        }
    }

    fn probe(&self, given: &Credentials) -> Result<Caller, Denied> {
        let known = self.probe.get().is_some_and(|probe| probe.check(&given.username, &given.password));
        if known { Ok(Caller::Probe) } else { Err(Denied::Wrong) }
    }

    /// Who sends nothing.
    pub(crate) fn nobody(&self) -> Known {
        let account = if matches!(self.state, State::Open) { everyone() } else { Account::anonymous() };
        Known::nobody(account)
    }

    pub(crate) fn ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Now, in Unix seconds.
    pub(crate) fn now(&self) -> i64 {
        self.clock.now_ms().div_euclid(1000)
    }

    /// The token, where it is in force and its owner still has an account. Only a password file tells that: with an
    /// identity service the owner is who it was when the token was made, until the token runs out or is revoked.
    pub(crate) fn api_token(&self, presented: &str) -> Option<(ApiToken, Arc<Account>)> {
        let token = self.ledger.api_token(presented)?;
        let owner = match &self.state {
            // What the file says now, not what it said when the token was made.
            State::File(file) => file.snapshot().account(&token.owner.name)?,
            State::Open | State::Dev(_) | State::Service(_) => Arc::clone(&token.owner),
        };
        Some((token, owner))
    }

    /// Tells the audit trail; the account as a stranger may have sent it.
    pub(crate) fn record(&self, event: LoginEvent, account: &str, peer: &Peer, details: Value) {
        self.ledger.record(event, &shown(account), address(peer).as_deref(), details);
    }
}

/// The administrator that everyone is without logins.
pub(crate) fn everyone() -> Arc<Account> {
    static EVERYONE: std::sync::LazyLock<Arc<Account>> = std::sync::LazyLock::new(|| {
        Arc::new(Account::new("anonymous", "anonymous", AccountKind::Anonymous, &[mcr_access::ADMIN_ROLE]))
    });
    Arc::clone(&EVERYONE)
}

pub(crate) fn address(peer: &Peer) -> Option<String> {
    peer.address.map(|address| address.to_canonical().to_string())
}

fn identity(known: Known, peer: &Peer) -> Identity {
    Identity::of(known.account, known.scope, address(peer).map(Arc::from))
}
