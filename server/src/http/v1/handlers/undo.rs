//! Bringing back what was deleted, over REST.

use http::StatusCode;
use mcr_oci::{Digest, RepositoryName, Tag};

use super::super::answers::json;
use super::super::request::Request;
use crate::api::ApiError;
use crate::api::undo as api;
use crate::http::respond::Answer;

#[utoipa::path(
    post, path = "/v1/repositories/{name}/tags/{tag}/restore", tag = "keeping", operation_id = "restoreTag",
    summary = "Points a tag at where it pointed before, or at another manifest of its history",
    description = "Needs `registry:push` on the repository. What the manifest reaches comes back with it, its \
        signatures and referrers too. The body may be left out.",
    params(
        ("name" = String, Path, pattern = r"^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$", max_length = 255, description = "The repository's name", example = "infra/ci"),
        ("tag" = String, Path, pattern = r"^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$", description = "The tag; it may be gone", example = "v1"),
    ),
    request_body(content = Option<api::RestoreTagRequest>),
    responses((status = 200, description = "Where it points now", body = api::RestoredTag)),
)]
pub(in super::super) async fn tag(request: &Request, name: &RepositoryName, tag: &Tag) -> Result<Answer, ApiError> {
    request.only(&[])?;
    api::may_push(&request.caller, name)?;
    json(StatusCode::OK, &api::tag(&request.caller, name, tag, &request.json_or_default()?).await?)
}

#[utoipa::path(
    post, path = "/v1/repositories/{name}/manifests/{digest}/restore", tag = "keeping",
    operation_id = "restoreManifest",
    summary = "Brings back a manifest that was deleted, without tags",
    description = "Needs `registry:push` on the repository. What it reaches comes back with it, and its referrers.",
    params(
        ("name" = String, Path, pattern = r"^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$", max_length = 255, description = "The repository's name", example = "infra/ci"),
        ("digest" = String, Path, pattern = r"^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$", description = "The manifest's digest"),
    ),
    responses((status = 200, description = "What came back", body = api::RestoredManifest)),
)]
pub(in super::super) async fn manifest(
    request: &Request,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Answer, ApiError> {
    request.only(&[])?;
    json(StatusCode::OK, &api::manifest(&request.caller, name, digest).await?)
}

#[utoipa::path(
    post, path = "/v1/repositories/{name}/restore", tag = "keeping", operation_id = "restoreRepository",
    summary = "Brings back a repository that was deleted",
    description = "Administrators only. What was pushed there since then stays as it is.",
    params(("name" = String, Path, pattern = r"^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$", max_length = 255, description = "The repository's name", example = "infra/ci")),
    responses((status = 200, description = "What came back", body = api::RestoredRepository)),
)]
pub(in super::super) async fn repository(request: &Request, name: &RepositoryName) -> Result<Answer, ApiError> {
    request.only(&[])?;
    json(StatusCode::OK, &api::repository(&request.caller, name).await?)
}

#[utoipa::path(
    post, path = "/v1/restore", tag = "keeping", operation_id = "restoreRun",
    summary = "Brings back what one run, or everybody since a moment, took away",
    description = "Administrators only. Give either `run` or `since`. A tag that points elsewhere by now is told and \
        not moved.",
    request_body = api::RestoreRunRequest,
    responses((status = 200, description = "What came back, or would", body = api::RestoredRun)),
)]
pub(in super::super) async fn run(request: &Request) -> Result<Answer, ApiError> {
    request.only(&[])?;
    request.caller.may_administer()?;
    json(StatusCode::OK, &api::run(&request.caller, request.json()?).await?)
}
