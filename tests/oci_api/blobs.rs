//! Reading blobs: whole, by HEAD, in ranges, conditionally.

use mcr_oci::Digest;
use mcr_tests::{Blob, Random, Response, Server, push};

/// A server with one blob of a thousand bytes in `a/b`.
fn with_blob() -> (Server, Blob, String) {
    let server = Server::start();
    let blob = Blob::random(&mut Random::new(1), 1000);
    push::blob(&server.client(), "a/b", &blob);
    let target = format!("/v2/a/b/blobs/{}", blob.digest);
    (server, blob, target)
}

#[test]
fn get_and_head_carry_digest_length_type_and_etag() {
    let (server, blob, target) = with_blob();
    let client = server.client();
    let get = client.get(&target).expect(200);
    assert_eq!(get.body, blob.bytes);
    for answer in [get, client.head(&target).expect(200)] {
        assert_eq!(answer.required("docker-content-digest"), blob.digest.as_str());
        assert_eq!(answer.required("content-length"), "1000");
        assert_eq!(answer.required("content-type"), "application/octet-stream");
        assert_eq!(answer.required("etag"), format!("\"{}\"", blob.digest));
        assert_eq!(answer.required("accept-ranges"), "bytes");
    }
}

#[test]
fn a_known_etag_answers_304() {
    let (server, blob, target) = with_blob();
    let client = server.client();
    let with = |value: &str| {
        let request = client.request("GET", &target);
        request.header("If-None-Match", value).call()
    };
    let same = with(&format!("\"{}\"", blob.digest)).expect(304);
    assert!(same.body.is_empty());
    let _ = with("*").expect(304);
    let _ = with(&format!("\"x\", \"{}\"", blob.digest)).expect(304);
    let _ = with("\"something else\"").expect(200);
}

fn range(server: &Server, target: &str, range: &str) -> Response {
    let client = server.client();
    client.request("GET", target).header("Range", range).call()
}

#[test]
fn one_range_is_answered_206() {
    let (server, blob, target) = with_blob();
    for (asked, start, end) in [
        ("bytes=0-0", 0, 0),
        ("bytes=0-99", 0, 99),
        ("bytes=100-", 100, 999),
        ("bytes=900-5000", 900, 999),
        ("bytes=-10", 990, 999),
        ("bytes=-5000", 0, 999),
        ("bytes=999-", 999, 999),
    ] {
        let answer = range(&server, &target, asked).expect(206);
        let wanted = format!("bytes {start}-{end}/1000");
        assert_eq!(answer.required("content-range"), wanted, "{asked}");
        assert_eq!(answer.body, blob.bytes[start..=end], "{asked}");
        assert_eq!(answer.required("docker-content-digest"), blob.digest.as_str());
    }
}

#[test]
fn a_range_past_the_end_or_reversed_is_416_with_the_length() {
    let (server, _, target) = with_blob();
    for asked in ["bytes=1000-", "bytes=5000-6000", "bytes=20-10", "bytes=-0"] {
        let answer = range(&server, &target, asked).expect(416);
        assert_eq!(answer.required("content-range"), "bytes */1000", "{asked}");
    }
}

#[test]
fn several_ranges_or_unreadable_ones_are_answered_whole() {
    let (server, blob, target) = with_blob();
    for asked in ["bytes=0-1,5-9", "lines=0-5", "bytes=a-b", "bytes", "bytes=-", "bytes=0-99999999999999999999999999"] {
        let answer = range(&server, &target, asked);
        assert!([200, 206].contains(&answer.status), "{asked}: {}", answer.status);
        if answer.status == 200 {
            assert_eq!(answer.body, blob.bytes, "{asked}");
        } else {
            // Only a huge end may be taken for "to the end".
            assert_eq!(answer.required("content-range"), "bytes 0-999/1000");
        }
    }
}

#[test]
fn if_range_decides_between_part_and_whole() {
    let (server, blob, target) = with_blob();
    let client = server.client();
    let with = |etag: &str| {
        let request = client.request("GET", &target).header("Range", "bytes=10-19");
        request.header("If-Range", etag).call()
    };
    let part = with(&format!("\"{}\"", blob.digest)).expect(206);
    assert_eq!(part.body, blob.bytes[10..20]);
    let whole = with("\"sha256:other\"").expect(200);
    assert_eq!(whole.body, blob.bytes);
}

#[test]
fn head_with_a_range_has_no_body_and_a_true_length() {
    let (server, _, target) = with_blob();
    let client = server.client();
    let head = client.request("HEAD", &target).header("Range", "bytes=0-9");
    let head = head.call();
    let length = if head.status == 206 { "10" } else { "1000" };
    assert!([200, 206].contains(&head.status), "{}", head.status);
    assert_eq!(head.required("content-length"), length);
}

#[test]
fn a_blob_of_no_bytes_is_a_blob() {
    let server = Server::start();
    let client = server.client();
    let empty = Blob::new("");
    push::blob(&client, "a/b", &empty);
    let target = format!("/v2/a/b/blobs/{}", empty.digest);
    let get = client.get(&target).expect(200);
    assert_eq!(get.required("content-length"), "0");
    let _ = client.head(&target).expect(200);
    let none = range(&server, &target, "bytes=0-0").expect(416);
    assert_eq!(none.required("content-range"), "bytes */0");
}

#[test]
fn a_blob_is_found_only_where_it_was_pushed() {
    let (server, blob, _) = with_blob();
    let client = server.client();
    push::blob(&client, "c", &Blob::new("another"));
    let elsewhere = format!("/v2/c/blobs/{}", blob.digest);
    let _ = client.get(&elsewhere).expect_error(404, "BLOB_UNKNOWN");
    let head = client.head(&elsewhere).expect(404);
    assert!(head.body.is_empty());
    let unknown = Digest::sha256(b"never pushed");
    let _ = client.get(&format!("/v2/a/b/blobs/{unknown}")).expect_error(404, "BLOB_UNKNOWN");
    let nowhere = client.get(&format!("/v2/never/pushed/blobs/{unknown}"));
    let codes = nowhere.expect(404).codes();
    assert!(["NAME_UNKNOWN", "BLOB_UNKNOWN"].contains(&codes[0].as_str()));
}

#[test]
fn nothing_is_compressed_on_the_way() {
    let server = Server::start();
    let client = server.client();
    let blob = Blob::new(vec![b'a'; 100_000]);
    push::blob(&client, "a", &blob);
    let request = client.request("GET", &format!("/v2/a/blobs/{}", blob.digest));
    let answer = request.header("Accept-Encoding", "zstd;q=1.0, gzip;q=0.8").call().expect(200);
    assert_eq!(answer.header("content-encoding"), None);
    assert_eq!(answer.body, blob.bytes);
}

#[test]
fn a_large_blob_comes_back_whole_and_in_parts() {
    let server = Server::start();
    let client = server.client();
    let blob = Blob::random(&mut Random::new(2), 9 * 1024 * 1024 + 17);
    push::blob(&client, "big", &blob);
    let target = format!("/v2/big/blobs/{}", blob.digest);
    assert_eq!(client.get(&target).expect(200).digest(), blob.digest);
    let mut joined = Vec::new();
    while joined.len() < blob.size() {
        let last = (joined.len() + 3_000_000).min(blob.size()) - 1;
        let asked = format!("bytes={}-{last}", joined.len());
        let part = range(&server, &target, &asked).expect(206);
        joined.extend_from_slice(&part.body);
    }
    assert!(joined == blob.bytes);
}
