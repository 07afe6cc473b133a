//! API tokens over REST.

use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue, LOCATION};

use super::super::answers::{json, page};
use super::super::no_content;
use super::super::request::Request;
use crate::api::tokens as api;
use crate::api::{ApiError, Page};
use crate::http::respond::{Answer, set};

#[utoipa::path(
    get, path = "/v1/tokens", tag = "tokens", operation_id = "listTokens",
    summary = "The caller's tokens; all of them for administrators",
    params(Page),
    responses((status = 200, description = "A page of tokens", body = api::TokenList)),
)]
pub(in super::super) fn list(request: &Request) -> Result<Answer, ApiError> {
    request.only(&["n", "last"])?;
    let found = api::list(&request.caller, &request.page()?)?;
    page(request, "/v1/tokens", &found, found.next.as_deref())
}

#[utoipa::path(
    post, path = "/v1/tokens", tag = "tokens", operation_id = "createToken",
    summary = "Makes a token for programs; its secret is shown once, here",
    request_body = api::NewToken,
    responses((status = 201, description = "The token and its secret", body = api::MadeToken,
        headers(("Location" = String, description = "Its path")))),
)]
pub(in super::super) async fn create(request: &Request) -> Result<Answer, ApiError> {
    request.only(&[])?;
    request.caller.logged_in()?;
    let made = api::create(&request.caller, request.json()?).await?;
    let mut answer = json(StatusCode::CREATED, &made)?;
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    set(&mut answer, LOCATION, format!("/v1/tokens/{}", made.record.id));
    Ok(answer)
}

#[utoipa::path(
    delete, path = "/v1/tokens/{id}", tag = "tokens", operation_id = "revokeToken",
    summary = "Revokes one of the caller's tokens; any for administrators",
    params(("id" = String, Path, description = "Its number, 16 hex digits")),
    responses((status = 204, description = "It is refused from now on")),
)]
pub(in super::super) async fn revoke(request: &Request, id: &str) -> Result<Answer, ApiError> {
    request.only(&[])?;
    api::revoke(&request.caller, id).await?;
    Ok(no_content())
}
