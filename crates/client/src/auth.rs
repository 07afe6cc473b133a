//! Who is asking: answers to challenges, tokens kept while they live; never a request for content.

mod token;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use mcr_oci::RepositoryName;
use reqwest::Url;
use reqwest::header::HeaderValue;
use tokio::time::Instant;

use crate::challenge::{Challenge, challenges};
use crate::credentials::{Credential, Lookup, Names};
use crate::error::{Error, SetupError};
use crate::response::Answer;
use crate::settings::Login;
use crate::text::line;
use crate::tries::Failure;
use crate::wire::{Wire, origin};
use token::{Realm, Token, basic, bearer};

/// How many tokens, and scopes that were told, are remembered; then it begins anew.
const REMEMBERED_MAX: usize = 1024;

/// Scopes of one challenge that are asked for; more is no request for one repository.
const SCOPES_MAX: usize = 8;

/// What a request needs to be allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Want {
    repository: Option<RepositoryName>,
    scopes: BTreeSet<String>,
}

impl Want {
    /// Nothing in particular: what is needed is told.
    pub(crate) fn nothing() -> Self {
        Self { repository: None, scopes: BTreeSet::new() }
    }

    /// To list the repositories.
    pub(crate) fn catalog() -> Self {
        Self { repository: None, scopes: BTreeSet::from(["registry:catalog:*".to_owned()]) }
    }

    /// To read a repository.
    pub(crate) fn pull(repository: &RepositoryName) -> Self {
        Self::of(repository, "pull")
    }

    /// To write into a repository, and to mount out of another one.
    pub(crate) fn push(repository: &RepositoryName, from: Option<&RepositoryName>) -> Self {
        let mut want = Self::of(repository, "pull,push");
        want.scopes.extend(from.map(|from| format!("repository:{from}:pull")));
        want
    }

    /// To do this in a repository.
    pub(crate) fn of(repository: &RepositoryName, actions: &str) -> Self {
        let scope = format!("repository:{repository}:{actions}");
        Self { repository: Some(repository.clone()), scopes: BTreeSet::from([scope]) }
    }
}

/// What the registry asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Scheme {
    Basic,
    Bearer(Realm),
}

/// What was shown with one request.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) header: Option<HeaderValue>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Nothing,
    /// The token we were given.
    Fixed,
    Basic,
    Bearer {
        key: String,
        scopes: BTreeSet<String>,
        /// Fetched for this very request.
        fresh: bool,
        /// Fetched with a credential.
        named: bool,
    },
}

/// One token, or the place where it is being fetched: whoever else wants it waits at the lock.
type Cell = Arc<tokio::sync::Mutex<Option<Token>>>;

/// The logins to one registry.
#[derive(Debug)]
pub(crate) struct Auth {
    login: Login,
    lookup: Option<Lookup>,
    registry: Url,
    scheme: Mutex<Option<Scheme>>,
    tokens: Mutex<HashMap<String, Cell>>,
    /// What a registry told that it wants, by what we had thought.
    told: Mutex<HashMap<BTreeSet<String>, BTreeSet<String>>>,
}

impl Auth {
    /// For the registry at `registry`, which credential files know by `names`.
    ///
    /// # Errors
    /// [`SetupError::Header`] for a token that cannot be sent.
    pub(crate) fn new(login: Login, registry: Url, names: Names) -> Result<Self, SetupError> {
        if let Login::Token(token) = &login
            && (token.trim().is_empty() || bearer(token).is_none())
        {
            return Err(SetupError::Header("token"));
        }
        let lookup = match &login {
            Login::Files(files) => Some(Lookup::new(files.clone(), names)),
            Login::Anonymous | Login::Basic { .. } | Login::Token(_) => None,
        };
        let (scheme, tokens, told) = (Mutex::default(), Mutex::default(), Mutex::default());
        Ok(Self { login, lookup, registry, scheme, tokens, told })
    }

