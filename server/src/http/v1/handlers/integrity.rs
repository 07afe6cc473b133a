//! The state of things, and verifying one of them, over REST.

use http::StatusCode;

use super::super::answers::{json, page};
use super::super::request::Request;
use crate::api::ApiError;
use crate::api::integrity::{self as api, Selection};
use crate::api::verify;
use crate::http::respond::Answer;

#[utoipa::path(
    get, path = "/v1/integrity", tag = "integrity", operation_id = "getIntegrity",
    summary = "The probe's runs, open findings, every tag with its state",
    description = "Needs `registry:catalog`; shown is what the caller may pull.",
    params(Selection),
    responses((status = 200, description = "What is known", body = api::Integrity)),
)]
pub(in super::super) async fn report(request: &Request) -> Result<Answer, ApiError> {
    request.only(&["n", "last", "state", "repository"])?;
    let selection = Selection {
        n: request.n()?,
        last: request.text("last"),
        state: request.text("state"),
        repository: request.text("repository"),
    };
    let found = api::integrity(&request.caller, &selection).await?;
    page(request, "/v1/integrity", &found, found.next.as_deref())
}

#[utoipa::path(
    post, path = "/v1/integrity/verify", tag = "integrity", operation_id = "verifyReference",
    summary = "Walks one reference's closure now, over rows and files",
    description = "Needs `registry:pull` on the repository.",
    request_body = verify::VerifyRequest,
    responses((status = 200, description = "The report; what is broken is in it", body = verify::VerifyReport)),
)]
pub(in super::super) async fn verify(request: &Request) -> Result<Answer, ApiError> {
    request.only(&[])?;
    json(StatusCode::OK, &verify::verify(&request.caller, &request.json()?).await?)
}
