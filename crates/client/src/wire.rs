//! Requests and redirects, each bounded in time; never logins, retries, or what an answer means.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mcr_seams::Clock;
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION, RANGE,
};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Method, Url};
use tokio::time::timeout;

use crate::error::{Error, SetupError};
use crate::payload::Payload;
use crate::response::Answer;
use crate::settings::{Settings, Trust};
use crate::text::{causes, line};
use crate::tls::{NOT_PINNED, believing};
use crate::tries::Failure;

/// How many redirects of one request are followed.
const REDIRECTS_MAX: usize = 5;

/// Connections to one host that are kept while nothing is asked.
const IDLE_MAX: usize = 8;

/// How long they are kept: shorter than servers keep them, since a request that meets their end has failed.
const IDLE_FOR: Duration = Duration::from_secs(20);

/// What rustls would say with the name of a type of ours.
const UNPINNED: &str = "its certificate is not the pinned one";

/// One request, without who is asking.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) accept: Option<&'static str>,
    /// The value of `Range`; redirects keep it.
    pub(crate) range: Option<String>,
    /// A body of `application/x-www-form-urlencoded`.
    pub(crate) form: Option<String>,
    /// A body of `application/json`.
    pub(crate) json: Option<String>,
    /// A body of another type.
    pub(crate) payload: Option<Payload>,
}

impl Ask {
    /// A request without a body.
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self { method, url, accept: None, range: None, form: None, json: None, payload: None }
    }

    /// What is asked for, as messages name it: without the query, which may be a secret of whoever made it.
    pub(crate) fn what(&self) -> String {
        format!("{} {}{}", self.method, origin(&self.url), line(self.url.path()))
    }
}

/// Where requests go out.
#[derive(Debug)]
pub(crate) struct Wire {
    settings: Settings,
    clock: Clock,
    /// For this machine: proxies of the environment are passed by.
    near: OnceLock<Client>,
    /// For all others.
    far: OnceLock<Client>,
}

impl Wire {
    /// # Errors
    /// [`SetupError`] where the settings cannot be used.
    pub(crate) fn new(settings: &Settings) -> Result<Self, SetupError> {
        let wire =
            Self { settings: settings.clone(), clock: Clock::system(), near: OnceLock::new(), far: OnceLock::new() };
        wire.client(&settings.base)?;
        Ok(wire)
    }

    fn client(&self, url: &Url) -> Result<&Client, SetupError> {
        let near = self.settings.direct || is_loopback(url);
        let slot = if near { &self.near } else { &self.far };
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        let client = self.build(near)?;
        Ok(slot.get_or_init(|| client))
    }

    fn build(&self, near: bool) -> Result<Client, SetupError> {
        let built = believing(self.builder(near)?, &self.settings.trust)?.build();
        let plain = self.settings.base.scheme() == "http" && matches!(self.settings.trust, Trust::System);
        match built {
            Ok(client) => Ok(client),
            // A container may hold no roots at all. Plain HTTP works without, and HTTPS is refused then.
            Err(_) if plain => {
                let builder = self.builder(near)?.tls_certs_only([]);
                builder.build().map_err(|error| SetupError::Tls(causes(&error)))
            }
            Err(error) => Err(SetupError::Tls(causes(&error))),
        }
    }

    fn builder(&self, near: bool) -> Result<ClientBuilder, SetupError> {
        let agent = HeaderValue::from_str(&self.settings.user_agent).map_err(|_| SetupError::Header("user agent"))?;
        let builder = Client::builder()
            .user_agent(agent)
            .redirect(Policy::none())
            .referer(false)
            // An answer that ends early is an answer that ends early there; over HTTP/2 a server resets the stream,
            // which says nothing of how much there was. No registry speaks HTTP/2 alone.
            .http1_only()
            // Off anyway, unless another crate of the program turns the features on.
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
            .connect_timeout(self.settings.connect_timeout)
            .pool_max_idle_per_host(IDLE_MAX)
            .pool_idle_timeout(IDLE_FOR);
        Ok(if near { builder.no_proxy() } else { builder })
    }

