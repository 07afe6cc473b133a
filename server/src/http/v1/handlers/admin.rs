//! Read-only and health over REST. Health itself is answered before the login, in `http/admin.rs`.

use http::StatusCode;

use super::super::answers::json;
use super::super::request::Request;
use crate::api::ApiError;
use crate::api::health::Health;
use crate::api::read_only as api;
use crate::http::respond::Answer;

/// Documents what `http/admin.rs` answers on every listener.
#[utoipa::path(
    get, path = "/v1/health", tag = "admin", operation_id = "health",
    summary = "Whether pulls are served, and what is wrong",
    responses(
        (status = 200, description = "`ok`, or `degraded`: pulls go on", body = Health),
        (status = 503, description = "`failing`: pulls fail", body = Health),
    ),
    security(()),
)]
#[expect(dead_code, reason = "its documentation is what is used")]
pub(in super::super) fn health() {}

#[utoipa::path(
    get, path = "/v1/read-only", tag = "admin", operation_id = "getReadOnly",
    summary = "Whether writes are refused",
    description = "Administrators only.",
    responses((status = 200, description = "How it is", body = api::ReadOnly)),
)]
pub(in super::super) fn read_only(request: &Request) -> Result<Answer, ApiError> {
    request.only(&[])?;
    json(StatusCode::OK, &api::get(&request.caller)?)
}

#[utoipa::path(
    put, path = "/v1/read-only", tag = "admin", operation_id = "setReadOnly",
    summary = "Refuses writes, or takes them again",
    description = "Administrators only. Lasts until it is set back, the configuration is read again with another \
        value, or the server starts anew.",
    request_body = api::SetReadOnly,
    responses((status = 200, description = "How it is now", body = api::ReadOnly)),
)]
pub(in super::super) async fn set_read_only(request: &Request) -> Result<Answer, ApiError> {
    request.only(&[])?;
    api::may_set(&request.caller)?;
    json(StatusCode::OK, &api::set(&request.caller, request.json()?).await?)
}
