//! Tests of manifests as registries serve them, whole and not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::Login;
use crate::testing::{Server, Step, cut, head, not_found, reply};

async fn ask(server: &Server) -> Result<ManifestAnswer, Error> {
    let reference = Reference::parse("latest").unwrap();
    server.client(Login::Anonymous).manifest(&"a/b".parse().unwrap(), &reference).await
}

/// Answers with the first, then the second …, and goes on with the last.
async fn in_turn(answers: Vec<Vec<Step>>) -> Server {
    let count = AtomicUsize::new(0);
    Server::start(move |_| {
        let index = count.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
        answers[index].clone()
    })
    .await
}

fn found(body: &str) -> ManifestAnswer {
    ManifestAnswer::Found { media_type: None, digest_header: None, bytes: Arc::from(body.as_bytes()) }
}

#[tokio::test]
async fn what_is_served_is_handed_on_as_it_is() {
    let headers = [("Content-Type", "application/x; charset=utf-8"), ("Docker-Content-Digest", "sha256:0")];
    let server = in_turn(vec![reply(200, &headers, " {} ")]).await;
    let expected = ManifestAnswer::Found {
        media_type: Some("application/x; charset=utf-8".to_owned()),
        digest_header: Some("sha256:0".to_owned()),
        bytes: Arc::from(b" {} ".as_slice()),
    };
    assert_eq!(ask(&server).await, Ok(expected));
    assert_eq!(server.asked(), ["GET /v2/a/b/manifests/latest"]);
    let accept = server.requests()[0].header("accept").unwrap().to_owned();
    for media_type in [
        mcr_oci::media_type::OCI_INDEX,
        mcr_oci::media_type::OCI_MANIFEST,
        mcr_oci::media_type::DOCKER_LIST,
        mcr_oci::media_type::DOCKER_MANIFEST,
    ] {
        assert!(accept.contains(media_type), "{accept}");
    }
}

#[tokio::test]
async fn absent_is_what_a_registry_says_is_absent() {
    let server = in_turn(vec![not_found()]).await;
    let detail = Some("BLOB_UNKNOWN: blob unknown to registry".to_owned());
    assert_eq!(ask(&server).await, Ok(ManifestAnswer::Missing { status: 404, detail }));
    let server = in_turn(vec![reply(404, &[("Content-Type", "text/html")], "<html>")]).await;
    assert_eq!(ask(&server).await, Ok(ManifestAnswer::Missing { status: 404, detail: None }));
    let body = r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#;
    let server = in_turn(vec![reply(400, &[], body)]).await;
    let detail = Some("DIGEST_INVALID".to_owned());
    assert_eq!(ask(&server).await, Ok(ManifestAnswer::Missing { status: 400, detail }));
}

