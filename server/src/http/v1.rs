//! The admin API over REST: from a request to a function of `crate::api` and back; never what the function does.
//!
//! Errors are `{"error":"…"}`; a 401 carries the same challenge as below `/v2/`.

mod answers;
mod export;
mod handlers;
pub mod openapi;
pub mod path;
mod request;

use std::sync::Arc;

use http::{Method, StatusCode};
use mcr_authentication::Peer;

use super::body::InBody;
use super::challenge::Ask;
use super::edge::Edge;
use super::endpoint::BadPath;
use super::peer::Link;
use super::query::{Query, decode};
use super::respond::Answer;
use super::service::for_method;
use crate::api::{ApiError, Caller};
use path::AdminPath;
use request::Request;

/// Answers a request below `/v1/`; never fails.
pub async fn answer(
    edge: &Arc<Edge>,
    (link, peer): (&Link, Peer),
    head: &http::request::Parts,
    body: InBody,
    path: Result<AdminPath, BadPath>,
) -> Answer {
    let path = meant(head, path);
    let caller = match &path {
        Ok(path) if path.is_open() => Ok(Caller::nobody(edge, peer)),
        _ => Caller::known(edge, peer, &head.headers).await,
    };
    let answered = match caller {
        Ok(caller) => routed(caller, head, body, path).await,
        Err(error) => Err(error),
    };
    let answer = answered.unwrap_or_else(|error| answers::refusal(&Ask { edge, link, head }, &error));
    for_method(answer, head.method == Method::HEAD)
}

/// What a path means with its method: DELETE means a tag where there are two readings.
fn meant(head: &http::request::Parts, path: Result<AdminPath, BadPath>) -> Result<AdminPath, BadPath> {
    if head.method != Method::DELETE {
        return path;
    }
    decode(head.uri.path()).ok_or(BadPath::NoSuchPath).and_then(|path| AdminPath::parse(&path, true))
}

async fn routed(
    caller: Caller,
    head: &http::request::Parts,
    mut body: InBody,
    path: Result<AdminPath, BadPath>,
) -> Result<Answer, ApiError> {
    let path = match path {
        Ok(path) => path,
        // Who may not come in learns nothing of paths.
        Err(bad) => {
            caller.logged_in()?;
            return Err(answers::bad_path(bad));
        }
    };
    let query = Query::parse(head.uri.query());
    let mut request = Request { caller, query, path, body: bytes::Bytes::new() };
    if !request.path.allow().split(", ").any(|known| known == head.method.as_str()) {
        request.caller.logged_in().or_else(|error| if request.path.is_open() { Ok(()) } else { Err(error) })?;
        return Ok(answers::bad_method(&request.path));
    }
    if matches!(head.method, Method::POST | Method::PUT | Method::PATCH) {
        request.body = request::body(head, &mut body).await?;
    }
    handle(&head.method, &request).await
}

async fn handle(method: &Method, request: &Request) -> Result<Answer, ApiError> {
    use AdminPath as P;
    use handlers as h;
    match (method.as_str(), &request.path) {
        ("POST", P::Login) => h::session::login(request).await,
        ("POST", P::Logout) => h::session::logout(request).await,
        (_, P::WhoAmI) => h::session::who_am_i(request),
        (_, P::Repositories) => h::repositories::list(request).await,
        ("DELETE", P::Repository(name)) => h::repositories::delete(request, name).await,
        (_, P::Repository(name)) => h::repositories::get(request, name).await,
        (_, P::Tags(name)) => h::repositories::tags(request, name).await,
        (_, P::Tag(name, tag)) => h::repositories::delete_tag(request, name, tag).await,
        (_, P::TagHistory(name, tag)) => h::repositories::history(request, name, tag).await,
        (_, P::RestoreRepository(name)) => h::undo::repository(request, name).await,
        (_, P::RestoreTag(name, tag)) => h::undo::tag(request, name, tag).await,
        (_, P::RestoreManifest(name, digest)) => h::undo::manifest(request, name, digest).await,
        (_, P::Restore) => h::undo::run(request).await,
        ("POST", P::Rules) => h::policy::create(request).await,
        (_, P::Rules) => h::policy::list(request),
        ("PATCH", P::Rule(id)) => h::policy::update(request, id).await,
        ("DELETE", P::Rule(id)) => h::policy::delete(request, id).await,
        (_, P::Rule(id)) => h::policy::get(request, id),
        (_, P::Explain) => h::policy::explain(request),
        (_, P::Audit) => h::audit::list(request).await,
        (_, P::AuditExport) => h::audit::export(request).await,
        (_, P::AuditVerify) => h::audit::verify(request).await,
        ("POST", P::Tokens) => h::tokens::create(request).await,
        (_, P::Tokens) => h::tokens::list(request),
        (_, P::Token(id)) => h::tokens::revoke(request, id).await,
        ("PUT", P::ReadOnly) => h::admin::set_read_only(request).await,
        (_, P::ReadOnly) => h::admin::read_only(request),
        ("POST", P::Gc) => h::plans::collect(request).await,
        (_, P::GcStatus) => h::plans::status(request).await,
        ("POST", P::Retention) => h::plans::retain(request).await,
        (_, P::Plans) => h::plans::list(request).await,
        ("DELETE", P::Plan(id)) => h::plans::delete(request, id).await,
        (_, P::Plan(id)) => h::plans::get(request, id).await,
        ("POST", P::ConfirmPlan(id)) => h::plans::confirm(request, id).await,
        ("POST", P::DiscardPlan(id)) => h::plans::discard(request, id).await,
        ("POST", P::Snapshot) => h::snapshots::take(request).await,
        (_, P::Snapshot) => h::snapshots::list(request).await,
        (_, P::Integrity) => h::integrity::report(request).await,
        (_, P::Verify) => h::integrity::verify(request).await,
        (_, P::OpenApi) => Ok(openapi::document()),
        (_, P::Login | P::Logout | P::Gc | P::Retention | P::ConfirmPlan(_) | P::DiscardPlan(_)) => {
            Ok(answers::bad_method(&request.path))
        }
    }
}

/// An answer without content.
fn no_content() -> Answer {
    super::respond::empty(StatusCode::NO_CONTENT)
}