    /// What to show with a request, by what the registry asked for so far.
    ///
    /// # Errors
    /// [`Failure`] where a token or a credential that is needed cannot be had.
    pub(crate) async fn show(&self, wire: &Wire, want: &Want) -> Result<Shown, Failure> {
        if let Login::Token(token) = &self.login {
            return Ok(Shown { header: bearer(token), kind: Kind::Fixed });
        }
        let scheme = locked(&self.scheme).clone();
        match scheme {
            None => Ok(Shown { header: None, kind: Kind::Nothing }),
            Some(Scheme::Basic) => Ok(match self.credential(want).await? {
                Some(Credential::Password { username, password }) => {
                    Shown { header: Some(basic(&username, &password)), kind: Kind::Basic }
                }
                // An identity token is for token servers only.
                Some(Credential::Identity { .. }) | None => Shown { header: None, kind: Kind::Nothing },
            }),
            Some(Scheme::Bearer(realm)) => self.token(wire, want, &realm).await,
        }
    }

    async fn token(&self, wire: &Wire, want: &Want, realm: &Realm) -> Result<Shown, Failure> {
        let told = locked(&self.told).get(&want.scopes).cloned();
        let scopes = told.unwrap_or_else(|| want.scopes.clone());
        let list = scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        let key = format!("{} {} {list}", realm.url, realm.service.as_deref().unwrap_or_default());
        let cell = {
            let mut tokens = locked(&self.tokens);
            if tokens.len() >= REMEMBERED_MAX && !tokens.contains_key(&key) {
                tokens.clear();
            }
            Arc::clone(tokens.entry(key.clone()).or_default())
        };
        let mut slot = cell.lock().await;
        let kept = slot.as_ref().filter(|token| Instant::now() < token.until);
        let credential = self.credential(want).await?;
        let (fresh, header) = match kept {
            Some(token) => (false, token.header.clone()),
            None => {
                let fetched = token::fetch(wire, realm, &scopes, credential.as_ref(), &self.registry).await?;
                (true, slot.insert(fetched).header.clone())
            }
        };
        let kind = Kind::Bearer { key, scopes, fresh, named: credential.is_some() };
        Ok(Shown { header: Some(header), kind })
    }

    async fn credential(&self, want: &Want) -> Result<Option<Credential>, Failure> {
        match (&self.login, &self.lookup) {
            (Login::Basic { username, password }, _) => {
                Ok(Some(Credential::Password { username: username.clone(), password: password.clone() }))
            }
            (Login::Files(_), Some(lookup)) => {
                let found = lookup.find(want.repository.as_ref().map(RepositoryName::as_str)).await;
                let registry = origin(&self.registry);
                found.map_err(|reason| Failure::Said(Error::Credentials { registry, reason }))
            }
            _ => Ok(None),
        }
    }

    /// The login for what no scope can name, the registry's own API: the token or the pair, as it is.
    ///
    /// # Errors
    /// [`Failure`] where the user's credentials cannot be read.
    pub(crate) async fn whole_login(&self) -> Result<Whole, Failure> {
        if let Login::Token(token) = &self.login {
            return Ok(bearer(token).map_or(Whole::Nothing, Whole::Header));
        }
        Ok(match self.credential(&Want::nothing()).await? {
            Some(Credential::Password { username, password }) => Whole::Header(basic(&username, &password)),
            Some(Credential::Identity { .. }) => Whole::Exchanged,
            None => Whole::Nothing,
        })
    }

    /// Learns from a refusal: `Ok` where it is worth to ask again, with what [`Self::show`] shows then.
    ///
    /// # Errors
    /// What to do about it, where nothing else can be shown.
    pub(crate) async fn learn(&self, answer: &Answer, shown: &Shown, want: &Want) -> Result<(), Refused> {
        let challenges = challenges(answer.headers());
        let scheme = choose(&challenges).map_err(Refused::Advice)?;
        let told = told(&challenges);
        if matches!(shown.kind, Kind::Fixed) {
            return Err(Refused::Advice("check the token: it may have ended, or not be for this".to_owned()));
        }
        let Some(scheme) = scheme else {
            return Err(Refused::Advice(self.advice(shown)));
        };
        let known = locked(&self.scheme).replace(scheme.clone());
        if known.as_ref() != Some(&scheme) {
            // Also where another request learned it meanwhile: what was shown did not answer this challenge.
            return self.can_answer(&scheme, want).await;
        }
        match &shown.kind {
            Kind::Nothing => self.can_answer(&scheme, want).await,
            Kind::Bearer { scopes, .. } if !told.is_subset(scopes) => {
                let mut remembered = locked(&self.told);
                if remembered.len() >= REMEMBERED_MAX {
                    remembered.clear();
                }
                remembered.insert(want.scopes.clone(), scopes.union(&told).cloned().collect());
                Ok(())
            }
            // It may have been revoked, or the registry restarted with another key.
            Kind::Bearer { key, fresh: false, .. } => {
                let cell = locked(&self.tokens).get(key).cloned();
                if let Some(cell) = cell {
                    let mut slot = cell.lock().await;
                    // Only the one that was refused: another request may have fetched a new one meanwhile.
                    if slot.as_ref().map(|token| &token.header) == shown.header.as_ref() {
                        *slot = None;
                    }
                }
                Ok(())
            }
            Kind::Bearer { .. } | Kind::Basic | Kind::Fixed => {
                // The next request looks again: the user may have logged in meanwhile.
                if let Some(lookup) = &self.lookup {
                    lookup.forget().await;
                }
                Err(Refused::Advice(self.advice(shown)))
            }
        }
    }

