//! One request: its endpoint, its caller, its handler, its line in the log and its figures; no handler itself.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use http::header::{AUTHORIZATION, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use mcr_access::{Action, Credentials, GlobalPermit, Identity, Permit, Refusal, Unauthenticated, is_allowed};
use mcr_oci::{ErrorCode, RepositoryName};

use super::body::{InBody, OutBody};
use super::clients::{Client, TooMany};
use super::edge::Edge;
use super::endpoint::{BadPath, Endpoint};
use super::peer::{Caller, Link};
use super::query::Query;
use super::respond::{API_VERSION, Answer, REQUEST_ID, empty, full, oci_error, set};
use super::{admin, blobs, error, integrity, lists, manifests, uploads};

/// Numbers the requests of this process.
static REQUESTS: AtomicU64 = AtomicU64::new(0);

/// Seconds after which a client that had too many requests under way may come again.
const BUSY_RETRY: u32 = 5;

/// A request on its way through a handler.
#[derive(Debug)]
pub struct Context<'a> {
    /// The server.
    pub edge: &'a Edge,
    /// How its connection came.
    pub link: &'a Link,
    /// Where it is from.
    pub caller: Caller,
    /// Who sends it.
    pub identity: Identity,
    /// Method, path, headers.
    pub head: http::request::Parts,
    /// Its parameters.
    pub query: Query,
}

impl Context<'_> {
    /// A permit for `A` in a repository, or the refusal as an answer.
    ///
    /// # Errors
    /// The 403, with action and repository.
    pub fn permit<A: Action>(&self, repository: &RepositoryName) -> Result<Permit<A>, Answer> {
        self.edge.registry.permit::<A>(&self.identity, repository).map_err(|refusal| self.refuse(&refusal))
    }

    /// A permit for `A`, an action without a place, or the refusal as an answer.
    ///
    /// # Errors
    /// The 403, with the action.
    pub fn permit_global<A: Action>(&self) -> Result<GlobalPermit<A>, Answer> {
        self.edge.registry.permit_global::<A>(&self.identity).map_err(|refusal| self.refuse(&refusal))
    }

    /// Whether a permit for `A` would be given. A question, so that a no is neither an answer nor logged.
    #[must_use]
    pub fn may<A: Action>(&self, repository: &RepositoryName) -> bool {
        is_allowed(&self.edge.registry.policy(), &self.identity, A::KIND, Some(repository))
    }

    /// The 403 of a refusal, which is logged with its rule.
    #[must_use]
    pub fn refuse(&self, refusal: &Refusal) -> Answer {
        tracing::info!(account = %refusal.account, action = refusal.action.as_str(), rule = refusal.reason.text(), "refused");
        error::refused(refusal)
    }

    /// A header as text, if it is ASCII.
    #[must_use]
    pub fn header(&self, name: &http::HeaderName) -> Option<&str> {
        self.head.headers.get(name).and_then(|v| v.to_str().ok())
    }
}

/// Answers one request; never fails.
pub async fn answer(edge: &Arc<Edge>, link: &Link, client: Option<&Client>, request: Request<Incoming>) -> Answer {
    let began = Instant::now();
    let number = REQUESTS.fetch_add(1, Ordering::Relaxed);
    let (head, incoming) = request.into_parts();
    let endpoint = Endpoint::parse(head.uri.path());
    let route = endpoint.as_ref().map_or("other", Endpoint::route);
    let (method, path) = (head.method.clone(), head.uri.path_and_query().map(ToString::to_string));
    let body = InBody::new(incoming, edge.read_timeout, edge.tasks.clone());
    let caller = link.caller(&head.headers);
    let forwarded = if link.is_trusted() { edge.clients.of(caller) } else { None };
    let place = match forwarded.as_ref().or(client) {
        Some(client) => client.enter().await.map(Some),
        None => Ok(None),
    };
    let mut answer = match place {
        Ok(_place) => handle(edge, (link, caller), head, body, endpoint).await,
        Err(TooMany) => error::too_many("this client has too many requests under way", BUSY_RETRY),
    };
    answer.headers_mut().insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    let status = answer.status();
    let elapsed = began.elapsed();
    edge.metrics.request(&method, route, status.as_u16(), elapsed, answer.body());
    let quiet = status.is_success() && (method == Method::GET || method == Method::HEAD);
    if !quiet || tracing::enabled!(tracing::Level::DEBUG) {
        let id = format!("{}-{number:x}", edge.id_prefix);
        set(&mut answer, REQUEST_ID, &id);
        log(&id, &method, path.as_deref().unwrap_or("/"), status, elapsed, caller.address);
    }
    answer
}

