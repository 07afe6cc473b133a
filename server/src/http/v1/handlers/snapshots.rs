//! Snapshots of the database over REST.

use http::StatusCode;

use super::super::answers::json;
use super::super::request::Request;
use crate::api::ApiError;
use crate::api::snapshots as api;
use crate::http::respond::Answer;

#[utoipa::path(
    post, path = "/v1/snapshot", tag = "keeping", operation_id = "takeSnapshot",
    summary = "Takes a snapshot of the database now",
    description = "Administrators only. The answer comes when it is written and checked. The body may be left out.",
    request_body(content = Option<api::SnapshotRequest>),
    responses((status = 201, description = "The snapshot", body = api::Snapshot)),
)]
pub(in super::super) async fn take(request: &Request) -> Result<Answer, ApiError> {
    request.only(&[])?;
    request.caller.may_administer()?;
    let _: api::SnapshotRequest = request.json_or_default()?;
    json(StatusCode::CREATED, &api::take(&request.caller).await?)
}

#[utoipa::path(
    get, path = "/v1/snapshot", tag = "keeping", operation_id = "listSnapshots",
    summary = "The snapshots there are, newest first",
    description = "Administrators only.",
    responses((status = 200, description = "The snapshots", body = api::SnapshotList)),
)]
pub(in super::super) async fn list(request: &Request) -> Result<Answer, ApiError> {
    request.only(&[])?;
    json(StatusCode::OK, &api::list(&request.caller).await?)
}
