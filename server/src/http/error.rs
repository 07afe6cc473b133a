//! The one place where a use case's error becomes a status and an OCI code; never another mapping elsewhere.

use http::StatusCode;
use http::header::{ALLOW, HeaderValue, RETRY_AFTER};
use mcr_access::Refusal;
use mcr_oci::{ErrorCode, Finding};
use mcr_registry::Error;
use serde_json::{Value, json};

use super::endpoint::{BadPath, Endpoint};
use super::respond::{Answer, entry, oci_error, oci_errors};

/// The answer to a failed use case.
#[must_use]
pub fn answer(error: &Error) -> Answer {
    let text = error.to_string();
    let plain = |status, code| oci_error(status, code, &text);
    match error {
        Error::NameUnknown(_) => plain(StatusCode::NOT_FOUND, ErrorCode::NameUnknown),
        Error::ManifestUnknown { finding, .. } => found(ErrorCode::ManifestUnknown, &text, finding.as_deref()),
        Error::BlobUnknown { finding, .. } => found(ErrorCode::BlobUnknown, &text, finding.as_deref()),
        Error::UploadUnknown(_) => plain(StatusCode::NOT_FOUND, ErrorCode::BlobUploadUnknown),
        Error::DigestInvalid(_) => plain(StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid),
        Error::ManifestInvalid(_) => plain(StatusCode::BAD_REQUEST, ErrorCode::ManifestInvalid),
        Error::SizeInvalid(_) => plain(StatusCode::BAD_REQUEST, ErrorCode::SizeInvalid),
        Error::BodyLost(_) => plain(StatusCode::BAD_REQUEST, ErrorCode::BlobUploadInvalid),
        Error::OutOfOrder { .. } => plain(StatusCode::RANGE_NOT_SATISFIABLE, ErrorCode::BlobUploadInvalid),
        Error::Incomplete(refusals) => incomplete(refusals),
        Error::StillNamed { holders, .. } => {
            let detail = json!({ "referrers_of": holders });
            oci_errors(StatusCode::METHOD_NOT_ALLOWED, &[entry(ErrorCode::Unsupported, &text, detail)])
        }
        Error::Denied(_) => plain(StatusCode::FORBIDDEN, ErrorCode::Denied),
        // The admin API's, which has words of its own for them; no use case of the OCI API answers one.
        Error::Invalid(_) => plain(StatusCode::BAD_REQUEST, ErrorCode::Unsupported),
        Error::NoSuch(_) => plain(StatusCode::NOT_FOUND, ErrorCode::Unsupported),
        Error::Conflict(_) => plain(StatusCode::CONFLICT, ErrorCode::Unsupported),
        Error::ReadOnly(_) => plain(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Unsupported),
        Error::DiskFull(_) => plain(StatusCode::INSUFFICIENT_STORAGE, ErrorCode::Denied),
        Error::Unavailable { retry_after, .. } => {
            retry_later(plain(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable), *retry_after)
        }
    }
}

fn retry_later(mut answer: Answer, seconds: u32) -> Answer {
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    answer
}

fn found(code: ErrorCode, text: &str, finding: Option<&Finding>) -> Answer {
    let detail = finding.map_or(Value::Null, detail);
    oci_errors(StatusCode::NOT_FOUND, &[entry(code, text, detail)])
}

fn detail(finding: &Finding) -> Value {
    serde_json::to_value(finding).unwrap_or(Value::Null)
}

/// One error per missing descriptor, the finding as its detail (contract section 8).
fn incomplete(refusals: &[mcr_registry::Refusal]) -> Answer {
    let errors: Vec<Value> =
        refusals.iter().map(|r| entry(r.code, &r.message, r.finding.as_ref().map_or(Value::Null, detail))).collect();
    oci_errors(StatusCode::BAD_REQUEST, &errors)
}

/// The answer to somebody who asks more often than is taken: 429 and when to come again.
#[must_use]
pub fn too_many(message: &str, retry_after: u32) -> Answer {
    retry_later(oci_error(StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequests, message), retry_after)
}

/// The answer while something we depend on is away: 503 and when to come again.
#[must_use]
pub fn unavailable(message: &str, retry_after: u32) -> Answer {
    retry_later(oci_error(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable, message), retry_after)
}

/// The answer to a path that is no endpoint.
#[must_use]
pub fn bad_path(bad: &BadPath) -> Answer {
    match bad {
        BadPath::NoSuchPath => {
            oci_error(StatusCode::NOT_FOUND, ErrorCode::Unsupported, "nothing is served at this path")
        }
        BadPath::Name(why) => oci_error(StatusCode::BAD_REQUEST, ErrorCode::NameInvalid, why),
        BadPath::Digest(why) => oci_error(StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid, why),
    }
}

/// The answer to a method that an endpoint does not know.
#[must_use]
pub fn bad_method(endpoint: &Endpoint) -> Answer {
    let mut answer =
        oci_error(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Unsupported, "this method is not supported here");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(endpoint.allow()));
    answer
}

/// The answer to a caller whom no rule allows what it asks.
#[must_use]
pub fn refused(refusal: &Refusal) -> Answer {
    oci_error(StatusCode::FORBIDDEN, ErrorCode::Denied, &refusal.to_string())
}