    async fn can_answer(&self, scheme: &Scheme, want: &Want) -> Result<(), Refused> {
        if matches!(scheme, Scheme::Bearer(_)) {
            return Ok(());
        }
        match self.credential(want).await.map_err(Refused::Failure)? {
            Some(Credential::Password { .. }) => Ok(()),
            Some(Credential::Identity { .. }) => {
                Err(Refused::Advice("the identity token is of no use here: log in with a password".to_owned()))
            }
            None => Err(Refused::Advice(self.advice(&Shown { header: None, kind: Kind::Nothing }))),
        }
    }

    /// What to do about a refusal.
    pub(crate) fn advice(&self, shown: &Shown) -> String {
        let host = crate::client::host_of(&self.registry);
        let named = matches!(shown.kind, Kind::Basic | Kind::Bearer { named: true, .. });
        match &self.login {
            Login::Anonymous => format!("log in to {host} with an account that may do this"),
            Login::Basic { .. } => "check the name and the password, and that they may do this".to_owned(),
            Login::Token(_) => "check the token: it may have ended, or not be for this".to_owned(),
            Login::Files(_) if named => format!("the stored login is refused: docker login {host}"),
            Login::Files(_) => format!("no credential file has a login for {host}: docker login {host}"),
        }
    }
}

/// A login without a scope.
#[derive(Debug)]
pub(crate) enum Whole {
    /// There is none.
    Nothing,
    /// This header.
    Header(HeaderValue),
    /// What is kept is an identity token, which only the token server takes: it gives tokens for what is asked for.
    Exchanged,
}

/// Why nothing else can be shown.
#[derive(Debug)]
pub(crate) enum Refused {
    /// What to do about it.
    Advice(String),
    /// Something failed on the way.
    Failure(Failure),
}

/// The scheme to answer: bearer where it can be, else basic; `None` where the registry asks for neither.
fn choose(challenges: &[Challenge]) -> Result<Option<Scheme>, String> {
    let bearer = challenges.iter().find(|challenge| challenge.scheme == "bearer");
    let realm = bearer.and_then(|challenge| challenge.get("realm").map(|url| (challenge, url)));
    let realm = realm.map(|(challenge, url)| token::realm(url, challenge.get("service")));
    let basic = challenges.iter().any(|challenge| challenge.scheme == "basic");
    match realm {
        Some(Ok(realm)) => Ok(Some(Scheme::Bearer(realm))),
        _ if basic => Ok(Some(Scheme::Basic)),
        Some(Err(reason)) => Err(reason),
        None if challenges.is_empty() || bearer.is_some() => Ok(None),
        None => {
            let schemes: Vec<&str> = challenges.iter().map(|challenge| challenge.scheme.as_str()).collect();
            Err(format!("it asks for {}, where Basic and Bearer are known", line(&schemes.join(", "))))
        }
    }
}

/// The scopes that are asked for.
fn told(challenges: &[Challenge]) -> BTreeSet<String> {
    let bearer = challenges.iter().find(|challenge| challenge.scheme == "bearer");
    let scopes = bearer.and_then(|challenge| challenge.get("scope")).unwrap_or_default();
    scopes.split_ascii_whitespace().take(SCOPES_MAX).map(str::to_owned).collect()
}

/// A lock that a panic elsewhere does not spoil: every value behind one is whole at any time.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
