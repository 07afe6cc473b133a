//! A registry with accounts: `mcrsrv` over TLS under a private authority, with a password file or an identity service;
//! never what an account may do.

mod people;
mod setup;

use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::authority::Authority;
use crate::http::{Client, Response};
use crate::identity::Identity;
use crate::server::{Options, Server};
use crate::tls;

pub use people::{ADMIN, GUEST, MACHINE, NAMES, OTHER, USER};
pub use setup::Setup;

/// How accounts are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A file of bcrypt hashes.
    Htpasswd,
    /// The identity service.
    Mcias,
}

impl Mode {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Htpasswd, Self::Mcias];
}

/// A running registry whose accounts are those of [`NAMES`].
#[derive(Debug)]
pub struct Registry {
    server: Server,
    mode: Mode,
    authority: Authority,
    identity: Option<Identity>,
    home: tempfile::TempDir,
    passwords: people::Passwords,
    /// Everything that must never be logged: passwords, tokens.
    secrets: Mutex<Vec<String>>,
}

impl Registry {
    /// One as most tests want it.
    #[must_use]
    #[track_caller]
    pub fn start(mode: Mode) -> Self {
        Self::with(mode, &Setup::default())
    }

    /// One as `setup` says; in mode mcias with a healthy identity service of its own.
    #[must_use]
    #[track_caller]
    pub fn with(mode: Mode, setup: &Setup) -> Self {
        let identity = (mode == Mode::Mcias).then(Identity::start);
        Self::before(identity, mode, setup)
    }

    /// One before this identity service.
    #[must_use]
    #[track_caller]
    pub fn of(identity: Identity, setup: &Setup) -> Self {
        Self::before(Some(identity), Mode::Mcias, setup)
    }

    #[track_caller]
    fn before(identity: Option<Identity>, mode: Mode, setup: &Setup) -> Self {
        let home = tempfile::Builder::new().prefix("mcr-test-registry-").tempdir().expect("a directory");
        let authority = Authority::new("registry authority");
        let _ = authority.issue(&setup.names(), &home.path().join("tls"));
        let passwords = people::Passwords::draw();
        if let Some(identity) = &identity {
            passwords.teach(identity);
        } else {
            passwords.write(&home.path().join("htpasswd"));
        }
        let config = home.path().join("mcr.toml");
        std::fs::write(&config, setup.text(home.path(), identity.as_ref())).expect("a configuration");
        let options = Options {
            plain: setup.plain,
            config: Some(config),
            data: Some(home.path().to_owned()),
            trust: Some(authority.certificate()),
            environment: setup.environment.clone(),
            ..Options::default()
        };
        let secrets = Mutex::new(passwords.all());
        Self { server: Server::with(options), mode, authority, identity, home, passwords, secrets }
    }

    /// The process.
    #[must_use]
    pub const fn server(&self) -> &Server {
        &self.server
    }

    /// The process, to stop and start it.
    pub const fn server_mut(&mut self) -> &mut Server {
        &mut self.server
    }

    /// How accounts are known.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The identity service.
    ///
    /// # Panics
    /// Where a password file is used.
    #[must_use]
    #[track_caller]
    pub fn identity(&self) -> &Identity {
        self.identity.as_ref().expect("this registry has an identity service")
    }

    /// The directory of configuration, data and certificate.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The directory that holds the authority's certificate as `ca.crt`, and nothing else.
    #[must_use]
    pub fn trust(&self) -> &Path {
        self.authority.directory()
    }

    /// `host:port`.
    #[must_use]
    pub fn authority(&self) -> String {
        self.server.authority()
    }

    /// The authority that signed its certificate.
    #[must_use]
    pub const fn issuer(&self) -> &Authority {
        &self.authority
    }

    /// The password of an account; for [`MACHINE`] in mode mcias a token.
    ///
    /// # Panics
    /// Where there is no such account.
    #[must_use]
    #[track_caller]
    pub fn password(&self, name: &str) -> String {
        match &self.identity {
            Some(identity) if name == MACHINE => {
                let token = identity.issue(name, std::time::Duration::from_secs(3600));
                self.is_secret(&token);
                token
            }
            _ => self.passwords.of(name).to_owned(),
        }
    }

    /// Whoever has not logged in.
    #[must_use]
    pub fn nobody(&self) -> Client {
        self.server.client().nobody()
    }

    /// The account `name` with HTTP Basic.
    #[must_use]
    #[track_caller]
    pub fn account(&self, name: &str) -> Client {
        self.server.client().with_basic(name, &self.password(name))
    }

    /// The administrator.
    #[must_use]
    pub fn admin(&self) -> Client {
        self.account(ADMIN)
    }

    /// What `GET /v2/token` answers to the account, or to nobody, for these scopes.
    #[must_use]
    #[track_caller]
    pub fn ask_token(&self, client: &Client, scopes: &[&str]) -> Response {
        let mut target = "/v2/token?service=mcr".to_owned();
        for scope in scopes {
            target = format!("{target}&scope={}", scope.replace(',', "%2C"));
        }
        let answer = client.get(&target);
        if answer.status == 200 {
            self.is_secret(answer.json()["token"].as_str().unwrap_or_default());
        }
        answer
    }

