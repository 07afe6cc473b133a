//! Asking the identity service over HTTPS: log in, validate, revoke; never what is remembered of its answers.
//!
//! `POST {server_url}/v1/auth/login`, `/v1/token/validate`, `/v1/auth/logout` (contract section 10). TLS 1.3, the
//! system's authorities or our own; no redirects, no proxies of the environment, bounded times and sizes. What says
//! that a credential is wrong is told apart from everything else that is not an answer.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::RETRY_AFTER;
use reqwest::{Certificate, Client, RequestBuilder, Response, StatusCode, Url, redirect, tls};
use rustls::crypto::CryptoProvider;
use serde::Serialize;

use crate::files::{self, Signature};
use crate::ledger::Answer;
use crate::settings::IdentityServiceSettings;

mod answers;

pub(crate) use answers::{IdentityClaims, IdentityToken, is_token};

/// How long an answer may take, from the connection to its last byte.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 << 10;
/// Connections that are kept while nothing is asked, and for how long.
const IDLE_MAX: usize = 8;
const IDLE_FOR: Duration = Duration::from_secs(60);
/// Longest file of authorities, in bytes.
const MAX_AUTHORITIES: u64 = 1 << 20;
/// Longest wait that is passed on from the service, in seconds.
const MAX_RETRY_AFTER: u32 = 60;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The service said so: wrong, unknown, run out, revoked.
    Wrong,
    /// The service cannot be asked: away, slow, in trouble itself, or it says what cannot be understood.
    Unavailable {
        /// For the log.
        reason: String,
        /// Seconds, where the service named some.
        retry_after: Option<u32>,
        /// Nobody answered at all, so the next will not be answered either.
        is_silent: bool,
    },
    /// It does not take what it was sent (400, 422): that says nothing of the credential, and nothing of others.
    NotTaken {
        /// For the log.
        status: u16,
    },
}

impl Trouble {
    fn garbage(reason: impl Into<String>) -> Self {
        Self::Unavailable { reason: reason.into(), retry_after: None, is_silent: false }
    }
}

/// The identity service as the gate sees it. Tests have one in memory.
pub(crate) trait IdentityService: Send + Sync {
    /// Gives a token for a right pair.
    fn login<'a>(&'a self, username: &'a str, password: &'a str) -> Answer<'a, Result<IdentityToken, Trouble>>;
    /// Says whose token it is.
    fn validate<'a>(&'a self, token: &'a str) -> Answer<'a, Result<IdentityClaims, Trouble>>;
    /// Ends a token, where the service can.
    fn revoke<'a>(&'a self, token: &'a str) -> Answer<'a, Result<(), Trouble>>;
}

/// Why the service cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    #[error("[mcias] server_url: {0}; expected https://HOST[:PORT]")]
    Url(Url),
    #[error("[mcias] ca_cert {}: {reason}", .path.display())]
    Authorities { path: PathBuf, reason: String },
    #[error("[mcias]: {0}")]
    Tls(String),
}

/// The real one.
pub(crate) struct HttpIdentityService {
    settings: IdentityServiceSettings,
    client: Mutex<(Client, Option<Signature>)>,
}

#[derive(Serialize)]
struct Login<'a> {
    username: &'a str,
    password: &'a str,
    service_name: &'a str,
    tags: &'a [String],
}

#[derive(Serialize)]
struct Token<'a> {
    token: &'a str,
}

impl HttpIdentityService {
    /// # Errors
    /// [`SetupError`], which names the key.
    pub(crate) fn new(settings: IdentityServiceSettings) -> Result<Self, SetupError> {
        if settings.server_url.scheme() != "https" || settings.server_url.host_str().is_none() {
            return Err(SetupError::Url(settings.server_url));
        }
        let client = client(&settings, true)?;
        Ok(Self { settings, client: Mutex::new(client) })
    }

    /// Without TLS, which a unit test has no certificate for.
    #[cfg(test)]
    pub(crate) fn plain(settings: IdentityServiceSettings) -> Self {
        let client = client(&settings, false).unwrap();
        Self { settings, client: Mutex::new(client) }
    }

    /// Reads the authorities anew if their file changed; bad ones are logged and the last good ones go on. Blocks.
    pub(crate) fn reload_if_changed(&self) {
        let Some(path) = &self.settings.ca_cert else { return };
        let now = files::signature(path).ok();
        let mut current = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if now == current.1 {
            return;
        }
        match client(&self.settings, true) {
            Ok(new) => {
                *current = new;
                tracing::info!("read the authorities of the identity service anew");
            }
            Err(error) => {
                current.1 = now;
                tracing::error!(%error, "the authorities of the identity service are not taken; the last good ones go on");
            }
        }
    }

