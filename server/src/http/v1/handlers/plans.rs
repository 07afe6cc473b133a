//! Garbage collection, retention and their plans over REST.

use http::StatusCode;
use http::header::LOCATION;

use super::super::answers::{json, page};
use super::super::request::Request;
use crate::api::plans::{self as api, Selection, Started};
use crate::api::{ApiError, Page, gc, retention};
use crate::http::respond::{Answer, set};

/// A run was begun: its plan tells the rest.
fn begun(started: &Started) -> Result<Answer, ApiError> {
    let mut answer = json(StatusCode::ACCEPTED, started)?;
    set(&mut answer, LOCATION, format!("/v1/plans/{}", started.id));
    Ok(answer)
}

#[utoipa::path(
    post, path = "/v1/gc", tag = "keeping", operation_id = "startGc",
    summary = "Begins to remove what nothing refers to and whose time is past",
    description = "Administrators only. The run makes a plan, and applies it unless it takes so much that somebody \
        must confirm it. 409 while a run is under way. The body may be left out.",
    request_body(content = Option<gc::GcRequest>),
    responses((status = 202, description = "It runs; its plan is at `Location`", body = Started,
        headers(("Location" = String, description = "The path of its plan")))),
)]
pub(in super::super) async fn collect(request: &Request) -> Result<Answer, ApiError> {
    request.only(&[])?;
    request.caller.may_administer()?;
    begun(&gc::start(&request.caller, &request.json_or_default()?).await?)
}

#[utoipa::path(
    get, path = "/v1/gc/status", tag = "keeping", operation_id = "getGcStatus",
    summary = "The run under way, and the last one that ended",
    description = "Administrators only.",
    responses((status = 200, description = "How garbage collection stands", body = gc::GcStatus)),
)]
pub(in super::super) async fn status(request: &Request) -> Result<Answer, ApiError> {
    request.only(&[])?;
    json(StatusCode::OK, &gc::status(&request.caller).await?)
}

#[utoipa::path(
    post, path = "/v1/retention/run", tag = "keeping", operation_id = "runRetention",
    summary = "Begins to delete the tags that no retention rule keeps",
    description = "Administrators only. The run makes a plan, and applies it unless somebody must confirm it: it \
        takes much, or a rule is new. 409 while a run is under way. The body may be left out.",
    request_body(content = Option<retention::RetentionRequest>),
    responses((status = 202, description = "It runs; its plan is at `Location`", body = Started,
        headers(("Location" = String, description = "The path of its plan")))),
)]
pub(in super::super) async fn retain(request: &Request) -> Result<Answer, ApiError> {
    request.only(&[])?;
    request.caller.may_administer()?;
    begun(&retention::start(&request.caller, request.json_or_default()?).await?)
}

#[utoipa::path(
    get, path = "/v1/plans", tag = "keeping", operation_id = "listPlans",
    summary = "What runs of garbage collection and retention would take, or took",
    description = "Administrators only. Newest first.",
    params(Page, Selection),
    responses((status = 200, description = "A page of plans", body = api::PlanList)),
)]
pub(in super::super) async fn list(request: &Request) -> Result<Answer, ApiError> {
    request.only(&["n", "last", "job", "state"])?;
    let selection = Selection { job: request.text("job"), state: request.text("state") };
    let found = api::list(&request.caller, &request.page()?, &selection).await?;
    page(request, "/v1/plans", &found, found.next.as_deref())
}

#[utoipa::path(
    get, path = "/v1/plans/{id}", tag = "keeping", operation_id = "getPlan",
    summary = "A plan with a page of its steps",
    description = "Administrators only.",
    params(("id" = String, Path, description = "Its number, 32 hex digits"), Page),
    responses((status = 200, description = "The plan", body = api::PlanDetail)),
)]
pub(in super::super) async fn get(request: &Request, id: &str) -> Result<Answer, ApiError> {
    request.only(&["n", "last"])?;
    let found = api::get(&request.caller, id, &request.page()?).await?;
    page(request, &format!("/v1/plans/{}", found.plan.id), &found, found.next.as_deref())
}

#[utoipa::path(
    post, path = "/v1/plans/{id}/confirm", tag = "keeping", operation_id = "confirmPlan",
    summary = "Applies a plan that waits for it",
    description = "Administrators only. 409 unless it waits.",
    params(("id" = String, Path, description = "Its number, 32 hex digits")),
    responses((status = 200, description = "The plan, which runs now", body = api::Plan)),
)]
pub(in super::super) async fn confirm(request: &Request, id: &str) -> Result<Answer, ApiError> {
    request.only(&[])?;
    json(StatusCode::OK, &api::confirm(&request.caller, id).await?)
}

#[utoipa::path(
    post, path = "/v1/plans/{id}/discard", tag = "keeping", operation_id = "discardPlan",
    summary = "Gives up a plan that waits",
    description = "Administrators only. 409 unless it waits.",
    params(("id" = String, Path, description = "Its number, 32 hex digits")),
    responses((status = 200, description = "The plan, which will not run", body = api::Plan)),
)]
pub(in super::super) async fn discard(request: &Request, id: &str) -> Result<Answer, ApiError> {
    request.only(&[])?;
    json(StatusCode::OK, &api::discard(&request.caller, id).await?)
}

#[utoipa::path(
    delete, path = "/v1/plans/{id}", tag = "keeping", operation_id = "deletePlan",
    summary = "Gives up a plan that waits, as discardPlan does",
    description = "Administrators only. 409 unless it waits.",
    params(("id" = String, Path, description = "Its number, 32 hex digits")),
    responses((status = 200, description = "The plan, which will not run", body = api::Plan)),
)]
pub(in super::super) async fn delete(request: &Request, id: &str) -> Result<Answer, ApiError> {
    discard(request, id).await
}
