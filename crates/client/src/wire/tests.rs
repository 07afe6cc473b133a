//! Tests of redirects and of requests that bring no head.

use std::time::Instant;

use super::*;
use crate::testing::{Request, Server, Step, quick, reply};
use crate::{BlobAnswer, Client, Login, Tail};

fn repository() -> mcr_oci::RepositoryName {
    "a".parse().unwrap()
}

fn digest() -> mcr_oci::Digest {
    mcr_oci::Digest::sha256(b"x")
}

fn login() -> Login {
    Login::Token("secret".to_owned())
}

/// The last byte of ten.
fn tail(request: &Request) -> Vec<Step> {
    assert_eq!(request.header("range"), Some("bytes=9-9"));
    reply(206, &[("Content-Range", "bytes 9-9/10")], "x")
}

async fn ask_tail(server: &Server) -> Result<BlobAnswer<Tail>, Error> {
    server.client(login()).blob_tail(&repository(), &digest(), 10).await
}

fn redirect_to(status: u16, location: &str) -> Vec<Step> {
    reply(status, &[("Location", location), ("Set-Cookie", "session=1; Path=/")], "moved")
}

#[tokio::test]
async fn another_origin_gets_the_range_and_neither_login_nor_cookie() {
    for status in [301, 302, 303, 307, 308] {
        let storage = Server::start(tail).await;
        let location = storage.url("/bucket/blob?signature=1");
        let registry = Server::start(move |_| redirect_to(status, &location)).await;
        assert_eq!(ask_tail(&registry).await, Ok(BlobAnswer::Found(Tail::Whole)));
        let (asked, stored) = (registry.requests(), storage.requests());
        assert_eq!(asked[0].authorization(), Some("Bearer secret"));
        assert_eq!((stored[0].path.as_str(), stored[0].method.as_str()), ("/bucket/blob?signature=1", "GET"));
        assert_eq!((stored[0].authorization(), stored[0].header("cookie")), (None, None));
        assert_eq!(stored[0].header("referer"), None);
    }
}

#[tokio::test]
async fn another_name_of_the_same_host_is_another_origin() {
    let location: Arc<OnceLock<String>> = Arc::default();
    let known = Arc::clone(&location);
    let server = Server::start(move |request| match request.path.starts_with("/v2/") {
        true => redirect_to(307, known.get().unwrap()),
        false => tail(request),
    });
    let server = server.await;
    location.set(server.other_url("/elsewhere")).unwrap();
    // Where `localhost` is ::1 only, the request fails, and nothing was sent either.
    let _ = ask_tail(&server).await;
    assert!(server.requests().iter().skip(1).all(|request| request.authorization().is_none()));
}

#[tokio::test]
async fn the_own_origin_gets_the_login_again() {
    let server = Server::start(|request| match request.path.as_str() {
        "/v2/moved/x?y=1" => tail(request),
        _ => redirect_to(302, "/v2/moved/x?y=1"),
    });
    let server = server.await;
    assert_eq!(ask_tail(&server).await, Ok(BlobAnswer::Found(Tail::Whole)));
    assert!(server.requests().iter().all(|request| request.authorization() == Some("Bearer secret")));
    assert!(server.requests().iter().all(|request| request.header("cookie").is_none()));
}

#[tokio::test]
async fn a_relative_location_is_taken_from_where_it_was_said() {
    let server = Server::start(|request| match request.path.as_str() {
        "/v2/a/blobs/there" => tail(request),
        _ => redirect_to(307, "there"),
    });
    let server = server.await;
    assert_eq!(ask_tail(&server).await, Ok(BlobAnswer::Found(Tail::Whole)));
}

#[tokio::test]
async fn a_user_in_a_location_does_not_become_a_login() {
    let storage = Server::start(tail).await;
    let location = storage.url("/blob").replace("http://", "http://mallory:pass@");
    let registry = Server::start(move |_| redirect_to(307, &location)).await;
    assert_eq!(ask_tail(&registry).await, Ok(BlobAnswer::Found(Tail::Whole)));
    assert_eq!(storage.requests()[0].authorization(), None);
}

#[tokio::test]
async fn redirects_without_end_or_aim_are_told() {
    let cases = [("/v2/again", "redirects more than 5 times"), ("ftp://a/b", "the scheme ftp"), ("http://", "no URL")];
    for (location, expected) in cases {
        let server = Server::start(move |_| redirect_to(302, location)).await;
        let error = ask_tail(&server).await.unwrap_err();
        assert!(matches!(error, Error::Unexpected { .. }) && error.to_string().contains(expected), "{error}");
        assert!(server.requests().len() <= 6);
    }
    let server = Server::start(|_| reply(302, &[], "")).await;
    assert!(ask_tail(&server).await.unwrap_err().to_string().contains("without saying where"));
}