    /// Sends a request and follows where it leads. `authorization` goes to the origin of the request and no other.
    ///
    /// # Errors
    /// [`Failure`] where no head came, or redirects lead nowhere. Every status is an answer.
    pub(crate) async fn follow(&self, ask: &Ask, authorization: Option<&HeaderValue>) -> Result<Answer, Failure> {
        let mut url = ask.url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let own = url.origin() == ask.url.origin();
            let mut answer = self.send(ask, &url, authorization.filter(|_| own)).await?;
            // What changes something is done where it was sent, or not at all.
            let reads = matches!(ask.method, Method::GET | Method::HEAD);
            let Some(location) = redirect(&answer).filter(|_| reads) else {
                return Ok(answer);
            };
            let next = next(ask, &url, location.as_deref())?;
            answer.drain().await;
            url = next;
        }
        Err(unexpected(ask, format!("redirects more than {REDIRECTS_MAX} times")))
    }

    /// Tells answers from failures that pass: 429 and 503 with `Retry-After` ask for patience, other 5xx are failures.
    ///
    /// # Errors
    /// Those, as [`Failure`].
    pub(crate) async fn judged(&self, mut answer: Answer) -> Result<Answer, Failure> {
        let status = answer.status();
        let wait = answer.retry_after(&self.clock);
        match status {
            429 => {}
            503 if wait.is_some() => {}
            // Not to be had from this server at all.
            501 | 505 | 507 => return Ok(answer),
            408 | 500..=599 => {
                let said = answer.said().await.text;
                let text = answer.status_text();
                let reason = said.map_or_else(|| text.clone(), |said| format!("{text}: {said}"));
                return Err(Failure::Broken { status: Some(status), reason });
            }
            _ => return Ok(answer),
        }
        let said = answer.said().await.text;
        answer.drain().await;
        Err(Failure::Busy { status, wait, said })
    }

    async fn send(&self, ask: &Ask, url: &Url, authorization: Option<&HeaderValue>) -> Result<Answer, Failure> {
        let client = self.client(url).map_err(|error| unexpected(ask, error.to_string()))?;
        let mut request = client.request(ask.method.clone(), url.clone());
        // Bytes are hashed as they come: whatever is encoded on the way is not what was pushed.
        request = request.header(ACCEPT_ENCODING, "identity").header(ACCEPT, ask.accept.unwrap_or("*/*"));
        if let Some(range) = &ask.range {
            request = request.header(RANGE, range);
        }
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        if let Some(form) = &ask.form {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.clone());
        }
        if let Some(json) = &ask.json {
            request = request.header(CONTENT_TYPE, "application/json").body(json.clone());
        }
        // Some in between refuse a POST that does not say so (411).
        if ask.method == Method::POST && ask.form.is_none() && ask.json.is_none() && ask.payload.is_none() {
            request = request.header(CONTENT_LENGTH, 0);
        }
        // The connection is made within this time too: it has a limit of its own.
        let patience = self.settings.silence.max(self.settings.connect_timeout);
        let sent = match &ask.payload {
            None => timeout(patience, request.send()).await.ok(),
            Some(payload) => {
                let (body, flow) = Arc::clone(&payload.streamed).open();
                request = request.header(CONTENT_TYPE, payload.media_type.as_str());
                request = request.header(CONTENT_LENGTH, payload.streamed.length()).body(body);
                flow.watch(patience, request.send()).await
            }
        };
        match sent {
            Some(Ok(response)) => {
                let foreign = url.origin() != ask.url.origin();
                Ok(Answer::new(response, url.clone(), foreign, self.settings.silence))
            }
            Some(Err(_)) if ask.payload.as_ref().is_some_and(|payload| payload.streamed.has_failed()) => {
                Err(unexpected(ask, "the bytes that were to be sent could not be had".to_owned()))
            }
            Some(Err(error)) => Err(failed(url, &error, self.settings.connect_timeout)),
            None => {
                let reason = format!("{} sent nothing for {} s", origin(url), patience.as_secs_f64());
                Err(Failure::Broken { status: None, reason })
            }
        }
    }
}

