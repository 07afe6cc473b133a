//! Tests of lists, their pages, and lists that have no end.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::Login;
use crate::testing::{Request, Server, Step, not_found, reply};

fn page(names: &str, link: Option<&str>) -> Vec<Step> {
    let link = link.map(|link| ("Link", link));
    let headers: Vec<_> = link.into_iter().collect();
    reply(200, &headers, &format!(r#"{{"repositories":[{names}]}}"#))
}

async fn all(pages: &mut Pages) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    while let Some(page) = pages.next().await? {
        names.extend(page);
    }
    Ok(names)
}

async fn catalog(handler: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static) -> Result<Vec<String>, Error> {
    let server = Server::start(handler).await;
    all(&mut server.client(Login::Anonymous).catalog(None)).await
}

async fn tags(body: &'static str) -> Result<Vec<String>, Error> {
    let server = Server::start(move |_| reply(200, &[], body)).await;
    all(&mut server.client(Login::Anonymous).tags(&"a/b".parse().unwrap())).await
}

#[tokio::test]
async fn pages_are_followed_to_the_last() {
    let server = Server::start(|request| match request.path.as_str() {
        "/v2/_catalog?n=1000&proxy=true" => page(r#""a","b""#, Some(r#"</v2/_catalog?last=b&n=1000>; rel="next""#)),
        "/v2/_catalog?last=b&n=1000" => page(r#""c""#, Some("<?last=c>; rel=next")),
        "/v2/_catalog?last=c" => page(r#""d""#, None),
        other => panic!("{other}"),
    });
    let server = server.await;
    let mut pages = server.client(Login::Anonymous).catalog(Some("proxy=true"));
    assert_eq!(all(&mut pages).await.unwrap(), ["a", "b", "c", "d"]);
    assert_eq!(pages.next().await, Ok(None));
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn an_empty_list_is_one() {
    for body in [r#"{"name":"a/b","tags":null}"#, r#"{"name":"a/b","tags":[]}"#, r#"{"name":"a/b"}"#] {
        assert_eq!(tags(body).await, Ok(vec![]), "{body}");
    }
    assert_eq!(tags(r#"{"name":"a/b","tags":["x","y"]}"#).await.unwrap(), ["x", "y"]);
}

#[tokio::test]
async fn what_is_no_list_is_told() {
    for body in ["", "[]", "{}", "<html>", r#"{"tags":"x"}"#, r#"{"tags":[1]}"#, r#"{"repositories":["a"]}"#] {
        let error = tags(body).await.unwrap_err();
        assert!(error.to_string().contains("not a list of tags"), "{body}: {error}");
    }
    let long = format!(r#""{}""#, "x".repeat(NAME_MAX + 1));
    let error = catalog(move |_| page(&long, None)).await.unwrap_err();
    assert!(error.to_string().contains("longer than 1 KiB"), "{error}");
}

#[tokio::test]
async fn an_unknown_repository_is_not_found() {
    let server = Server::start(|_| not_found()).await;
    let error = all(&mut server.client(Login::Anonymous).tags(&"a/b".parse().unwrap())).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn lists_without_end_are_given_up() {
    let circle = |request: &Request| match request.path.contains("two") {
        true => page(r#""c""#, Some("</v2/_catalog?n=1000>; rel=next")),
        false => page(r#""a""#, Some("</v2/_catalog?two>; rel=next")),
    };
    let error = catalog(circle).await.unwrap_err();
    assert!(error.to_string().contains("in a circle"), "{error}");

    let counter = || {
        let count = AtomicUsize::new(0);
        move || format!("</v2/_catalog?last={}>; rel=next", count.fetch_add(1, Ordering::SeqCst))
    };
    let next = counter();
    let error = catalog(move |_| page(r#""a","b""#, Some(&next()))).await.unwrap_err();
    assert!(error.to_string().contains("names of the page before"), "{error}");
    let next = counter();
    let error = catalog(move |_| page("", Some(&next()))).await.unwrap_err();
    assert!(error.to_string().contains("is empty"), "{error}");
}

async fn referrers(handler: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static) -> Result<Vec<String>, Error> {
    let server = Server::start(handler).await;
    let subject = mcr_oci::Digest::sha256(b"a subject");
    all(&mut server.client(Login::Anonymous).referrers(&"a/b".parse().unwrap(), &subject)).await
}

#[tokio::test]
async fn referrers_come_page_by_page() {
    let pages = |request: &Request| match request.path.contains("last=") {
        true => reply(200, &[], r#"{"schemaVersion":2,"manifests":[{"digest":"sha256:c","size":1}]}"#),
        false => reply(
            200,
            &[("Link", "<?n=2&last=b>; rel=\"next\"")],
            r#"{"schemaVersion":2,"manifests":[{"digest":"sha256:a"},{"digest":"sha256:b"}]}"#,
        ),
    };
    assert_eq!(referrers(pages).await.unwrap(), ["sha256:a", "sha256:b", "sha256:c"]);
    assert_eq!(referrers(|_| reply(200, &[], r#"{"manifests":null}"#)).await, Ok(vec![]));
    for status in [400, 404, 405, 501] {
        let error = referrers(move |_| reply(status, &[], "<html>no such page</html>")).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{status}: {error}");
    }
    for body in ["{}", "<html>", r#"{"manifests":[{}]}"#] {
        let error = referrers(move |_| reply(200, &[], body)).await.unwrap_err();
        assert!(error.to_string().contains("not a list of referrers"), "{body}: {error}");
    }
}

#[tokio::test]
async fn the_question_for_referrers_gets_a_token_as_every_other_one() {
    let port = std::sync::Arc::new(AtomicUsize::new(0));
    let own = std::sync::Arc::clone(&port);
    let server = Server::start(move |request| {
        if request.path.starts_with("/token") {
            assert!(request.path.contains("scope=repository%3Aa%2Fb%3Apull"), "{}", request.path);
            return reply(200, &[], r#"{"token":"given"}"#);
        }
        if request.authorization() == Some("Bearer given") {
            return reply(200, &[], r#"{"manifests":[{"digest":"sha256:a"}]}"#);
        }
        let realm = format!(r#"Bearer realm="http://127.0.0.1:{}/token",service="s""#, own.load(Ordering::SeqCst));
        reply(401, &[("WWW-Authenticate", realm.as_str())], "")
    });
    let server = server.await;
    port.store(server.host().rsplit(':').next().unwrap().parse().unwrap(), Ordering::SeqCst);
    let subject = mcr_oci::Digest::sha256(b"a subject");
    let mut pages = server.client(Login::Anonymous).referrers(&"a/b".parse().unwrap(), &subject);
    assert_eq!(all(&mut pages).await.unwrap(), ["sha256:a"]);
}

#[tokio::test]
async fn a_page_without_end_is_given_up() {
    let piece = format!("10000\r\n{}\r\n", r#""aaaaaa","#.repeat(0x10000 / 9 + 1).get(..0x10000).unwrap()).into_bytes();
    let error = catalog(move |_| {
        let head = crate::testing::head(200, &[("Transfer-Encoding", "chunked")]);
        vec![head, Step::Repeat(piece.clone(), usize::MAX)]
    });
    assert!(error.await.unwrap_err().to_string().contains("longer than 16 MiB"));
}

#[tokio::test]
async fn a_dropped_page_is_asked_for_again() {
    let count = AtomicUsize::new(0);
    let server = Server::start(move |_| {
        let slow = count.fetch_add(1, Ordering::SeqCst) == 0;
        let wait = Step::Wait(std::time::Duration::from_millis(if slow { 200 } else { 0 }));
        [vec![wait], page(r#""a""#, None)].concat()
    });
    let server = server.await;
    let mut pages = server.client(Login::Anonymous).catalog(None);
    assert!(tokio::time::timeout(std::time::Duration::from_millis(50), pages.next()).await.is_err());
    assert_eq!(all(&mut pages).await.unwrap(), ["a"]);
}

#[test]
fn links_are_read_as_they_are_written() {
    let target = |value: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(LINK, reqwest::header::HeaderValue::from_static(value));
        following(&headers)
    };
    for value in [
        "</v2/x>; rel=\"next\"",
        "</v2/x>;rel=next",
        "</v2/x>; title=\"a\"; REL=\"prev Next\"",
        "</v2/x>",
        "</first>; rel=\"first\", </v2/x>; rel=\"next\"",
        "</first>; rel=first,</v2/x>; rel=next, </last>; rel=last",
    ] {
        assert_eq!(target(value).as_deref(), Some("/v2/x"), "{value}");
    }
    for value in ["", "/v2/x; rel=next", "</v2/x>; rel=prev", "</v2/x; rel=next"] {
        assert_eq!(target(value), None, "{value}");
    }
}

#[test]
fn a_list_goes_on_where_it_began() {
    let to = |page: &str, target: &str| resolve(&Url::parse(page).unwrap(), target).map(|url| url.to_string());
    let page = "https://r.example:5000/v2/_catalog?n=1";
    for target in ["/v2/_catalog?last=x", "?last=x", "_catalog?last=x", "https://r.example:5000/v2/_catalog?last=x"] {
        assert_eq!(to(page, target).as_deref(), Ok("https://r.example:5000/v2/_catalog?last=x"), "{target}");
    }
    // Behind a proxy that ends TLS.
    assert_eq!(to("https://r.example/v2/", "http://r.example/v2/x").as_deref(), Ok("https://r.example/v2/x"));
    for target in ["https://evil.example:5000/v2/", "https://r.example/v2/", "//evil.example/v2/", "data:x", "http://["]
    {
        assert!(to(page, target).is_err(), "{target}");
    }
}

proptest::proptest! {
    #[test]
    fn no_link_makes_it_panic(value in "[ -~]{0,100}", sloppy in r#"(<|>|;|,|rel=|"|next|/v2/x| ){0,30}"#) {
        for text in [value, sloppy] {
            let mut headers = HeaderMap::new();
            headers.insert(LINK, reqwest::header::HeaderValue::from_str(&text).unwrap());
            let page = Url::parse("https://r.example/v2/").unwrap();
            if let Some(Ok(next)) = following(&headers).map(|target| resolve(&page, &target)) {
                proptest::prop_assert_eq!(next.origin(), page.origin());
            }
        }
    }
}