/// Reads that succeed are logged at debug: at tens of thousands a second a line each would be the
/// largest cost of the server. Writes and failures are logged always.
fn log(id: &str, method: &Method, path: &str, status: StatusCode, elapsed: std::time::Duration, peer: IpAddr) {
    let (method, status, ms) = (method.as_str(), status.as_u16(), elapsed.as_secs_f64() * 1000.0);
    if status >= 500 {
        tracing::error!(request_id = id, method, path, status, ms, %peer, "request");
    } else if status < 400 && matches!(method, "GET" | "HEAD") {
        tracing::debug!(request_id = id, method, path, status, ms, %peer, "request");
    } else {
        tracing::info!(request_id = id, method, path, status, ms, %peer, "request");
    }
}

async fn handle(
    edge: &Arc<Edge>,
    (link, caller): (&Link, Caller),
    head: http::request::Parts,
    body: InBody,
    endpoint: Result<Endpoint, BadPath>,
) -> Answer {
    if let Ok(open) = &endpoint
        && let Some(answer) = without_login(edge, link, &head, open).await
    {
        return answer;
    }
    // Who may not come in learns nothing of paths either.
    let identity = match identify(edge, caller, &head) {
        Ok(identity) => identity,
        Err(answer) if matches!(endpoint, Ok(Endpoint::Integrity)) => return integrity::in_its_form(&answer),
        Err(answer) => return answer,
    };
    let endpoint = match endpoint {
        Ok(endpoint) => endpoint,
        Err(bad) => return error::bad_path(&bad),
    };
    let query = Query::parse(head.uri.query());
    let context = Context { edge, link, caller, identity, head, query };
    routed(&context, endpoint, body).await.unwrap_or_else(|answer| answer)
}

/// Health, liveness, readiness and figures, which need no account.
async fn without_login(edge: &Edge, link: &Link, head: &http::request::Parts, endpoint: &Endpoint) -> Option<Answer> {
    let method = &head.method;
    let wants_read = method == Method::GET || method == Method::HEAD;
    let answer = match endpoint {
        Endpoint::Health | Endpoint::Alive | Endpoint::Ready | Endpoint::Metrics if !wants_read => {
            error::bad_method(endpoint)
        }
        Endpoint::Health => admin::health(edge).await,
        Endpoint::Alive => admin::alive(),
        Endpoint::Ready => admin::ready(edge).await,
        Endpoint::Metrics if edge.metrics_here && link.is_near(&head.headers) => admin::metrics(edge).await,
        Endpoint::Metrics => error::bad_path(&BadPath::NoSuchPath),
        _ => return None,
    };
    Some(if method == Method::HEAD { without_body(answer) } else { answer })
}

fn without_body(answer: Answer) -> Answer {
    let (parts, _) = answer.into_parts();
    Answer::from_parts(parts, OutBody::Empty)
}

fn identify(edge: &Edge, caller: Caller, head: &http::request::Parts) -> Result<Identity, Answer> {
    let credentials = match head.headers.get(AUTHORIZATION) {
        Some(value) => match Credentials::from_probe_bearer(value.as_bytes()) {
            Some(probe) => Some(probe),
            None => basic(edge, value.as_bytes())?,
        },
        None => None,
    };
    edge.gate.identify(credentials.as_ref(), Some(caller.address.to_string())).map_err(challenge)
}

