//! API tokens: what accounts make for their programs, and who presents one; never the check of a password.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mcr_access::{Account, AccountKind, ActionSet, Grant, Identity, Kind, MAX_SCOPE, Scope};
use mcr_metadata::{CreateToken, RevokeToken, TokenOutcome, TokenRow};
use mcr_oci::Digest;
use mcr_seams::{random_bytes, random_hex};
use subtle::ConstantTimeEq as _;

use crate::error::Error;
use crate::registry::{Registry, actor};
use crate::words;

/// What every API token begins with.
pub const API_TOKEN_PREFIX: &str = "mcr_";
/// Tokens in force that one account may have.
pub const MAX_TOKENS_OF_OWNER: usize = 100;
/// Tokens there may be, ended ones included; those are forgotten after 90 days.
pub const MAX_TOKENS: usize = 10_000;
/// The longest life of a token, in milliseconds: 366 days.
pub const MAX_TOKEN_LIFE_MS: i64 = 366 * 24 * 3_600_000;
/// The longest name, in characters.
const MAX_NAME: usize = 100;
/// How often the use of a token is written down, in milliseconds.
const USED_EVERY_MS: i64 = 60_000;
/// Random bytes of a secret.
const SECRET: usize = 32;

/// A token as its owner asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// What it is for.
    pub name: String,
    /// Of `pull`, `push`, `delete`, `catalog`.
    pub actions: Vec<String>,
    /// Patterns of repository names; needed for all actions but `catalog`.
    pub repositories: Vec<String>,
    /// When it ends, in Unix milliseconds.
    pub expires_at_ms: i64,
}

/// What is known of a token; its secret is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// Its public name, 16 hex digits.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// The account's name.
    pub owner: String,
    /// Of `pull`, `push`, `delete`, `catalog`.
    pub actions: Vec<String>,
    /// Patterns of repository names.
    pub repositories: Vec<String>,
    /// When it was made, in Unix milliseconds.
    pub created_at_ms: i64,
    /// When it ends, in Unix milliseconds.
    pub expires_at_ms: i64,
    /// When it was last used, to a minute, in Unix milliseconds.
    pub last_used_at_ms: Option<i64>,
    /// When it was revoked, in Unix milliseconds.
    pub revoked_at_ms: Option<i64>,
}

/// A token in force that was presented with its secret.
#[derive(Debug, Clone)]
pub struct ApiToken {
    /// Its public name.
    pub id: Arc<str>,
    /// Whose it is, as the account was when the token was made.
    pub owner: Arc<Account>,
    /// What it is limited to.
    pub scope: Arc<Scope>,
    /// When it ends, in Unix milliseconds.
    pub expires_at_ms: i64,
}

/// The tokens in memory, in step with their rows.
#[derive(Default)]
pub(crate) struct ApiTokens(RwLock<HashMap<String, Entry>>);

struct Entry {
    record: TokenRecord,
    secret_hash: String,
    presented: ApiToken,
    /// 0 for never.
    used_at_ms: AtomicI64,
}

impl ApiTokens {
    /// The tokens of `rows`; one that says what this program does not understand is left out, and so refused.
    pub(crate) fn new(rows: Vec<TokenRow>) -> Self {
        let mut entries = HashMap::new();
        for row in rows {
            match Entry::new(row) {
                Ok(entry) => drop(entries.insert(entry.record.id.clone(), entry)),
                Err(error) => tracing::error!(%error, "an API token in the database cannot be read and is refused"),
            }
        }
        Self(RwLock::new(entries))
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<String, Entry>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<String, Entry>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn revoke(&self, id: &str, at_ms: i64) {
        if let Some(entry) = self.write().get_mut(id) {
            entry.record.revoked_at_ms = Some(at_ms);
        }
    }
}

impl Entry {
    fn new(row: TokenRow) -> Result<Self, Error> {
        let kind = AccountKind::parse(&row.account_type);
        let kind = kind.ok_or_else(|| Error::Invalid(format!("API token {}: account type", row.id)))?;
        let roles: Vec<&str> = row.roles.iter().map(String::as_str).collect();
        let presented = ApiToken {
            id: Arc::from(row.id.as_str()),
            owner: Arc::new(Account::new(row.owner.clone(), row.subject, kind, &roles)),
            scope: Arc::new(scope(&row.actions, &row.repositories)?),
            expires_at_ms: row.expires_at_ms,
        };
        Ok(Self {
            record: TokenRecord {
                id: row.id,
                name: row.name,
                owner: row.owner,
                actions: row.actions,
                repositories: row.repositories,
                created_at_ms: row.created_at_ms,
                expires_at_ms: row.expires_at_ms,
                last_used_at_ms: None,
                revoked_at_ms: row.revoked_at_ms,
            },
            secret_hash: row.secret_hash,
            presented,
            used_at_ms: AtomicI64::new(row.last_used_at_ms.unwrap_or(0)),
        })
    }

