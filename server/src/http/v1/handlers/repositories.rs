//! Repositories and tags over REST.

use http::StatusCode;
use mcr_oci::{RepositoryName, Tag};

use super::super::answers::{json, page};
use super::super::no_content;
use super::super::request::Request;
use crate::api::repositories::{self as api, Filter};
use crate::api::{ApiError, Page};
use crate::http::respond::Answer;

#[utoipa::path(
    get, path = "/v1/repositories", tag = "repositories", operation_id = "listRepositories",
    summary = "Repositories that the caller may pull from",
    params(Page, Filter),
    responses((status = 200, description = "A page of repositories", body = api::RepositoryList)),
)]
pub(in super::super) async fn list(request: &Request) -> Result<Answer, ApiError> {
    request.only(&["n", "last", "filter"])?;
    let filter = Filter { filter: request.text("filter") };
    let found = api::list(&request.caller, &request.page()?, &filter).await?;
    page(request, "/v1/repositories", &found, found.next.as_deref())
}

#[utoipa::path(
    get, path = "/v1/repositories/{name}", tag = "repositories", operation_id = "getRepository",
    summary = "A repository with its tags and manifests",
    description = "The page counts tags and manifests alike: `next` goes on in both lists. A name that ends in \
        `/tags`, `/tags/x` or `/tags/x/history` is given with a slash at its end; one is right behind every name.",
    params(("name" = String, Path, pattern = r"^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$", max_length = 255, description = "The repository's name; its slashes need not be escaped",
        example = "infra/ci"), Page),
    responses((status = 200, description = "The repository", body = api::RepositoryDetail)),
)]
pub(in super::super) async fn get(request: &Request, name: &RepositoryName) -> Result<Answer, ApiError> {
    request.only(&["n", "last"])?;
    let found = api::get(&request.caller, name, &request.page()?).await?;
    page(request, &format!("/v1/repositories/{name}/"), &found, found.next.as_deref())
}

#[utoipa::path(
    delete, path = "/v1/repositories/{name}", tag = "repositories", operation_id = "deleteRepository",
    summary = "Deletes a repository: its tags, manifests and links to blobs",
    description = "Administrators only. An immutable tag refuses it. See `getRepository` for names that end like \
        something else.",
    params(("name" = String, Path, pattern = r"^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$", max_length = 255, description = "The repository's name", example = "infra/ci")),
    responses((status = 200, description = "What went", body = api::DeletedRepository)),
)]
pub(in super::super) async fn delete(request: &Request, name: &RepositoryName) -> Result<Answer, ApiError> {
    request.only(&[])?;
    json(StatusCode::OK, &api::delete(&request.caller, name).await?)
}

#[utoipa::path(
    get, path = "/v1/repositories/{name}/tags", tag = "repositories", operation_id = "listTags",
    summary = "The names of a repository's tags",
    params(("name" = String, Path, pattern = r"^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$", max_length = 255, description = "The repository's name", example = "infra/ci"), Page),
    responses((status = 200, description = "A page of tags", body = api::TagList)),
)]
pub(in super::super) async fn tags(request: &Request, name: &RepositoryName) -> Result<Answer, ApiError> {
    request.only(&["n", "last"])?;
    let found = api::tags(&request.caller, name, &request.page()?).await?;
    page(request, &format!("/v1/repositories/{name}/tags"), &found, found.next.as_deref())
}

#[utoipa::path(
    delete, path = "/v1/repositories/{name}/tags/{tag}", tag = "repositories", operation_id = "deleteTag",
    summary = "Deletes a tag; what it points at stays",
    params(
        ("name" = String, Path, pattern = r"^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$", max_length = 255, description = "The repository's name", example = "infra/ci"),
        ("tag" = String, Path, pattern = r"^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$", description = "The tag", example = "v1"),
    ),
    responses((status = 204, description = "It is gone")),
)]
pub(in super::super) async fn delete_tag(
    request: &Request,
    name: &RepositoryName,
    tag: &Tag,
) -> Result<Answer, ApiError> {
    request.only(&[])?;
    api::delete_tag(&request.caller, name, tag).await?;
    Ok(no_content())
}

#[utoipa::path(
    get, path = "/v1/repositories/{name}/tags/{tag}/history", tag = "repositories", operation_id = "getTagHistory",
    summary = "Where a tag pointed, newest change first",
    params(
        ("name" = String, Path, pattern = r"^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$", max_length = 255, description = "The repository's name", example = "infra/ci"),
        ("tag" = String, Path, pattern = r"^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$", description = "The tag; it may be gone by now", example = "v1"),
        Page,
    ),
    responses((status = 200, description = "A page of changes", body = api::TagHistory)),
)]
pub(in super::super) async fn history(request: &Request, name: &RepositoryName, tag: &Tag) -> Result<Answer, ApiError> {
    request.only(&["n", "last"])?;
    let found = api::history(&request.caller, name, tag, &request.page()?).await?;
    page(request, &format!("/v1/repositories/{name}/tags/{tag}/history"), &found, found.next.as_deref())
}