#[tokio::test]
async fn what_no_registry_answers_is_not_taken_for_absent() {
    let tls = "Client sent an HTTP request to an HTTPS server.\n";
    for (answer, expected) in [
        (reply(400, &[("Content-Type", "text/plain")], tls), "use https"),
        (reply(407, &[], ""), "407 Proxy Authentication Required"),
        (reply(204, &[], ""), "204 No Content"),
        (reply(304, &[], ""), "304 Not Modified"),
        (reply(501, &[], ""), "501 Not Implemented"),
        (reply(299, &[], ""), "answers 299, as"),
        (reply(200, &[("Content-Type", "text/html; charset=utf-8")], "<html>"), "a web page"),
        (reply(200, &[("Content-Encoding", "gzip")], "x"), "answers encoded (gzip)"),
    ] {
        let server = in_turn(vec![answer]).await;
        let error = ask(&server).await.unwrap_err();
        assert!(matches!(error, Error::Unexpected { .. }) && error.to_string().contains(expected), "{error}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_body_that_ends_early_is_asked_for_again_before_it_is_said() {
    let server = in_turn(vec![cut(10, "012")]).await;
    assert_eq!(ask(&server).await, Ok(ManifestAnswer::EndedEarly { announced: 10, received: 3 }));
    assert_eq!(server.requests().len(), 3);
    let reset = vec![head(200, &[("Content-Length", "10")]), Step::Send(b"0123".to_vec()), Step::Reset];
    let server = in_turn(vec![reset, cut(2, ""), reply(200, &[], "{}")]).await;
    assert_eq!(ask(&server).await, Ok(found("{}")));
}

#[tokio::test]
async fn a_body_that_stalls_or_breaks_off_unannounced_has_failed() {
    let chunked = || vec![head(200, &[("Transfer-Encoding", "chunked")]), Step::Send(b"3\r\n012\r\n".to_vec())];
    let broken = [chunked(), vec![Step::Close]].concat();
    let stalled = vec![head(200, &[("Content-Length", "10")]), Step::Wait(Duration::from_secs(20))];
    for steps in [broken, stalled] {
        let server = in_turn(vec![steps]).await;
        let error = ask(&server).await.unwrap_err();
        assert!(matches!(error, Error::Failing { status: None, attempts: 3, .. }), "{error}");
    }
    let whole = [chunked(), vec![Step::Send(b"0\r\n\r\n".to_vec())]].concat();
    assert_eq!(ask(&in_turn(vec![whole]).await).await, Ok(found("012")));
}

#[tokio::test]
async fn a_manifest_that_is_too_large_is_not_read_to_its_end() {
    let announced = u64::try_from(MANIFEST_MAX).unwrap() + 1;
    let length = announced.to_string();
    let server = in_turn(vec![vec![head(200, &[("Content-Length", &length)]), Step::Close]]).await;
    assert_eq!(ask(&server).await, Ok(ManifestAnswer::TooLarge { announced: Some(announced) }));
    let piece = format!("10000\r\n{}\r\n", "x".repeat(0x10000)).into_bytes();
    let endless = vec![head(200, &[("Transfer-Encoding", "chunked")]), Step::Repeat(piece, usize::MAX)];
    let server = in_turn(vec![endless]).await;
    assert_eq!(ask(&server).await, Ok(ManifestAnswer::TooLarge { announced: None }));
    let largest = "x".repeat(MANIFEST_MAX);
    assert_eq!(ask(&in_turn(vec![reply(200, &[], &largest)]).await).await, Ok(found(&largest)));
}

#[tokio::test]
async fn failures_that_pass_are_waited_for() {
    let server = in_turn(vec![
        reply(502, &[], ""),
        reply(429, &[("Retry-After", "0")], ""),
        reply(503, &[("Retry-After", "0")], ""),
        reply(503, &[], ""),
        reply(200, &[], "{}"),
    ]);
    let server = server.await;
    assert_eq!(ask(&server).await, Ok(found("{}")));
    assert_eq!(server.requests().len(), 5);
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let server = in_turn(vec![reply(429, &[("Retry-After", "1")], ""), reply(200, &[], "{}")]).await;
    let start = std::time::Instant::now();
    assert_eq!(ask(&server).await, Ok(found("{}")));
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test]
async fn failures_that_do_not_pass_are_told_with_their_status() {
    let body = r#"{"errors":[{"code":"UNKNOWN","message":"disk on fire"}]}"#;
    for status in [500, 503] {
        let server = in_turn(vec![reply(status, &[], body)]).await;
        let error = ask(&server).await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, Error::Failing { status: Some(told), attempts: 3, .. } if told == status), "{text}");
        assert!(text.contains("/v2/a/b/manifests/latest") && text.contains("disk on fire"), "{text}");
        assert_eq!(server.requests().len(), 3);
    }
}

#[tokio::test]
async fn a_registry_that_stays_busy_is_given_up() {
    let server = in_turn(vec![reply(429, &[("Retry-After", "0")], "")]).await;
    let error = ask(&server).await.unwrap_err();
    assert!(matches!(error, Error::Busy { status: 429, waits: 10, .. }), "{error}");
    assert_eq!(server.requests().len(), 11);
}

#[tokio::test]
async fn it_can_be_bounded_and_dropped_at_any_time() {
    let server = in_turn(vec![reply(503, &[("Retry-After", "3600")], "")]).await;
    let bounded = tokio::time::timeout(Duration::from_millis(100), ask(&server)).await;
    assert!(bounded.is_err());
}
