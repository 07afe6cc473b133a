//! The client against answers good and bad, over plain TCP; TLS is for the suites with a real service.

use std::sync::Arc;
use std::time::Duration;

use mcr_access::AccountKind;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;

/// A service that answers every request with the same bytes and then ends the connection.
struct Server {
    url: String,
    seen: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn start(answer: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/base/", listener.local_addr().unwrap());
        let (seen, answer) = (Arc::<Mutex<Vec<String>>>::default(), answer.into());
        let (mut tasks, log) = (JoinSet::new(), Arc::clone(&seen));
        tasks.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut buffer = Vec::new();
                // Every request has a body of JSON but the logout, which has none.
                loop {
                    let text = String::from_utf8_lossy(&buffer).into_owned();
                    if text.ends_with('}') || (text.contains("/logout") && text.ends_with("\r\n\r\n")) {
                        log.lock().unwrap().push(text);
                        break;
                    }
                    assert!(stream.read_buf(&mut buffer).await.unwrap() > 0);
                }
                if answer.is_empty() {
                    // Says nothing, and holds the line.
                    let _ = stream.read_buf(&mut buffer).await;
                }
                let _ = stream.write_all(&answer).await;
            }
        });
        Self { url, seen, _tasks: tasks }
    }

    async fn json(status: u16, body: serde_json::Value) -> Self {
        let body = body.to_string();
        Self::start(format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()))
            .await
    }

    fn client(&self) -> HttpIdentityService {
        client_of(&self.url)
    }
}

fn settings_of(url: &str) -> IdentityServiceSettings {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let tags = vec!["env:test".to_owned()];
    IdentityServiceSettings { server_url: url.parse().unwrap(), ca_cert: None, service_name: "mcr".to_owned(), tags }
}

fn client_of(url: &str) -> HttpIdentityService {
    HttpIdentityService::plain(settings_of(url))
}

fn is_unavailable<T>(outcome: &Result<T, Trouble>) -> bool {
    matches!(outcome, Err(Trouble::Unavailable { .. }))
}

