//! Tests of heads and last bytes.

use std::time::Duration;

use super::*;
use crate::Login;
use crate::testing::{Request, Server, Step, cut, head, not_found, reply};

fn names() -> (RepositoryName, Digest) {
    ("a".parse().unwrap(), Digest::sha256(b"0123456789"))
}

async fn tail_of(steps: Vec<Step>, size: u64) -> (Server, Result<BlobAnswer<Tail>, Error>) {
    let server = Server::start(move |_| steps.clone()).await;
    let (repository, digest) = names();
    let answer = server.client(Login::Anonymous).blob_tail(&repository, &digest, size).await;
    (server, answer)
}

async fn tail(steps: Vec<Step>) -> Result<BlobAnswer<Tail>, Error> {
    tail_of(steps, 10).await.1
}

fn partial(range: &str, body: &str) -> Vec<Step> {
    reply(206, &[("Content-Range", range)], body)
}

fn found(tail: Tail) -> Result<BlobAnswer<Tail>, Error> {
    Ok(BlobAnswer::Found(tail))
}

#[tokio::test]
async fn a_head_tells_the_length() {
    let (repository, digest) = names();
    let heads = [
        (vec![head(200, &[("Content-Length", "123")])], BlobAnswer::Found(Announced { size: Some(123) })),
        (vec![head(200, &[])], BlobAnswer::Found(Announced { size: None })),
        (not_found(), BlobAnswer::Missing { status: 404, detail: None }),
    ];
    for (steps, expected) in heads {
        let server = Server::start(move |_| steps.clone()).await;
        assert_eq!(server.client(Login::Anonymous).head_blob(&repository, &digest).await, Ok(expected));
        assert_eq!(server.asked(), [format!("HEAD /v2/a/blobs/{digest}")]);
    }
}

#[tokio::test]
async fn the_last_byte_shows_that_it_is_whole() {
    let (server, answer) = tail_of(partial("bytes 9-9/10", "9"), 10).await;
    assert_eq!(answer, found(Tail::Whole));
    assert_eq!(server.requests()[0].header("range"), Some("bytes=9-9"));
    assert_eq!(tail(partial("bytes 9-9/*", "9")).await, found(Tail::Whole));
}

#[tokio::test]
async fn a_range_that_is_not_honoured_is_counted() {
    assert_eq!(tail(reply(200, &[], "0123456789")).await, found(Tail::Whole));
    assert_eq!(tail(reply(200, &[], "012345678")).await, found(Tail::OtherSize { size: 9 }));
    assert_eq!(tail(reply(200, &[], "")).await, found(Tail::OtherSize { size: 0 }));
    let chunked = |body: &str| {
        let text = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        vec![head(200, &[("Transfer-Encoding", "chunked")]), Step::Send(text.into_bytes())]
    };
    assert_eq!(tail(chunked("0123456789")).await, found(Tail::Whole));
    assert_eq!(tail(chunked("01234567")).await, found(Tail::OtherSize { size: 8 }));
    assert_eq!(tail(chunked("0123456789abc")).await, found(Tail::OtherSize { size: 13 }));
    let endless = vec![
        head(200, &[("Transfer-Encoding", "chunked")]),
        Step::Repeat(b"10\r\n0123456789abcdef\r\n".to_vec(), usize::MAX),
    ];
    assert!(matches!(tail(endless).await, Ok(BlobAnswer::Found(Tail::OtherSize { size: 11.. }))));
}

#[tokio::test]
async fn a_cut_blob_is_told_after_three_tries() {
    let announced = head(206, &[("Content-Range", "bytes 9-9/10"), ("Content-Length", "1")]);
    for end in [Step::Close, Step::Reset] {
        let (server, answer) = tail_of(vec![announced.clone(), end], 10).await;
        assert_eq!(answer, found(Tail::EndedEarly { announced: 1, received: 0 }));
        assert_eq!(server.requests().len(), 3);
    }
    let (server, answer) = tail_of(cut(10, "0123"), 10).await;
    assert_eq!(answer, found(Tail::EndedEarly { announced: 10, received: 4 }));
    assert_eq!(server.requests().len(), 3);
    assert_eq!(tail(partial("bytes 9-9/10", "")).await, found(Tail::EndedEarly { announced: 1, received: 0 }));
}

#[tokio::test]
async fn another_length_is_told_as_one() {
    assert_eq!(tail(partial("bytes 9-9/11", "9")).await, found(Tail::OtherSize { size: 11 }));
    assert_eq!(
        tail(reply(416, &[("Content-Range", "bytes */4")], "")).await,
        found(Tail::NotSatisfiable { size: Some(4) })
    );
    assert_eq!(tail(reply(416, &[], "")).await, found(Tail::NotSatisfiable { size: None }));
}

#[tokio::test]
async fn ranges_nobody_asked_for_are_no_answer() {
    for steps in [
        partial("bytes 0-0/10", "0"),
        partial("bytes 8-9/10", "89"),
        partial("bytes 9-9/10", "99"),
        partial("nonsense", "9"),
        reply(206, &[], "9"),
    ] {
        let error = tail(steps).await.unwrap_err();
        assert!(matches!(error, Error::Unexpected { .. }), "{error}");
    }
}

#[tokio::test]
async fn absent_and_failing_are_told_apart() {
    assert!(matches!(tail(not_found()).await, Ok(BlobAnswer::Missing { status: 404, detail: Some(_) })));
    assert!(matches!(tail(reply(500, &[], "")).await, Err(Error::Failing { status: Some(500), .. })));
    // A stall is not a cut: the registry may be slow, and says nothing about the blob.
    let stalled = vec![head(200, &[("Content-Length", "10")]), Step::Wait(Duration::from_secs(20))];
    assert!(matches!(tail(stalled).await, Err(Error::Failing { status: None, .. })));
}

#[tokio::test]
async fn a_registry_whose_heads_are_well_and_whose_bodies_break_is_cut_or_failing() {
    let healthy_head = |request: &Request, rest: Vec<Step>| match request.method.as_str() {
        "HEAD" => vec![head(200, &[("Content-Length", "10")])],
        _ => rest,
    };
    let (repository, digest) = names();
    let server = Server::start(move |request| healthy_head(request, vec![Step::Reset])).await;
    let client = server.client(Login::Anonymous);
    let announced = client.head_blob(&repository, &digest).await;
    assert_eq!(announced, Ok(BlobAnswer::Found(Announced { size: Some(10) })));
    let error = client.blob_tail(&repository, &digest, 10).await.unwrap_err();
    assert!(matches!(error, Error::Failing { status: None, .. }), "{error}");
}

#[tokio::test]
async fn an_empty_blob_has_no_last_byte_and_is_counted() {
    let (server, answer) = tail_of(reply(200, &[], ""), 0).await;
    assert_eq!(answer, found(Tail::Whole));
    assert_eq!(server.requests()[0].header("range"), None);
}
