//! From a query or a body to a typed request, or a sentence that says what is wrong with it; never what it asks.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use serde::de::DeserializeOwned;

use super::path::AdminPath;
use crate::api::{ApiError, Caller, Page, Time, shown};
use crate::http::body::InBody;
use crate::http::query::Query;

/// Bytes of a body at most.
pub(super) const MAX_BODY: usize = 64 * 1024;
/// How long a body may take.
const BODY_TIME: Duration = Duration::from_secs(60);
/// Characters of a complaint at most: it may repeat what was sent.
const MAX_COMPLAINT: usize = 300;

/// A request that was let in.
pub(super) struct Request {
    /// Who asks.
    pub(super) caller: Caller,
    /// Its parameters.
    pub(super) query: Query,
    /// What about.
    pub(super) path: AdminPath,
    /// Its body; empty for methods that have none.
    pub(super) body: Bytes,
}

impl Request {
    /// Refuses parameters beside `known`, and those given twice: a filter that is not understood must not be taken
    /// for none.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), ApiError> {
        let mut seen: Vec<&str> = Vec::new();
        for (name, _) in self.query.pairs() {
            if !known.contains(&name) {
                let known = if known.is_empty() { "none are known here".to_owned() } else { known.join(", ") };
                return Err(ApiError::Invalid(format!("there is no parameter {}: {known}", shown(name))));
            }
            if seen.contains(&name) {
                return Err(ApiError::Invalid(format!("{name} is given twice")));
            }
            seen.push(name);
        }
        Ok(())
    }

    /// A parameter, none where it is empty.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.query.get(name).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    /// A parameter that is a whole number of at most 63 bits.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.query.get(name) else { return Ok(None) };
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse::<i64>().ok().filter(|_| digits).map(i64::cast_unsigned) {
            Some(number) => Ok(Some(number)),
            None => Err(ApiError::Invalid(format!("{name} must be a whole number, not {}", shown(text)))),
        }
    }

    /// A parameter that is a time.
    pub(super) fn time(&self, name: &str) -> Result<Option<Time>, ApiError> {
        let read = |text: &str| Time::parse(text).map_err(|why| ApiError::Invalid(format!("{name}: {why}")));
        self.query.get(name).map(read).transpose()
    }

    /// `n`.
    pub(super) fn n(&self) -> Result<Option<u32>, ApiError> {
        Ok(self.number("n")?.map(|n| u32::try_from(n).unwrap_or(u32::MAX)))
    }

    /// `n` and `last`.
    pub(super) fn page(&self) -> Result<Page, ApiError> {
        Ok(Page { n: self.n()?, last: self.text("last") })
    }

    /// The body as JSON.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        parse(&self.body)
    }

    /// The body as JSON, where everything in it may be left out and so may the body.
    pub(super) fn json_or_default<T: DeserializeOwned + Default>(&self) -> Result<T, ApiError> {
        let left_out = matches!(self.body.trim_ascii(), b"" | b"null");
        if left_out { Ok(T::default()) } else { self.json() }
    }
}

/// Reads JSON, and says of what is wrong where it stands.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let complain = |path: Option<String>, why: &dyn std::fmt::Display| {
        let place = path.filter(|path| !matches!(path.as_str(), "." | "?")).unwrap_or_else(|| "the body".to_owned());
        let mut text = format!("{place}: {why}");
        if let Some((end, _)) = text.char_indices().nth(MAX_COMPLAINT) {
            text.truncate(end);
            text.push('…');
        }
        ApiError::Invalid(text)
    };
    // A list would be taken for the fields of a struct in their order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(ApiError::Invalid("the body: a JSON object is needed".to_owned()));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| complain(Some(error.path().to_string()), error.inner()))?;
    reader.end().map_err(|error| complain(None, &error))?;
    Ok(value)
}

/// The body of a request, which must say that it is JSON: a page of somebody else can make a browser send anything
/// else with the credentials it keeps, but not that.
pub(super) async fn body(head: &http::request::Parts, body: &mut InBody) -> Result<Bytes, ApiError> {
    let header = |name| head.headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
    let announced = header(CONTENT_LENGTH).and_then(|text| text.parse::<usize>().ok()).unwrap_or(0);
    let too_large = || ApiError::TooLarge(format!("the body has more than {MAX_BODY} bytes"));
    if announced > MAX_BODY {
        return Err(too_large());
    }
    let read = tokio::time::timeout(BODY_TIME, body.whole(MAX_BODY, announced));
    let bytes = match read.await {
        Ok(Ok(Some(bytes))) => bytes,
        Ok(Ok(None)) => return Err(too_large()),
        Ok(Err(lost)) => return Err(ApiError::Invalid(format!("the body ended early: {}", lost.0))),
        Err(_) => return Err(ApiError::Invalid(format!("the body took more than {} s", BODY_TIME.as_secs()))),
    };
    let is_json = header(CONTENT_TYPE).is_some_and(|text| {
        let media_type = text.split(';').next().unwrap_or_default().trim();
        media_type.eq_ignore_ascii_case("application/json")
    });
    if !bytes.is_empty() && !is_json {
        return Err(ApiError::MediaType("send the body with Content-Type: application/json".to_owned()));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::policy::NewRule;

    fn complaint(body: &str) -> String {
        parse::<NewRule>(body.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn complaints_name_the_place() {
        assert!(complaint("{").starts_with("the body: EOF"), "{}", complaint("{"));
        for body in ["", "[1, \"allow\"]", "null", "7", "x"] {
            assert!(complaint(body).contains("a JSON object is needed"), "{body}");
        }
        assert!(complaint(r#"{"priority":1,"effect":"allow"} x"#).contains("trailing"));
        let wrong = complaint(r#"{"priority":1,"effect":"allow","actions":["a",7]}"#);
        assert!(wrong.starts_with("actions[1]: invalid type: integer `7`"), "{wrong}");
        let unknown = complaint(r#"{"priority":1,"effect":"allow","efect":"deny"}"#);
        assert!(unknown.contains("unknown field `efect`"), "{unknown}");
        let twice = complaint(r#"{"priority":1,"priority":2,"effect":"allow"}"#);
        assert!(twice.contains("duplicate field"), "{twice}");
        assert!(complaint(r#"{"effect":"allow"}"#).contains("missing field `priority`"));
        assert!(complaint(r#"{"priority":99999999999999999999,"effect":"allow"}"#).starts_with("priority:"));
    }

    #[test]
    fn complaints_are_short() {
        let body = format!(r#"{{"priority":"{}","effect":"allow"}}"#, "x".repeat(5000));
        assert!(complaint(&body).chars().count() <= MAX_COMPLAINT + 1);
    }

    #[test]
    fn a_whole_rule_is_read() {
        let rule: NewRule = parse(br#"{"priority":5,"effect":"deny"}"#).unwrap();
        assert!(rule.enabled && rule.priority == 5 && rule.actions.is_empty());
    }
}
