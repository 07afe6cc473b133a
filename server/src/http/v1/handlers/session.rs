//! Logging in and out over REST.

use http::StatusCode;

use super::super::answers::json;
use super::super::no_content;
use super::super::request::Request;
use crate::api::ApiError;
use crate::api::session as api;
use crate::http::respond::Answer;

#[utoipa::path(
    post, path = "/v1/auth/login", tag = "auth", operation_id = "login",
    summary = "Exchanges a password for a token",
    request_body = api::LoginRequest,
    responses((status = 200, description = "The token", body = api::Session)),
    security(()),
)]
pub(in super::super) async fn login(request: &Request) -> Result<Answer, ApiError> {
    request.only(&[])?;
    json(StatusCode::OK, &api::login(&request.caller, &request.json()?).await?)
}

#[utoipa::path(
    post, path = "/v1/auth/logout", tag = "auth", operation_id = "logout",
    summary = "Ends the Bearer token the request comes with",
    responses((status = 204, description = "It is ended")),
    security(("bearer" = [])),
)]
pub(in super::super) async fn logout(request: &Request) -> Result<Answer, ApiError> {
    request.only(&[])?;
    api::logout(&request.caller).await?;
    Ok(no_content())
}

#[utoipa::path(
    get, path = "/v1/auth/whoami", tag = "auth", operation_id = "whoAmI",
    summary = "Who the caller is",
    responses((status = 200, description = "The account", body = api::WhoAmI)),
)]
pub(in super::super) fn who_am_i(request: &Request) -> Result<Answer, ApiError> {
    request.only(&[])?;
    json(StatusCode::OK, &api::who_am_i(&request.caller)?)
}