/// What a header that is not the probe's says. Where nobody needs to log in, what cannot be read says nothing: a
/// client may have credentials left over.
fn basic(edge: &Edge, header: &[u8]) -> Result<Option<Credentials>, Answer> {
    match Credentials::from_basic(header) {
        Ok(credentials) => Ok(Some(credentials)),
        Err(_) if edge.gate.needs_login() => Err(challenge(Unauthenticated::Wrong)),
        Err(_) => Ok(None),
    }
}

fn challenge(why: Unauthenticated) -> Answer {
    let mut answer = oci_error(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, &why.to_string());
    answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"mcr\", charset=\"UTF-8\""));
    answer
}

async fn routed(context: &Context<'_>, endpoint: Endpoint, body: InBody) -> Result<Answer, Answer> {
    use Endpoint as E;
    let head = context.head.method == Method::HEAD;
    match (context.head.method.as_str(), &endpoint) {
        ("GET" | "HEAD", E::VersionRedirect) => {
            let mut answer = empty(StatusCode::MOVED_PERMANENTLY);
            answer.headers_mut().insert(LOCATION, HeaderValue::from_static("/v2/"));
            Ok(answer)
        }
        ("GET" | "HEAD", E::Version) => version(context, head),
        ("GET" | "HEAD", E::Catalog) => lists::catalog(context, head).await,
        ("GET" | "HEAD", E::Tags(repository)) => lists::tags(context, repository, head).await,
        ("GET" | "HEAD", E::Integrity) => integrity::report(context, head).await,
        ("GET" | "HEAD", E::Referrers(repository, digest)) => lists::referrers(context, repository, digest, head).await,
        ("GET" | "HEAD", E::Manifest(repository, reference)) => {
            manifests::read(context, repository, reference, head).await
        }
        ("PUT", E::Manifest(repository, reference)) => manifests::put(context, repository, reference, body).await,
        ("DELETE", E::Manifest(repository, reference)) => manifests::delete(context, repository, reference).await,
        ("PUT", E::ManifestBadTag(_, why)) => Ok(oci_error(StatusCode::BAD_REQUEST, ErrorCode::NameInvalid, why)),
        ("GET" | "HEAD" | "DELETE", E::ManifestBadTag(_, why)) => {
            Ok(oci_error(StatusCode::NOT_FOUND, ErrorCode::ManifestUnknown, why))
        }
        ("HEAD", E::Blob(repository, digest)) => blobs::head(context, repository, digest).await,
        ("GET", E::Blob(repository, digest)) => blobs::get(context, repository, digest).await,
        ("DELETE", E::Blob(repository, digest)) => blobs::delete(context, repository, digest).await,
        ("POST", E::Uploads(repository)) => uploads::begin(context, repository, body).await,
        ("GET" | "HEAD", E::Upload(repository, id)) => uploads::status(context, repository, id).await,
        ("PATCH", E::Upload(repository, id)) => uploads::patch(context, repository, id, body).await,
        ("PUT", E::Upload(repository, id)) => uploads::put(context, repository, id, body).await,
        ("DELETE", E::Upload(repository, id)) => uploads::cancel(context, repository, id).await,
        _ => Ok(error::bad_method(&endpoint)),
    }
}

fn version(context: &Context<'_>, head: bool) -> Result<Answer, Answer> {
    context.edge.registry.volume_present().map_err(|e| error::answer(&e))?;
    let answer = full(StatusCode::OK, "application/json", bytes::Bytes::from_static(b"{}"));
    Ok(if head { without_body(answer) } else { answer })
}

/// An answer as it is to HEAD: the same headers, no body.
#[must_use]
pub fn for_method(answer: Answer, head: bool) -> Answer {
    if head { without_body(answer) } else { answer }
}