    fn record(&self) -> TokenRecord {
        let used = self.used_at_ms.load(Ordering::Relaxed);
        TokenRecord { last_used_at_ms: (used > 0).then_some(used), ..self.record.clone() }
    }
}

impl Registry {
    /// Makes a token for the account of `identity`. The secret is in the answer and nowhere else.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the field; [`Error::Denied`] for who has no account or came with a limited
    /// credential, which could otherwise widen itself; [`Error::Conflict`] where there are too many; inability.
    pub async fn create_token(&self, identity: &Identity, new: NewToken) -> Result<(TokenRecord, String), Error> {
        may_have_tokens(identity)?;
        let now = self.parts.clock.now_ms();
        let new = checked(new, now)?;
        let (id, secret) = draw()?;
        let owner = identity.holder();
        let row = TokenRow {
            id: id.clone(),
            name: new.name,
            owner: owner.name.clone(),
            subject: owner.subject.clone(),
            account_type: owner.kind.as_str().to_owned(),
            roles: owner.roles.clone(),
            actions: new.actions,
            repositories: new.repositories,
            secret_hash: hash(&secret),
            created_at_ms: now,
            expires_at_ms: new.expires_at_ms,
            last_used_at_ms: None,
            revoked_at_ms: None,
        };
        let record = Entry::new(row.clone())?.record();
        let write = CreateToken {
            token: row.clone(),
            most_of_owner: MAX_TOKENS_OF_OWNER,
            most: MAX_TOKENS,
            actor: actor(identity),
        };
        let parts = Arc::clone(&self.parts);
        let after = move |outcome: &TokenOutcome| {
            if let (TokenOutcome::Created { forgotten }, Ok(entry)) = (outcome, Entry::new(row)) {
                let mut tokens = parts.api_tokens.write();
                forgotten.iter().for_each(|id| drop(tokens.remove(id)));
                tokens.insert(entry.record.id.clone(), entry);
            }
        };
        match self.parts.writes.durable(|m, done| m.create_token(write, done), after).await? {
            TokenOutcome::Created { .. } => Ok((record, format!("{API_TOKEN_PREFIX}{id}_{secret}"))),
            TokenOutcome::TooManyOfOwner => Err(Error::Conflict(format!(
                "this account has {MAX_TOKENS_OF_OWNER} tokens, which is the most: revoke one first"
            ))),
            TokenOutcome::TooMany => Err(Error::Conflict(format!(
                "there are {MAX_TOKENS} API tokens already, which is the most: ended ones go after 90 days"
            ))),
        }
    }

    /// The tokens of the account, all for an administrator; the newest first.
    ///
    /// # Errors
    /// [`Error::Denied`] as [`create_token`](Self::create_token).
    pub fn tokens(&self, identity: &Identity) -> Result<Vec<TokenRecord>, Error> {
        may_have_tokens(identity)?;
        let tokens = self.parts.api_tokens.read();
        let shown = tokens.values().filter(|entry| may_see(identity, entry));
        let mut records: Vec<TokenRecord> = shown.map(Entry::record).collect();
        records.sort_by(|one, other| other.created_at_ms.cmp(&one.created_at_ms).then_with(|| one.id.cmp(&other.id)));
        Ok(records)
    }

    /// Revokes a token of the account, any for an administrator. It is refused from the answer on.
    ///
    /// # Errors
    /// [`Error::NoSuch`], also for one of somebody else and one that is revoked; [`Error::Denied`] as
    /// [`create_token`](Self::create_token); inability.
    pub async fn revoke_token(&self, identity: &Identity, id: &str) -> Result<(), Error> {
        may_have_tokens(identity)?;
        let no_such = || Error::NoSuch(format!("there is no API token {} in force", words::excerpt(id)));
        if !self.parts.api_tokens.read().get(id).is_some_and(|entry| may_see(identity, entry)) {
            return Err(no_such());
        }
        let at_ms = self.parts.clock.now_ms();
        let write = RevokeToken { id: id.to_owned(), actor: actor(identity), at_ms };
        let (parts, revoked) = (Arc::clone(&self.parts), id.to_owned());
        let after = move |was_in_force: &bool| {
            if *was_in_force {
                parts.api_tokens.revoke(&revoked, at_ms);
            }
        };
        let was_in_force = self.parts.writes.durable(|m, done| m.revoke_token(write, done), after).await?;
        if was_in_force { Ok(()) } else { Err(no_such()) }
    }

