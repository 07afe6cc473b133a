//! Broken ranges of downloads and broken Content-Ranges of chunks: whole, part or refusal, always consistent; never a
//! digest.

use mcr_tests::push::{location, open_upload, with_query};
use mcr_tests::{Blob, Random, Response, push};

use crate::watched::{Watched, assert_refused};

/// What `Range` headers may say that no client means.
fn hostile_ranges() -> Vec<String> {
    let texts = [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=--1",
        "bytes=-0",
        "bytes=5-2",
        "bytes=1000-",
        "bytes=999-5000",
        "bytes=1001-2000",
        "bytes=0-18446744073709551616",
        "bytes=18446744073709551616-",
        "bytes=-18446744073709551616",
        "bytes=9223372036854775807-9223372036854775808",
        "bytes=0-0,1-1",
        "bytes=0-,0-,0-",
        "bytes=a-b",
        "bytes=0x0-0x5",
        "bytes=+0-+5",
        "bytes= 0 - 5 ",
        "bytes=0-5-9",
        "bytes 0-5",
        "items=0-5",
        "bytes=1.5-2",
        "bytes=0--5",
        "=",
        "=0-5",
        "bytes=0-5;q=1",
    ];
    let mut ranges = texts.map(str::to_owned).to_vec();
    ranges.push(format!("bytes={}", vec!["0-"; 4000].join(",")));
    ranges.push(format!("bytes=0-{}", "9".repeat(8000)));
    ranges
}

/// That the answer to a GET with a range is whole, the part it says, or 416.
#[track_caller]
fn assert_consistent(range: &str, blob: &Blob, answer: &Response) {
    let shown: String = range.chars().take(60).collect();
    match answer.status {
        200 => assert!(answer.body == blob.bytes, "{shown}: 200 with something else than all of it"),
        206 => {
            let said = answer.required("content-range");
            let (part, total) = said.strip_prefix("bytes ").and_then(|said| said.split_once('/')).expect(said);
            assert_eq!(total, blob.size().to_string(), "{shown}: {said}");
            let (first, last) = part.split_once('-').expect(said);
            let (first, last): (usize, usize) = (first.parse().expect(said), last.parse().expect(said));
            assert!(blob.bytes.get(first..=last) == Some(&answer.body[..]), "{shown}: {said}");
        }
        416 => {
            assert_refused(&shown, answer);
            assert_eq!(answer.required("content-range"), format!("bytes */{}", blob.size()), "{shown}");
        }
        other => panic!("{shown}: {other}"),
    }
}

#[test]
fn hostile_ranges_are_consistent() {
    let mut watched = Watched::start();
    let client = watched.server.client();
    let blob = Blob::random(&mut Random::new(341), 1000);
    push::blob(&client, "rude/ranges", &blob);
    let target = format!("/v2/rude/ranges/blobs/{}", blob.digest);
    for range in hostile_ranges() {
        assert_consistent(&range, &blob, &client.request("GET", &target).header("Range", &range).call());
        let twice = client.request("GET", &target).header("Range", &range).header("Range", "bytes=1-2").call();
        assert_consistent(&range, &blob, &twice);
        let head = client.request("HEAD", &target).header("Range", &range).call();
        assert!([200, 206, 416].contains(&head.status), "HEAD {range}: {}", head.status);
        for condition in ["\"", "W/", "*", "\"sha256:0\"", "Sat, 29 Oct 1994 19:43:31 GMT"] {
            let get = client.request("GET", &target).header("Range", &range).header("If-Range", condition);
            assert_consistent(&range, &blob, &get.call());
        }
    }
    watched.assert_unharmed();
}

#[test]
fn broken_content_ranges_leave_the_session_as_it_was() {
    let mut watched = Watched::start();
    let client = watched.server.client();
    let blob = Blob::new(b"first second".to_vec());
    let mut session = open_upload(&client, "rude/ranges");
    let start = client.request("PATCH", &session).header("Content-Range", "0-5").body(b"first ").call().expect(202);
    session = location(&start);
    let long = format!("6-{}", "9".repeat(8000));
    let broken = [
        "",
        "-",
        "6",
        "6-",
        "-11",
        "11-6",
        "a-b",
        "6-1x",
        "+6-11",
        "6--11",
        "0x6-0xb",
        "bytes 6-11/5",
        "bytes 6-11/",
        "bytes 6-11/x",
        "bytes */12",
        "6-18446744073709551616",
        "18446744073709551610-18446744073709551615",
        "6-11,6-11",
        "6-11-12",
        "items 6-11/12",
        &long,
        // Well formed, and not what is sent or wanted.
        "6-10",
        "6-12",
        "6-9223372036854775807",
        "0-5",
        "5-10",
        "7-12",
        "9223372036854775802-9223372036854775807",
    ];
    for range in broken {
        let shown: String = range.chars().take(60).collect();
        let last = with_query(&session, &format!("digest={}", blob.digest));
        for (method, target) in [("PATCH", &session), ("PUT", &last)] {
            let announced = client.request(method, target).header("Content-Range", range).body(b"second");
            let answer = announced.call();
            assert_refused(&shown, &answer);
            assert!([400, 416].contains(&answer.status), "{method} {shown}: {}", answer.status);
            let chunked = client.request(method, target).header("Content-Range", range).chunked(b"second", 2);
            assert_refused(&shown, &chunked.call());
        }
        assert_eq!(client.get(&session).expect(204).required("range"), "0-5", "after {shown}");
    }
    let end = client.request("PATCH", &session).header("Content-Range", "6-11").body(b"second").call().expect(202);
    let put = client.put(&with_query(&location(&end), &format!("digest={}", blob.digest)), b"");
    let _ = put.expect(201);
    watched.assert_uploads(0);
    watched.assert_unharmed();
}
