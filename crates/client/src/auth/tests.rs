//! Tests of logins against registries and token servers of every kind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mcr_oci::Reference;
use tokio::task::JoinSet;

use super::*;
use crate::files::fixtures::put;
use crate::testing::{Request, Server, Step, reply};
use crate::{Client, CredentialFiles, ManifestAnswer};

fn basic_login() -> Login {
    Login::Basic { username: "ada".to_owned(), password: "sesame".to_owned() }
}

/// `ada:sesame`
const ADA: &str = "Basic YWRhOnNlc2FtZQ==";

fn unauthorized(challenge: &str) -> Vec<Step> {
    let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
    reply(401, &[("WWW-Authenticate", challenge), ("Content-Type", "application/json")], body)
}

fn port(request: &Request) -> String {
    request.header("host").unwrap().to_owned()
}

fn bearer_challenge(request: &Request, rest: &str) -> Vec<Step> {
    unauthorized(&format!(r#"Bearer realm="http://{}/token?x=1",service="a service"{rest}"#, port(request)))
}

async fn manifest(client: &Client, repository: &str) -> Result<ManifestAnswer, Error> {
    client.manifest(&repository.parse().unwrap(), &Reference::parse("latest").unwrap()).await
}

fn is_found(answer: &Result<ManifestAnswer, Error>) -> bool {
    matches!(answer, Ok(ManifestAnswer::Found { .. }))
}

#[tokio::test]
async fn a_login_is_sent_only_after_it_was_asked_for_and_then_at_once() {
    let server = Server::start(|request| match request.authorization() {
        Some(ADA) => reply(200, &[], "{}"),
        Some(_) => reply(403, &[], ""),
        None => unauthorized(r#"Basic realm="r""#),
    });
    let server = server.await;
    let client = server.client(basic_login());
    assert!(is_found(&manifest(&client, "a").await));
    assert!(is_found(&manifest(&client, "b").await));
    let sent: Vec<_> = server.requests().iter().map(|request| request.authorization().is_some()).collect();
    assert_eq!(sent, [false, true, true]);
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_and_never_told() {
    let server = Server::start(|_| unauthorized(r#"Basic realm="r""#)).await;
    let error = manifest(&server.client(basic_login()), "a").await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Unauthorized { status: 401, .. }));
    assert!(text.contains("authentication required") && text.contains("check the name and the password"), "{text}");
    assert!(!text.contains("sesame") && !text.contains("YWRh"), "{text}");
    assert_eq!(server.requests().len(), 2);
    let debug = format!("{:?}", server.client(basic_login()));
    assert!(!debug.contains("sesame"), "{debug}");
}

#[tokio::test]
async fn without_a_login_the_advice_is_to_log_in() {
    let server = Server::start(|_| unauthorized(r#"Basic realm="r""#)).await;
    let text = manifest(&server.client(Login::Anonymous), "a").await.unwrap_err().to_string();
    assert!(text.ends_with(&format!("log in to {} with an account that may do this", server.host())), "{text}");
    assert_eq!(server.requests().len(), 1);
    let files = Login::Files(CredentialFiles::of(Vec::new()));
    let text = manifest(&server.client(files), "a").await.unwrap_err().to_string();
    assert!(text.ends_with(&format!("docker login {}", server.host())), "{text}");
}

/// A token server that gives `token-for-SCOPES`, and a registry that takes it.
fn token_registry(request: &Request) -> Vec<Step> {
    if request.path.starts_with("/token") {
        let scopes = request.path.split('&').filter_map(|pair| pair.strip_prefix("scope=")).collect::<Vec<_>>();
        return reply(200, &[], &format!(r#"{{"token":"for-{}","expires_in":1}}"#, scopes.join("+")));
    }
    match request.authorization() {
        Some(token) if token.starts_with("Bearer for-") => reply(200, &[], "{}"),
        _ => bearer_challenge(request, r#",scope="repository:a/b:pull""#),
    }
}

#[tokio::test]
async fn an_anonymous_token_is_fetched_for_the_scope() {
    let server = Server::start(token_registry).await;
    assert!(is_found(&manifest(&server.client(Login::Anonymous), "a/b").await));
    let asked = server.asked();
    assert_eq!(asked[1], "GET /token?x=1&service=a+service&scope=repository%3Aa%2Fb%3Apull");
    assert_eq!(asked.len(), 3);
    let requests = server.requests();
    assert_eq!(requests[1].authorization(), None);
    assert_eq!(requests[2].authorization(), Some("Bearer for-repository%3Aa%2Fb%3Apull"));
}

#[tokio::test]
async fn the_password_goes_to_the_token_server_only() {
    let server = Server::start(token_registry).await;
    assert!(is_found(&manifest(&server.client(basic_login()), "a/b").await));
    for request in server.requests() {
        let token_server = request.path.starts_with("/token");
        assert_eq!(request.authorization() == Some(ADA), token_server, "{request:?}");
        assert!(!token_server || request.path.contains("account=ada&"), "{request:?}");
    }
}

#[tokio::test]
async fn many_requests_share_one_token_for_each_scope() {
    let server = Server::start(|request| {
        let mut steps = token_registry(request);
        if request.path.starts_with("/token") {
            steps.insert(0, Step::Wait(std::time::Duration::from_millis(50)));
        }
        steps
    });
    let server = server.await;
    let client = server.client(Login::Anonymous);
    let mut tasks = JoinSet::new();
    for index in 0..24 {
        let client = client.clone();
        tasks.spawn(async move { is_found(&manifest(&client, ["a/b", "c"][index % 2]).await) });
    }
    assert!(tasks.join_all().await.into_iter().all(|found| found));
    let mut tokens: Vec<_> = server.asked().into_iter().filter(|path| path.contains("/token")).collect();
    tokens.sort();
    assert_eq!(tokens.len(), 2, "{tokens:?}");
    assert!(tokens[1].ends_with("scope=repository%3Ac%3Apull"), "{tokens:?}");
}

#[tokio::test]
async fn a_revoked_token_is_replaced_once_for_all_who_had_it() {
    let generation = Arc::new(AtomicUsize::new(0));
    let made = Arc::clone(&generation);
    let server = Server::start(move |request| {
        if request.path.starts_with("/token") {
            let number = made.fetch_add(1, Ordering::SeqCst) + 1;
            return reply(200, &[], &format!(r#"{{"access_token":"t{number}","expires_in":3600}}"#));
        }
        match request.authorization() {
            Some("Bearer t1") if made.load(Ordering::SeqCst) == 1 && request.path.contains("/a/") => {
                reply(200, &[], "{}")
            }
            Some("Bearer t2" | "Bearer t3") => reply(200, &[], "{}"),
            // A pause, so that all have shown the old one before the first learns of its end.
            _ => [vec![Step::Wait(std::time::Duration::from_millis(50))], bearer_challenge(request, "")].concat(),
        }
    });
    let server = server.await;
    let client = server.client(Login::Anonymous);
    assert!(is_found(&manifest(&client, "a").await));
    generation.store(2, Ordering::SeqCst);
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let client = client.clone();
        tasks.spawn(async move { is_found(&manifest(&client, "a").await) });
    }
    assert!(tasks.join_all().await.into_iter().all(|found| found));
    assert_eq!(server.asked().iter().filter(|path| path.contains("/token")).count(), 2);
}

#[tokio::test]
async fn a_scope_that_is_told_is_asked_for_once_and_remembered() {
    let server = Server::start(|request| {
        let wide = request.authorization().is_some_and(|token| token.contains("registry"));
        if request.path.starts_with("/token") || wide {
            return token_registry(request);
        }
        bearer_challenge(request, r#",scope="registry:other:*",error="insufficient_scope""#)
    });
    let server = server.await;
    let client = server.client(Login::Anonymous);
    assert!(is_found(&manifest(&client, "a").await));
    let asked = server.asked();
    assert_eq!(asked.len(), 5, "{asked:?}");
    assert!(asked[3].ends_with("&scope=registry%3Aother%3A*&scope=repository%3Aa%3Apull"), "{asked:?}");
    assert!(is_found(&manifest(&client, "a").await));
    assert_eq!(server.asked().len(), 6);
}

#[tokio::test]
async fn challenges_without_end_are_given_up() {
    let count = AtomicUsize::new(0);
    let server = Server::start(move |request| {
        if request.path.starts_with("/token") {
            return reply(200, &[], r#"{"token":"t"}"#);
        }
        bearer_challenge(request, &format!(r#",scope="s{}""#, count.fetch_add(1, Ordering::SeqCst)))
    });
    let server = server.await;
    let error = manifest(&server.client(Login::Anonymous), "a").await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    assert!(server.requests().len() <= 10);
}

#[tokio::test]
async fn a_given_token_goes_to_the_registry_and_to_no_token_server() {
    let server = Server::start(|request| match request.authorization() {
        Some("Bearer mine") if request.path.contains("/a/") => reply(200, &[], "{}"),
        _ => bearer_challenge(request, ""),
    });
    let server = server.await;
    let client = server.client(Login::Token("mine".to_owned()));
    assert!(is_found(&manifest(&client, "a").await));
    let error = manifest(&client, "b").await.unwrap_err().to_string();
    assert!(error.contains("check the token") && !error.contains("mine"), "{error}");
    assert_eq!(server.asked().len(), 2);
    let settings = server.settings(Login::Token("a\nb".to_owned()));
    assert_eq!(Client::new(settings).unwrap_err(), SetupError::Header("token"));
}

#[tokio::test]
async fn what_cannot_be_answered_is_told() {
    let cases = [
        (r#"Bearer realm="/token""#, "its realm `/token` is not an absolute URL"),
        (r#"Bearer realm="ftp://a/b""#, "not an absolute URL"),
        ("Negotiate, Digest nonce=\"x\"", "it asks for negotiate, digest, where Basic and Bearer are known"),
    ];
    for (challenge, expected) in cases {
        let server = Server::start(move |_| unauthorized(challenge)).await;
        let error = manifest(&server.client(basic_login()), "a").await.unwrap_err();
        assert!(matches!(error, Error::Unauthorized { .. }) && error.to_string().contains(expected), "{error}");
        assert!(server.requests().iter().all(|request| request.authorization().is_none()));
    }
    // Where it also asks for what we can do, that is done.
    let server = Server::start(|request| match request.authorization() {
        Some(ADA) => reply(200, &[], "{}"),
        _ => unauthorized(r#"Negotiate, Bearer realm="/token", Basic realm="r""#),
    });
    assert!(is_found(&manifest(&server.await.client(basic_login()), "a").await));
}

#[tokio::test]
async fn a_token_server_that_is_busy_or_fails_is_asked_again() {
    let count = AtomicUsize::new(0);
    let server = Server::start(move |request| {
        if !request.path.starts_with("/token") {
            return token_registry(request);
        }
        match count.fetch_add(1, Ordering::SeqCst) {
            0 => reply(503, &[], ""),
            1 => reply(429, &[("Retry-After", "0")], "slow down"),
            2 => vec![Step::Close],
            _ => token_registry(request),
        }
    });
    assert!(is_found(&manifest(&server.await.client(Login::Anonymous), "a").await));
}

#[tokio::test]
async fn a_token_server_that_says_no_is_believed() {
    let server = Server::start(|request| match request.path.starts_with("/token") {
        true => reply(401, &[], r#"{"errors":[{"code":"UNAUTHORIZED","message":"no such user"}]}"#),
        false => bearer_challenge(request, ""),
    });
    let server = server.await;
    let error = manifest(&server.client(basic_login()), "a").await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { status: 401, .. }), "{error}");
    assert!(error.to_string().contains("no such user"), "{error}");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn nonsense_from_a_token_server_is_told_without_repeating_it() {
    for (body, expected) in [
        (r#"{"token":["secret"]}"#, "not the JSON of one"),
        (r#"{"expires_in":5}"#, "holds no token"),
        (r#"{"token":"a\nsecret"}"#, "cannot stand in a header"),
    ] {
        let server = Server::start(move |request| match request.path.starts_with("/token") {
            true => reply(200, &[], body),
            false => bearer_challenge(request, ""),
        });
        let text = manifest(&server.await.client(Login::Anonymous), "a").await.unwrap_err().to_string();
        assert!(text.contains(expected) && !text.contains("secret"), "{text}");
    }
}

fn file(directory: &tempfile::TempDir, content: &str) -> Login {
    Login::Files(CredentialFiles::of(vec![put(directory.path(), "auth.json", content)]))
}

#[tokio::test]
async fn an_identity_token_is_exchanged() {
    for exchange in [true, false] {
        let server = Server::start(move |request| match (request.method.as_str(), exchange) {
            ("POST", false) => reply(404, &[], ""),
            ("GET", true) if request.path.starts_with("/token") => reply(500, &[], ""),
            _ => token_registry(request),
        });
        let server = server.await;
        let directory = tempfile::tempdir().unwrap();
        let content = format!(r#"{{"auths":{{"{}":{{"auth":"YWRhOg==","identitytoken":"i d"}}}}}}"#, server.host());
        assert!(is_found(&manifest(&server.client(file(&directory, &content)), "a").await));
        let requests = server.requests();
        let post = requests.iter().find(|request| request.method == "POST").unwrap();
        assert_eq!(post.header("content-type"), Some("application/x-www-form-urlencoded"));
        let expected =
            "grant_type=refresh_token&refresh_token=i+d&client_id=mcr&service=a+service&scope=repository%3Aa%3Apull";
        assert_eq!((post.path.as_str(), post.body.as_str()), ("/token?x=1", expected));
        let get = requests.iter().find(|request| request.method == "GET" && request.path.starts_with("/token"));
        // `ada:i d`
        assert_eq!(get.map(|get| get.authorization()), (!exchange).then_some(Some("Basic YWRhOmkgZA==")));
    }
}

#[tokio::test]
async fn the_most_specific_entry_of_a_file_is_used() {
    let server = Server::start(|request| match request.authorization() {
        None => unauthorized(r#"Basic realm="r""#),
        Some(_) => reply(200, &[], "{}"),
    });
    let server = server.await;
    let (host, directory) = (server.host(), tempfile::tempdir().unwrap());
    let content = format!(r#"{{"auths":{{"{host}":{{"auth":"YTpi"}},"{host}/team/app":{{"auth":"Yzpk"}}}}}}"#);
    let client = server.client(file(&directory, &content));
    for (repository, expected) in [("team/app", "Yzpk"), ("team/app/sub", "Yzpk"), ("team/apple", "YTpi")] {
        assert!(is_found(&manifest(&client, repository).await));
        let last = server.requests().pop().unwrap();
        assert_eq!(last.authorization(), Some(format!("Basic {expected}").as_str()), "{repository}");
    }
}

#[tokio::test]
async fn a_broken_file_matters_only_where_a_login_is_asked_for() {
    let open = Server::start(|_| reply(200, &[], "{}")).await;
    let closed = Server::start(|_| unauthorized(r#"Basic realm="r""#)).await;
    let directory = tempfile::tempdir().unwrap();
    let login = file(&directory, r#"{"auths":{"x":"c2VjcmV0"}}"#);
    assert!(is_found(&manifest(&open.client(login.clone()), "a").await));
    let error = manifest(&closed.client(login), "a").await.unwrap_err();
    assert!(matches!(error, Error::Credentials { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("auth.json is broken") && !text.contains("c2VjcmV0"), "{text}");
}
