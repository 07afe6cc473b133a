//! What unit tests set up: a ledger and an identity service in memory, clocks that stand, files of their own.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcr_access::{Account, AccountKind, ActionSet, Builtins, Effect, Grant, Identity, Kind, Policy, Rule, Scope};
use mcr_registry::{ApiToken, LoginEvent};
use mcr_seams::Clock;
use serde_json::Value;

use crate::identity_service::{IdentityClaims, IdentityService, IdentityToken, Trouble};
use crate::ledger::{Answer, Ledger};
use crate::settings::{Denied, GateSettings, HtpasswdSettings, IdentityServiceSettings, Mode, Peer};
use crate::{CheckPassword, Gate};

/// 2027-01-15, in Unix milliseconds.
pub(crate) const NOW_MS: i64 = 1_800_000_000_000;

/// What was recorded: the event, the account, the address, the details.
type Event = (LoginEvent, String, Option<String>, Value);

/// A registry as the gate sees it.
pub(crate) struct FakeLedger {
    pub(crate) rules: Mutex<Vec<Rule>>,
    pub(crate) tokens: Mutex<HashMap<String, ApiToken>>,
    ended: Mutex<HashSet<String>>,
    pub(crate) events: Mutex<Vec<Event>>,
}

impl FakeLedger {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            rules: Mutex::default(),
            tokens: Mutex::default(),
            ended: Mutex::default(),
            events: Mutex::default(),
        })
    }

    /// Events so far, as `login anna`.
    pub(crate) fn told(&self) -> Vec<String> {
        let word = |event: &LoginEvent| match event {
            LoginEvent::Login => "login",
            LoginEvent::Failed => "login_failed",
            LoginEvent::Logout => "logout",
        };
        self.events.lock().unwrap().iter().map(|(event, name, ..)| format!("{} {name}", word(event))).collect()
    }

    /// Puts an API token in force; gives what is presented.
    pub(crate) fn give_token(&self, owner: Account, repositories: &str) -> String {
        let presented = format!("mcr_{}_{}", "0123456789abcdef", "s".repeat(43));
        let grant = Grant { repositories: repositories.to_owned(), actions: ActionSet::parse("pull,push") };
        let token = ApiToken {
            id: Arc::from("0123456789abcdef"),
            owner: Arc::new(owner),
            scope: Arc::new(Scope { grants: vec![grant], catalog: false }),
            expires_at_ms: i64::MAX,
        };
        self.tokens.lock().unwrap().insert(presented.clone(), token);
        presented
    }

    pub(crate) fn allow(&self, kind: AccountKind, actions: &[Kind], repositories: &str) {
        let mut rules = self.rules.lock().unwrap();
        let id = i64::try_from(rules.len()).unwrap() + 1;
        rules.push(Rule {
            id,
            priority: 10,
            description: String::new(),
            effect: Effect::Allow,
            actions: actions.to_vec(),
            roles: Vec::new(),
            account_types: vec![kind],
            subject_uuid: None,
            repositories: vec![repositories.to_owned()],
            enabled: true,
        });
    }
}

impl Ledger for FakeLedger {
    fn policy(&self) -> Arc<Policy> {
        Arc::new(Policy::new(&Builtins::everything(), self.rules.lock().unwrap().clone()))
    }

    fn api_token(&self, presented: &str) -> Option<ApiToken> {
        self.tokens.lock().unwrap().get(presented).cloned()
    }

    fn is_revoked(&self, id: &str) -> bool {
        self.ended.lock().unwrap().contains(id)
    }

    fn revoke<'a>(&'a self, id: &'a str, _: i64) -> Answer<'a, Result<(), Denied>> {
        assert!(!id.is_empty() && id.len() <= 128, "what the registry takes");
        self.ended.lock().unwrap().insert(id.to_owned());
        Box::pin(async { Ok(()) })
    }

    fn record(&self, event: LoginEvent, account: &str, address: Option<&str>, details: Value) {
        self.events.lock().unwrap().push((event, account.to_owned(), address.map(str::to_owned), details));
    }
}

/// How the service in memory answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    Away,
    Failing,
    /// Never.
    Hangs,
}

/// An identity service in memory: everybody's password is `right`, everybody's name their subject.
pub(crate) struct FakeService {
    pub(crate) mood: Mutex<Mood>,
    pub(crate) claims: Mutex<HashMap<String, IdentityClaims>>,
    pub(crate) life_ms: Mutex<Option<i64>>,
    given: AtomicUsize,
    pub(crate) logins: AtomicUsize,
    pub(crate) validations: AtomicUsize,
    pub(crate) revoked: Mutex<Vec<String>>,
}

impl FakeService {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            mood: Mutex::new(Mood::Well),
            claims: Mutex::default(),
            life_ms: Mutex::new(None),
            given: AtomicUsize::default(),
            logins: AtomicUsize::default(),
            validations: AtomicUsize::default(),
            revoked: Mutex::default(),
        })
    }

    pub(crate) fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub(crate) fn asked(&self) -> (usize, usize) {
        (self.logins.load(Ordering::SeqCst), self.validations.load(Ordering::SeqCst))
    }

    /// A token in force.
    pub(crate) fn give(&self, name: &str, kind: AccountKind, roles: &[&str]) -> String {
        let token = format!("identity-token-of-{name}-{}", self.given.fetch_add(1, Ordering::SeqCst));
        let claims = IdentityClaims {
            subject: format!("uuid-{name}"),
            name: Some(name.to_owned()),
            kind,
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            expires_at_ms: *self.life_ms.lock().unwrap(),
        };
        self.claims.lock().unwrap().insert(token.clone(), claims);
        token
    }

    async fn answers(&self) -> Result<(), Trouble> {
        let mood = *self.mood.lock().unwrap();
        let trouble = |reason: &str, is_silent| {
            Err(Trouble::Unavailable { reason: reason.to_owned(), retry_after: None, is_silent })
        };
        tokio::task::yield_now().await;
        match mood {
            Mood::Well => Ok(()),
            Mood::Away => trouble("away", true),
            Mood::Failing => trouble("it answers 500", false),
            Mood::Hangs => std::future::pending().await,
        }
    }
}

