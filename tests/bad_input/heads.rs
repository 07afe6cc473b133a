//! Heads beyond every size, methods nobody knows, endless queries; never how a body is framed.

use std::fmt::Write as _;

use mcr_tests::{Blob, Image, Random, push};

use crate::raw;
use crate::watched::{Watched, assert_refused};

/// That every answer in `heard` is a refusal, of which there is at most one, and that the connection ended.
#[track_caller]
fn assert_rejected(what: &str, heard: &raw::Heard) {
    let statuses = heard.statuses();
    assert!(statuses.len() <= 1, "{what}: {statuses:?}");
    assert!(statuses.iter().all(|status| (400..500).contains(status)), "{what}: {statuses:?}");
    assert!(heard.ended, "{what}: the connection stays open after {:?}", heard.text);
}

#[test]
fn hostile_sizes_of_heads_are_rejected() {
    let mut watched = Watched::impatient();
    let end = "Host: x\r\n\r\n";
    let many = |count: usize| {
        (0..count).fold(String::new(), |mut text, number| {
            let _ = write!(text, "X-{number}: y\r\n");
            text
        })
    };
    let mib = "x".repeat(1 << 20);
    let cases = [
        ("a method of 1 MiB", format!("{mib} / HTTP/1.1\r\n{end}")),
        ("a path of 1 MiB", format!("GET /v2/{mib} HTTP/1.1\r\n{end}")),
        ("a query of 1 MiB", format!("GET /v2/_catalog?n={mib} HTTP/1.1\r\n{end}")),
        ("a version of 1 MiB", format!("GET / HTTP/{mib}\r\n{end}")),
        ("a value of 1 MiB", format!("GET /v2/ HTTP/1.1\r\nX-A: {mib}\r\n{end}")),
        ("a name of 1 MiB", format!("GET /v2/ HTTP/1.1\r\n{mib}: y\r\n{end}")),
        ("an Authorization of 1 MiB", format!("GET /v2/ HTTP/1.1\r\nAuthorization: Basic {mib}\r\n{end}")),
        ("200 headers", format!("GET /v2/ HTTP/1.1\r\n{}{end}", many(200))),
        ("100 000 headers", format!("GET /v2/ HTTP/1.1\r\n{}{end}", many(100_000))),
        ("64 MiB of headers", format!("GET /v2/ HTTP/1.1\r\n{}", "X-A: y\r\n".repeat(8 << 20))),
        ("64 MiB without a line's end", "G".repeat(64 << 20)),
        ("64 MiB of line ends", "\r\n".repeat(32 << 20)),
    ];
    raw::at_once(&cases, |(what, head)| {
        assert_rejected(what, &raw::say(&watched.server, head.as_bytes()));
    });
    watched.assert_nothing_stored();
    watched.assert_unharmed();
}

#[test]
fn what_is_no_head_is_rejected() {
    let mut watched = Watched::impatient();
    let tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    let cases: Vec<Vec<u8>> = [
        &b"\x00\x00\x00\x00"[..],
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /v2/\r\n\r\n",
        b"GET  /v2/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET v2 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v2/ HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\n: x\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\n folded: x\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nX-A: a\0b\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nX-A: a\rb\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nX\xc3\xa4: a\r\n\r\n",
        b"GET /v2/\0 HTTP/1.1\r\n\r\n",
        b"GET /v2/\x7f HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        tls,
    ]
    .map(<[u8]>::to_vec)
    .to_vec();
    raw::at_once(&cases, |bytes| {
        let heard = raw::say(&watched.server, bytes);
        assert_rejected(&String::from_utf8_lossy(bytes), &heard);
    });
    let mut random = Random::announced("what_is_no_head_is_rejected");
    let noise: Vec<Vec<u8>> = (0..32).map(|_| random.bytes(20_000)).collect();
    raw::at_once(&noise, |bytes| assert_rejected("noise", &raw::say(&watched.server, bytes)));
    watched.assert_nothing_stored();
    watched.assert_unharmed();
}

