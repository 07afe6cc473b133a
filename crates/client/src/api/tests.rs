//! Tests of requests to a registry's own API: what is sent, with which login, and how often.

use serde_json::json;

use super::*;
use crate::files::fixtures::put;
use crate::testing::{Request, Server, Step, cut, reply};
use crate::{CredentialFiles, Login};

const MAX: usize = 1 << 10;

fn basic() -> Login {
    Login::Basic { username: "ada".to_owned(), password: "sesame".to_owned() }
}

fn files(auths: &str) -> (tempfile::TempDir, Login) {
    let directory = tempfile::tempdir().unwrap();
    let path = put(directory.path(), "auth.json", auths);
    (directory, Login::Files(CredentialFiles::of(vec![path])))
}

#[tokio::test]
async fn the_login_goes_with_the_first_request_as_it_is() {
    let server = Server::start(|_| reply(200, &[], "{}")).await;
    // "ada:sesame"
    let pair = "Basic YWRhOnNlc2FtZQ==";
    let (_pair, of_pair) = files(&format!(r#"{{"auths":{{"{}":{{"auth":"YWRhOnNlc2FtZQ=="}}}}}}"#, server.host()));
    let (_none, of_none) = files("{}");
    for (login, expected) in [
        (basic(), Some(pair)),
        (Login::Token("t".to_owned()), Some("Bearer t")),
        (of_pair, Some(pair)),
        (of_none, None),
        (Login::Anonymous, None),
    ] {
        let answer = server.client(login).call(&Call::get("/v1/x?n=1"), MAX).await.unwrap();
        assert_eq!((answer.status, answer.logged_in), (200, expected.is_some()));
        assert_eq!(server.requests().last().unwrap().authorization(), expected);
    }
    let _ = server.client(basic()).call(&Call::get("/v1/health").anonymous(), MAX).await.unwrap();
    assert_eq!(server.requests().last().unwrap().authorization(), None);
}

#[tokio::test]
async fn an_identity_token_is_exchanged_for_what_is_asked_for() {
    let server = Server::start(|request: &Request| match (request.path.as_str(), request.authorization()) {
        ("/token", None) => {
            assert!(request.body.contains("refresh_token=i&"), "{}", request.body);
            let scoped = request.body.contains("scope=registry%3Acatalog");
            let of_repository = request.body.contains("scope=repository%3Aa%2Fb%3Apull");
            let token = if scoped {
                "t"
            } else if of_repository {
                "r"
            } else {
                "none"
            };
            reply(200, &[], &format!(r#"{{"token":"{token}"}}"#))
        }
        ("/v1/x", Some("Bearer t")) => reply(200, &[], "{}"),
        ("/v1/repositories/a/b/", Some("Bearer r")) => reply(200, &[], "{}"),
        ("/v1/y", Some("Bearer t")) => reply(403, &[], r#"{"error":"images only"}"#),
        (_, _) => {
            let host = request.header("host").unwrap_or_default();
            let challenge = format!(r#"Bearer realm="http://{host}/token",service="mcr",scope="registry:catalog:*""#);
            reply(401, &[("WWW-Authenticate", &challenge)], r#"{"error":"log in"}"#)
        }
    })
    .await;
    let (_file, login) = files(&format!(r#"{{"auths":{{"{}":{{"identitytoken":"i"}}}}}}"#, server.host()));
    let client = server.client(login);
    assert_eq!(client.call(&Call::get("/v1/x"), MAX).await.unwrap().status, 200);
    let about = About::Repository(RepositoryName::parse("a/b").unwrap());
    assert_eq!(client.call(&Call::get("/v1/repositories/a/b/").about(about), MAX).await.unwrap().status, 200);
    let error = client.call(&Call::get("/v1/y"), MAX).await.unwrap_err();
    assert!(error.to_string().contains("images only"), "{error}");
}

#[tokio::test]
async fn documents_are_sent_and_refusals_are_answers() {
    let server = Server::start(|request: &Request| match request.method.as_str() {
        "POST" => reply(201, &[("Location", "/v1/x/7")], r#"{"id":7}"#),
        "DELETE" => reply(204, &[], ""),
        "GET" => reply(404, &[], r#"{"error":"there is none"}"#),
        _ => reply(403, &[], r#"{"error":"no"}"#),
    })
    .await;
    let client = server.client(basic());
    let made = client.call(&Call::post("/v1/x", json!({"a": 1})), MAX).await.unwrap();
    assert_eq!(
        (made.status, made.location.as_deref(), made.body.as_slice()),
        (201, Some("/v1/x/7"), &b"{\"id\":7}"[..])
    );
    let sent = server.requests().remove(0);
    assert_eq!((sent.header("content-type"), sent.body.as_str()), (Some("application/json"), r#"{"a":1}"#));
    let gone = client.call(&Call::delete("/v1/x/7"), MAX).await.unwrap();
    assert_eq!((gone.status, gone.body.len()), (204, 0));
    for (call, status) in
        [(Call::get("/v1/x/7"), 404), (Call::put("/v1/x", json!({})), 403), (Call::patch("/v1/x", json!({})), 403)]
    {
        assert_eq!(client.call(&call, MAX).await.unwrap().status, status);
    }
}

#[tokio::test]
async fn what_changes_something_is_sent_once() {
    for broken in [reply(500, &[], r#"{"error":"the disk"}"#), vec![Step::Reset], cut(100, "{")] {
        let server = Server::start(move |_| broken.clone()).await;
        let error = server.client(basic()).call(&Call::post("/v1/x", json!({})), MAX).await.unwrap_err();
        assert!(matches!(error, Error::Unclear { .. }), "{error}");
        assert!(error.to_string().contains("not known"), "{error}");
        assert_eq!(server.asked(), ["POST /v1/x"]);
        let error = server.client(basic()).call(&Call::post("/v1/x", json!({})).reading(), MAX).await.unwrap_err();
        assert!(matches!(error, Error::Failing { .. }), "{error}");
        assert!(server.asked().len() > 3, "what only reads is asked again");
    }
}

#[tokio::test]
async fn what_was_certainly_not_done_is_sent_again() {
    let tries = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(move |_| match tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
        0 => reply(503, &[("Retry-After", "0")], ""),
        _ => reply(201, &[], "{}"),
    })
    .await;
    let answer = server.client(basic()).call(&Call::post("/v1/x", json!({})), MAX).await.unwrap();
    assert_eq!((answer.status, server.asked().len()), (201, 2));
}

#[tokio::test]
async fn whoever_is_impatient_is_told_how_long_it_would_take() {
    let server = Server::start(|_| reply(429, &[("Retry-After", "30")], r#"{"error":"too many"}"#)).await;
    let call = Call::post("/v1/auth/login", json!({})).anonymous().impatient();
    let answer = server.client(Login::Anonymous).call(&call, MAX).await.unwrap();
    assert_eq!((answer.status, answer.retry_after.map(|wait| wait.as_secs())), (429, Some(30)));
}

#[tokio::test]
async fn answers_are_bounded_and_changes_follow_no_redirect() {
    let server = Server::start(|request: &Request| match request.path.as_str() {
        "/v1/long" => reply(200, &[], &"x".repeat(MAX + 1)),
        _ => reply(307, &[("Location", "/v1/long")], ""),
    })
    .await;
    let client = server.client(basic());
    let error = client.call(&Call::get("/v1/long"), MAX).await.unwrap_err();
    assert!(matches!(error, Error::Unexpected { .. }), "{error}");
    let answer = client.call(&Call::delete("/v1/moved"), MAX).await.unwrap();
    assert_eq!(answer.status, 307);
    // A path is never taken for a host.
    let error = client.call(&Call::get("//evil.example/x"), MAX).await.unwrap_err();
    assert!(matches!(error, Error::Unexpected { .. }), "{error}");
    assert!(server.asked().iter().any(|asked| asked == "GET /evil.example/x"), "{:?}", server.asked());
}

#[tokio::test]
async fn a_download_that_breaks_off_is_an_error() {
    let server = Server::start(|request: &Request| match request.path.as_str() {
        "/v1/whole" => reply(200, &[("Content-Type", "text/csv; charset=utf-8")], "a,b\n"),
        _ => cut(100, "a,b\n"),
    })
    .await;
    let client = server.client(basic());
    let mut whole = client.download("/v1/whole").await.unwrap();
    assert_eq!((whole.status(), whole.logged_in(), whole.media_type().as_deref()), (200, true, Some("text/csv")));
    assert_eq!(whole.next().await.unwrap().unwrap(), "a,b\n");
    assert_eq!(whole.next().await.unwrap(), None);
    let mut short = client.download("/v1/short").await.unwrap();
    let mut last = Ok(None);
    for _ in 0..3 {
        last = short.next().await;
        if last.is_err() {
            break;
        }
    }
    assert!(matches!(last, Err(Error::Failing { .. })), "{last:?}");
}