#[test]
fn https_does_not_lead_to_http() {
    let ask = Ask::new(Method::GET, Url::parse("https://r.example/v2/").unwrap());
    let to = |location| next(&ask, &ask.url, Some(location));
    assert!(to("https://cdn.example/x").is_ok());
    let Err(Failure::Said(error)) = to("http://r.example/x?token=secret") else { panic!() };
    let text = error.to_string();
    assert!(text.contains("from https to http://r.example") && !text.contains("secret"), "{text}");
}

#[tokio::test]
async fn a_foreign_refusal_is_not_answered_with_a_login() {
    let storage = Server::start(|_| reply(401, &[("WWW-Authenticate", "Basic realm=\"r\"")], "")).await;
    let location = storage.url("/blob");
    let registry = Server::start(move |_| redirect_to(307, &location)).await;
    let login = Login::Basic { username: "ada".to_owned(), password: "sesame".to_owned() };
    let error = registry.client(login).head_blob(&repository(), &digest()).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { status: 401, .. }), "{error}");
    assert!(storage.requests().iter().all(|request| request.authorization().is_none()));
}

#[tokio::test]
async fn nobody_there_is_told_soon_and_plainly() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let client = Client::new(quick(&format!("http://127.0.0.1:{port}/"), Login::Anonymous)).unwrap();
    let start = Instant::now();
    let error = client.ping().await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    let text = error.to_string();
    assert!(matches!(error, Error::Unreachable { .. }), "{text}");
    let expected = format!("http://127.0.0.1:{port} cannot be reached: ");
    assert!(text.starts_with(&expected) && text.contains("refused"), "{text}");
    assert!(text.ends_with("check the address and that a registry runs there") && !text.contains('\n'), "{text}");
}

#[tokio::test]
async fn an_unknown_name_is_told_as_one() {
    let client = Client::new(quick("http://no-such-host.invalid/", Login::Anonymous)).unwrap();
    let error = client.ping().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_silent_server_and_one_that_breaks_off_fail_as_often_as_they_are_asked() {
    // A network that flaps is forgiven twice before it counts.
    for (step, requests) in [(Step::Wait(Duration::from_secs(20)), 3), (Step::Reset, 5), (Step::Close, 5)] {
        let server = Server::start(move |_| vec![step.clone()]).await;
        let error = ask_tail(&server).await.unwrap_err();
        let Error::Failing { status: None, attempts: 3, over, .. } = &error else { panic!("{error:?}") };
        assert!(*over >= Duration::from_millis(100));
        assert_eq!(server.requests().len(), requests);
    }
}

#[tokio::test]
async fn nothing_is_asked_to_be_encoded() {
    let server = Server::start(tail).await;
    ask_tail(&server).await.unwrap();
    let request = server.requests().remove(0);
    assert_eq!(request.header("accept-encoding"), Some("identity"));
    assert!(request.header("user-agent").unwrap().starts_with("mcr/"));
}

#[test]
fn this_machine_is_known_by_its_names() {
    let cases = [
        ("http://localhost:5000/", true),
        ("http://a.localhost/", true),
        ("https://127.8.9.1/", true),
        ("http://[::1]:5000/", true),
        ("http://10.0.0.1/", false),
        ("https://localhost.example/", false),
        ("http://127.0.0.1.example/", false),
    ];
    for (url, expected) in cases {
        assert_eq!(is_loopback(&Url::parse(url).unwrap()), expected, "{url}");
    }
}

#[test]
fn this_machine_is_asked_without_the_proxies_of_the_environment() {
    // In a process of its own: the environment belongs to all tests of this one.
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "wire::tests::asks_this_machine", "--nocapture"]).env("PROXY_CHILD", "1");
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        // Nobody listens on port 1.
        command.env(name, "http://127.0.0.1:1");
    }
    let output = command.env_remove("NO_PROXY").env_remove("no_proxy").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("near: Ok(())"), "{text}");
    assert!(text.contains("far: refused by the proxy"), "{text}");
}

/// Does nothing unless the test above starts it.
#[tokio::test]
async fn asks_this_machine() {
    if std::env::var_os("PROXY_CHILD").is_none() {
        return;
    }
    let server = Server::start(|_| reply(200, &[], "{}")).await;
    println!("\nnear: {:?}", server.client(Login::Anonymous).ping().await);
    // An address of documentation, which nobody has: only a proxy would refuse it.
    let far = Client::new(quick("http://192.0.2.1/", Login::Anonymous)).unwrap().ping().await.unwrap_err();
    println!("\nfar: {}", if far.to_string().contains("refused") { "refused by the proxy" } else { "went past it" });
}
