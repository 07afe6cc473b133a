//! Tests of addresses, and of whether a registry answers.

use super::*;
use crate::testing::{Server, Step, install_provider, quick, reply};
use crate::{Login, Trust};

fn client(url: &str) -> Result<Client, SetupError> {
    install_provider();
    Client::new(Settings::new(Url::parse(url).unwrap()))
}

#[test]
fn hosts_are_as_users_write_them() {
    for (url, host, base) in [
        ("https://r.example", "r.example", "https://r.example/"),
        ("https://r.example:443/path?query#x", "r.example", "https://r.example/"),
        ("http://127.0.0.1:5000/", "127.0.0.1:5000", "http://127.0.0.1:5000/"),
        ("http://[::1]:5000", "[::1]:5000", "http://[::1]:5000/"),
        ("https://docker.io", "docker.io", "https://registry-1.docker.io/"),
        ("https://index.docker.io", "index.docker.io", "https://registry-1.docker.io/"),
    ] {
        let client = client(url).unwrap();
        assert_eq!((client.host(), client.inner.base.as_str()), (host, base));
    }
}

#[test]
fn what_is_no_address_is_told_without_its_password() {
    for url in ["ftp://r.example/", "file:///x", "https://ada:sesame@r.example/"] {
        let error = client(url).unwrap_err();
        assert!(matches!(error, SetupError::Address { .. }), "{error}");
        assert!(!error.to_string().contains("sesame"), "{error}");
    }
}

#[test]
fn files_may_know_a_registry_by_several_names() {
    let names = |url: &str| names(&base(&Url::parse(url).unwrap()).unwrap());
    assert_eq!(names("https://r.example").hosts, ["r.example", "r.example:443"]);
    assert_eq!(names("http://r.example:5000").hosts, ["r.example:5000"]);
    let hub = names("https://index.docker.io");
    assert_eq!((hub.hosts.as_slice(), hub.server.as_str()), (["docker.io".to_owned()].as_slice(), HUB_SERVER));
}

#[test]
fn settings_that_cannot_be_used_are_told() {
    let settings = quick("https://r.example/", Login::Anonymous);
    let trust = |trust| Client::new(Settings { trust, ..settings.clone() }).map(|_| ());
    assert!(matches!(trust(Trust::Only(b"nothing".to_vec())), Err(SetupError::Certificates(_))));
    assert!(matches!(trust(Trust::Pinned(Vec::new())), Err(SetupError::Certificates(_))));
    let agent = Settings { user_agent: "a\nb".to_owned(), ..settings };
    assert_eq!(Client::new(agent).unwrap_err(), SetupError::Header("user agent"));
}

#[tokio::test]
async fn a_registry_that_answers_is_there() {
    let server = Server::start(|_| reply(200, &[], "{}")).await;
    assert_eq!(server.client(Login::Anonymous).ping().await, Ok(()));
    assert_eq!(server.asked(), ["GET /v2/"]);
}

#[tokio::test]
async fn what_is_no_registry_is_told() {
    let server = Server::start(|_| reply(404, &[("Content-Type", "text/html")], "<html>")).await;
    let error = server.client(Login::Anonymous).ping().await.unwrap_err();
    assert!(matches!(error, Error::Unexpected { .. }), "{error}");
    let server = Server::start(|_| vec![Step::Close]).await;
    let error = server.client(Login::Anonymous).ping().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("whether it speaks http or https"), "{error}");
}
