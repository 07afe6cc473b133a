//! Tests of headers as they come over a socket.

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::*;

/// What is read of a connection that sends `bytes`, and what is left of them.
async fn read_from(
    bytes: &[u8],
    socket: &str,
    mode: ProxyProtocol,
    trusted: &[&str],
) -> (Result<Said, BadHeader>, Vec<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut sender = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    sender.write_all(bytes).await.unwrap();
    drop(sender);
    let trusted_proxies = trusted.iter().map(|network| network.parse().unwrap()).collect();
    let names = Names { trusted_proxies, ..Names::default() };
    let said = read(&mut stream, socket.parse().unwrap(), mode, &names).await;
    let mut left = Vec::new();
    stream.read_to_end(&mut left).await.unwrap();
    (said, left)
}

async fn said(bytes: &[u8]) -> Result<Said, BadHeader> {
    read_from(bytes, "10.0.0.1", ProxyProtocol::Required, &["10.0.0.0/8"]).await.0
}

fn v2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = v2::PROTOCOL_PREFIX.to_vec();
    bytes.extend([0x20 | command, family]);
    bytes.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    bytes.extend(payload);
    bytes
}

const TCP4: [u8; 12] = [192, 0, 2, 7, 10, 0, 0, 9, 0x12, 0x34, 0x20, 0xfb];

fn is_client(said: &Result<Said, BadHeader>, address: &str) -> bool {
    matches!(said, Ok(Said::Client(client)) if client.to_string() == address)
}

#[tokio::test]
async fn both_versions_name_the_client_and_leave_the_rest() {
    let one = b"PROXY TCP4 192.0.2.7 10.0.0.9 4711 8443\r\n\x16\x03\x01rest".as_slice();
    let (said_one, left) = read_from(one, "10.0.0.1", ProxyProtocol::Optional, &["10.0.0.0/8"]).await;
    assert!(is_client(&said_one, "192.0.2.7") && left == b"\x16\x03\x01rest", "{said_one:?}");
    let six = said(b"PROXY TCP6 2001:db8::7 2001:db8::9 4711 8443\r\n").await;
    assert!(is_client(&six, "2001:db8::7"), "{six:?}");
    let mut two = v2(1, 0x11, &TCP4);
    two.extend(b"GET /");
    let (said_two, left) = read_from(&two, "10.0.0.1", ProxyProtocol::Required, &["10.0.0.0/8"]).await;
    assert!(is_client(&said_two, "192.0.2.7") && left == b"GET /", "{said_two:?}");
    let mut with_more = TCP4.to_vec();
    with_more.extend([0x04, 0, 3, 1, 2, 3]);
    assert!(is_client(&said(&v2(1, 0x11, &with_more)).await, "192.0.2.7"), "what proxies add is passed over");
}

#[tokio::test]
async fn a_header_without_a_client_names_nobody() {
    for bytes in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(),
        v2(0, 0x00, &[]),
        v2(0, 0x11, &TCP4),
        v2(1, 0x00, &[]),
        v2(1, 0x31, &[0; 216]),
    ] {
        let said = said(&bytes).await;
        assert!(matches!(said, Ok(Said::Nobody)), "{bytes:?}: {said:?}");
    }
}

#[tokio::test]
async fn garbage_is_refused_and_bounded() {
    let long = [b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat();
    for bytes in [
        b"PROXY TCP4 192.0.2.7 10.0.0.9 4711\r\n".to_vec(),
        b"PROXY TCP4 999.0.2.7 10.0.0.9 1 2\r\n".to_vec(),
        b"PROXY TCP6 192.0.2.7 10.0.0.9 1 2\r\n".to_vec(),
        b"PROXY \r\n".to_vec(),
        b"PROXY TCP4".to_vec(),
        long,
        v2(2, 0x11, &TCP4),
        v2(1, 0x11, &TCP4[..6]),
        v2(1, 0x11, &vec![0; 5000]),
        v2(1, 0x11, &TCP4)[..20].to_vec(),
        b"PRO".to_vec(),
    ] {
        // A sender that is gone ends the wait for more of what it began.
        let said = tokio::time::timeout(Duration::from_millis(300), said(&bytes)).await;
        assert!(!matches!(said, Ok(Ok(_))), "{bytes:?}: {said:?}");
    }
    assert!(matches!(said(b"GET /v2/ HTTP/1.1\r\n").await, Err(BadHeader::Missing)));
}

#[tokio::test]
async fn only_those_who_are_believed_are_read() {
    use ProxyProtocol::{Off, Optional, Required};
    let header = b"PROXY TCP4 192.0.2.7 10.0.0.9 4711 8443\r\n".as_slice();
    let tls = b"\x16\x03\x01\x02\x00\x01".as_slice();
    let believed = |said: &Result<Said, BadHeader>| is_client(said, "192.0.2.7");
    let nothing = |said: &Result<Said, BadHeader>| matches!(said, Ok(Said::Nothing));
    let (said, left) = read_from(header, "10.0.0.1", Off, &["10.0.0.0/8"]).await;
    assert!(nothing(&said) && left == header);
    // Optional: a stranger's header is no header but bytes that are neither TLS nor HTTP.
    let (said, left) = read_from(header, "192.0.2.66", Optional, &["10.0.0.0/8"]).await;
    assert!(nothing(&said) && left == header);
    assert!(nothing(&read_from(tls, "10.0.0.1", Optional, &["10.0.0.0/8"]).await.0));
    assert!(nothing(&read_from(b"PUT /v2/", "10.0.0.1", Optional, &["10.0.0.0/8"]).await.0));
    // Required: from trusted proxies where they are set, else from everybody.
    let said = read_from(header, "192.0.2.66", Required, &["10.0.0.0/8"]).await.0;
    assert!(matches!(said, Err(BadHeader::NotTrusted)), "{said:?}");
    assert!(believed(&read_from(header, "192.0.2.66", Required, &[]).await.0));
    assert!(matches!(read_from(tls, "192.0.2.66", Required, &[]).await.0, Err(BadHeader::Missing)));
    // Loopback may come without, and with where nobody else is named.
    assert!(nothing(&read_from(tls, "127.0.0.1", Required, &["10.0.0.0/8"]).await.0));
    assert!(nothing(&read_from(tls, "127.0.0.1", Required, &[]).await.0));
    assert!(believed(&read_from(header, "127.0.0.1", Required, &[]).await.0));
    assert!(nothing(&read_from(header, "127.0.0.1", Required, &["10.0.0.0/8"]).await.0));
}
