//! Making responses: the headers every answer has, JSON, OCI errors; never which answer it is.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LINK, WARNING};
use http::{Response, StatusCode};
use mcr_oci::ErrorCode;
use serde_json::{Value, json};

use super::body::OutBody;

/// What the edge answers with.
pub type Answer = Response<OutBody>;

/// `Docker-Content-Digest`.
pub const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// `Docker-Distribution-Api-Version`, which old clients look for.
pub const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
/// `Docker-Upload-UUID`.
pub const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
/// `X-Request-Id`: the id under which the log has the request.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// An answer with a body in hand; the length is set here.
#[must_use]
pub fn full(status: StatusCode, content_type: &'static str, body: Bytes) -> Answer {
    let length = body.len();
    let mut answer = Response::new(OutBody::Full(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    answer
}

/// An answer without a body.
#[must_use]
pub fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(OutBody::Empty);
    *answer.status_mut() = status;
    if status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED {
        answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    answer
}

/// A JSON answer.
#[must_use]
pub fn json(status: StatusCode, value: &Value) -> Answer {
    full(status, "application/json", Bytes::from(value.to_string()))
}

/// One error in the shape of the distribution spec ("Error Codes").
#[must_use]
pub fn oci_error(status: StatusCode, code: ErrorCode, message: &str) -> Answer {
    oci_errors(status, &[entry(code, message, Value::Null)])
}

/// One entry of an error answer; `detail` is left out where it is null.
#[must_use]
pub fn entry(code: ErrorCode, message: &str, detail: Value) -> Value {
    let mut entry = json!({ "code": code.as_str(), "message": message });
    if let (Some(object), false) = (entry.as_object_mut(), detail.is_null()) {
        object.insert("detail".into(), detail);
    }
    entry
}

/// Several errors in one answer.
#[must_use]
pub fn oci_errors(status: StatusCode, errors: &[Value]) -> Answer {
    json(status, &json!({ "errors": errors }))
}

/// Sets a header whose value was made from checked text; one that cannot be a header is left out.
pub fn set(answer: &mut Answer, name: HeaderName, value: impl AsRef<str>) {
    if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
        answer.headers_mut().insert(name, value);
    }
}

/// Adds a `Warning: 299` (RFC 7234 section 5.5); at most 4096 bytes in all, as the spec asks.
pub fn warn(answer: &mut Answer, text: &str) {
    let used: usize = answer.headers().get_all(WARNING).iter().map(HeaderValue::len).sum();
    let mut safe: String =
        text.chars().map(|c| if c.is_ascii_graphic() && c != '"' && c != '\\' { c } else { ' ' }).collect();
    safe.truncate(4096_usize.saturating_sub(used + 16));
    if let (false, Ok(value)) = (safe.is_empty(), HeaderValue::from_str(&format!("299 - \"{safe}\""))) {
        answer.headers_mut().append(WARNING, value);
    }
}

/// Sets the `Link` to the next page (RFC 8288), relative as clients expect.
pub fn next_page(answer: &mut Answer, path_and_query: &str) {
    set(answer, LINK, format!("<{path_and_query}>; rel=\"next\""));
}
