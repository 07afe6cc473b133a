//! The PROXY protocol before the first byte of HTTP: who is named, who is believed, what is refused.

use std::time::{Duration, Instant};

use mcr_tests::accounts::Registry;

use crate::scene::{behind, send};

const REQUEST: &[u8] = b"GET /v2/ HTTP/1.1\r\nHost: reg.example\r\nConnection: close\r\n\r\n";
const ONE: &[u8] = b"PROXY TCP4 198.51.100.7 10.0.0.9 4711 8443\r\n";

fn two(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    bytes.extend([0x20 | command, family]);
    bytes.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Whom the request behind this header is logged as being from; none where the connection was closed without an answer.
fn from(registry: &Registry, header: &[u8]) -> Option<String> {
    let before = registry.server().log().len();
    let answer = send(&registry.nobody(), &[header, REQUEST].concat())?;
    assert_eq!(answer.status, 401, "{answer:?}");
    let began = Instant::now();
    loop {
        let log = registry.server().log();
        let line = log[before..].lines().find_map(|line| line.split_once(" peer="));
        if let Some((_, peer)) = line {
            return Some(peer.to_owned());
        }
        assert!(began.elapsed().as_secs() < 10, "{log}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_header_names_the_client() {
    for (mode, trusted) in [("required", "[]"), ("required", "[\"127.0.0.1\"]"), ("optional", "[\"127.0.0.1\"]")] {
        let lines = [format!("proxy_protocol = \"{mode}\""), format!("trusted_proxies = {trusted}")];
        let registry = behind(&[&lines[0], &lines[1]]);
        let named = |header: &[u8]| from(&registry, header).unwrap_or_default();
        assert_eq!(named(ONE), "198.51.100.7", "{lines:?}");
        let v4 = [198, 51, 100, 8, 10, 0, 0, 9, 0x12, 0x34, 0x20, 0xfb];
        assert_eq!(named(&two(1, 0x11, &v4)), "198.51.100.8", "{lines:?}");
        let mut v6 = [0; 36];
        v6[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        v6[15] = 7;
        assert_eq!(named(&two(1, 0x21, &v6)), "2001:db8::7", "{lines:?}");
        for nobody in [b"PROXY UNKNOWN\r\n".to_vec(), two(0, 0, &[]), two(1, 0x31, &[0; 216])] {
            assert_eq!(named(&nobody), "127.0.0.1", "{lines:?}");
        }
        // Health checks on this machine, and the registry's own probe, come without.
        assert_eq!(named(b""), "127.0.0.1", "{lines:?}");
    }
}

#[test]
fn a_header_that_is_not_believed_or_none_closes_the_connection() {
    let registry = behind(&["proxy_protocol = \"required\""]);
    for header in [
        b"PROXY TCP4 999.0.0.1 10.0.0.9 1 2\r\n".to_vec(),
        b"PROXY TCP4 198.51.100.7 10.0.0.9 4711\r\n".to_vec(),
        [b"PROXY TCP4 ".to_vec(), vec![b'1'; 300]].concat(),
        two(1, 0x11, &[1; 6]),
        two(7, 0x11, &[1; 12]),
        two(1, 0x11, &[0; 60_000]),
    ] {
        assert_eq!(from(&registry, &header), None, "{:?}", String::from_utf8_lossy(&header));
    }
    // Not of those whose word counts: what they send is no HTTP.
    let registry = behind(&["proxy_protocol = \"optional\"", "trusted_proxies = [\"192.0.2.1\"]"]);
    let answer = send(&registry.nobody(), &[ONE, REQUEST].concat());
    assert!(answer.is_none_or(|answer| answer.status == 400));
    assert_eq!(from(&registry, b"").as_deref(), Some("127.0.0.1"));
    // Off, which is the default.
    let answer = send(&behind(&[]).nobody(), &[ONE, REQUEST].concat());
    assert!(answer.is_none_or(|answer| answer.status == 400));
}

#[test]
fn a_header_that_comes_in_pieces_is_waited_for_and_one_that_does_not_come_is_not() {
    let registry = behind(&["proxy_protocol = \"required\"", "read_timeout = \"1s\""]);
    let client = registry.nobody();
    let mut slow = client.connect().unwrap();
    for piece in ONE.chunks(9) {
        slow.send(piece).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    slow.send(REQUEST).unwrap();
    assert_eq!(slow.read_response("GET").unwrap().status, 401);
    let mut stuck = client.connect().unwrap();
    stuck.send(b"PROXY TCP4 198.").unwrap();
    let began = Instant::now();
    assert!(stuck.read_response("GET").is_err());
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}
