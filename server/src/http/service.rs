//! One request: its endpoint, its caller, its handler, its line in the log and its figures; no handler itself.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use http::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION};
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use mcr_access::{Action, Delete, GlobalPermit, Identity, Permit, Pull, Push, Refusal, VersionCheck, is_allowed};
use mcr_authentication::{Denied, Peer};
use mcr_oci::{ErrorCode, RepositoryName};

use super::body::{InBody, OutBody};
use super::challenge::{self, Ask, scope_of};
use super::clients::{Client, TooMany};
use super::edge::Edge;
use super::endpoint::{BadPath, Endpoint};
use super::peer::Link;
use super::query::{self, Query};
use super::respond::{API_VERSION, Answer, REQUEST_ID, empty, full, oci_error, set};
use super::{admin, blobs, error, lists, manifests, token, uploads, v1};

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
    pub peer: Peer,
    /// Who sends it.
    pub identity: Identity,
    /// Where it goes.
    pub endpoint: &'a Endpoint,
    /// Method, path, headers.
    pub head: http::request::Parts,
    /// Its parameters.
    pub query: Query,
}

impl Context<'_> {
    /// A permit for `A` in a repository, or the refusal as an answer.
    ///
    /// # Errors
    /// The 403, with action and repository; the 401 to somebody whom a login may help.
    pub fn permit<A: Action>(&self, repository: &RepositoryName) -> Result<Permit<A>, Answer> {
        self.edge.registry.permit::<A>(&self.identity, repository).map_err(|refusal| self.refuse(&refusal))
    }

    /// A permit for `A`, an action without a place, or the refusal as an answer.
    ///
    /// # Errors
    /// As [`Context::permit`].
    pub fn permit_global<A: Action>(&self) -> Result<GlobalPermit<A>, Answer> {
        self.edge.registry.permit_global::<A>(&self.identity).map_err(|refusal| self.refuse(&refusal))
    }

    /// Whether a permit for `A` would be given. A question, so that a no is neither an answer nor logged.
    #[must_use]
    pub fn may<A: Action>(&self, repository: &RepositoryName) -> bool {
        is_allowed(&self.edge.registry.policy(), &self.identity, A::KIND, Some(repository))
    }

    /// The answer to a refusal, which is logged with its rule and recorded.
    #[must_use]
    pub fn refuse(&self, refusal: &Refusal) -> Answer {
        let (action, rule) = (refusal.action.as_str(), refusal.reason.text());
        let repository = refusal.repository.as_ref().map(RepositoryName::as_str);
        // Whoever sent nothing is asked to log in, as any client is at first: nobody was refused anything yet.
        if sent_nothing(&self.identity) {
            tracing::debug!(action, repository, rule, "asked to log in");
        } else {
            tracing::info!(account = %refusal.account, action, repository, rule, "refused");
            self.edge.registry.record_denied(refusal, self.identity.address());
        }
        let scope = scope_of(self.endpoint, &self.head.method, self.head.uri.query());
        self.ask().refused(&self.identity, refusal, scope.as_deref())
    }

    /// What a challenge to this request is made of.
    #[must_use]
    pub fn ask(&self) -> Ask<'_> {
        Ask { edge: self.edge, link: self.link, head: &self.head }
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
    // A password does not belong into a query, and there it would be logged.
    let query = head.uri.query().filter(|_| route != "token");
    let (method, path) = (head.method.clone(), query::logged(head.uri.path(), query));
    let body = InBody::new(incoming, edge.read_timeout, edge.tasks.clone());
    let peer = link.peer(&head.headers);
    let forwarded = if link.is_trusted() { edge.clients.of(&peer) } else { None };
    let place = match forwarded.as_ref().or(client) {
        Some(client) => client.enter().await.map(Some),
        None => Ok(None),
    };
    let mut answer = match place {
        Ok(_place) => handle(edge, (link, peer), head, body, endpoint).await,
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
        log(&id, &method, &path, status, elapsed, peer.address.unwrap_or(link.address));
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
    (link, peer): (&Link, Peer),
    head: http::request::Parts,
    body: InBody,
    endpoint: Result<Endpoint, BadPath>,
) -> Answer {
    match &endpoint {
        Ok(Endpoint::Token) => return token::answer(edge, &peer, &head, body).await,
        Ok(Endpoint::Admin(path)) => return v1::answer(edge, (link, peer), &head, body, path.clone()).await,
        Ok(open) => {
            if let Some(answer) = without_login(edge, link, &head, open).await {
                return answer;
            }
        }
        Err(_) => {}
    }
    // Who may not come in learns nothing of paths either.
    let identity = match identify(edge, &peer, &head.headers).await {
        Ok(identity) => identity,
        Err(denied) => {
            let scope = endpoint.as_ref().ok().and_then(|e| scope_of(e, &head.method, head.uri.query()));
            return Ask { edge, link, head: &head }.denied(&denied, scope.as_deref());
        }
    };
    let endpoint = match endpoint {
        Ok(endpoint) => endpoint,
        Err(_) if edge.gate.needs_login() && sent_nothing(&identity) => {
            return Ask { edge, link, head: &head }.denied(&Denied::Missing, None);
        }
        Err(bad) => return error::bad_path(&bad),
    };
    let query = Query::parse(head.uri.query());
    let context = Context { edge, link, peer, identity, endpoint: &endpoint, head, query };
    routed(&context, body).await.unwrap_or_else(|answer| answer)
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

/// Whether somebody came without any credentials: nobody's token limits its holder.
fn sent_nothing(identity: &Identity) -> bool {
    challenge::is_nobody(identity) && identity.scope().is_none()
}

/// Who sends a request. Two `Authorization` headers are nobody's: each of two programs might believe another one.
///
/// # Errors
/// [`Denied`].
pub async fn identify(edge: &Edge, peer: &Peer, headers: &HeaderMap) -> Result<Identity, Denied> {
    let mut sent = headers.get_all(AUTHORIZATION).iter();
    match (sent.next(), sent.next()) {
        (sent, None) => edge.gate.identify(sent.map(HeaderValue::as_bytes), peer).await,
        (_, Some(_)) => Err(Denied::Wrong),
    }
}

async fn routed(context: &Context<'_>, body: InBody) -> Result<Answer, Answer> {
    use Endpoint as E;
    let head = context.head.method == Method::HEAD;
    match (context.head.method.as_str(), context.endpoint) {
        ("GET" | "HEAD", E::VersionRedirect) => {
            let mut answer = empty(StatusCode::MOVED_PERMANENTLY);
            answer.headers_mut().insert(LOCATION, HeaderValue::from_static("/v2/"));
            Ok(answer)
        }
        ("GET" | "HEAD", E::Version) => version(context, head),
        ("GET" | "HEAD", E::Catalog) => lists::catalog(context, head).await,
        ("GET" | "HEAD", E::Tags(repository)) => lists::tags(context, repository, head).await,
        ("GET" | "HEAD", E::Referrers(repository, digest)) => lists::referrers(context, repository, digest, head).await,
        ("GET" | "HEAD", E::Manifest(repository, reference)) => {
            manifests::read(context, repository, reference, head).await
        }
        ("PUT", E::Manifest(repository, reference)) => manifests::put(context, repository, reference, body).await,
        ("DELETE", E::Manifest(repository, reference)) => manifests::delete(context, repository, reference).await,
        (method @ ("GET" | "HEAD" | "PUT" | "DELETE"), E::ManifestBadTag(repository, why)) => {
            bad_tag(context, method, repository, why)
        }
        ("HEAD", E::Blob(repository, digest)) => blobs::head(context, repository, digest).await,
        ("GET", E::Blob(repository, digest)) => blobs::get(context, repository, digest).await,
        ("DELETE", E::Blob(repository, digest)) => blobs::delete(context, repository, digest).await,
        ("POST", E::Uploads(repository)) => uploads::begin(context, repository, body).await,
        ("GET" | "HEAD", E::Upload(repository, id)) => uploads::status(context, repository, id).await,
        ("PATCH", E::Upload(repository, id)) => uploads::patch(context, repository, id, body).await,
        ("PUT", E::Upload(repository, id)) => uploads::put(context, repository, id, body).await,
        ("DELETE", E::Upload(repository, id)) => uploads::cancel(context, repository, id).await,
        _ if sent_nothing(&context.identity) && context.edge.gate.needs_login() => {
            Err(context.ask().denied(&Denied::Missing, None))
        }
        (_, endpoint) => Ok(error::bad_method(endpoint)),
    }
}

/// A reference that is neither a tag nor a digest. Who may not do it with a good one learns nothing of names.
fn bad_tag(context: &Context<'_>, method: &str, repository: &RepositoryName, why: &str) -> Result<Answer, Answer> {
    let (status, code) = match method {
        "PUT" => {
            let _permit = context.permit::<Push>(repository)?;
            (StatusCode::BAD_REQUEST, ErrorCode::NameInvalid)
        }
        "DELETE" => {
            let _permit = context.permit::<Delete>(repository)?;
            (StatusCode::NOT_FOUND, ErrorCode::ManifestUnknown)
        }
        _ => {
            let _permit = context.permit::<Pull>(repository)?;
            (StatusCode::NOT_FOUND, ErrorCode::ManifestUnknown)
        }
    };
    Ok(for_method(oci_error(status, code, why), method == "HEAD"))
}

/// Challenges whoever has sent nothing wherever logins exist, also where everybody may pull: clients that meet 200
/// here never log in (`clients.md` section 1.2). A token of nobody's is something.
fn version(context: &Context<'_>, head: bool) -> Result<Answer, Answer> {
    if sent_nothing(&context.identity) && context.edge.gate.needs_login() {
        return Err(context.ask().denied(&Denied::Missing, None));
    }
    let _permit = context.permit_global::<VersionCheck>()?;
    context.edge.registry.volume_present().map_err(|e| error::answer(&e))?;
    let answer = full(StatusCode::OK, "application/json", bytes::Bytes::from_static(b"{}"));
    Ok(if head { without_body(answer) } else { answer })
}

/// An answer as it is to HEAD: the same headers, no body.
#[must_use]
pub fn for_method(answer: Answer, head: bool) -> Answer {
    if head { without_body(answer) } else { answer }
}