impl IdentityService for FakeService {
    fn login<'a>(&'a self, username: &'a str, password: &'a str) -> Answer<'a, Result<IdentityToken, Trouble>> {
        Box::pin(async move {
            self.logins.fetch_add(1, Ordering::SeqCst);
            self.answers().await?;
            if password != "right" {
                return Err(Trouble::Wrong);
            }
            let token = self.give(username, AccountKind::Human, &["user"]);
            Ok(IdentityToken { token, expires_at_ms: *self.life_ms.lock().unwrap() })
        })
    }

    fn validate<'a>(&'a self, token: &'a str) -> Answer<'a, Result<IdentityClaims, Trouble>> {
        Box::pin(async move {
            self.validations.fetch_add(1, Ordering::SeqCst);
            self.answers().await?;
            self.claims.lock().unwrap().get(token).cloned().ok_or(Trouble::Wrong)
        })
    }

    fn revoke<'a>(&'a self, token: &'a str) -> Answer<'a, Result<(), Trouble>> {
        Box::pin(async move {
            self.answers().await?;
            self.revoked.lock().unwrap().push(token.to_owned());
            self.claims.lock().unwrap().remove(token);
            Ok(())
        })
    }
}

/// A gate with what is around it.
pub(crate) struct House {
    pub(crate) gate: Gate,
    pub(crate) ledger: Arc<FakeLedger>,
    pub(crate) service: Arc<FakeService>,
    pub(crate) clock: Clock,
    pub(crate) directory: tempfile::TempDir,
}

/// The settings of a gate in `directory`.
pub(crate) fn settings(directory: &tempfile::TempDir, mode: Mode, clock: &Clock) -> GateSettings {
    GateSettings {
        mode,
        service: "mcr".to_owned(),
        token_ttl: Duration::from_secs(300),
        keys: directory.path().join("token-keys.json"),
        clock: clock.clone(),
    }
}

impl House {
    fn build(mode: impl FnOnce(&tempfile::TempDir) -> Mode) -> Self {
        let (directory, clock) = (tempfile::tempdir().unwrap(), Clock::fixed(NOW_MS));
        let (ledger, service) = (FakeLedger::new(), FakeService::new());
        let mode = mode(&directory);
        let over: Arc<dyn Ledger> = Arc::<FakeLedger>::clone(&ledger);
        let gate = Gate::over(settings(&directory, mode, &clock), over, Some(service.clone())).unwrap();
        Self { gate, ledger, service, clock, directory }
    }

    pub(crate) fn open() -> Self {
        Self::build(|_| Mode::Open)
    }

    pub(crate) fn dev() -> Self {
        Self::build(|_| Mode::Dev(Arc::new(One("admin", "right"))))
    }

    /// `root` (administrator), `anna`, `guest`, `ci` (system), each with the password `right`.
    pub(crate) fn file() -> Self {
        Self::build(|directory| {
            let settings = file_settings(directory);
            let lines: String = ["root", "anna", "guest", "ci"].iter().map(|name| line(name, "right")).collect();
            write(&settings.file, &lines);
            Mode::Htpasswd(settings)
        })
    }

    pub(crate) fn service() -> Self {
        Self::build(|_| {
            Mode::Mcias(IdentityServiceSettings {
                server_url: "https://identity.example".parse().unwrap(),
                ca_cert: None,
                service_name: "mcr".to_owned(),
                tags: Vec::new(),
            })
        })
    }

    pub(crate) async fn identify(&self, header: &str) -> Result<Identity, Denied> {
        self.gate.identify(Some(header.as_bytes()), &peer()).await
    }

    /// Puts other lines into the password file and reads it.
    pub(crate) fn rewrite(&self, lines: &str) {
        write(&self.directory.path().join("htpasswd"), lines);
        self.gate.reload();
    }

    /// Time passes, on both clocks.
    pub(crate) async fn pass(&self, seconds: u64) {
        self.clock.advance(i64::try_from(seconds).unwrap() * 1000);
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }
}

pub(crate) fn file_settings(directory: &tempfile::TempDir) -> HtpasswdSettings {
    let one = |name: &str| vec![name.to_owned()];
    let file = directory.path().join("htpasswd");
    HtpasswdSettings { file, admins: one("root"), guests: one("guest*"), system: one("ci*") }
}

/// A line of a password file; bcrypt at its cheapest.
pub(crate) fn line(name: &str, password: &str) -> String {
    format!("{name}:{}\n", bcrypt::hash(password, 4).unwrap())
}

#[expect(clippy::disallowed_methods, reason = "a test writes the file that an operator would")]
pub(crate) fn write(path: &PathBuf, text: &str) {
    std::fs::write(path, text).unwrap();
}

pub(crate) fn peer() -> Peer {
    peer_at("192.0.2.1")
}

pub(crate) fn peer_at(address: &str) -> Peer {
    Peer { address: Some(address.parse().unwrap()), is_shared: false }
}

pub(crate) fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

pub(crate) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// One pair that is right.
pub(crate) struct One(pub(crate) &'static str, pub(crate) &'static str);

impl CheckPassword for One {
    fn check(&self, username: &str, password: &str) -> bool {
        username == self.0 && password == self.1
    }
}