    fn client(&self) -> Client {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    fn post(&self, path: &str) -> RequestBuilder {
        let mut url = self.settings.server_url.clone();
        url.set_path(&format!("{}{path}", self.settings.server_url.path().trim_end_matches('/')));
        url.set_query(None);
        self.client().post(url)
    }

    /// Status and body of an answer that came whole.
    async fn answer(&self, request: RequestBuilder) -> Result<(StatusCode, Option<u32>, Bytes), Trouble> {
        let mut response = request.send().await.map_err(|error| silent(&error))?;
        let (status, retry_after) = (response.status(), retry_after(&response));
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| silent(&error))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(Trouble::garbage(format!("its answer is longer than {MAX_ANSWER} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status, retry_after, body.freeze()))
    }

    /// The body of a 200; 401 and 403 are wrong credentials.
    async fn ask(&self, request: RequestBuilder) -> Result<Bytes, Trouble> {
        match self.answer(request).await? {
            (StatusCode::OK | StatusCode::CREATED, _, body) => Ok(body),
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, ..) => Err(Trouble::Wrong),
            (status @ (StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY), ..) => {
                Err(Trouble::NotTaken { status: status.as_u16() })
            }
            (status, retry_after, _) => {
                let reason = format!("it answers {}", status.as_u16());
                Err(Trouble::Unavailable { reason, retry_after, is_silent: false })
            }
        }
    }
}

impl IdentityService for HttpIdentityService {
    fn login<'a>(&'a self, username: &'a str, password: &'a str) -> Answer<'a, Result<IdentityToken, Trouble>> {
        let IdentityServiceSettings { service_name, tags, .. } = &self.settings;
        Box::pin(async move {
            let request = self.post("/v1/auth/login").json(&Login { username, password, service_name, tags });
            let body = self.ask(request).await?;
            IdentityToken::read(&body).ok_or_else(|| Trouble::garbage("its answer to a login cannot be understood"))
        })
    }

    fn validate<'a>(&'a self, token: &'a str) -> Answer<'a, Result<IdentityClaims, Trouble>> {
        Box::pin(async move {
            let body = self.ask(self.post("/v1/token/validate").json(&Token { token })).await?;
            IdentityClaims::read(&body)
        })
    }

    fn revoke<'a>(&'a self, token: &'a str) -> Answer<'a, Result<(), Trouble>> {
        Box::pin(async move {
            let request = self.post("/v1/auth/logout").bearer_auth(token);
            match self.answer(request).await? {
                (status, ..) if status.is_success() => Ok(()),
                // It cannot revoke, or the token is no longer good: either way there is nothing more to do there.
                (StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::UNAUTHORIZED, ..) => Ok(()),
                (status, retry_after, _) => {
                    let reason = format!("it answers {} to a logout", status.as_u16());
                    Err(Trouble::Unavailable { reason, retry_after, is_silent: false })
                }
            }
        })
    }
}

fn client(settings: &IdentityServiceSettings, secure: bool) -> Result<(Client, Option<Signature>), SetupError> {
    // Without one reqwest would panic.
    if CryptoProvider::get_default().is_none() {
        return Err(SetupError::Tls("no crypto provider is installed in this program".to_owned()));
    }
    let mut builder = Client::builder()
        .timeout(TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .pool_max_idle_per_host(IDLE_MAX)
        .pool_idle_timeout(IDLE_FOR)
        .user_agent(concat!("mcrsrv/", env!("CARGO_PKG_VERSION")))
        .https_only(secure)
        .tls_version_min(tls::Version::TLS_1_3);
    let mut signature = None;
    if let Some(path) = &settings.ca_cert {
        let wrong = |reason: String| SetupError::Authorities { path: path.clone(), reason };
        let file = files::read(path, MAX_AUTHORITIES).map_err(|error| wrong(format!("cannot be read: {error}")))?;
        signature = Some(file.signature);
        let certificates = Certificate::from_pem_bundle(file.text.as_bytes());
        let certificates = certificates.map_err(|_| wrong("not PEM certificates".to_owned()))?;
        if certificates.is_empty() {
            return Err(wrong("no certificate in it; expected PEM with BEGIN CERTIFICATE".to_owned()));
        }
        builder = builder.tls_certs_only(certificates);
    }
    let client = builder.build().map_err(|error| SetupError::Tls(causes(&error)))?;
    Ok((client, signature))
}

/// Nobody answered, or not to the end. Without the URL, which may hold a password.
fn silent(error: &reqwest::Error) -> Trouble {
    let reason = if error.is_timeout() { format!("no answer within {} s", TIMEOUT.as_secs()) } else { causes(error) };
    Trouble::Unavailable { reason, retry_after: None, is_silent: error.is_timeout() || error.is_connect() }
}

/// The innermost causes in one line; what reqwest itself says is only where it happened.
fn causes(error: &reqwest::Error) -> String {
    let mut texts = Vec::new();
    let mut next = std::error::Error::source(error);
    // A chain is never this long; a loop would be.
    while let Some(cause) = next.filter(|_| texts.len() < 8) {
        texts.push(cause.to_string());
        next = cause.source();
    }
    if texts.is_empty() { "the exchange failed".to_owned() } else { texts.join(": ") }
}

fn retry_after(response: &Response) -> Option<u32> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse::<u32>().ok().map(|seconds| seconds.clamp(1, MAX_RETRY_AFTER))
}

/// For the gate, which keeps the real one to reload it.
pub(crate) type Shared = Arc<dyn IdentityService>;

#[cfg(test)]
mod tests;
