//! Tests of pushing: what is sent, what is not, and what is told of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt as _};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;

use super::*;
use crate::Login;
use crate::testing::{Request, Server, Step, head, not_found, quick, reply};

const CONTENT: &[u8] = b"0123456789";

fn names() -> (RepositoryName, Digest) {
    ("a/b".parse().unwrap(), Digest::sha256(CONTENT))
}

async fn push(server: &Server, from: Option<&str>) -> Result<Pushed, PushError<Infallible>> {
    let (repository, digest) = names();
    let from = from.map(|from| from.parse().unwrap());
    let content = Bytes::from_static(CONTENT);
    server.client(Login::Anonymous).push_blob(&repository, &digest, 10, &content, from.as_ref()).await
}

fn session(location: &str) -> Vec<Step> {
    reply(202, &[("Location", location)], "")
}

fn refusal(status: u16, code: &str) -> Vec<Step> {
    reply(status, &[], &format!(r#"{{"errors":[{{"code":"{code}","message":"no"}}]}}"#))
}

/// A registry that takes uploads at `/up?state=x`, and answers a PUT so.
async fn taking(put: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static) -> Server {
    Server::start(move |request| match request.method.as_str() {
        "HEAD" => not_found(),
        "POST" => session("/up?state=x%2Fy"),
        "PUT" => put(request),
        _ => reply(204, &[], ""),
    })
    .await
}

#[tokio::test]
async fn one_can_ask_what_is_there() {
    let server = Server::start(|_| vec![head(200, &[("Content-Length", "10")])]).await;
    let (repository, digest) = names();
    let held = server.client(Login::Anonymous).holds_blob(&repository, &digest).await;
    assert_eq!(held, Ok(BlobAnswer::Found(Announced { size: Some(10) })));
    assert_eq!(server.asked(), [format!("HEAD /v2/a/b/blobs/{digest}")]);
}

#[tokio::test]
async fn a_blob_goes_out_in_one_piece_to_where_the_registry_said() {
    let server = taking(|_| reply(201, &[], "")).await;
    assert_eq!(push(&server, None).await, Ok(Pushed::Sent));
    let requests = server.requests();
    let (_, digest) = names();
    let encoded = digest.as_str().replace(':', "%3A");
    assert_eq!(requests[0].path, "/v2/a/b/blobs/uploads/");
    assert_eq!(requests[0].header("content-length"), Some("0"));
    assert_eq!(requests[1].path, format!("/up?state=x%2Fy&digest={encoded}"));
    assert_eq!(requests[1].body.as_bytes(), CONTENT);
    assert_eq!(requests[1].header("content-length"), Some("10"));
    assert_eq!(requests[1].header("content-type"), Some("application/octet-stream"));
}

#[tokio::test]
async fn an_empty_blob_is_one_too() {
    let server = taking(|_| reply(201, &[], "")).await;
    let client = server.client(Login::Anonymous);
    let pushed = client.push_blob(&names().0, &Digest::sha256(b""), 0, &Bytes::new(), None).await;
    assert_eq!(pushed, Ok(Pushed::Sent));
    assert_eq!(server.requests()[1].header("content-length"), Some("0"));
}

#[tokio::test]
async fn a_blob_that_another_repository_has_is_mounted() {
    let server = Server::start(|request| match request.method.as_str() {
        "POST" => reply(201, &[], ""),
        _ => not_found(),
    })
    .await;
    assert_eq!(push(&server, Some("other")).await, Ok(Pushed::Mounted));
    let (_, digest) = names();
    assert_eq!(server.asked()[0], format!("POST /v2/a/b/blobs/uploads/?mount={digest}&from=other"));
}

#[tokio::test]
async fn what_cannot_be_mounted_is_sent() {
    for mount in [session("/up"), refusal(401, "UNAUTHORIZED"), refusal(404, "NAME_UNKNOWN")] {
        let server = Server::start(move |request| match request.method.as_str() {
            "HEAD" => not_found(),
            "POST" if request.path.contains("mount") => mount.clone(),
            "POST" => session("/up"),
            _ => reply(201, &[], ""),
        })
        .await;
        assert_eq!(push(&server, Some("other")).await, Ok(Pushed::Sent), "{:?}", server.asked());
    }
}

#[tokio::test]
async fn a_failure_on_the_way_begins_a_new_session() {
    let puts = AtomicUsize::new(0);
    let server = taking(move |_| match puts.fetch_add(1, Ordering::Relaxed) {
        0 => reply(500, &[], ""),
        1 => refusal(404, "BLOB_UPLOAD_UNKNOWN"),
        _ => reply(201, &[], ""),
    })
    .await;
    assert_eq!(push(&server, None).await, Ok(Pushed::Sent));
    let methods: Vec<String> = server.requests().iter().map(|request| request.method.clone()).collect();
    assert_eq!(methods, ["POST", "PUT", "POST", "PUT", "POST", "PUT"]);
    assert!(server.requests().iter().filter(|request| request.method == "PUT").all(|put| put.body.len() == 10));
}

#[tokio::test]
async fn patience_is_kept_as_it_is_asked_for() {
    let puts = AtomicUsize::new(0);
    let server = taking(move |_| match puts.fetch_add(1, Ordering::Relaxed) {
        0 => reply(429, &[("Retry-After", "0")], ""),
        _ => reply(201, &[], ""),
    })
    .await;
    assert_eq!(push(&server, None).await, Ok(Pushed::Sent));
}

#[tokio::test]
async fn a_refusal_is_final_and_says_why() {
    for (status, code) in [(400, "DIGEST_INVALID"), (403, "DENIED"), (405, "UNSUPPORTED"), (413, "SIZE_INVALID")] {
        let server = taking(move |_| refusal(status, code)).await;
        let error = push(&server, None).await.unwrap_err();
        assert!(error.to_string().contains(code), "{error}");
        assert_eq!(server.requests().iter().filter(|request| request.method == "PUT").count(), 1);
    }
    let server = taking(|_| refusal(507, "DENIED")).await;
    let error = push(&server, None).await.unwrap_err();
    assert!(matches!(error, PushError::Refused { status: 507, .. }), "{error}");
    assert_eq!(server.requests().len(), 2, "a full disk is not asked again");
}

#[tokio::test]
async fn a_registry_that_stored_something_else_is_told() {
    let other = Digest::sha256(b"other").to_string();
    let server = taking(move |_| reply(201, &[("Docker-Content-Digest", &other)], "")).await;
    assert!(matches!(push(&server, None).await, Err(PushError::Registry(Error::Unexpected { .. }))));
}

#[tokio::test]
async fn an_upload_goes_on_elsewhere_without_the_login() {
    let elsewhere = taking(|_| reply(201, &[], "")).await;
    let there = elsewhere.other_url("/up");
    let server = Server::start(move |request| match (request.method.as_str(), request.authorization()) {
        (_, None) => reply(401, &[("WWW-Authenticate", "Basic realm=x")], ""),
        ("POST", _) => session(&there),
        _ => not_found(),
    })
    .await;
    let login = Login::Basic { username: "u".to_owned(), password: "p".to_owned() };
    let (repository, digest) = names();
    let client = server.client(login);
    let pushed = client.push_blob(&repository, &digest, 10, &Bytes::from_static(CONTENT), None).await;
    assert_eq!(pushed, Ok(Pushed::Sent));
    assert_eq!(elsewhere.requests()[0].authorization(), None);
    assert_eq!(elsewhere.requests()[0].body.as_bytes(), CONTENT);
}

/// Bytes of which the last never come.
#[derive(Clone)]
struct Breaking;

impl Content for Breaking {
    type Error = &'static str;
    type Pieces = BoxStream<'static, Result<Bytes, &'static str>>;

    fn open(&self) -> Self::Pieces {
        stream::iter([Ok(Bytes::from_static(b"01234")), Err("the source is gone")]).boxed()
    }
}

#[tokio::test]
async fn bytes_that_cannot_be_had_end_the_upload() {
    let server = taking(|_| reply(201, &[], "")).await;
    let (repository, digest) = names();
    let pushed = server.client(Login::Anonymous).push_blob(&repository, &digest, 10, &Breaking, None).await;
    assert_eq!(pushed, Err(PushError::Content("the source is gone")));
    assert_eq!(server.asked().last().map(String::as_str), Some("DELETE /up?state=x%2Fy"));
}

/// A registry that answers everything but a PUT, of which it reads the head and no more.
async fn deaf() -> (u16, JoinSet<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut kept = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            kept.spawn(async move {
                let mut seen = Vec::new();
                while stream.read_buf(&mut seen).await.unwrap_or(0) > 0 && !seen.starts_with(b"PUT") {
                    let answer: &[u8] = match seen.starts_with(b"POST") {
                        true => b"HTTP/1.1 202 Ok\r\nLocation: /up\r\nContent-Length: 0\r\n\r\n",
                        false => b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
                    };
                    if seen.ends_with(b"\r\n\r\n") {
                        stream.write_all(answer).await.unwrap();
                        seen.clear();
                    }
                }
                std::future::pending::<()>().await;
            });
        }
    });
    (port, serving)
}

