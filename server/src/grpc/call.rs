//! One call: its line in the log, its login, the permission its method needs, its time; never what it does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use mcr_authentication::Peer;
use tokio::sync::Semaphore;
use tonic::codegen::Service as _;
use tonic::service::Routes;
use tonic::{Code, Status, body};

use super::body::Timed;
use super::method::{Method, Need};
use super::status;
use crate::api::{ApiError, Caller};
use crate::http::clients::Client;
use crate::http::edge::Edge;
use crate::http::peer::Link;

/// Calls worked on at once, of all clients.
const MAX_CALLS: usize = 512;
/// How long a call waits for its place.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a call may take, whatever the client says.
const MAX_TIME: Duration = Duration::from_secs(300);

/// What every call of a listener shares.
pub(super) struct Calls {
    pub(super) edge: Arc<Edge>,
    pub(super) routes: Routes,
    pub(super) places: Semaphore,
}

impl Calls {
    pub(super) fn new(edge: Arc<Edge>, routes: Routes) -> Self {
        Self { edge, routes, places: Semaphore::new(MAX_CALLS) }
    }

    /// Answers one call; never fails.
    pub(super) async fn answer(
        &self,
        link: &Link,
        client: Option<&Client>,
        request: Request<Incoming>,
    ) -> Response<Timed> {
        let began = Instant::now();
        let method = Method::of(request.uri().path());
        let peer = link.peer(request.headers());
        let time = time_of(request.headers());
        let answered = if is_grpc(&request) {
            let called = self.call(method, peer, link, client, request);
            let answer = match tokio::time::timeout(time, called).await {
                Ok(answer) => answer,
                Err(_) => Err(Status::deadline_exceeded("the call took too long")),
            };
            answer.unwrap_or_else(Status::into_http)
        } else {
            no_grpc()
        };
        let answered = blamed(answered);
        let code = code_of(answered.headers());
        self.edge.metrics.call(method.label, code_name(code), began.elapsed());
        log(method, code, began.elapsed(), &peer);
        answered.map(|body| Timed::new(body, time, self.edge.stopping.clone()))
    }

    async fn call(
        &self,
        method: Method,
        peer: Peer,
        link: &Link,
        client: Option<&Client>,
        mut request: Request<Incoming>,
    ) -> Result<Response<body::Body>, Status> {
        let forwarded = if link.is_trusted() { self.edge.clients.of(&peer) } else { None };
        let _in_line = match forwarded.as_ref().or(client) {
            None => None,
            Some(client) => Some(client.enter().await.map_err(|_| busy("too many calls of this client at once"))?),
        };
        let Ok(Ok(_place)) = tokio::time::timeout(PATIENCE, self.places.acquire()).await else {
            return Err(busy("the registry has too many calls under way"));
        };
        let caller = self.caller(method, peer, request.headers()).await?;
        request.extensions_mut().insert(caller);
        // The value must not go where handlers, or what they log, could see it.
        request.headers_mut().remove(AUTHORIZATION);
        let mut routes = self.routes.clone();
        match routes.call(request).await {
            Ok(answer) => Ok(answer),
            Err(never) => match never {},
        }
    }

    async fn caller(&self, method: Method, peer: Peer, headers: &HeaderMap) -> Result<Caller, ApiError> {
        if method.need == Need::Nothing {
            return Ok(Caller::nobody(&self.edge, peer));
        }
        let caller = Caller::known(&self.edge, peer, headers).await?;
        method.admits(&caller)?;
        Ok(caller)
    }
}

fn busy(message: &str) -> Status {
    status::of(&ApiError::Unavailable { message: format!("{message}; try again"), retry_after: 5 })
}

fn is_grpc(request: &Request<Incoming>) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    request.method() == http::Method::POST && content_type.starts_with("application/grpc")
}

/// As the protocol's description asks for.
fn no_grpc() -> Response<body::Body> {
    let text = "this port speaks gRPC (mcr.v1); the same API is served as JSON below /v1/ on the other port\n";
    let mut answer =
        Response::new(body::Body::new(http_body_util::Full::new(bytes::Bytes::from_static(text.as_bytes()))));
    *answer.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    answer.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

/// tonic calls a message that it cannot read an error of the server (13). No function of ours answers that: it is the
/// client's (3).
fn blamed(mut answer: Response<body::Body>) -> Response<body::Body> {
    if let Some(code) = answer.headers_mut().get_mut(Status::GRPC_STATUS)
        && *code == "13"
    {
        *code = http::HeaderValue::from_static("3");
    }
    answer
}

/// How long the call may take: what `grpc-timeout` says, at most [`MAX_TIME`].
fn time_of(headers: &HeaderMap) -> Duration {
    let said = headers.get("grpc-timeout").and_then(|value| value.to_str().ok()).and_then(|text| {
        let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        // The protocol allows eight digits.
        let amount = Some(digits).filter(|digits| digits.len() <= 8)?.parse::<u64>().ok()?;
        match unit {
            "H" => Some(Duration::from_secs(amount * 3600)),
            "M" => Some(Duration::from_secs(amount * 60)),
            "S" => Some(Duration::from_secs(amount)),
            "m" => Some(Duration::from_millis(amount)),
            "u" => Some(Duration::from_micros(amount)),
            "n" => Some(Duration::from_nanos(amount)),
            _ => None,
        }
    });
    said.unwrap_or(MAX_TIME).min(MAX_TIME)
}

/// What an answer says of itself in its head; one that says nothing goes on well.
fn code_of(headers: &HeaderMap) -> Code {
    headers.get(Status::GRPC_STATUS).map_or(Code::Ok, |value| Code::from_bytes(value.as_bytes()))
}

fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// Method, peer, code, time. Nothing that came as metadata or message.
fn log(method: Method, code: Code, elapsed: Duration, peer: &Peer) {
    let (method, code, ms) = (method.label, code_name(code), elapsed.as_secs_f64() * 1000.0);
    let peer = peer.address.map(|address| address.to_string()).unwrap_or_default();
    if matches!(code, "INTERNAL" | "UNKNOWN" | "UNAVAILABLE" | "DATA_LOSS") {
        tracing::error!(method, code, ms, peer, "call");
    } else {
        tracing::info!(method, code, ms, peer, "call");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_time_counts_up_to_ours() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            time_of(&headers)
        };
        assert_eq!(of("250m"), Duration::from_millis(250));
        assert_eq!(of("2S"), Duration::from_secs(2));
        for odd in ["99999999H", "x", "", "12", "-1S", "999999999S", "ü"] {
            if let Ok(value) = http::HeaderValue::from_bytes(odd.as_bytes()) {
                let mut headers = HeaderMap::new();
                headers.insert("grpc-timeout", value);
                assert_eq!(time_of(&headers), MAX_TIME, "{odd}");
            }
        }
    }

    #[test]
    fn an_unreadable_message_is_the_clients() {
        let answer = blamed(Status::internal("x").into_http());
        assert_eq!(code_of(answer.headers()), Code::InvalidArgument);
        let answer = blamed(Status::not_found("x").into_http());
        assert_eq!(code_of(answer.headers()), Code::NotFound);
    }
}
