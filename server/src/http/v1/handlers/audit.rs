//! The audit log over REST.

use http::StatusCode;

use super::super::answers::{json, page};
use super::super::export::{self, Format};
use super::super::request::Request;
use crate::api::audit::{self as api, Listing, Selection};
use crate::api::words::ExportFormat;
use crate::api::{ApiError, shown};
use crate::http::respond::Answer;

/// What selects events.
const SELECTION: [&str; 7] = ["event", "event_type", "actor", "actor_id", "repository", "since", "until"];

#[utoipa::path(
    get, path = "/v1/audit", tag = "audit", operation_id = "listAuditEvents",
    summary = "Events, newest first",
    description = "Administrators only.",
    params(Selection, Listing),
    responses((status = 200, description = "A page of events", body = api::AuditList)),
)]
pub(in super::super) async fn list(request: &Request) -> Result<Answer, ApiError> {
    api::may_read(&request.caller)?;
    request.only(&[&SELECTION[..], &["n", "last", "offset", "order"]].concat())?;
    let listing = Listing {
        n: request.n()?,
        last: request.text("last"),
        offset: request.number("offset")?,
        order: request.text("order"),
    };
    let found = api::list(&request.caller, selection(request)?, &listing).await?;
    page(request, "/v1/audit", &found, found.next.as_deref())
}

#[utoipa::path(
    get, path = "/v1/audit/export", tag = "audit", operation_id = "exportAuditEvents",
    summary = "All selected events, oldest first, as a stream",
    description = "Administrators only. An export that cannot go on is cut off: what ends well is whole. In CSV, a \
        value that a spreadsheet would take for a formula begins with an apostrophe.",
    params(Selection, ("format" = Option<ExportFormat>, Query, description = "`jsonl`, which it is where it is not given, or `csv`")),
    responses((status = 200, description = "One event a line", content(
        (String = "application/jsonl"), (String = "text/csv"),
    ))),
)]
pub(in super::super) async fn export(request: &Request) -> Result<Answer, ApiError> {
    api::may_read(&request.caller)?;
    request.only(&[&SELECTION[..], &["format"]].concat())?;
    let format = match request.text("format").as_deref() {
        None | Some("jsonl") => Format::Jsonl,
        Some("csv") => Format::Csv,
        Some(other) => return Err(ApiError::Invalid(format!("format must be jsonl or csv, not {}", shown(other)))),
    };
    export::answer(&request.caller, selection(request)?, format).await
}

#[utoipa::path(
    post, path = "/v1/audit/verify", tag = "audit", operation_id = "verifyAudit",
    summary = "Computes the hash chain again",
    description = "Administrators only. Without a body nothing is expected.",
    request_body(content = Option<api::VerifyAudit>),
    responses((status = 200, description = "What became of it", body = api::AuditCheck)),
)]
pub(in super::super) async fn verify(request: &Request) -> Result<Answer, ApiError> {
    request.only(&[])?;
    api::may_read(&request.caller)?;
    let asked = if request.body.is_empty() { None } else { request.json::<Option<api::VerifyAudit>>()? };
    json(StatusCode::OK, &api::verify(&request.caller, asked.unwrap_or_default()).await?)
}

fn selection(request: &Request) -> Result<Selection, ApiError> {
    let either = |name: &str, other: &str| match (request.text(name), request.text(other)) {
        (Some(_), Some(_)) => Err(ApiError::Invalid(format!("{name} and {other} are the same: give one of them"))),
        (one, two) => Ok(one.or(two)),
    };
    Ok(Selection {
        event: either("event", "event_type")?,
        actor: either("actor", "actor_id")?,
        repository: request.text("repository"),
        since: request.time("since")?,
        until: request.time("until")?,
    })
}
