//! Manifests over HTTP: GET, HEAD, PUT, DELETE; headers in, headers out, no business.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH, LOCATION};
use http::{Response, StatusCode};
use mcr_access::{Delete, Pull, Push};
use mcr_oci::{ErrorCode, MANIFEST_MAX, Reference, RepositoryName, Tag};
use mcr_registry::{PushManifest, Reading, ServedManifest};

use super::body::{InBody, OutBody};
use super::error;
use super::respond::{Answer, CONTENT_DIGEST, empty, oci_error, set, warn};
use super::service::Context;

/// `OCI-Subject`: the digest a pushed manifest refers to (dist-spec "Pushing Manifests with Subject").
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// `OCI-Tag`: a tag set by parameter (dist-spec 1.1+dev).
const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");
/// Tags that one PUT may set.
const MAX_TAGS: usize = 1000;

/// GET and HEAD.
///
/// # Errors
/// The answer to the failure.
pub async fn read(
    context: &Context<'_>,
    repository: &RepositoryName,
    reference: &Reference,
    head: bool,
) -> Result<Answer, Answer> {
    let permit = context.permit::<Pull>(repository)?;
    let reading = match (head, context.may::<Push>(repository)) {
        (false, _) => Reading::Get,
        (true, true) => Reading::HeadByPusher,
        (true, false) => Reading::Head,
    };
    let served =
        context.edge.registry.manifest(&permit, reference.clone(), reading).await.map_err(|e| error::answer(&e))?;
    let digest = served.manifest.digest.as_str();
    if context.head.headers.get(IF_NONE_MATCH).is_some_and(|wanted| etag_matches(wanted, digest)) {
        let mut answer = empty(StatusCode::NOT_MODIFIED);
        set_digest(&mut answer, digest);
        return Ok(answer);
    }
    Ok(served_answer(&served, head))
}

fn served_answer(served: &ServedManifest, head: bool) -> Answer {
    let manifest = &served.manifest;
    let body = if head { OutBody::Empty } else { OutBody::Full(manifest.bytes.clone()) };
    let mut answer = Response::new(body);
    set(&mut answer, CONTENT_TYPE, &manifest.media_type);
    answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(manifest.bytes.len()));
    set_digest(&mut answer, manifest.digest.as_str());
    if let Some(warning) = &served.warning {
        warn(&mut answer, warning);
    }
    answer
}

/// `Docker-Content-Digest` and the quoted `ETag` (RFC 9110 section 8.8.3).
pub(super) fn set_digest(answer: &mut Answer, digest: &str) {
    set(answer, CONTENT_DIGEST, digest);
    set(answer, ETAG, format!("\"{digest}\""));
}

/// Whether an `If-None-Match` or `If-Range` value names this digest (RFC 9110 section 13.1.2).
pub(super) fn etag_matches(wanted: &HeaderValue, digest: &str) -> bool {
    wanted.to_str().is_ok_and(|wanted| {
        wanted
            .split(',')
            .map(str::trim)
            .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"') == digest)
    })
}

/// PUT.
///
/// # Errors
/// The answer to the failure.
pub async fn put(
    context: &Context<'_>,
    repository: &RepositoryName,
    reference: &Reference,
    mut body: InBody,
) -> Result<Answer, Answer> {
    let permit = context.permit::<Push>(repository)?;
    let tags = tags(context)?;
    let announced = context.header(&CONTENT_LENGTH).and_then(|v| v.parse::<u64>().ok());
    if announced.is_some_and(|n| n > MANIFEST_MAX as u64) {
        return Err(too_big());
    }
    let _place = context.edge.registry.place_for_manifest(announced).await.map_err(|e| error::answer(&e))?;
    let bytes = whole_manifest(&mut body, announced).await?;
    let media_type = context.header(&CONTENT_TYPE).map(str::to_owned);
    let push = PushManifest { reference: reference.clone(), media_type, bytes, tags };
    let pushed = context.edge.registry.push_manifest(&permit, push).await.map_err(|e| error::answer(&e))?;
    let mut answer = empty(StatusCode::CREATED);
    set(&mut answer, LOCATION, format!("/v2/{repository}/manifests/{}", pushed.digest));
    set_digest(&mut answer, pushed.digest.as_str());
    if let Some(subject) = &pushed.subject {
        set(&mut answer, OCI_SUBJECT, subject.as_str());
    }
    for tag in &pushed.tags {
        if let Ok(value) = HeaderValue::from_str(tag.as_str()) {
            answer.headers_mut().append(OCI_TAG, value);
        }
    }
    for warning in &pushed.warnings {
        warn(&mut answer, warning);
    }
    Ok(answer)
}

fn tags(context: &Context<'_>) -> Result<Vec<Tag>, Answer> {
    let mut tags = Vec::new();
    for text in context.query.all("tag") {
        if tags.len() >= MAX_TAGS {
            let message = format!("at most {MAX_TAGS} tags can be set by one request");
            return Err(oci_error(StatusCode::URI_TOO_LONG, ErrorCode::Unsupported, &message));
        }
        let tag =
            Tag::parse(text).map_err(|e| oci_error(StatusCode::BAD_REQUEST, ErrorCode::NameInvalid, &e.to_string()))?;
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    Ok(tags)
}

async fn whole_manifest(body: &mut InBody, announced: Option<u64>) -> Result<Bytes, Answer> {
    let expected = announced.and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    match body.whole(MANIFEST_MAX, expected).await {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(too_big()),
        Err(lost) => Err(error::answer(&mcr_registry::Error::BodyLost(lost.0))),
    }
}

fn too_big() -> Answer {
    let message = format!("the manifest is larger than {MANIFEST_MAX} bytes, the most this registry takes");
    oci_error(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::SizeInvalid, &message)
}

/// DELETE, by tag or digest.
///
/// # Errors
/// The answer to the failure.
pub async fn delete(
    context: &Context<'_>,
    repository: &RepositoryName,
    reference: &Reference,
) -> Result<Answer, Answer> {
    let permit = context.permit::<Delete>(repository)?;
    context.edge.registry.delete_manifest(&permit, reference.clone()).await.map_err(|e| error::answer(&e))?;
    Ok(empty(StatusCode::ACCEPTED))
}
