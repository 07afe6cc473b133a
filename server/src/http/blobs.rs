//! Blobs over HTTP: GET with one range, HEAD, DELETE; headers in, headers out, no business.

use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderValue, IF_NONE_MATCH, IF_RANGE, RANGE,
};
use http::{Response, StatusCode};
use mcr_access::{Delete, Pull};
use mcr_oci::{Digest, ErrorCode, RepositoryName};
use mcr_registry::{BlobInfo, Part};

use super::body::OutBody;
use super::error;
use super::manifests::{etag_matches, set_digest};
use super::respond::{Answer, empty, oci_error, set};
use super::service::Context;

/// HEAD.
///
/// # Errors
/// The answer to the failure.
pub async fn head(context: &Context<'_>, repository: &RepositoryName, digest: &Digest) -> Result<Answer, Answer> {
    let permit = context.permit::<Pull>(repository)?;
    let info = context.edge.registry.blob_info(&permit, digest).await.map_err(|e| error::answer(&e))?;
    if let Some(answer) = not_modified(context, digest) {
        return Ok(answer);
    }
    Ok(described(&info, StatusCode::OK, OutBody::Empty, info.size))
}

/// GET.
///
/// # Errors
/// The answer to the failure.
pub async fn get(context: &Context<'_>, repository: &RepositoryName, digest: &Digest) -> Result<Answer, Answer> {
    let permit = context.permit::<Pull>(repository)?;
    // A range under another ETag than ours is none (RFC 9110 section 13.1.5).
    let conditional = context.head.headers.get(IF_RANGE).is_none_or(|tag| etag_matches(tag, digest.as_str()));
    let range = context.header(&RANGE).filter(|_| conditional);
    let opened = context.edge.registry.open_blob(&permit, digest, range).await.map_err(|e| error::answer(&e))?;
    if let Some(answer) = not_modified(context, digest) {
        return Ok(answer);
    }
    let length = opened.body.remaining();
    let body = OutBody::Blob(opened.body);
    Ok(match opened.part {
        Part::Whole => described(&opened.info, StatusCode::OK, body, length),
        Part::Range { start, end } => {
            let mut answer = described(&opened.info, StatusCode::PARTIAL_CONTENT, body, length);
            set(&mut answer, CONTENT_RANGE, format!("bytes {start}-{end}/{}", opened.info.size));
            answer
        }
        Part::Unsatisfiable => unsatisfiable(opened.info.size),
    })
}

fn not_modified(context: &Context<'_>, digest: &Digest) -> Option<Answer> {
    let wanted = context.head.headers.get(IF_NONE_MATCH)?;
    etag_matches(wanted, digest.as_str()).then(|| {
        let mut answer = empty(StatusCode::NOT_MODIFIED);
        set_digest(&mut answer, digest.as_str());
        answer
    })
}

fn unsatisfiable(size: u64) -> Answer {
    let message = format!("the range lies outside the blob's {size} bytes");
    let mut answer = oci_error(StatusCode::RANGE_NOT_SATISFIABLE, ErrorCode::SizeInvalid, &message);
    set(&mut answer, CONTENT_RANGE, format!("bytes */{size}"));
    answer
}

fn described(info: &BlobInfo, status: StatusCode, body: OutBody, length: u64) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    set_digest(&mut answer, info.digest.as_str());
    answer
}

/// DELETE: the repository's link.
///
/// # Errors
/// The answer to the failure.
pub async fn delete(context: &Context<'_>, repository: &RepositoryName, digest: &Digest) -> Result<Answer, Answer> {
    let permit = context.permit::<Delete>(repository)?;
    context.edge.registry.delete_blob(&permit, digest).await.map_err(|e| error::answer(&e))?;
    Ok(empty(StatusCode::ACCEPTED))
}
