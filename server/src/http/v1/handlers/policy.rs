//! Policy rules over REST.

use http::StatusCode;
use http::header::LOCATION;

use super::super::answers::{json, page};
use super::super::no_content;
use super::super::request::Request;
use crate::api::policy as api;
use crate::api::{ApiError, Page};
use crate::http::respond::{Answer, set};

#[utoipa::path(
    get, path = "/v1/policy/rules", tag = "policy", operation_id = "listPolicyRules",
    summary = "All rules: the built-in ones first, then by priority",
    params(Page),
    responses((status = 200, description = "A page of rules", body = api::RuleList)),
)]
pub(in super::super) fn list(request: &Request) -> Result<Answer, ApiError> {
    request.only(&["n", "last"])?;
    let found = api::list(&request.caller, &request.page()?)?;
    page(request, "/v1/policy/rules", &found, found.next.as_deref())
}

#[utoipa::path(
    post, path = "/v1/policy/rules", tag = "policy", operation_id = "createPolicyRule",
    summary = "Makes a rule, which is in force before the answer",
    request_body = api::NewRule,
    responses((status = 201, description = "The rule, with its number", body = api::PolicyRule,
        headers(("Location" = String, description = "Its path")))),
)]
pub(in super::super) async fn create(request: &Request) -> Result<Answer, ApiError> {
    request.only(&[])?;
    // Who may not make one does not learn how one is written either.
    api::may_manage(&request.caller)?;
    let rule = api::create(&request.caller, request.json()?).await?;
    let mut answer = json(StatusCode::CREATED, &rule)?;
    set(&mut answer, LOCATION, format!("/v1/policy/rules/{}", rule.id));
    Ok(answer)
}

#[utoipa::path(
    get, path = "/v1/policy/rules/{id}", tag = "policy", operation_id = "getPolicyRule",
    summary = "One rule",
    params(("id" = i64, Path, description = "Its number; negative for built-in rules")),
    responses((status = 200, description = "The rule", body = api::PolicyRule)),
)]
pub(in super::super) fn get(request: &Request, id: &str) -> Result<Answer, ApiError> {
    request.only(&[])?;
    api::may_manage(&request.caller)?;
    json(StatusCode::OK, &api::get(&request.caller, api::rule_id(id)?)?)
}

#[utoipa::path(
    patch, path = "/v1/policy/rules/{id}", tag = "policy", operation_id = "updatePolicyRule",
    summary = "Changes the fields that are given",
    params(("id" = i64, Path, description = "Its number")),
    request_body = api::RuleChange,
    responses((status = 200, description = "The rule as it is now", body = api::PolicyRule)),
)]
pub(in super::super) async fn update(request: &Request, id: &str) -> Result<Answer, ApiError> {
    request.only(&[])?;
    api::may_manage(&request.caller)?;
    json(StatusCode::OK, &api::update(&request.caller, api::rule_id(id)?, request.json()?).await?)
}

#[utoipa::path(
    delete, path = "/v1/policy/rules/{id}", tag = "policy", operation_id = "deletePolicyRule",
    summary = "Deletes a rule, which is out of force before the answer",
    params(("id" = i64, Path, description = "Its number")),
    responses((status = 204, description = "It is gone")),
)]
pub(in super::super) async fn delete(request: &Request, id: &str) -> Result<Answer, ApiError> {
    request.only(&[])?;
    api::may_manage(&request.caller)?;
    api::delete(&request.caller, api::rule_id(id)?).await?;
    Ok(no_content())
}

#[utoipa::path(
    post, path = "/v1/policy/explain", tag = "policy", operation_id = "explainPolicy",
    summary = "What the rules say to a question, and which one decides",
    description = "An account that the registry does not know by itself is taken as a person with the role `user`, \
        unless the question says otherwise.",
    request_body = api::Question,
    responses((status = 200, description = "The decision", body = api::Explanation)),
)]
pub(in super::super) fn explain(request: &Request) -> Result<Answer, ApiError> {
    request.only(&[])?;
    api::may_manage(&request.caller)?;
    json(StatusCode::OK, &api::explain(&request.caller, &request.json()?)?)
}
