//! Tests of what an answer says beside its content: how long to wait, and why.

use super::*;
use crate::testing::{Server, reply};
use crate::wire::{Ask, Wire};
use crate::{Login, Settings};

async fn answer(headers: &[(&str, &str)], body: &str) -> (Server, Answer) {
    let steps = reply(400, headers, body);
    let server = Server::start(move |_| steps.clone()).await;
    let settings: Settings = server.settings(Login::Anonymous);
    let ask = Ask::new(reqwest::Method::GET, settings.base.clone());
    let answer = Wire::new(&settings).unwrap().follow(&ask, None).await.unwrap();
    (server, answer)
}

#[tokio::test]
async fn retry_after_is_seconds_or_a_date() {
    let (noon, later) = ("Sun, 06 Nov 1994 12:00:00 GMT", "Sun, 06 Nov 1994 12:00:07 GMT");
    let clock = Clock::fixed(784_123_205_000);
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let cases = [
        (vec![("Retry-After", "30")], seconds(30)),
        (vec![("Retry-After", " 0 ")], seconds(0)),
        // The answer's own clock counts, else ours, which is five seconds past noon.
        (vec![("Date", noon), ("Retry-After", later)], seconds(7)),
        (vec![("Retry-After", later)], seconds(2)),
        (vec![("Date", later), ("Retry-After", noon)], seconds(0)),
        (vec![("Retry-After", "soon")], None),
        (vec![("Retry-After", "-1")], None),
        (vec![], None),
    ];
    for (headers, expected) in cases {
        let (_server, answer) = answer(&headers, "").await;
        assert_eq!(answer.retry_after(&clock), expected, "{headers:?}");
    }
}

#[tokio::test]
async fn what_is_said_is_code_and_message_on_one_line() {
    let json = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest\n\u001b[2Junknown","detail":{"a":1}}]}"#;
    let cases = [
        (json, "application/json", true, Some("MANIFEST_UNKNOWN: manifest  [2Junknown")),
        (r#"{"errors":[{"code":"DENIED"}]}"#, "", true, Some("DENIED")),
        (r#"{"errors":[]}"#, "application/json", false, None),
        ("slow\r\ndown", "text/plain; charset=utf-8", false, Some("slow  down")),
        ("<html>", "text/html", false, None),
        ("", "text/plain", false, None),
    ];
    for (body, content_type, is_registry, text) in cases {
        let (_server, mut answer) = answer(&[("Content-Type", content_type)], body).await;
        let said = answer.said().await;
        assert_eq!((said.is_registry, said.text.as_deref()), (is_registry, text), "{body}");
    }
    let (_server, mut answer) = answer(&[], &"x".repeat(DETAIL_MAX + 1)).await;
    assert_eq!(answer.said().await.text, None);
}
