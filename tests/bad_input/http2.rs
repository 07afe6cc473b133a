//! Rude HTTP/2, frame by frame: a silent peer, streams reset as fast as they are opened, endless heads; never a whole
//! client.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use mcr_tests::{Options, tls};

use crate::raw;
use crate::watched::{Watched, short};

type Stream = rustls::StreamOwned<rustls::ClientConnection, TcpStream>;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Kinds of frames (RFC 9113 section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
/// Flags.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// How long a rude connection may live on.
const SOON: Duration = Duration::from_secs(20);

/// A server over TLS that waits a second at most.
fn start() -> Watched {
    Watched::with(short(Options::secured()))
}

/// A TLS connection that agreed on HTTP/2.
fn open(watched: &Watched) -> Stream {
    let mut config = (*tls::trusting(&watched.server.certificate())).clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let address = watched.server.client().address();
    let client = rustls::ClientConnection::new(Arc::new(config), address.ip().into()).unwrap();
    let tcp = TcpStream::connect(address).unwrap();
    tcp.set_read_timeout(Some(SOON)).unwrap();
    tcp.set_write_timeout(Some(SOON)).unwrap();
    let mut stream = rustls::StreamOwned::new(client, tcp);
    stream.flush().unwrap();
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).unwrap();
    }
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"h2"[..]));
    stream
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A head as literals without indexing, not compressed (RFC 7541 section 6.2.2).
fn head(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            integer(&mut block, text.len());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// A length with a prefix of seven bits (RFC 7541 section 5.1).
fn integer(block: &mut Vec<u8>, value: usize) {
    if value < 127 {
        block.push(u8::try_from(value).unwrap());
        return;
    }
    block.push(127);
    let mut rest = value - 127;
    while rest >= 128 {
        block.push(u8::try_from(rest % 128 + 128).unwrap());
        rest /= 128;
    }
    block.push(u8::try_from(rest).unwrap());
}

fn authorization(watched: &Watched) -> String {
    let pair = format!("admin:{}", watched.server.password());
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

/// Reads until the server ends the connection; says whether it did in time.
fn ends(stream: &mut Stream) -> bool {
    let (start, mut buffer) = (Instant::now(), vec![0; 64 * 1024]);
    while start.elapsed() < SOON {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }
    false
}

#[test]
fn a_peer_that_stays_silent_is_ended() {
    let mut watched = start();
    let half = &PREFACE[..10];
    let settings = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    for (what, bytes) in [("nothing", &b""[..]), ("half a preface", half), ("a preface and settings", &settings)] {
        let peers: Vec<usize> = (0..20).collect();
        raw::at_once(&peers, |_| {
            let mut stream = open(&watched);
            stream.write_all(bytes).unwrap();
            assert!(ends(&mut stream), "after {what} the connection stays open");
        });
    }
    watched.assert_unharmed();
}

#[test]
fn streams_reset_as_fast_as_they_open_cost_little() {
    let mut watched = start();
    let authorization = authorization(&watched);
    let head = head(&[
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "x"),
        (":path", "/v2/_catalog"),
        ("authorization", &authorization),
    ]);
    for _ in 0..5 {
        let mut stream = open(&watched);
        stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).unwrap();
        for batch in 0..100_u32 {
            let mut bytes = Vec::new();
            for number in 0..100 {
                let id = 2 * (batch * 100 + number) + 1;
                bytes.extend(frame(HEADERS, END_STREAM | END_HEADERS, id, &head));
                bytes.extend(frame(RST_STREAM, 0, id, &8_u32.to_be_bytes()));
            }
            // A server that has had enough says so and closes.
            if stream.write_all(&bytes).is_err() {
                break;
            }
        }
    }
    let _ = watched.server.client().fresh().get("/v2/").expect(200);
    watched.assert_unharmed();
}

#[test]
fn endless_heads_and_broken_frames_end_the_connection() {
    let mut watched = start();
    let settings = frame(SETTINGS, 0, 0, &[]);
    let long = head(&[(":method", "GET"), (":scheme", "https"), (":path", "/v2/"), ("x-a", &"x".repeat(15_000))]);
    let mut endless = frame(HEADERS, END_STREAM, 1, &long);
    for _ in 0..2000 {
        endless.extend(frame(CONTINUATION, 0, 1, &head(&[("x-b", &"y".repeat(15_000))])));
    }
    let mut empty = frame(HEADERS, END_STREAM, 1, &long);
    empty.extend(frame(CONTINUATION, 0, 1, &[]).repeat(100_000));
    let cases = [
        ("a head without end", endless),
        ("empty continuations without end", empty),
        ("a frame of 16 MiB", [&[0xff, 0xff, 0xff, HEADERS, 4, 0, 0, 0, 1][..], &[0; 100_000]].concat()),
        ("data on stream 0", frame(DATA, 0, 0, b"x")),
        ("data on an idle stream", frame(DATA, 0, 7, b"x")),
        ("a head of garbage", frame(HEADERS, END_STREAM | END_HEADERS, 1, &[0xff; 200])),
        ("an even stream", frame(HEADERS, END_STREAM | END_HEADERS, 2, &long)),
        ("a continuation of nothing", frame(CONTINUATION, END_HEADERS, 1, &[])),
        ("settings of a wrong length", frame(SETTINGS, 0, 0, &[1, 2, 3])),
        ("a ping of a wrong length", frame(PING, 0, 0, &[1])),
        ("garbage", vec![0x42; 50_000]),
    ];
    for (what, bytes) in &cases {
        let mut stream = open(&watched);
        // It may close while this is being sent.
        let _ = stream.write_all(&[PREFACE, &settings, bytes].concat());
        assert!(ends(&mut stream), "{what}: the connection stays open");
    }
    watched.assert_unharmed();
}

#[test]
fn pings_and_settings_without_end_cost_little() {
    let mut watched = start();
    for flood in [frame(PING, 0, 0, &[7; 8]), frame(SETTINGS, 0, 0, &[])] {
        let mut stream = open(&watched);
        stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).unwrap();
        // The answers are never read: what waits to be sent must not grow without end.
        stream.sock.set_write_timeout(Some(Duration::from_secs(3))).unwrap();
        let flood = flood.repeat(5000);
        for _ in 0..100 {
            if stream.write_all(&flood).is_err() {
                break;
            }
        }
        let _ = watched.server.client().fresh().get("/v2/").expect(200);
    }
    watched.assert_unharmed();
}
