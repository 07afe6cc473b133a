//! The OpenAPI 3.1 document, made of the handlers' own attributes and the types they answer with.

use std::sync::LazyLock;

use bytes::Bytes;
use http::StatusCode;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Header, HeaderBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::handlers as h;
use crate::api::words;
use crate::http::respond::{Answer, full};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "MCR admin API",
        description = "What stands beside the OCI API of an MCR registry: repositories, policy, audit, tokens, \
            integrity. The same functions are served over gRPC (`mcr.v1`). Log in with a Bearer token of \
            `/v1/auth/login`, an API token, or HTTP Basic.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    servers((url = "/", description = "This registry")),
    paths(
        h::admin::health, h::admin::read_only, h::admin::set_read_only,
        h::session::login, h::session::logout, h::session::who_am_i,
        h::repositories::list, h::repositories::get, h::repositories::delete, h::repositories::tags,
        h::repositories::delete_tag, h::repositories::history,
        h::policy::list, h::policy::create, h::policy::get, h::policy::update, h::policy::delete, h::policy::explain,
        h::audit::list, h::audit::export, h::audit::verify,
        h::tokens::list, h::tokens::create, h::tokens::revoke,
        h::undo::tag, h::undo::manifest, h::undo::repository, h::undo::run,
        h::plans::collect, h::plans::status, h::plans::retain,
        h::plans::list, h::plans::get, h::plans::confirm, h::plans::discard, h::plans::delete,
        h::snapshots::take, h::snapshots::list,
        h::integrity::report, h::integrity::verify,
        itself,
    ),
    // Those that only parameters name are not found by themselves.
    components(schemas(h::ErrorBody, words::ExportFormat, words::Order, words::PlanJob, words::PlanState, words::State)),
    security(("bearer" = []), ("basic" = [])),
    modifiers(&Shared),
)]
struct Document;

/// This document.
#[utoipa::path(
    get, path = "/v1/openapi.json", tag = "admin", operation_id = "openApi",
    summary = "This document",
    responses((status = 200, description = "OpenAPI 3.1", content((Object = "application/json")))),
    security(()),
)]
#[expect(dead_code, reason = "its documentation is what is used")]
fn itself() {}

/// What every operation has: the errors, and how one logs in.
struct Shared;

impl Modify for Shared {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let basic = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Basic).build());
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A token of `/v1/auth/login`, or an API token (`mcr_…`)."));
        components.add_security_scheme("basic", basic);
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer.build()));
        for (path, item) in &mut document.paths.paths {
            let open = matches!(path.as_str(), "/v1/health" | "/v1/openapi.json");
            let with_name = path.contains('{');
            for (operation, takes_body) in [
                (&mut item.get, false),
                (&mut item.put, true),
                (&mut item.post, true),
                (&mut item.delete, false),
                (&mut item.patch, true),
            ] {
                if let Some(operation) = operation.as_mut().filter(|_| !open) {
                    errors(operation, with_name, takes_body);
                }
            }
        }
    }
}

fn errors(operation: &mut Operation, with_name: bool, takes_body: bool) {
    let mut add = |status: u16, response: Response| {
        operation.responses.responses.entry(status.to_string()).or_insert(RefOr::T(response));
    };
    add(400, error("The request is wrong; the text says where"));
    let mut challenge = error("A login is needed, or another one");
    challenge.headers.insert("WWW-Authenticate".to_owned(), header("The same challenge as below /v2/"));
    add(401, challenge);
    add(403, error("The account may not do it"));
    // Verifying and deleting look for things that are named in the body, too.
    if with_name || takes_body {
        add(404, error("There is no such thing"));
    }
    if with_name || takes_body {
        add(405, error("Not as things stand: the registry is read-only"));
        add(409, error("It does not fit with how things are"));
        add(507, error("The registry's disk is full"));
    }
    if takes_body {
        add(413, error("The body is larger than 64 KiB"));
        add(415, error("The body is not said to be JSON"));
    }
    let mut throttled = error("Too many logins failed");
    throttled.headers.insert("Retry-After".to_owned(), header("Seconds to wait"));
    add(429, throttled);
    let mut later = error("Nothing is wrong with the request: try again");
    later.headers.insert("Retry-After".to_owned(), header("Seconds to wait"));
    add(503, later);
}

fn header(description: &str) -> RefOr<Header> {
    RefOr::T(HeaderBuilder::new().description(Some(description)).build())
}

fn error(description: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(RefOr::Ref(Ref::from_schema_name("ErrorBody")))).build();
    ResponseBuilder::new().description(description).content("application/json", content).build()
}

/// The document as text; made once.
#[must_use]
pub fn text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let mut document = Document::openapi();
        document.info.version = env!("CARGO_PKG_VERSION").to_owned();
        document.to_json().unwrap_or_else(|error| {
            tracing::error!(%error, "the OpenAPI document cannot be written");
            "{}".to_owned()
        })
    });
    &TEXT
}

/// The document as an answer.
#[must_use]
pub(super) fn document() -> Answer {
    full(StatusCode::OK, "application/json", Bytes::from_static(text().as_bytes()))
}

#[cfg(test)]
mod tests;