#[tokio::test]
async fn who_takes_nothing_is_not_waited_for() {
    let (port, _serving) = deaf().await;
    let client = Client::new(quick(&format!("http://127.0.0.1:{port}/"), Login::Anonymous)).unwrap();
    // Longer than what sockets hold.
    let content = Bytes::from(vec![b'x'; 64 << 20]);
    let (repository, digest) = names();
    let pushed = client.push_blob(&repository, &digest, 64 << 20, &content, None);
    let error = tokio::time::timeout(Duration::from_secs(5), pushed).await.unwrap().unwrap_err();
    assert!(matches!(error, PushError::Registry(Error::Failing { .. })), "{error}");
}

#[tokio::test]
async fn a_slow_source_is_no_stall_of_the_registry() {
    #[derive(Clone)]
    struct Slow;
    impl Content for Slow {
        type Error = Infallible;
        type Pieces = BoxStream<'static, Result<Bytes, Infallible>>;
        fn open(&self) -> Self::Pieces {
            let pieces = stream::iter(CONTENT.chunks(5));
            let late = pieces.then(|piece| async move {
                // Twice the silence that is borne of a registry.
                tokio::time::sleep(Duration::from_millis(800)).await;
                Ok(Bytes::from_static(piece))
            });
            late.boxed()
        }
    }
    let server = taking(|_| reply(201, &[], "")).await;
    let (repository, digest) = names();
    let pushed = server.client(Login::Anonymous).push_blob(&repository, &digest, 10, &Slow, None).await;
    assert_eq!(pushed, Ok(Pushed::Sent));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_manifest_is_put_with_its_type() {
    let server = Server::start(|_| reply(201, &[], "")).await;
    let client = server.client(Login::Anonymous);
    let (repository, digest) = names();
    let (tag, bytes) = ("v1".parse().unwrap(), Bytes::from_static(CONTENT));
    assert_eq!(client.push_manifest(&repository, &tag, &digest, "x/y", bytes).await, Ok(()));
    let request = &server.requests()[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("PUT", "/v2/a/b/manifests/v1"));
    assert_eq!(request.header("content-type"), Some("x/y"));
    assert_eq!(request.body.as_bytes(), CONTENT);
}

#[tokio::test]
async fn a_manifest_that_is_refused_says_what_is_missing() {
    let server = Server::start(|_| refusal(400, "MANIFEST_BLOB_UNKNOWN")).await;
    let (repository, digest) = names();
    let reference = Reference::Digest(digest.clone());
    let client = server.client(Login::Anonymous);
    let put = client.push_manifest(&repository, &reference, &digest, "x/y", Bytes::from_static(b"{}")).await;
    assert!(put.unwrap_err().to_string().contains("MANIFEST_BLOB_UNKNOWN: no"));
}

#[tokio::test]
async fn tokens_are_for_pushing_and_for_what_is_mounted() {
    let server = Server::start(|request| {
        if request.path.starts_with("/token") {
            return reply(200, &[], r#"{"token":"t"}"#);
        }
        let realm = format!("Bearer realm=\"http://{}/token\",service=\"s\"", request.header("host").unwrap());
        match (request.authorization(), request.method.as_str()) {
            (None, _) => reply(401, &[("WWW-Authenticate", &realm)], ""),
            (_, "POST") => reply(201, &[], ""),
            _ => not_found(),
        }
    })
    .await;
    assert_eq!(push(&server, Some("other")).await, Ok(Pushed::Mounted));
    let tokens: Vec<String> = server.asked().into_iter().filter(|asked| asked.contains("/token")).collect();
    let both = "?service=s&scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=repository%3Aother%3Apull";
    assert!(tokens[0].ends_with(both), "{tokens:?}");
}

#[tokio::test]
async fn what_is_held_is_told_by_its_digest() {
    let (repository, digest) = names();
    let told = digest.to_string();
    let server = Server::start(move |request| match request.path.as_str() {
        "/v2/a/b/manifests/v1" => vec![head(200, &[("Docker-Content-Digest", &told)])],
        "/v2/a/b/manifests/v2" => vec![head(200, &[])],
        _ => not_found(),
    })
    .await;
    let client = server.client(Login::Anonymous);
    let held = async |tag: &str| client.holds_manifest(&repository, &tag.parse().unwrap()).await.unwrap();
    assert_eq!(held("v1").await, Some(digest.clone()));
    assert_eq!(held("v2").await, None);
    assert_eq!(held("v3").await, None);
}
