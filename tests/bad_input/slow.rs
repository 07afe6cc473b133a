//! Slow loris: heads and bodies that never end, connections that say nothing; never clients that go away.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use mcr_tests::push::{location, open_upload, with_query};
use mcr_tests::{Blob, Options, Server};

use crate::raw;
use crate::watched::{Watched, assert_refused, short};

/// How many of them there are.
const CLIENTS: usize = 200;
/// What a timeout of one second may take on a busy machine.
const SOON: Duration = Duration::from_secs(15);

/// Sends a byte now and then until the server has had enough.
#[track_caller]
fn drip(streams: &mut Vec<TcpStream>, byte: u8, what: &str) {
    let start = Instant::now();
    while !streams.is_empty() {
        assert!(start.elapsed() < SOON, "{} of {CLIENTS} {what} are still served", streams.len());
        streams.retain_mut(|stream| {
            stream.set_nonblocking(true).unwrap();
            let sent = stream.write(&[byte]);
            let heard = stream.peek(&mut [0]);
            let open = matches!(&heard, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock);
            sent.is_ok() && open
        });
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn heads_that_drip_are_ended_while_others_are_served() {
    let mut watched = Watched::impatient();
    for start in ["", "G", "GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Slow: "] {
        let mut streams: Vec<TcpStream> = (0..CLIENTS).map(|_| raw::open(&watched.server)).collect();
        for stream in &mut streams {
            stream.write_all(start.as_bytes()).unwrap();
        }
        let _ = watched.server.client().fresh().get("/v2/").expect(200);
        drip(&mut streams, b'a', "dripping heads");
    }
    watched.assert_unharmed();
}

#[test]
fn connections_that_say_nothing_are_ended() {
    let mut watched = Watched::impatient();
    let mut streams: Vec<TcpStream> = (0..CLIENTS).map(|_| raw::open(&watched.server)).collect();
    let mut after: Vec<TcpStream> = (0..CLIENTS).map(|_| raw::open(&watched.server)).collect();
    for stream in &mut after {
        stream.write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    }
    let _ = watched.server.client().fresh().get("/v2/").expect(200);
    for stream in streams.iter_mut().chain(&mut after) {
        assert!(raw::hear(stream).ended, "an idle connection stays open");
    }
    watched.assert_unharmed();
}

#[test]
fn tls_handshakes_that_never_end_are_ended() {
    let server = Server::with(short(Options::secured()));
    // The head of a ClientHello that announces 512 bytes.
    for start in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
        let mut streams: Vec<TcpStream> = (0..CLIENTS).map(|_| raw::open(&server)).collect();
        for stream in &mut streams {
            stream.write_all(start).unwrap();
        }
        let _ = server.client().fresh().get("/v2/").expect(200);
        for stream in &mut streams {
            assert!(raw::hear(stream).ended, "a handshake that never ends stays open");
        }
    }
    let open = mcr_tests::memory::open_files(server.pid());
    assert!(open < CLIENTS / 2, "{open} files are open");
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

#[test]
fn bodies_that_fall_silent_are_refused_and_their_sessions_go_on() {
    let mut watched = Watched::impatient();
    let client = watched.server.client();
    let blob = Blob::new(b"hello".to_vec());
    let clients: Vec<usize> = (0..20).collect();
    raw::at_once(&clients, |number| {
        let client = client.fresh();
        let repository = format!("rude/silent{number}");
        let session = open_upload(&client, &repository);
        let framing = ["Content-Length: 1000", "Transfer-Encoding: chunked"][number % 2];
        let body = ["hello", "5\r\nhello\r\n"][number % 2];
        let mut connection = client.connect().unwrap();
        let head = format!("PATCH {session} HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n{body}");
        connection.send(head.as_bytes()).unwrap();
        if let Ok(answer) = connection.read_response("PATCH") {
            assert_refused("a silent body", &answer.expect(400));
        }
        // What came stays, as a client that continues expects.
        let status = client.get(&session).expect(204);
        assert_eq!(status.required("range"), "0-4");
        let put = client.put(&with_query(&location(&status), &format!("digest={}", blob.digest)), b"");
        let _ = put.expect(201);
    });
    watched.assert_uploads(0);
    watched.assert_unharmed();
}

#[test]
fn manifests_and_whole_posts_that_fall_silent_store_nothing() {
    let mut watched = Watched::impatient();
    let whole = format!("POST /v2/rude/silent/blobs/uploads/?digest={}", Blob::new(b"hello".to_vec()).digest);
    let requests: Vec<String> = (0..30)
        .map(|number| {
            let line = ["PUT /v2/rude/silent/manifests/v1", &whole][number % 2];
            // As many bytes as were announced, less one; more than is kept in hand, in the last third.
            let length = [5, 5000, 2_000_000][number % 3];
            let body = "h".repeat(length - 1);
            format!("{line} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}")
        })
        .collect();
    raw::at_once(&requests, |request| {
        let heard = raw::say(&watched.server, request.as_bytes());
        assert!(heard.ended, "{}", heard.text);
        assert!(heard.statuses().iter().all(|status| *status == 400), "{}", heard.text);
    });
    watched.assert_nothing_stored();
    watched.assert_unharmed();
}