#[tokio::test]
async fn a_login_says_who_we_are_and_gives_a_token() {
    let server = Server::json(200, json!({"token": "abc", "expires_at": "2027-01-15T08:00:00Z"})).await;
    let token = server.client().login("anna", "right").await.unwrap();
    assert_eq!(token, IdentityToken { token: "abc".to_owned(), expires_at_ms: Some(1_800_000_000_000) });
    let asked = server.seen.lock().unwrap().remove(0);
    assert!(asked.starts_with("POST /base/v1/auth/login HTTP/1.1\r\n"), "{asked}");
    let body: serde_json::Value = serde_json::from_str(asked.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(body, json!({"username": "anna", "password": "right", "service_name": "mcr", "tags": ["env:test"]}));
    assert!(!format!("{token:?}").contains("abc"));
}

#[tokio::test]
async fn a_validation_tells_whose_token_it_is() {
    let server = Server::json(200, json!({"valid": true, "sub": "u-1", "username": "anna", "roles": ["user"]})).await;
    let claims = server.client().validate("the-token").await.unwrap();
    assert_eq!(
        (claims.subject.as_str(), claims.name.as_deref(), claims.kind),
        ("u-1", Some("anna"), AccountKind::Human)
    );
    let asked = server.seen.lock().unwrap().remove(0);
    assert!(
        asked.starts_with("POST /base/v1/token/validate ") && asked.ends_with(r#"{"token":"the-token"}"#),
        "{asked}"
    );
}

#[tokio::test]
async fn a_logout_carries_the_token_and_may_not_be_there() {
    for (status, done) in [(204, true), (200, true), (404, true), (405, true), (401, true), (500, false), (403, false)]
    {
        let server = Server::json(status, json!({})).await;
        let outcome = server.client().revoke("the-token").await;
        assert_eq!(outcome.is_ok(), done, "{status}");
        let asked = server.seen.lock().unwrap().remove(0);
        assert!(
            asked.starts_with("POST /base/v1/auth/logout ") && asked.contains("authorization: Bearer the-token"),
            "{asked}"
        );
    }
}

#[tokio::test]
async fn only_401_and_403_are_wrong_and_nothing_but_200_is_right() {
    for status in [401, 403] {
        let server = Server::json(status, json!({"token": "abc", "valid": true, "sub": "x"})).await;
        assert_eq!(server.client().login("a", "b").await, Err(Trouble::Wrong));
        assert_eq!(server.client().validate("t").await, Err(Trouble::Wrong));
    }
    for status in [204, 301, 302, 307, 404, 418, 429, 500, 502, 503] {
        let server = Server::json(status, json!({"token": "abc", "valid": true, "sub": "x"})).await;
        assert!(is_unavailable(&server.client().login("a", "b").await), "{status}");
        assert!(is_unavailable(&server.client().validate("t").await), "{status}");
    }
    for status in [400, 422] {
        let server = Server::json(status, json!({"error": "no such form"})).await;
        assert_eq!(server.client().login("a", "b").await, Err(Trouble::NotTaken { status }));
        assert_eq!(server.client().validate("t").await, Err(Trouble::NotTaken { status }));
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_a_wait_is_passed_on() {
    let elsewhere = Server::json(200, json!({"valid": true, "sub": "evil"})).await;
    let answer =
        format!("HTTP/1.1 307 X\r\nLocation: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", elsewhere.url);
    assert!(is_unavailable(&Server::start(answer).await.client().validate("t").await));
    assert!(elsewhere.seen.lock().unwrap().is_empty());
    let answer = "HTTP/1.1 429 X\r\nRetry-After: 7\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let outcome = Server::start(answer).await.client().validate("t").await;
    assert!(matches!(outcome, Err(Trouble::Unavailable { retry_after: Some(7), is_silent: false, .. })), "{outcome:?}");
}

#[tokio::test]
async fn garbage_and_half_answers_and_floods_are_no_answer() {
    let flood = format!("HTTP/1.1 200 X\r\nConnection: close\r\n\r\n{}", " ".repeat(MAX_ANSWER + 1));
    for answer in [
        "HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\n{\"valid\": true, \"sub\"",
        "HTTP/1.1 200 X\r\nContent-Length: 4\r\nConnection: close\r\n\r\nnope",
        "HTTP/1.1 200 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "garbage\r\n\r\n",
        flood.as_str(),
    ] {
        let server = Server::start(answer).await;
        assert!(is_unavailable(&server.client().validate("t").await), "{answer:.60}");
        assert!(is_unavailable(&server.client().login("a", "b").await), "{answer:.60}");
    }
}

#[tokio::test]
async fn nobody_there_is_silence_and_so_is_no_answer_in_time() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let outcome = client_of(&url).validate("t").await;
    assert!(matches!(outcome, Err(Trouble::Unavailable { is_silent: true, .. })), "{outcome:?}");

    let server = Server::start("").await;
    let client = server.client();
    // From here on time passes by itself while all wait.
    tokio::time::pause();
    let start = tokio::time::Instant::now();
    let outcome = client.validate("t").await;
    assert!(matches!(outcome, Err(Trouble::Unavailable { is_silent: true, .. })), "{outcome:?}");
    assert!(start.elapsed() <= TIMEOUT + Duration::from_secs(1));
}

#[test]
fn claims_are_read_in_every_spelling() {
    for body in [
        json!({"valid": true, "sub": "u", "username": "anna", "account_type": "human", "roles": ["user"], "exp": 5}),
        json!({"valid": true, "subject": "u", "name": "anna", "type": "human", "roles": ["user"], "expires_at": 5}),
        json!({"valid": true, "subject_uuid": "u", "username": "anna", "roles": ["user"], "expires_at": "1970-01-01T00:00:05Z"}),
        json!({"user_id": "u", "username": "anna", "roles": ["user"], "expires_at": "1970-01-01T01:00:05+01:00", "more": 1}),
        json!({"valid": true, "claims": {"sub": "u", "username": "anna", "roles": ["user"], "exp": 5}}),
    ] {
        let claims = IdentityClaims::read(body.to_string().as_bytes()).unwrap();
        let expected = IdentityClaims {
            subject: "u".into(),
            name: Some("anna".into()),
            kind: AccountKind::Human,
            roles: vec!["user".into()],
            expires_at_ms: Some(5000),
        };
        assert_eq!(claims, expected, "{body}");
    }
    for kind in ["system", "service", "bot"] {
        let body = json!({"valid": true, "sub": "u", "account_type": kind}).to_string();
        assert_eq!(IdentityClaims::read(body.as_bytes()).unwrap().kind, AccountKind::System, "{kind}");
    }
}

#[test]
fn doubt_is_never_a_yes() {
    for body in [
        json!({"valid": false}),
        json!({"valid": false, "sub": "u", "roles": ["admin"]}),
        json!({"active": false, "sub": "u", "roles": ["admin"]}),
    ] {
        assert_eq!(IdentityClaims::read(body.to_string().as_bytes()), Err(Trouble::Wrong), "{body}");
    }
    for body in [
        json!({}),
        json!(null),
        json!(true),
        json!([{"valid": true, "sub": "u"}]),
        json!({"valid": "true", "sub": "u"}),
        json!({"valid": 1, "sub": "u"}),
        json!({"valid": null, "sub": "u"}),
        json!({"valid": true}),
        json!({"valid": true, "sub": ""}),
        json!({"valid": true, "sub": 5}),
        json!({"valid": true, "sub": "a\nb"}),
        json!({"valid": true, "sub": "u", "roles": "admin"}),
        json!({"valid": true, "sub": "u", "roles": [1]}),
        json!({"valid": true, "sub": "u", "roles": vec!["x"; 65]}),
        json!({"valid": true, "sub": "u", "exp": "soon"}),
        json!({"valid": true, "sub": "u", "account_type": 1}),
        json!({"sub": "u", "error": "expired"}),
    ] {
        assert!(is_unavailable(&IdentityClaims::read(body.to_string().as_bytes())), "{body}");
    }
}

#[test]
fn a_token_that_no_header_can_hold_is_none() {
    for token in ["", "a b", "a\n", "ä", &"x".repeat(5 * 1024 + 1)] {
        assert_eq!(IdentityToken::read(json!({"token": token}).to_string().as_bytes()), None);
    }
    assert!(IdentityToken::read(br#"{"token":"x"}"#).is_some() && IdentityToken::read(br#"{"token":5}"#).is_none());
    assert!(IdentityToken::read(br#"{"token":"x","expires_at":"soon"}"#).is_none());
}

#[test]
fn only_https_is_asked_and_its_authorities_must_be_there() {
    for url in ["http://identity.example/", "ftp://identity.example/", "https:///"] {
        let Ok(server_url) = url.parse() else { continue };
        let outcome = HttpIdentityService::new(IdentityServiceSettings { server_url, ..settings_of("https://x/") });
        assert!(matches!(outcome, Err(SetupError::Url(_))), "{url}");
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    let opened = || {
        let settings = IdentityServiceSettings { ca_cert: Some(path.clone()), ..settings_of("https://x/") };
        HttpIdentityService::new(settings).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert!(opened().contains("cannot be read"));
    crate::testing::write(&path, "garbage");
    assert!(opened().contains("ca.pem"), "{}", opened());
}
