//! Tokens of a registry's token server (distribution, "Token Authentication Specification"); never when one is needed.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;
use reqwest::{Method, Url};
use tokio::time::Instant;

use crate::credentials::Credential;
use crate::error::Error;
use crate::response::Answer;
use crate::text::line;
use crate::tries::Failure;
use crate::wire::{Ask, Wire, is_loopback, origin, unexpected};

/// No answer of a token server is longer, in bytes.
const ANSWER_MAX: usize = 1 << 20;

/// A token lives at least so long, whatever is told (as docker and containers/image take it), in seconds.
const LIFE_MIN: u64 = 60;

/// And is not relied on for longer, in seconds.
const LIFE_MAX: u64 = 24 * 60 * 60;

/// Where tokens are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Realm {
    /// An absolute URL of http or https, without a user.
    pub(super) url: Url,
    pub(super) service: Option<String>,
}

/// A token as a header, and until when it is used.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) header: HeaderValue,
    pub(super) until: Instant,
}

#[derive(serde::Deserialize)]
struct Reply {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    expires_in: Option<f64>,
}

/// Fetches a token for `scopes`, as whom `credential` says.
///
/// # Errors
/// [`Failure`] where none is given.
pub(super) async fn fetch(
    wire: &Wire,
    realm: &Realm,
    scopes: &BTreeSet<String>,
    credential: Option<&Credential>,
    registry: &Url,
) -> Result<Token, Failure> {
    if credential.is_some() {
        guard(realm, registry)?;
    }
    if let Some(Credential::Identity { token, .. }) = credential {
        let ask = exchange(realm, scopes, token);
        let mut answer = wire.follow(&ask, None).await?;
        if !matches!(answer.status(), 404 | 405) {
            return read(&ask, wire.judged(answer).await?, credential).await;
        }
        answer.drain().await;
    }
    let basic = credential.map(|credential| match credential {
        Credential::Password { username, password } => basic(username, password),
        // Registries that know no exchange take the token as the password.
        Credential::Identity { username, token } => basic(username.as_deref().unwrap_or("<token>"), token),
    });
    let ask = get(realm, scopes, credential);
    let answer = wire.follow(&ask, basic.as_ref()).await?;
    read(&ask, wire.judged(answer).await?, credential).await
}

/// Nobody but the registry we were told to speak plainly with makes us send a login in the clear off this machine.
fn guard(realm: &Realm, registry: &Url) -> Result<(), Failure> {
    if realm.url.scheme() == "https" || registry.scheme() == "http" || is_loopback(&realm.url) {
        return Ok(());
    }
    Err(Failure::Said(Error::Unauthorized {
        status: 401,
        what: origin(registry),
        reason: format!("it wants the login sent in the clear to {}", origin(&realm.url)),
        advice: "this is not done: its realm must be an https URL".to_owned(),
    }))
}

fn exchange(realm: &Realm, scopes: &BTreeSet<String>, token: &str) -> Ask {
    // A URL is borrowed for its encoder of forms.
    let mut url = realm.url.clone();
    url.set_query(None);
    {
        let mut form = url.query_pairs_mut();
        form.append_pair("grant_type", "refresh_token").append_pair("refresh_token", token);
        form.append_pair("client_id", "mcr").append_pair("service", realm.service.as_deref().unwrap_or_default());
        if !scopes.is_empty() {
            form.append_pair("scope", &scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" "));
        }
    }
    let form = url.query().map(str::to_owned);
    Ask { form, ..Ask::new(Method::POST, realm.url.clone()) }
}

fn get(realm: &Realm, scopes: &BTreeSet<String>, credential: Option<&Credential>) -> Ask {
    let mut url = realm.url.clone();
    let account = credential.and_then(|credential| match credential {
        Credential::Password { username, .. } => Some(username),
        Credential::Identity { username, .. } => username.as_ref(),
    });
    let pairs = account.map(|account| ("account", account.as_str())).into_iter();
    let pairs = pairs.chain(realm.service.iter().map(|service| ("service", service.as_str())));
    let pairs: Vec<_> = pairs.chain(scopes.iter().map(|scope| ("scope", scope.as_str()))).collect();
    if !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
    Ask::new(Method::GET, url)
}

async fn read(ask: &Ask, mut answer: Answer, credential: Option<&Credential>) -> Result<Token, Failure> {
    let status = answer.status();
    // Every refusal is one of the login, except those that come from a wrong address.
    if matches!(status, 400 | 401 | 403 | 404) {
        let said = answer.said().await;
        let advice = match credential {
            Some(_) => "check the login, and that it may do this",
            None => "it may be private, or not exist: log in",
        };
        return Err(Failure::Said(Error::Unauthorized {
            status,
            what: ask.what(),
            reason: said.text.unwrap_or_else(|| "the token server gives no token".to_owned()),
            advice: advice.to_owned(),
        }));
    }
    if status != 200 {
        return Err(unexpected(ask, format!("the token server answers {}", answer.status_text())));
    }
    let mut bytes = Vec::new();
    if !answer.collect(ANSWER_MAX, &mut bytes).await? {
        return Err(unexpected(ask, "the token server's answer does not end".to_owned()));
    }
    // Not the error itself: it repeats values.
    let reply: Reply = serde_json::from_slice(&bytes)
        .map_err(|_| unexpected(ask, "the token server's answer is not the JSON of one".to_owned()))?;
    let filled = |token: Option<String>| token.filter(|token| !token.is_empty());
    let token = filled(reply.token).or_else(|| filled(reply.access_token));
    let token = token.ok_or_else(|| unexpected(ask, "the token server's answer holds no token".to_owned()))?;
    let header = bearer(&token).ok_or_else(|| unexpected(ask, "the token cannot stand in a header".to_owned()))?;
    Ok(Token { header, until: Instant::now() + life(reply.expires_in) })
}

/// Nine tenths of the told life: its end is seen here before the registry sees it.
fn life(expires_in: Option<f64>) -> Duration {
    let seconds = expires_in.filter(|seconds| seconds.is_finite()).unwrap_or(0.0);
    #[expect(clippy::cast_precision_loss, reason = "both are small whole numbers")]
    let seconds = seconds.clamp(LIFE_MIN as f64, LIFE_MAX as f64);
    Duration::from_secs_f64(seconds * 0.9)
}

/// The header for a bearer token; `None` for characters that no header may hold.
pub(super) fn bearer(token: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_str(&format!("Bearer {}", token.trim())).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// The header for a name and a password (RFC 7617).
pub(super) fn basic(username: &str, password: &str) -> HeaderValue {
    let encoded = STANDARD.encode(format!("{username}:{password}"));
    // Base64 is always fit for a header.
    let mut header =
        HeaderValue::from_str(&format!("Basic {encoded}")).unwrap_or_else(|_| HeaderValue::from_static("Basic Og=="));
    header.set_sensitive(true);
    header
}

/// The realm of a challenge.
///
/// # Errors
/// One line about a realm that is none.
pub(super) fn realm(url: &str, service: Option<&str>) -> Result<Realm, String> {
    let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let mut parsed =
        parsed.ok_or_else(|| format!("its realm `{}` is not an absolute URL of http or https", line(url)))?;
    crate::wire::without_user(&mut parsed);
    parsed.set_fragment(None);
    Ok(Realm { url: parsed, service: service.map(str::to_owned) })
}

#[cfg(test)]
mod tests;
