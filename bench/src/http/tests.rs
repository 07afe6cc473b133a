//! The response reader against bytes, and a whole exchange over a socket.

use std::{io::Cursor, net::TcpListener, thread};

use super::*;

#[test]
fn reads_the_head_a_registry_sends() {
    let text = "HTTP/1.1 202 Accepted\r\nlocation: /v2/a/blobs/uploads/1?_state=x\r\nContent-Length: 0\r\n\r\n";
    let head = Head::read(&mut Cursor::new(text)).unwrap();
    assert_eq!(head.status, 202);
    assert_eq!(head.location.as_deref(), Some("/v2/a/blobs/uploads/1?_state=x"));
    assert_eq!((head.length, head.chunked), (0, false));
}

#[test]
fn refuses_what_is_not_http_or_ends_early() {
    assert!(Head::read(&mut Cursor::new("SSH-2.0-x\r\n\r\n")).is_err());
    assert!(Head::read(&mut Cursor::new("HTTP/1.1 200 OK\r\nA: b\r\n")).is_err());
    assert!(read_exactly(&mut Cursor::new("ab"), 3, &mut Vec::new()).is_err());
    assert!(read_exactly(&mut Cursor::new("ab"), u64::MAX, &mut Vec::new()).is_err());
}

#[test]
fn joins_chunks() {
    let mut body = Vec::new();
    read_chunks(&mut Cursor::new("3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n"), &mut body).unwrap();
    assert_eq!(body, b"abc0123456789");
}

#[test]
fn sends_bodies_and_keeps_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target { address: listener.local_addr().unwrap(), tls: None, authorization: None };
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut seen = Vec::new();
        for body in ["PUT", "streamed"] {
            let mut reader = BufReader::new(&mut stream);
            while !line(&mut reader).unwrap().is_empty() {}
            read_exactly(&mut reader, body.len() as u64, &mut seen).unwrap();
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400 Bad\r\nContent-Length: 2\r\n\r\nno").unwrap();
        }
        seen
    });
    let mut connection = Connection::open(&target).unwrap();
    let first = connection.send("PUT", "/", &[], Body::Bytes(b"PUT")).unwrap();
    assert_eq!((first.status, first.body.as_slice()), (400, b"no".as_slice()));
    let write = |out: &mut dyn Write| out.write_all(b"streamed");
    let second = connection.send("PATCH", "/", &[], Body::Stream(8, &write)).unwrap();
    let refused = second.require(201, || "the push".to_owned()).unwrap_err();
    assert_eq!(refused.to_string(), "the push was answered 400: no");
    assert_eq!(server.join().unwrap(), b"PUTstreamed");
}