    /// A token of the account for these scopes.
    #[must_use]
    #[track_caller]
    pub fn token(&self, name: &str, scopes: &[&str]) -> String {
        let answer = self.ask_token(&self.account(name), scopes).expect(200);
        answer.json()["token"].as_str().expect("a token").to_owned()
    }

    /// A client with a token of the account for these scopes.
    #[must_use]
    #[track_caller]
    pub fn bearer(&self, name: &str, scopes: &[&str]) -> Client {
        self.server.client().with_bearer(&self.token(name, scopes))
    }

    /// A client with a token that nobody asked for with these scopes.
    #[must_use]
    #[track_caller]
    pub fn stranger(&self, scopes: &[&str]) -> Client {
        let answer = self.ask_token(&self.nobody(), scopes).expect(200);
        self.server.client().with_bearer(answer.json()["token"].as_str().expect("a token"))
    }

    /// Makes a policy rule; returns its number.
    #[track_caller]
    pub fn rule(&self, rule: &Value) -> i64 {
        let text = rule.to_string();
        let admin = self.admin();
        let post = admin.request("POST", "/v1/policy/rules").header("Content-Type", "application/json");
        let made = post.body(text.as_bytes()).call().expect(201);
        made.json()["id"].as_i64().expect("a rule has a number")
    }

    /// Lets everybody pull from repositories that match.
    #[track_caller]
    pub fn open_to_all(&self, repositories: &str) -> i64 {
        self.rule(&serde_json::json!({
            "priority": 10, "description": "everybody may pull", "effect": "allow", "actions": ["registry:pull"],
            "account_types": ["anonymous"], "repositories": [repositories],
        }))
    }

    /// Lets one account do this in repositories that match.
    #[track_caller]
    pub fn allow(&self, name: &str, actions: &[&str], repositories: &str) -> i64 {
        let actions: Vec<String> = actions.iter().map(|action| format!("registry:{action}")).collect();
        self.rule(&serde_json::json!({
            "priority": 20, "description": format!("for {name}"), "effect": "allow", "actions": actions,
            "subject_uuid": self.subject(name), "repositories": [repositories],
        }))
    }

    /// What rules know the account by.
    #[must_use]
    pub fn subject(&self, name: &str) -> String {
        match self.mode {
            Mode::Htpasswd => name.to_owned(),
            Mode::Mcias => people::subject(name),
        }
    }

    /// The audit log's events of this kind, oldest first, as the admin API lists them.
    #[must_use]
    #[track_caller]
    pub fn events(&self, event: &str) -> Vec<Value> {
        let answer = self.admin().get(&format!("/v1/audit?n=1000&order=asc&event={event}")).expect(200);
        answer.json()["events"].as_array().cloned().expect("a list of events")
    }

    /// How many events of this kind there are, over all pages.
    ///
    /// # Panics
    /// Where the pages do not end.
    #[must_use]
    #[track_caller]
    pub fn count_events(&self, event: &str) -> usize {
        let (admin, mut count) = (self.admin(), 0);
        let mut target = format!("/v1/audit?n=1000&order=asc&event={event}");
        for _ in 0..100 {
            let page = admin.get(&target).expect(200).json();
            count += page["events"].as_array().map_or(0, Vec::len);
            let Some(next) = page["next"].as_str() else { return count };
            target = format!("/v1/audit?n=1000&order=asc&event={event}&last={next}");
        }
        panic!("a hundred pages and no end");
    }

    /// Notes a text that must not stand in any log.
    ///
    /// # Panics
    /// Never: no thread panics with the list in hand.
    pub fn is_secret(&self, text: &str) {
        if text.len() >= 8 {
            self.secrets.lock().expect("no thread panics here").push(text.to_owned());
        }
    }

    /// Insists that nothing secret that is known of was logged.
    ///
    /// # Panics
    /// Where it was: with the line.
    #[track_caller]
    pub fn assert_nothing_secret_logged(&self) {
        let log = format!("{}\n{}", self.server.log(), self.server.output());
        let mut secrets = self.secrets.lock().expect("no thread panics here").clone();
        secrets.extend(self.identity.iter().flat_map(Identity::tokens));
        for secret in &secrets {
            // A token's signature alone would not be recognised as the token, and is as secret.
            let parts = std::iter::once(secret.as_str()).chain(secret.rsplit_once('.').map(|(_, last)| last));
            for part in parts.filter(|part| part.len() >= 8) {
                let found = log.lines().find(|line| line.contains(part));
                assert!(found.is_none(), "a secret stands in the log: {found:?}");
            }
        }
    }

    /// Insists that the audit chain holds.
    ///
    /// # Panics
    /// Where it does not.
    #[track_caller]
    pub fn assert_audit_sound(&self) {
        let admin = self.admin();
        let post = admin.request("POST", "/v1/audit/verify").header("Content-Type", "application/json");
        let answer = post.body(b"{}").call().expect(200);
        assert_eq!(answer.json()["sound"], true, "{}", answer.text());
    }

    /// A TLS configuration that trusts its authority.
    #[must_use]
    pub fn tls(&self) -> Arc<rustls::ClientConfig> {
        tls::trusting(&self.authority.certificate())
    }
}
