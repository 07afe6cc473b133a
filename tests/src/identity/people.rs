//! Who the stand-in knows, and the tokens it gave them; never how they are asked for.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::Random;

/// How long a token of a login lives.
const LIFE: Duration = Duration::from_secs(24 * 3600);

/// An account.
#[derive(Clone, Debug)]
pub struct Person {
    /// What it logs in as.
    pub name: String,
    /// Its password; a machine has none.
    pub password: Option<String>,
    /// `human` or `system`.
    pub kind: &'static str,
    /// Its roles.
    pub roles: Vec<&'static str>,
    /// The UUID the service knows it by.
    pub subject: String,
}

#[derive(Debug)]
struct Token {
    name: String,
    ends: SystemTime,
    revoked: bool,
}

/// All of them.
#[derive(Debug)]
pub(super) struct People {
    by_name: BTreeMap<String, Person>,
    tokens: BTreeMap<String, Token>,
    random: Random,
}

impl Default for People {
    fn default() -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let seed = u64::try_from(now.as_nanos() & u128::from(u64::MAX)).unwrap_or_default();
        Self { by_name: BTreeMap::new(), tokens: BTreeMap::new(), random: Random::new(seed) }
    }
}

impl People {
    pub(super) fn add(&mut self, person: Person) {
        self.by_name.insert(person.name.clone(), person);
    }

    /// The token and the time it ends, in seconds since 1970, for the right pair.
    pub(super) fn log_in(&mut self, name: &str, password: &str) -> Option<(String, i64)> {
        let person = self.by_name.get(name)?;
        if person.password.as_deref() != Some(password) {
            return None;
        }
        let token = self.issue(name, LIFE)?;
        let ends = seconds(self.tokens.get(&token)?.ends);
        Some((token, ends))
    }

    pub(super) fn issue(&mut self, name: &str, lives: Duration) -> Option<String> {
        let person = self.by_name.get(name)?;
        let ends = SystemTime::now() + lives;
        let random = URL_SAFE_NO_PAD.encode(self.random.bytes(16));
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let head = part(json!({"alg": "EdDSA", "typ": "JWT"}));
        let body = part(json!({"iss": "identity", "sub": person.subject, "jti": random, "exp": seconds(ends)}));
        let signature = URL_SAFE_NO_PAD.encode(self.random.bytes(64));
        let token = format!("{head}.{body}.{signature}");
        self.tokens.insert(token.clone(), Token { name: name.to_owned(), ends, revoked: false });
        Some(token)
    }

    /// What `validate` says of a token.
    pub(super) fn validate(&self, text: &str) -> Value {
        let found = self.tokens.get(text).filter(|token| !token.revoked && token.ends > SystemTime::now());
        let person = found.and_then(|token| self.by_name.get(&token.name));
        match (found, person) {
            (Some(token), Some(person)) => json!({
                "valid": true, "sub": person.subject, "username": person.name, "account_type": person.kind,
                "roles": person.roles, "expires_at": rfc3339(seconds(token.ends)),
            }),
            _ => json!({"valid": false}),
        }
    }

    /// Revokes one token; true where it was in force.
    pub(super) fn log_out(&mut self, text: &str) -> bool {
        self.tokens.get_mut(text).is_some_and(|token| !std::mem::replace(&mut token.revoked, true))
    }

    pub(super) fn revoke(&mut self, name: &str) {
        for token in self.tokens.values_mut().filter(|token| token.name == name) {
            token.revoked = true;
        }
    }

    pub(super) fn tokens(&self) -> Vec<String> {
        self.tokens.keys().cloned().collect()
    }
}

fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

pub(super) fn rfc3339(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map(|time| time.to_string()).unwrap_or_default()
}
