//! The shapes of answers: JSON, pages with their `Link`, errors; never which one it is.

use bytes::Bytes;
use http::StatusCode;
use http::header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde::Serialize;

use super::path::AdminPath;
use super::request::Request;
use crate::api::ApiError;
use crate::http::challenge::{Ask, fault_of};
use crate::http::endpoint::BadPath;
use crate::http::query::encode;
use crate::http::respond::{Answer, full, json as json_answer, next_page};

/// A value as JSON.
pub(super) fn json<T: Serialize>(status: StatusCode, value: &T) -> Result<Answer, ApiError> {
    let text = serde_json::to_vec(value).map_err(|error| {
        tracing::error!(%error, "an answer cannot be written as JSON");
        ApiError::Unavailable {
            message: "the answer could not be written; the log has more".to_owned(),
            retry_after: 5,
        }
    })?;
    Ok(full(status, "application/json", Bytes::from(text)))
}

/// A page of a list, with a `Link` to the next one.
pub(super) fn page<T: Serialize>(
    request: &Request,
    path: &str,
    value: &T,
    next: Option<&str>,
) -> Result<Answer, ApiError> {
    let mut answer = json(StatusCode::OK, value)?;
    if let Some(next) = next {
        let mut link = format!("{path}?last={}", encode(next));
        // `offset` was used up by the first page.
        for (name, value) in request.query.pairs().filter(|(name, _)| !matches!(*name, "last" | "offset")) {
            link.push_str(&format!("&{name}={}", encode(value)));
        }
        next_page(&mut answer, &link);
    }
    Ok(answer)
}

/// An error, with what helps to try again.
pub(super) fn refusal(ask: &Ask<'_>, error: &ApiError) -> Answer {
    let mut answer = json_answer(error.codes().0, &serde_json::json!({ "error": error.to_string() }));
    if let Some(seconds) = error.retry_after() {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let ApiError::Unauthenticated { fault, .. } = error {
        match ask.challenge(None, fault_of(*fault, &ask.head.headers)) {
            Ok(challenge) => answer.headers_mut().insert(WWW_AUTHENTICATE, challenge),
            Err(bad) => return refusal(ask, &ApiError::Invalid(bad.to_string())),
        };
    }
    answer
}

/// A path that is none.
pub(super) fn bad_path(bad: BadPath) -> ApiError {
    match bad {
        BadPath::NoSuchPath => ApiError::NotFound("nothing is served at this path; see /v1/openapi.json".to_owned()),
        BadPath::Name(why) | BadPath::Digest(why) => ApiError::Invalid(why),
    }
}

/// A method that a path does not know.
pub(super) fn bad_method(path: &AdminPath) -> Answer {
    let known = path.allow();
    let hint = match path {
        AdminPath::Tag(repository, tag) => {
            format!(
                "; a repository of this name is at /v1/repositories/{repository}/tags/{tag}/, with a slash at its end"
            )
        }
        AdminPath::RestoreRepository(repository) => {
            format!("; a repository of this name is at /v1/repositories/{repository}/restore/, with a slash at its end")
        }
        _ => String::new(),
    };
    let text = format!("this method is not known here, but {known}{hint}");
    let mut answer = json_answer(StatusCode::METHOD_NOT_ALLOWED, &serde_json::json!({ "error": text }));
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(known));
    answer
}
