//! Upload sessions over HTTP: POST, PATCH, PUT, GET, DELETE; headers in, headers out, no business.

use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, LOCATION, RANGE};
use mcr_access::{Pull, Push};
use mcr_oci::range::parse_content_range;
use mcr_oci::{Digest, ErrorCode, RepositoryName};
use mcr_registry::{Chunk, Error, UploadStatus};

use super::body::InBody;
use super::error;
use super::manifests::set_digest;
use super::respond::{Answer, UPLOAD_UUID, empty, oci_error, set};
use super::service::Context;

/// POST: a mount, a monolithic upload, or a new session.
///
/// # Errors
/// The answer to the failure.
pub async fn begin(context: &Context<'_>, repository: &RepositoryName, body: InBody) -> Result<Answer, Answer> {
    let permit = context.permit::<Push>(repository)?;
    if let Some(mounted) = mount(context, repository).await? {
        return Ok(mounted);
    }
    let registry = &context.edge.registry;
    if let Some(digest) = context.query.get("digest").filter(|_| announces_body(context)) {
        let digest = parse_digest(digest)?;
        let stored =
            registry.upload_whole(&permit, chunk(context, body)?, digest).await.map_err(|e| error::answer(&e))?;
        return Ok(created(repository, &stored.digest));
    }
    let begun = registry.begin_upload(&permit).await.map_err(|e| error::answer(&e))?;
    Ok(in_session(repository, &begun, StatusCode::ACCEPTED))
}

/// A mount that can be done; everything else begins a session, never 404 or 403 (`clients.md` section 5).
async fn mount(context: &Context<'_>, repository: &RepositoryName) -> Result<Option<Answer>, Answer> {
    let Some(Ok(digest)) = context.query.get("mount").map(Digest::parse) else { return Ok(None) };
    let permit = context.permit::<Push>(repository)?;
    let registry = &context.edge.registry;
    let mounted = match context.query.get("from").map(RepositoryName::parse) {
        // A no is no refusal: clients name what they have, also of other registries, and upload instead.
        Some(Ok(from)) => match registry.permit::<Pull>(&context.identity, &from) {
            Ok(from) => registry.mount(&permit, &from, &digest).await,
            Err(_) => return Ok(None),
        },
        Some(Err(_)) => return Ok(None),
        // From whichever repository has it that the caller may pull.
        None => registry.mount_from_anywhere(&permit, &digest).await,
    };
    let mounted = mounted.map_err(|e| error::answer(&e))?;
    Ok(mounted.map(|digest| created(repository, &digest)))
}

fn announces_body(context: &Context<'_>) -> bool {
    context.head.headers.contains_key(http::header::TRANSFER_ENCODING)
        || context.header(&CONTENT_LENGTH).and_then(|v| v.parse::<u64>().ok()).is_some_and(|n| n > 0)
        || (context.head.version == http::Version::HTTP_2 && !context.head.headers.contains_key(CONTENT_LENGTH))
}

/// GET: how far it is.
///
/// # Errors
/// The answer to the failure.
pub async fn status(context: &Context<'_>, repository: &RepositoryName, id: &str) -> Result<Answer, Answer> {
    let permit = context.permit::<Push>(repository)?;
    let status = context.edge.registry.upload_status(&permit, id).await.map_err(|e| error::answer(&e))?;
    Ok(in_session(repository, &status, StatusCode::NO_CONTENT))
}

/// PATCH: a chunk.
///
/// # Errors
/// The answer to the failure.
pub async fn patch(
    context: &Context<'_>,
    repository: &RepositoryName,
    id: &str,
    body: InBody,
) -> Result<Answer, Answer> {
    let permit = context.permit::<Push>(repository)?;
    let chunk = chunk(context, body)?;
    match context.edge.registry.append(&permit, id, chunk).await {
        Ok(status) => Ok(in_session(repository, &status, StatusCode::ACCEPTED)),
        Err(failed) => Err(upload_failed(repository, id, &failed)),
    }
}

/// PUT: the last chunk, if any, and the digest.
///
/// # Errors
/// The answer to the failure.
pub async fn put(context: &Context<'_>, repository: &RepositoryName, id: &str, body: InBody) -> Result<Answer, Answer> {
    let permit = context.permit::<Push>(repository)?;
    // A client that continues under a Location with a digest in it sends the parameter twice: its own is the last.
    let Some(digest) = context.query.all("digest").last() else {
        let message = "the digest parameter is missing: finish the upload with PUT …?digest=<digest>";
        return Err(oci_error(StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid, message));
    };
    let digest = parse_digest(digest)?;
    let chunk = chunk(context, body)?;
    match context.edge.registry.finish_upload(&permit, id, chunk, digest).await {
        Ok(stored) => Ok(created(repository, &stored.digest)),
        Err(failed) => Err(upload_failed(repository, id, &failed)),
    }
}

/// DELETE: end the session.
///
/// # Errors
/// The answer to the failure.
pub async fn cancel(context: &Context<'_>, repository: &RepositoryName, id: &str) -> Result<Answer, Answer> {
    let permit = context.permit::<Push>(repository)?;
    context.edge.registry.cancel_upload(&permit, id).await.map_err(|e| error::answer(&e))?;
    Ok(empty(StatusCode::NO_CONTENT))
}

fn chunk(context: &Context<'_>, body: InBody) -> Result<Chunk<InBody>, Answer> {
    let range = match context.head.headers.get(CONTENT_RANGE).map(|v| v.to_str().unwrap_or("")) {
        None => None,
        Some(text) => Some(parse_content_range(text).map_err(|why| {
            oci_error(StatusCode::BAD_REQUEST, ErrorCode::BlobUploadInvalid, &format!("Content-Range: {why}"))
        })?),
    };
    let length = context.header(&CONTENT_LENGTH).and_then(|v| v.parse().ok());
    Ok(Chunk { range, length, body })
}

fn parse_digest(text: &str) -> Result<Digest, Answer> {
    Digest::parse(text).map_err(|why| oci_error(StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid, &why.to_string()))
}

/// The answer of a session that goes on. `Range` is that of all its bytes, without a unit, and
/// `0-0` when there are none: what docker reads a layer's size from (`clients.md` section 1.3).
fn in_session(repository: &RepositoryName, status: &UploadStatus, code: StatusCode) -> Answer {
    let mut answer = empty(code);
    set(&mut answer, LOCATION, format!("/v2/{repository}/blobs/uploads/{}", status.id));
    set(&mut answer, RANGE, format!("0-{}", status.size.saturating_sub(1)));
    set(&mut answer, UPLOAD_UUID, &status.id);
    answer
}

fn created(repository: &RepositoryName, digest: &Digest) -> Answer {
    let mut answer = empty(StatusCode::CREATED);
    set(&mut answer, LOCATION, format!("/v2/{repository}/blobs/{digest}"));
    set_digest(&mut answer, digest.as_str());
    answer
}

/// A refused chunk leaves the session alive: a 416 says where it stands, except where it is empty
/// and `0-0` would say one byte.
fn upload_failed(repository: &RepositoryName, id: &str, failed: &Error) -> Answer {
    let mut answer = error::answer(failed);
    if let Error::OutOfOrder { have, .. } = failed {
        set(&mut answer, LOCATION, format!("/v2/{repository}/blobs/uploads/{id}"));
        set(&mut answer, UPLOAD_UUID, id);
        if *have > 0 {
            set(&mut answer, RANGE, format!("0-{}", have - 1));
        }
    }
    answer
}