/// What carries gRPC to the server at `settings.base`: HTTP/2, with the same trust and the same limits of time, without
/// redirects or a login.
///
/// # Errors
/// [`SetupError`] where the settings cannot be used.
pub fn http2(settings: &Settings) -> Result<Client, SetupError> {
    let near = settings.direct || is_loopback(&settings.base);
    let builder = Client::builder()
        .user_agent(settings.user_agent.as_str())
        .redirect(Policy::none())
        .connect_timeout(settings.connect_timeout)
        .read_timeout(settings.silence);
    let builder = if near { builder.no_proxy() } else { builder };
    // Without TLS nothing says which version is meant.
    let builder = if settings.base.scheme() == "http" { builder.http2_prior_knowledge() } else { builder };
    believing(builder, &settings.trust)?.build().map_err(|error| SetupError::Tls(causes(&error)))
}

/// The `Location` of a redirect; `Some(None)` for a redirect without one.
fn redirect(answer: &Answer) -> Option<Option<String>> {
    let status = answer.status();
    matches!(status, 301 | 302 | 303 | 307 | 308).then(|| answer.header(&LOCATION).map(str::to_owned))
}

/// Where a redirect from `url` leads.
fn next(ask: &Ask, url: &Url, location: Option<&str>) -> Result<Url, Failure> {
    let location = location.ok_or_else(|| unexpected(ask, "redirects without saying where".to_owned()))?;
    let next = url.join(location);
    let mut next = next.map_err(|_| unexpected(ask, "redirects to what is no URL".to_owned()))?;
    match (url.scheme(), next.scheme()) {
        ("https", "http") => {
            let host = origin(&next);
            return Err(unexpected(ask, format!("redirects from https to {host}, which is not followed")));
        }
        (_, "http" | "https") => {}
        (_, scheme) => return Err(unexpected(ask, format!("redirects to the scheme {}", line(scheme)))),
    }
    without_user(&mut next);
    next.set_fragment(None);
    Ok(next)
}

/// Takes name and password out of a URL that somebody sent: they would become an `Authorization` of their choice.
pub(crate) fn without_user(url: &mut Url) {
    // These fail only for URLs that have no host, and so no user either.
    let _ = url.set_username("");
    let _ = url.set_password(None);
}

pub(crate) fn unexpected(ask: &Ask, reason: String) -> Failure {
    Failure::Said(Error::Unexpected { what: ask.what(), reason })
}

/// `scheme://host[:port]`.
pub(crate) fn origin(url: &Url) -> String {
    line(&url.origin().ascii_serialization())
}

/// Whether a URL stays on this machine: its name says so, or its address.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let by_name = host == "localhost" || host.ends_with(".localhost");
    by_name || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A request that brought no head: no connection, or one that broke.
fn failed(url: &Url, error: &reqwest::Error, connect_timeout: Duration) -> Failure {
    let text = causes(error);
    if !error.is_connect() {
        return Failure::Reset { reason: format!("{}: {text}", origin(url)) };
    }
    let seconds = connect_timeout.as_secs_f64();
    let pinned = text.contains(NOT_PINNED);
    let certificate = pinned || text.contains("invalid peer certificate");
    let reason = match text {
        _ if pinned => UNPINNED.to_owned(),
        _ if error.is_timeout() => format!("no connection within {seconds} s"),
        text => text,
    };
    let error = Error::Unreachable { registry: origin(url), advice: advice(&reason).to_owned(), reason };
    Failure::Unconnected { error, again: !certificate }
}

/// What to do about a connection that cannot be made.
fn advice(reason: &str) -> &'static str {
    if reason == UNPINNED {
        "if it was renewed, trust the new one; if not, somebody stands in between"
    } else if reason.contains("invalid peer certificate") {
        "give its CA with --ca-cert FILE, or skip the check with --insecure"
    } else if reason.contains("InvalidContentType") {
        "it seems to speak plain HTTP: use --plain-http, or http://"
    } else if reason.contains("dns") || reason.contains("lookup address") {
        "check the host name"
    } else {
        "check the address and that a registry runs there"
    }
}

#[cfg(test)]
mod tests;
