//! Bodies whose framing lies: smuggled requests, lengths given twice, bad chunks, garbage behind a request; never what
//! the bytes would mean.

use mcr_oci::Digest;
use mcr_tests::push::{open_upload, with_query};

use crate::raw;
use crate::watched::Watched;

/// What a smuggler wants to be answered: behind it there would be a second answer.
const SMUGGLED: &str = "GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn no_second_request_can_be_smuggled() {
    let mut watched = Watched::impatient();
    let heads = [
        "Content-Length: 5\r\nContent-Length: 40\r\n",
        "Content-Length: 40\r\nContent-Length: 5\r\n",
        "Content-Length: 5, 40\r\n",
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\nContent-Length: 6\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding:\r\nContent-Length: 5\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length : 5\r\n",
        "Content-Length:\r\n",
    ];
    raw::at_once(&heads, |head| {
        for line in ["POST /v2/rude/framing/blobs/uploads/", "PUT /v2/rude/framing/manifests/v1"] {
            let request = format!("{line} HTTP/1.1\r\nHost: x\r\n{head}\r\n0\r\n\r\n{SMUGGLED}");
            let heard = raw::say(&watched.server, request.as_bytes());
            let statuses = heard.statuses();
            assert!(statuses.len() <= 1, "{head:?}: {}", heard.text);
            assert!(!statuses.contains(&200), "{head:?}: {}", heard.text);
            assert!(heard.ended, "{head:?}: {}", heard.text);
        }
    });
    watched.assert_unharmed();
}

#[test]
fn bad_chunks_end_the_connection_and_store_nothing() {
    let mut watched = Watched::impatient();
    let client = watched.server.client();
    let digest = Digest::sha256(b"hello");
    let bodies = [
        "5\r\nhelloX\r\n0\r\n\r\n",
        "5\nhello\n0\n\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5 5\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "ffffffffffffffff\r\nhello",
        "10000000000000000\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffffffffffffffffffff\r\nhello",
        "5;ext=\0\r\nhello\r\n0\r\n\r\nrubbish\0",
        "5\r\nhel",
        "5\r\nhello\r\n",
        "5\r\nhello\r\n0\r\n",
        "5\r\nhello\r\n0\r\nno colon\r\n\r\n",
        &format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(1 << 20)),
        &format!("{}5\r\nhello\r\n0\r\n\r\n", "0".repeat(1 << 20)),
        &format!("5\r\nhello\r\n0\r\n{}\r\n", "A: b\r\n".repeat(100_000)),
    ];
    raw::at_once(&bodies, |body| {
        let shown: String = body.chars().take(40).collect();
        let session = open_upload(&client, "rude/chunks");
        let whole = format!("/v2/rude/chunks/blobs/uploads/?digest={digest}");
        let last = with_query(&session, &format!("digest={digest}"));
        for (method, target) in [("PATCH", &session), ("POST", &whole), ("PUT", &last)] {
            let head = format!("{method} {target} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
            let heard = raw::say(&watched.server, &[head.as_bytes(), body.as_bytes(), b"\r\n"].concat());
            assert!(heard.ended, "{method} {shown:?}: {}", heard.text);
            assert!(heard.statuses().len() <= 2, "{method} {shown:?}: {}", heard.text);
            assert!(!heard.text.contains("HTTP/1.1 5"), "{method} {shown:?}: {}", heard.text);
        }
        // The one that was read to its end is a blob, and its session is gone with it.
        let _ = client.fresh().delete(&session);
    });
    let blob = client.get(&format!("/v2/rude/chunks/blobs/{digest}"));
    assert!(blob.status == 404 || blob.body == b"hello", "{blob:?}");
    watched.assert_uploads(0);
    watched.assert_unharmed();
}

#[test]
fn garbage_behind_a_request_costs_only_the_connection() {
    let mut watched = Watched::impatient();
    let request = "GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n";
    let cases = [
        format!("{request}garbage\r\n\r\n"),
        format!("{request}\0\0\0\0"),
        format!("{request}{}", "x".repeat(1 << 20)),
        format!("{request}{request}GET"),
        format!("{}garbage\r\n\r\n", request.repeat(1000)),
    ];
    raw::at_once(&cases, |bytes| {
        let heard = raw::say(&watched.server, bytes.as_bytes());
        let statuses = heard.statuses();
        assert_eq!(statuses.first(), Some(&200), "{}", heard.text);
        assert!(statuses.iter().all(|status| [200, 400, 408, 414, 431].contains(status)), "{statuses:?}");
        assert!(heard.ended);
    });
    watched.assert_unharmed();
}

#[test]
fn lengths_that_lie_are_refused() {
    let mut watched = Watched::impatient();
    let client = watched.server.client();
    let digest = Digest::sha256(b"hello");
    let manifest = "/v2/rude/lies/manifests/v1".to_owned();
    for (length, body) in [("6", "hello"), ("1000000", "hello"), ("18446744073709551615", "hello"), ("5000000000", "{")]
    {
        let session = open_upload(&client, "rude/lies");
        let last = with_query(&session, &format!("digest={digest}"));
        let whole = format!("/v2/rude/lies/blobs/uploads/?digest={digest}");
        for (method, target) in [("POST", &whole), ("PUT", &manifest), ("PUT", &last)] {
            let head = format!("{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
            let heard = raw::say(&watched.server, format!("{head}{body}").as_bytes());
            let statuses = heard.statuses();
            assert!(statuses.iter().all(|status| (400..500).contains(status)), "{method} {length}: {}", heard.text);
            assert!(heard.ended, "{method} {length}: {}", heard.text);
        }
        // What came stays in the session, which is still there.
        let _ = client.fresh().delete(&session).expect(204);
    }
    watched.assert_nothing_stored();
    watched.assert_unharmed();
}
