//! An answer whose head has come: its headers, and its body piece by piece; never what it means.

use std::time::Duration;

use bytes::Bytes;
use mcr_seams::Clock;
use reqwest::header::{AsHeaderName, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};
use tokio::time::timeout;

use crate::text::{causes, line};
use crate::tries::Failure;

/// What is read of a body to find out why, in bytes.
const DETAIL_MAX: usize = 16 * 1024;

/// And how long, in all: the answer is known already.
const DETAIL_WITHIN: Duration = Duration::from_secs(2);

/// An answer, its body not read yet.
#[derive(Debug)]
pub(crate) struct Answer {
    response: Response,
    url: Url,
    foreign: bool,
    silence: Duration,
}

/// Why a body ended otherwise than it should.
#[derive(Debug)]
pub(crate) enum Cut {
    /// Nothing came for too long.
    Stalled(String),
    /// The connection ended, or the stream.
    Ended(String),
}

impl From<Cut> for Failure {
    fn from(cut: Cut) -> Self {
        let (Cut::Stalled(reason) | Cut::Ended(reason)) = cut;
        Self::Broken { status: None, reason }
    }
}

/// What an answer that is no success says about itself.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// Whether it is an error as the distribution specification has them.
    pub(crate) is_registry: bool,
    /// Code and message in one line.
    pub(crate) text: Option<String>,
}

impl Answer {
    pub(crate) fn new(response: Response, url: Url, foreign: bool, silence: Duration) -> Self {
        Self { response, url, foreign, silence }
    }

    pub(crate) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// The status with its phrase, such as `404 Not Found`.
    pub(crate) fn status_text(&self) -> String {
        let status = self.response.status();
        // `StatusCode` shows unknown ones with "<unknown status code>".
        StatusCode::canonical_reason(&status).map_or_else(|| status.as_str().to_owned(), |_| status.to_string())
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// A header that is text.
    pub(crate) fn header(&self, name: impl AsHeaderName) -> Option<&str> {
        self.headers().get(name).and_then(|value| value.to_str().ok())
    }

    /// `Content-Length`, also of an answer to HEAD.
    pub(crate) fn content_length(&self) -> Option<u64> {
        self.header(&CONTENT_LENGTH).and_then(|value| value.trim().parse().ok())
    }

    /// `Content-Type` without parameters, in lower case.
    pub(crate) fn essence(&self) -> Option<String> {
        self.header(&CONTENT_TYPE).map(|value| mcr_oci::media_type::strip_parameters(value).to_ascii_lowercase())
    }

    /// Where it came from in the end.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Whether another origin answered than the one that was asked.
    pub(crate) fn is_foreign(&self) -> bool {
        self.foreign
    }

    /// The next piece of the body; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Cut> {
        match timeout(self.silence, self.response.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(error)) => Err(Cut::Ended(format!("the body broke off: {}", causes(&error)))),
            Err(_) => Err(Cut::Stalled(format!("the body stalled for {} s", self.silence.as_secs_f64()))),
        }
    }

    /// Reads the body into `bytes`; `false` where it is longer than `max`, and the rest is not read.
    ///
    /// # Errors
    /// Where it broke off; `bytes` holds what came.
    pub(crate) async fn collect(&mut self, max: usize, bytes: &mut Vec<u8>) -> Result<bool, Cut> {
        while let Some(chunk) = self.chunk().await? {
            if bytes.len().saturating_add(chunk.len()) > max {
                return Ok(false);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(true)
    }

    /// Reads a short rest of a body that nobody wants, so that the connection can be used again.
    pub(crate) async fn drain(&mut self) {
        let mut ignored = Vec::new();
        // It is nobody's loss if it fails.
        let _ = timeout(DETAIL_WITHIN, self.collect(DETAIL_MAX, &mut ignored)).await;
    }

    /// What the body says about why, as far as it can be had quickly.
    pub(crate) async fn said(&mut self) -> Said {
        let mut bytes = Vec::new();
        let whole = timeout(DETAIL_WITHIN, self.collect(DETAIL_MAX, &mut bytes)).await;
        if !matches!(whole, Ok(Ok(true))) {
            return Said::default();
        }
        if let Some(text) = registry_error(&bytes) {
            return Said { is_registry: true, text: Some(text) };
        }
        if let Some(text) = own_error(&bytes) {
            return Said { is_registry: false, text: Some(text) };
        }
        let plain = self.essence().is_some_and(|essence| essence == "text/plain");
        let text = String::from_utf8_lossy(&bytes);
        Said { is_registry: false, text: Some(line(&text)).filter(|text| plain && !text.is_empty()) }
    }

    /// How long `Retry-After` asks to wait: seconds, or a date. A date is compared with the answer's own `Date`, so
    /// that it does not matter whose clock is wrong; without one, with `clock`.
    pub(crate) fn retry_after(&self, clock: &Clock) -> Option<Duration> {
        let text = self.header(&RETRY_AFTER)?.trim();
        if let Ok(seconds) = text.parse::<u64>() {
            return Some(Duration::from_secs(seconds));
        }
        let then = http_date_ms(text)?;
        let now = self.header(&DATE).and_then(http_date_ms).unwrap_or_else(|| clock.now_ms());
        Some(Duration::from_millis(u64::try_from(then.saturating_sub(now)).unwrap_or(0)))
    }
}

/// An HTTP date (RFC 9110, section 5.6.7) in Unix milliseconds; the two obsolete forms are not read.
fn http_date_ms(text: &str) -> Option<i64> {
    let parser = jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true);
    parser.parse_timestamp(text.trim()).ok().map(jiff::Timestamp::as_millisecond)
}

/// The text of `{"error":"…"}`, as registries' own APIs and token servers have it.
fn own_error(bytes: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Body {
        error: String,
        #[serde(default)]
        error_description: Option<String>,
    }
    let body: Body = serde_json::from_slice(bytes).ok()?;
    let text = body.error_description.map_or_else(|| body.error.clone(), |more| format!("{}: {more}", body.error));
    Some(line(&text)).filter(|text| !text.is_empty())
}

/// Code and message of the first error of a body as the distribution specification has it ("Error Codes").
fn registry_error(bytes: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Body {
        errors: Vec<One>,
    }
    #[derive(serde::Deserialize)]
    struct One {
        code: String,
        #[serde(default)]
        message: Option<String>,
    }
    let body: Body = serde_json::from_slice(bytes).ok()?;
    let first = body.errors.into_iter().next()?;
    let message = first.message.filter(|message| !message.is_empty());
    Some(line(&message.map_or_else(|| first.code.clone(), |message| format!("{}: {message}", first.code))))
}

#[cfg(test)]
mod tests;