    /// Who presents `presented`, if it is a token in force. Looks at memory only; that a token is used is written
    /// down at most once a minute, beside the answer.
    #[must_use]
    pub fn api_token(&self, presented: &str) -> Option<ApiToken> {
        let (id, secret) = presented.strip_prefix(API_TOKEN_PREFIX)?.split_once('_')?;
        let given = hash(secret);
        let now = self.parts.clock.now_ms();
        let tokens = self.parts.api_tokens.read();
        let entry = tokens.get(id)?;
        let right = bool::from(given.as_bytes().ct_eq(entry.secret_hash.as_bytes()));
        if !right || entry.record.revoked_at_ms.is_some() || entry.record.expires_at_ms <= now {
            return None;
        }
        let used = entry.used_at_ms.load(Ordering::Relaxed);
        let due = now.saturating_sub(used) >= USED_EVERY_MS
            && entry.used_at_ms.compare_exchange(used, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        let found = entry.presented.clone();
        drop(tokens);
        if due {
            let id = id.to_owned();
            self.parts.writes.droppable(|m, done| m.use_token(id, now, done), || ());
        }
        Some(found)
    }
}

/// Whoever has an account, with a credential that may do whatever it may. Without logins everyone is the same
/// administrator, who may have tokens too.
fn may_have_tokens(identity: &Identity) -> Result<(), Error> {
    if identity.scope().is_some() || identity.is_probe() {
        let message = "a token that was made for some actions cannot manage API tokens: log in with the account";
        return Err(Error::Denied(message.to_owned()));
    }
    if identity.kind() == AccountKind::Anonymous && !identity.is_admin() {
        return Err(Error::Denied("API tokens belong to an account: log in first".to_owned()));
    }
    Ok(())
}

fn may_see(identity: &Identity, entry: &Entry) -> bool {
    identity.is_admin() || entry.presented.owner.subject == identity.holder().subject
}

fn checked(new: NewToken, now: i64) -> Result<NewToken, Error> {
    words::word("name", &new.name, MAX_NAME)?;
    words::count("actions", &new.actions, NAMES.len() * 2)?;
    words::count("repositories", &new.repositories, MAX_SCOPE)?;
    new.repositories.iter().try_for_each(|pattern| words::pattern(pattern))?;
    scope(&new.actions, &new.repositories)?;
    if new.expires_at_ms <= now {
        return Err(Error::Invalid("expires_at: must lie in the future".to_owned()));
    }
    if new.expires_at_ms - now > MAX_TOKEN_LIFE_MS {
        return Err(Error::Invalid("expires_at: must be at most 366 days from now".to_owned()));
    }
    // As short as they are shown, however they were typed.
    let named = new.actions.iter().filter_map(|name| action(name)).map(|(name, _)| name.to_owned());
    Ok(NewToken {
        actions: words::unique(named),
        repositories: words::unique(new.repositories),
        name: new.name,
        expires_at_ms: new.expires_at_ms,
    })
}

/// What a token can be made for.
const NAMES: [(&str, Kind); 4] =
    [("pull", Kind::Pull), ("push", Kind::Push), ("delete", Kind::Delete), ("catalog", Kind::Catalog)];

fn action(name: &str) -> Option<(&'static str, Kind)> {
    NAMES.into_iter().find(|(short, kind)| *short == name || kind.as_str() == name)
}

fn scope(actions: &[String], repositories: &[String]) -> Result<Scope, Error> {
    let mut set = ActionSet::default();
    let mut catalog = false;
    for name in actions {
        match action(name) {
            Some((_, Kind::Catalog)) => catalog = true,
            Some((_, kind)) => set = set.with(kind),
            None => {
                let name = words::excerpt(name);
                return Err(Error::Invalid(format!("actions: `{name}` is none of pull, push, delete, catalog")));
            }
        }
    }
    if set.is_empty() && !catalog {
        return Err(Error::Invalid("actions: must have at least one of pull, push, delete, catalog".to_owned()));
    }
    if !set.is_empty() && repositories.is_empty() {
        return Err(Error::Invalid(
            "repositories: must have at least one pattern; `**` is every repository".to_owned(),
        ));
    }
    let grants = match set.is_empty() {
        true => Vec::new(),
        false => repositories.iter().map(|name| Grant { repositories: name.clone(), actions: set }).collect(),
    };
    Ok(Scope { grants, catalog })
}

/// A public name and a secret.
fn draw() -> Result<(String, String), Error> {
    let id = random_hex(8).map_err(|error| Error::no_random(&error))?;
    let secret = random_bytes::<SECRET>().map_err(|error| Error::no_random(&error))?;
    Ok((id, URL_SAFE_NO_PAD.encode(secret)))
}

fn hash(secret: &str) -> String {
    Digest::sha256(secret.as_bytes()).hex().to_owned()
}

#[cfg(test)]
mod tests;
