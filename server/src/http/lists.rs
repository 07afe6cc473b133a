//! Listings over HTTP: catalog, tags, referrers, with their pages; headers in, JSON out, no business.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use mcr_access::{Catalog, Pull};
use mcr_oci::{Digest, ErrorCode, RepositoryName, media_type};
use serde_json::{Map, Value, json};

use super::query::encode;
use super::respond::{Answer, full, json as json_answer, next_page, oci_error};
use super::service::{Context, for_method};
use super::{cursor, error};

/// `OCI-Filters-Applied` (dist-spec "Listing Referrers").
const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

/// `/v2/_catalog`.
///
/// # Errors
/// The answer to the failure.
pub async fn catalog(context: &Context<'_>, head: bool) -> Result<Answer, Answer> {
    let permit = context.permit_global::<Catalog>()?;
    let (n, last) = page(context)?;
    let registry = &context.edge.registry;
    let shown = registry.visible(permit.identity());
    let last = cursor::place(last)
        .map_err(|unknown| oci_error(StatusCode::BAD_REQUEST, ErrorCode::Unsupported, &unknown.to_string()))?;
    let page = registry.catalog(&permit, last, n, Arc::clone(&shown)).await.map_err(|e| error::answer(&e))?;
    let mut answer = json_answer(StatusCode::OK, &json!({ "repositories": page.names }));
    let seen = page.next.as_deref().is_some_and(|next| shown(next));
    if let Some(next) = page.next.and_then(|next| cursor::shown(next, seen)) {
        next_page(&mut answer, &format!("/v2/_catalog?{}", parameters(&next, n)));
    }
    Ok(for_method(answer, head))
}

/// `/v2/<name>/tags/list`.
///
/// # Errors
/// The answer to the failure.
pub async fn tags(context: &Context<'_>, repository: &RepositoryName, head: bool) -> Result<Answer, Answer> {
    let permit = context.permit::<Pull>(repository)?;
    let (n, last) = page(context)?;
    let page = context.edge.registry.tags(&permit, last, n).await.map_err(|e| error::answer(&e))?;
    let mut answer = json_answer(StatusCode::OK, &json!({ "name": repository.as_str(), "tags": page.tags }));
    if let Some(next) = page.next {
        next_page(&mut answer, &format!("/v2/{repository}/tags/list?{}", parameters(&next, n)));
    }
    Ok(for_method(answer, head))
}

/// `/v2/<name>/referrers/<digest>`.
///
/// # Errors
/// The answer to the failure.
pub async fn referrers(
    context: &Context<'_>,
    repository: &RepositoryName,
    digest: &Digest,
    head: bool,
) -> Result<Answer, Answer> {
    let permit = context.permit::<Pull>(repository)?;
    let filter = context.query.get("artifactType").filter(|t| !t.is_empty()).map(str::to_owned);
    let last = context.query.get("last").and_then(|text| Digest::parse(text).ok());
    let page =
        context.edge.registry.referrers(&permit, digest, filter.clone(), last).await.map_err(|e| error::answer(&e))?;
    let manifests: Vec<Value> = page.referrers.into_iter().map(descriptor).collect();
    let index = json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": manifests });
    let mut answer = full(StatusCode::OK, media_type::OCI_INDEX, Bytes::from(index.to_string()));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type::OCI_INDEX));
    if filter.is_some() {
        answer.headers_mut().insert(FILTERS_APPLIED, HeaderValue::from_static("artifactType"));
    }
    if let Some(next) = page.next {
        let filter = filter.map(|f| format!("&artifactType={}", encode(&f))).unwrap_or_default();
        next_page(&mut answer, &format!("/v2/{repository}/referrers/{digest}?last={}{filter}", encode(next.as_str())));
    }
    Ok(for_method(answer, head))
}

fn descriptor(row: mcr_registry::ReferrerRow) -> Value {
    let mut object = Map::new();
    object.insert("mediaType".into(), Value::from(row.media_type));
    object.insert("digest".into(), Value::from(row.digest.as_str()));
    object.insert("size".into(), Value::from(row.size));
    if let Some(kind) = row.artifact_type.filter(|t| !t.is_empty()) {
        object.insert("artifactType".into(), Value::from(kind));
    }
    if !row.annotations.is_empty() {
        object.insert("annotations".into(), json!(row.annotations));
    }
    Value::Object(object)
}

/// `n` and `last`; a page number that is none is refused.
fn page(context: &Context<'_>) -> Result<(Option<usize>, Option<String>), Answer> {
    let n = match context.query.get("n") {
        None | Some("") => None,
        Some(text) => Some(text.parse::<usize>().map_err(|_| {
            let message = "n must be a whole number, 0 or more";
            oci_error(StatusCode::BAD_REQUEST, ErrorCode::Unsupported, message)
        })?),
    };
    Ok((n, context.query.get("last").filter(|l| !l.is_empty()).map(str::to_owned)))
}

fn parameters(last: &str, n: Option<usize>) -> String {
    n.map_or_else(|| format!("last={}", encode(last)), |n| format!("last={}&n={n}", encode(last)))
}
