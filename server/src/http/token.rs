//! `/v2/token` over HTTP, as docker, containerd, podman and crane ask for tokens; never what a token is worth.
//!
//! GET with HTTP Basic (distribution's "Token Authentication Specification") and POST with the OAuth 2 grants
//! `password` and `refresh_token`. A token is for this registry whatever `service` says: clients send back what a
//! challenge told them, and a token for elsewhere is not to be had here.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{Method, StatusCode};
use mcr_access::Credentials;
use mcr_authentication::{Denied, IssuedToken, Peer, TokenCredentials, TokenRequest};
use mcr_oci::ErrorCode;
use mcr_seams::rfc3339;
use serde_json::{Map, Value};

use super::body::InBody;
use super::edge::Edge;
use super::endpoint::Endpoint;
use super::error;
use super::query::Query;
use super::respond::{Answer, entry, json};

/// The largest form, in bytes: names, a password and [`mcr_access::MAX_SCOPE`] scopes are much less.
const MAX_FORM: usize = 64 * 1024;

/// An error of OAuth 2 (RFC 6749 section 5.2), and what it is to clients that read the registry's errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fault {
    status: StatusCode,
    error: &'static str,
    code: ErrorCode,
}

const INVALID_REQUEST: Fault =
    Fault { status: StatusCode::BAD_REQUEST, error: "invalid_request", code: ErrorCode::Unsupported };
const UNSUPPORTED_GRANT: Fault = Fault { error: "unsupported_grant_type", ..INVALID_REQUEST };
const TOO_LARGE: Fault = Fault { status: StatusCode::PAYLOAD_TOO_LARGE, ..INVALID_REQUEST };
const WRONG: Fault = Fault { status: StatusCode::UNAUTHORIZED, error: "invalid_grant", code: ErrorCode::Unauthorized };

/// GET and POST.
pub async fn answer(edge: &Edge, peer: &Peer, head: &Parts, body: InBody) -> Answer {
    let request = match head.method {
        Method::GET => by_query(head),
        Method::POST => by_form(head, body).await,
        _ => return error::bad_method(&Endpoint::Token),
    };
    let issued = match request {
        Ok(request) => edge.gate.token(request, peer).await,
        Err(answer) => return answer,
    };
    let mut answer = match issued {
        Ok(issued) => json(StatusCode::OK, &document(&issued)),
        Err(denied) => refused(&denied),
    };
    // What is in it is a key (RFC 6749 section 5.1).
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn document(issued: &IssuedToken) -> Value {
    let mut document = Map::new();
    let mut put = |name: &str, value: Value| drop(document.insert(name.to_owned(), value));
    put("token", issued.token.as_str().into());
    put("access_token", issued.token.as_str().into());
    put("token_type", "Bearer".into());
    put("expires_in", issued.expires_in.into());
    put("issued_at", rfc3339(issued.issued_at_ms).into());
    put("scope", issued.scope.as_str().into());
    if let Some(refresh) = &issued.refresh_token {
        put("refresh_token", refresh.as_str().into());
    }
    Value::Object(document)
}

fn refused(denied: &Denied) -> Answer {
    let text = denied.to_string();
    match denied {
        Denied::Missing | Denied::Wrong => {
            let mut answer = fault(WRONG, &text);
            let basic = HeaderValue::from_static("Basic realm=\"mcr\", charset=\"UTF-8\"");
            answer.headers_mut().insert(WWW_AUTHENTICATE, basic);
            answer
        }
        Denied::Throttled { retry_after } => error::too_many(&text, *retry_after),
        Denied::Unavailable { retry_after, .. } => error::unavailable(&text, *retry_after),
        Denied::BadRequest(_) => fault(INVALID_REQUEST, &text),
    }
}

fn fault(fault: Fault, text: &str) -> Answer {
    let both = serde_json::json!({
        "error": fault.error,
        "error_description": text,
        "errors": [entry(fault.code, text, Value::Null)],
    });
    json(fault.status, &both)
}

fn by_query(head: &Parts) -> Result<TokenRequest, Answer> {
    let mut sent = head.headers.get_all(AUTHORIZATION).iter();
    let credentials = match (sent.next(), sent.next()) {
        (None, _) => TokenCredentials::Anonymous,
        (Some(basic), None) => Credentials::from_basic(basic.as_bytes())
            .map(TokenCredentials::Basic)
            .map_err(|_| refused(&Denied::Wrong))?,
        (Some(_), Some(_)) => return Err(fault(INVALID_REQUEST, "more than one Authorization header")),
    };
    let query = Query::form(head.uri.query().unwrap_or_default());
    let offline = query.get("offline_token").is_some_and(|value| matches!(value, "true" | "1"));
    Ok(asked(&query, credentials, offline))
}

fn asked(query: &Query, credentials: TokenCredentials, offline: bool) -> TokenRequest {
    let text = |name: &str| query.get(name).map(str::to_owned);
    TokenRequest {
        credentials,
        service: text("service"),
        scope: query.all("scope").map(str::to_owned).collect(),
        offline,
        client_id: text("client_id"),
    }
}

async fn by_form(head: &Parts, mut body: InBody) -> Result<TokenRequest, Answer> {
    let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(fault(INVALID_REQUEST, "expected Content-Type: application/x-www-form-urlencoded"));
    }
    let announced = head.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    let too_large = || fault(TOO_LARGE, &format!("the form is larger than {MAX_FORM} bytes, the most that is taken"));
    if announced.is_some_and(|length| length > MAX_FORM) {
        return Err(too_large());
    }
    let bytes = match body.whole(MAX_FORM, announced.unwrap_or(0)).await {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Err(too_large()),
        Err(lost) => return Err(error::answer(&mcr_registry::Error::BodyLost(lost.0))),
    };
    let form = form(&bytes)?;
    let credentials = grant(&form)?;
    Ok(asked(&form, credentials, form.get("access_type") == Some("offline")))
}

/// The form, in which each parameter but `scope` stands at most once (RFC 6749 section 3.2).
fn form(bytes: &Bytes) -> Result<Query, Answer> {
    let text = std::str::from_utf8(bytes).map_err(|_| fault(INVALID_REQUEST, "the form is not UTF-8"))?;
    let form = Query::form(text);
    for name in ["grant_type", "username", "password", "refresh_token", "access_type"] {
        if form.all(name).count() > 1 {
            return Err(fault(INVALID_REQUEST, &format!("{name} is there more than once")));
        }
    }
    Ok(form)
}

fn grant(form: &Query) -> Result<TokenCredentials, Answer> {
    let need = |name: &str| {
        let value = form.get(name).filter(|value| !value.is_empty());
        value.map(str::to_owned).ok_or_else(|| fault(INVALID_REQUEST, &format!("{name} is missing")))
    };
    match form.get("grant_type") {
        Some("password") => {
            Ok(TokenCredentials::Basic(Credentials { username: need("username")?, password: need("password")? }))
        }
        Some("refresh_token") => Ok(TokenCredentials::RefreshToken(need("refresh_token")?)),
        None | Some("") => Err(fault(INVALID_REQUEST, "grant_type is missing; password and refresh_token are known")),
        Some(_) => Err(fault(UNSUPPORTED_GRANT, "this grant_type is not known; password and refresh_token are")),
    }
}

#[cfg(test)]
mod tests;