#[test]
fn methods_that_an_endpoint_lacks_are_refused_with_those_it_has() {
    let mut watched = Watched::start();
    let client = watched.server.client();
    let image = Image::random(&mut Random::new(351), 1, 10);
    push::image(&client, "rude/methods", "v1", &image);
    let blob = format!("/v2/rude/methods/blobs/{}", image.layers[0].digest);
    let referrers = format!("/v2/rude/methods/referrers/{}", image.digest());
    let session = push::open_upload(&client, "rude/methods");
    let cases: [(&str, &[&str]); 8] = [
        ("/v2/", &["POST", "PUT", "PATCH", "DELETE"]),
        ("/v2/_catalog", &["POST", "PUT", "PATCH", "DELETE"]),
        ("/v2/rude/methods/tags/list", &["POST", "PUT", "PATCH", "DELETE"]),
        ("/v2/rude/methods/manifests/v1", &["POST", "PATCH"]),
        (&blob, &["POST", "PUT", "PATCH"]),
        (&referrers, &["POST", "PUT", "PATCH", "DELETE"]),
        ("/v2/rude/methods/blobs/uploads/", &["GET", "PUT", "PATCH", "DELETE"]),
        (&session, &["POST"]),
    ];
    for (target, methods) in cases {
        for method in methods.iter().chain(&["TRACE", "OPTIONS", "CONNECT-ME", "get", "PROPFIND", "\x21#$%&'*+"]) {
            let answer = client.request(method, target).body(b"").call();
            assert_refused(&format!("{method} {target}"), &answer);
            assert!([404, 405].contains(&answer.status), "{method} {target}: {}", answer.status);
            if answer.status == 405 {
                assert!(!answer.required("allow").is_empty());
            }
        }
    }
    let _ = client.delete(&session).expect(204);
    watched.assert_uploads(0);
    watched.assert_unharmed();
}

#[test]
fn endless_and_broken_queries_are_answered() {
    let mut watched = Watched::start();
    let client = watched.server.client();
    let image = Image::random(&mut Random::new(352), 1, 10);
    push::image(&client, "rude/queries", "v1", &image);
    let long = "x".repeat(40_000);
    let referrers = format!("/v2/rude/queries/referrers/{}", image.digest());
    for target in ["/v2/_catalog", "/v2/rude/queries/tags/list", &referrers] {
        for query in [
            "n=-1",
            "n=99999999999999999999",
            "n=0",
            "n=x",
            "n=",
            "n=1&n=2",
            "n=%00",
            "last=%00",
            "last=%ff",
            "last=..",
            "last=%f0%9f%92%a9",
            "%",
            "%zz",
            "&&&&",
            "=",
            "n=1%20",
            "artifactType=%00",
            "artifactType=%ff",
            &format!("last={long}"),
            &format!("artifactType={long}"),
            &"n=1&".repeat(10_000),
            &"&".repeat(40_000),
        ] {
            let answer = client.get(&format!("{target}?{query}"));
            if answer.status != 200 {
                let shown: String = query.chars().take(40).collect();
                assert_refused(&format!("{target}?{shown}"), &answer);
            }
        }
    }
    let many: Vec<String> = (0..5000).map(|number| format!("tag=a{number}")).collect();
    let tags = format!("/v2/rude/queries/manifests/{}?{}", image.digest(), many.join("&"));
    let put = client.request("PUT", &tags).header("Content-Type", &image.media_type).body(&image.manifest.bytes);
    assert_refused("5000 tags", &put.call().expect(414));
    assert_eq!(mcr_tests::pull::tags(&client, "rude/queries"), ["v1"]);
    watched.assert_unharmed();
}

#[test]
fn hostile_conditions_and_credentials_are_harmless() {
    let mut watched = Watched::start();
    let client = watched.server.client();
    let blob = Blob::random(&mut Random::new(353), 100);
    push::blob(&client, "rude/heads", &blob);
    let target = format!("/v2/rude/heads/blobs/{}", blob.digest);
    let long = "\"x\",".repeat(10_000);
    for (name, value) in [
        ("If-None-Match", long.as_str()),
        ("If-None-Match", ",,,,"),
        ("Accept", &"a/b;q=9,".repeat(5000)),
        ("Accept-Encoding", "gzip;q=x, zstd, ../.."),
        ("Authorization", "Basic !!!!"),
        ("Authorization", "Bearer"),
        ("Authorization", ""),
        ("Host", ""),
        ("Host", "evil.example/../x"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "javascript"),
        ("Expect", "200-maybe"),
        ("Upgrade", "h2c, websocket"),
        ("Trailer", "Content-Length"),
    ] {
        let get = client.fresh().request("GET", &target).header(name, value).call();
        assert!(get.status < 500, "{name}: {}", get.status);
        assert!(get.status >= 400 || get.body == blob.bytes, "{name}: {} with other bytes", get.status);
    }
    watched.assert_unharmed();
}
