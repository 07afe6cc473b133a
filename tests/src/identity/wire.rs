//! One connection to the stand-in: TLS, HTTP/1.1 with keep-alive, and the moods; never who knows whom.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use super::answers::{self, Asked};
use super::{Mood, Shared};

/// Longest head and longest body that are read.
const MAX: usize = 64 << 10;

type Stream = rustls::StreamOwned<rustls::ServerConnection, TcpStream>;

pub(super) fn serve(tcp: TcpStream, shared: &Shared) -> io::Result<()> {
    if shared.state().mood == Mood::Resets {
        // Closed with a lingering time of zero, a connection is reset.
        return Ok(rustix::net::sockopt::set_socket_linger(&tcp, Some(Duration::ZERO))?);
    }
    tcp.set_nodelay(true)?;
    let tls = rustls::ServerConnection::new(Arc::clone(&shared.tls)).map_err(io::Error::other)?;
    let mut stream = rustls::StreamOwned::new(tls, tcp);
    while let Some(asked) = read(&mut stream)? {
        let mood = {
            let mut state = shared.state();
            answers::count(&mut state, &asked);
            state.mood.clone()
        };
        if asked.is_moody() && mood != Mood::Well {
            return play(&mut stream, &mood);
        }
        let (status, body) = answers::answer(&mut shared.state(), &asked);
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        send(&mut stream, status, "application/json", "", &body)?;
    }
    Ok(())
}

/// Answers as the mood says, and closes.
fn play(stream: &mut Stream, mood: &Mood) -> io::Result<()> {
    match mood {
        Mood::Well => {}
        Mood::Resets => rustix::net::sockopt::set_socket_linger(&stream.sock, Some(Duration::ZERO))?,
        Mood::Stalls(time) => std::thread::sleep(*time),
        Mood::Status(status) => send(stream, *status, "text/plain", "Retry-After: 7\r\n", "not now\n")?,
        Mood::Says(kind, body) => send(stream, 200, kind, "", body)?,
        Mood::Floods(bytes) => {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
            stream.write_all(head.as_bytes())?;
            let piece = format!("4000\r\n{}\r\n", " ".repeat(0x4000));
            for _ in 0..bytes.div_ceil(0x4000) {
                stream.write_all(piece.as_bytes())?;
            }
            stream.write_all(b"0\r\n\r\n")?;
            stream.flush()?;
        }
        Mood::Breaks => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"val")?;
            stream.flush()?;
        }
    }
    Ok(())
}

fn send(stream: &mut Stream, status: u16, kind: &str, headers: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} Said\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{headers}Cache-Control: no-store\r\n\r\n"
    );
    let head = if status == 204 { format!("HTTP/1.1 {status} Said\r\n\r\n") } else { head };
    stream.write_all(format!("{head}{body}").as_bytes())?;
    stream.flush()
}

/// The next request; none where the other side has closed.
fn read(stream: &mut Stream) -> io::Result<Option<Asked>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > MAX || stream.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let mut words = text.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let field = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim().to_owned())
    };
    let length = field("content-length").and_then(|length| length.parse().ok()).unwrap_or(0_usize);
    if length > MAX {
        return Ok(None);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    let bearer = field("authorization").and_then(|value| value.strip_prefix("Bearer ").map(str::to_owned));
    Ok(Some(Asked { method: method.to_owned(), path: path.to_owned(), bearer, body }))
}
