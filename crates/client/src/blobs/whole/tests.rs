//! Tests of whole blobs: what is cut, what is wrong, and what is taken up again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mcr_oci::{Algorithm, Hasher};

use super::*;
use crate::Login;
use crate::testing::{Server, Step, cut, head, not_found, reply};

const CONTENT: &str = "0123456789";

async fn verified(server: &Server, digest: &Digest, size: u64) -> (Result<BlobAnswer<Whole>, Error>, String) {
    let mut got = Vec::new();
    let client = server.client(Login::Anonymous);
    let answer = client.blob_verified(&"a".parse().unwrap(), digest, size, |bytes| got.extend_from_slice(bytes)).await;
    (answer, String::from_utf8(got).unwrap())
}

/// What comes of answers in turn, the last one again and again.
async fn whole(answers: Vec<Vec<Step>>) -> (Result<BlobAnswer<Whole>, Error>, String, Server) {
    let count = AtomicUsize::new(0);
    let server = Server::start(move |_| answers[count.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1)].clone());
    let server = server.await;
    let (answer, got) = verified(&server, &Digest::sha256(CONTENT.as_bytes()), 10).await;
    (answer, got, server)
}

fn found(whole: Whole) -> Result<BlobAnswer<Whole>, Error> {
    Ok(BlobAnswer::Found(whole))
}

fn chunked(body: &str) -> Vec<Step> {
    let text = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    vec![head(200, &[("Transfer-Encoding", "chunked")]), Step::Send(text.into_bytes())]
}

#[tokio::test]
async fn whole_and_right_is_verified() {
    for answer in [reply(200, &[], CONTENT), chunked(CONTENT)] {
        let (answer, got, server) = whole(vec![answer]).await;
        assert_eq!((answer, got.as_str()), (found(Whole::Verified { bytes: 10 }), CONTENT));
        assert_eq!(server.requests()[0].header("range"), None);
    }
    let server = Server::start(|_| reply(200, &[], CONTENT)).await;
    let digest = Digest::of(Algorithm::Sha512, CONTENT.as_bytes());
    assert_eq!(verified(&server, &digest, 10).await.0, found(Whole::Verified { bytes: 10 }));
    let server = Server::start(|_| reply(200, &[], "")).await;
    assert_eq!(verified(&server, &Digest::sha256(b""), 0).await.0, found(Whole::Verified { bytes: 0 }));
}

#[tokio::test]
async fn wrong_bytes_another_length_and_absence_are_told_apart() {
    let (answer, ..) = whole(vec![reply(200, &[], "012345678x")]).await;
    assert_eq!(answer, found(Whole::WrongBytes { computed: Digest::sha256(b"012345678x") }));
    for (body, length) in [("012345678", 9), ("", 0), ("0123456789a", 11)] {
        for answer in [reply(200, &[], body), chunked(body)] {
            let (answer, ..) = whole(vec![answer]).await;
            // What is announced is not read; what is not announced is read no further than it may be.
            assert_eq!(answer, found(Whole::OtherSize { announced: length }), "{body}");
        }
    }
    let (answer, ..) = whole(vec![not_found()]).await;
    assert!(matches!(answer, Ok(BlobAnswer::Missing { status: 404, .. })));
}

#[tokio::test]
async fn another_length_is_not_downloaded() {
    let endless = vec![head(200, &[("Content-Length", "99999999999")]), Step::Repeat(vec![0; 65_536], 1_500_000)];
    let start = std::time::Instant::now();
    let (answer, got, _server) = whole(vec![endless]).await;
    assert_eq!((answer, got.len()), (found(Whole::OtherSize { announced: 99_999_999_999 }), 0));
    assert!(start.elapsed() < std::time::Duration::from_secs(2));
}

#[tokio::test]
async fn an_early_end_is_told_after_three_tries() {
    let (answer, got, server) = whole(vec![cut(10, "")]).await;
    assert_eq!((answer, got.as_str()), (found(Whole::EndedEarly { announced: 10, received: 0 }), ""));
    assert_eq!(server.requests().len(), 3);
    let (answer, got, server) = whole(vec![cut(10, "0123")]).await;
    assert_eq!((answer, got.as_str()), (found(Whole::EndedEarly { announced: 10, received: 4 }), "0123"));
    let ranges: Vec<_> = server.requests().iter().map(|request| request.header("range").map(str::to_owned)).collect();
    assert_eq!(ranges, [None, Some("bytes=4-".to_owned()), Some("bytes=4-".to_owned())]);
    // 416: what was announced beyond that is not there.
    let (answer, ..) = whole(vec![cut(10, "0123"), reply(416, &[("Content-Range", "bytes */4")], "")]).await;
    assert_eq!(answer, found(Whole::EndedEarly { announced: 10, received: 4 }));
}

#[tokio::test]
async fn a_broken_transfer_is_taken_up_where_it_broke_off() {
    let reset = vec![head(200, &[("Content-Length", "10")]), Step::Send(b"0123".to_vec()), Step::Reset];
    let rest = reply(206, &[("Content-Range", "bytes 4-9/10")], "456789");
    // Also where the range is not honoured, or the server fails in between.
    for answers in [
        vec![reset.clone(), rest.clone()],
        vec![reset.clone(), reply(200, &[], CONTENT)],
        vec![reply(500, &[], ""), reset, reply(502, &[], ""), rest],
    ] {
        let (answer, got, _server) = whole(answers).await;
        assert_eq!((answer, got.as_str()), (found(Whole::Verified { bytes: 10 }), CONTENT));
    }
}

#[tokio::test]
async fn another_part_than_the_one_asked_for_is_no_answer() {
    for range in ["bytes 3-9/10", "bytes 0-9/10", "x"] {
        let wrong = reply(206, &[("Content-Range", range)], "3456789");
        let (answer, ..) = whole(vec![cut(10, "0123"), wrong]).await;
        assert!(matches!(answer, Err(Error::Unexpected { .. })), "{range}: {answer:?}");
    }
    let (answer, ..) = whole(vec![cut(10, "0123"), reply(206, &[("Content-Range", "bytes 4-6/7")], "456")]).await;
    assert_eq!(answer, found(Whole::OtherSize { announced: 7 }));
}

#[tokio::test]
async fn a_large_blob_is_hashed_in_pieces() {
    const PIECE: usize = 1 << 20;
    const PIECES: usize = 64;
    let piece: Vec<u8> = (0..PIECE).map(|index| u8::try_from(index % 251).unwrap()).collect();
    let mut hasher = Hasher::new(Algorithm::Sha256);
    (0..PIECES).for_each(|_| hasher.update(&piece));
    let (size, digest) = (u64::try_from(PIECE * PIECES).unwrap(), hasher.finish());
    let length = size.to_string();
    let server =
        Server::start(move |_| vec![head(200, &[("Content-Length", &length)]), Step::Repeat(piece.clone(), PIECES)]);
    let server = server.await;
    let (largest, total) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let sink = |bytes: &[u8]| {
        largest.fetch_max(bytes.len(), Ordering::SeqCst);
        total.fetch_add(bytes.len(), Ordering::SeqCst);
    };
    let client = server.client(Login::Anonymous);
    let answer = client.blob_verified(&"a".parse().unwrap(), &digest, size, sink).await;
    assert_eq!(answer, found(Whole::Verified { bytes: size }));
    assert_eq!(total.load(Ordering::SeqCst), PIECE * PIECES);
    assert!(largest.load(Ordering::SeqCst) <= PIECE);
}
