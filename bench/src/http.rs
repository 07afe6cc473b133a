//! A lean HTTP/1.1 client on a blocking socket: it shares two cores with the server it loads, so it
//! copies little and has no runtime. Knows nothing of registries.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};

use crate::error::Error;

/// A server that is silent for this long has failed; it also bounds a run.
const SILENCE: Duration = Duration::from_secs(120);
/// Longest head line taken from a server.
const LINE_MAX: u64 = 16 * 1024;
/// Longest body kept; the bench asks for nothing larger than this outside `wrk`.
const BODY_MAX: u64 = 80 * 1024 * 1024;
/// Bodies up to this size leave in one write with their head.
const JOIN_MAX: usize = 128 * 1024;

/// Where to connect, and whether with TLS.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Loopback address of the server.
    pub(crate) address: SocketAddr,
    /// TLS set-up, or none for plain HTTP.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// The `Authorization` that every request carries.
    pub(crate) authorization: Option<String>,
}

/// What follows the head of a request.
#[derive(Clone, Copy)]
pub(crate) enum Body<'a> {
    /// Nothing.
    Empty,
    /// These bytes.
    Bytes(&'a [u8]),
    /// A body too large to hold: its length, and what writes it.
    Stream(u64, &'a dyn Fn(&mut dyn Write) -> io::Result<()>),
}

impl Body<'_> {
    fn length(&self) -> u64 {
        match self {
            Body::Empty => 0,
            Body::Bytes(bytes) => bytes.len() as u64,
            Body::Stream(length, _) => *length,
        }
    }
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Response {
    /// Status code.
    pub(crate) status: u16,
    /// The `Location` header.
    pub(crate) location: Option<String>,
    /// The whole body.
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The response if it has the wanted status; else an error that names the request.
    pub(crate) fn require(self, status: u16, what: impl FnOnce() -> String) -> Result<Response, Error> {
        if self.status == status {
            return Ok(self);
        }
        let shown = self.body.get(..300).unwrap_or(&self.body);
        Err(Error::Answer { what: what(), status: self.status, body: String::from_utf8_lossy(shown).into_owned() })
    }
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.read(buffer),
            Stream::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.write(bytes),
            Stream::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.flush(),
            Stream::Tls(stream) => stream.flush(),
        }
    }
}

/// One kept-alive connection. Not reopened when it breaks: a server that closes it fails the sample.
pub(crate) struct Connection {
    stream: BufReader<Stream>,
    host: String,
    authorization: Option<String>,
    out: Vec<u8>,
}

impl Connection {
    /// Connects, and with TLS finishes the handshake, so that neither is timed later.
    pub(crate) fn open(target: &Target) -> Result<Connection, Error> {
        let host = target.address.to_string();
        let opened = open(target).map_err(|source| Error::Connection { what: format!("connect to {host}"), source })?;
        let authorization = target.authorization.clone();
        Ok(Connection { stream: BufReader::with_capacity(64 * 1024, opened), host, authorization, out: Vec::new() })
    }

    /// Sends one request and reads its answer.
    pub(crate) fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Body<'_>,
    ) -> Result<Response, Error> {
        let sent = self.write(method, path, headers, body);
        // A server may refuse a body half-way: what it said is worth more than "broken pipe".
        match (sent, self.read(method == "HEAD")) {
            (Ok(()), Ok(response)) => Ok(response),
            (Err(_), Ok(response)) if response.status >= 400 => Ok(response),
            (Err(source), _) | (Ok(()), Err(source)) => {
                Err(Error::Connection { what: format!("{method} {path} on {}", self.host), source })
            }
        }
    }

    fn write(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: Body<'_>) -> io::Result<()> {
        self.out.clear();
        write!(self.out, "{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.host)?;
        if let Some(authorization) = &self.authorization {
            write!(self.out, "Authorization: {authorization}\r\n")?;
        }
        for (name, value) in headers {
            write!(self.out, "{name}: {value}\r\n")?;
        }
        if !matches!(method, "GET" | "HEAD" | "DELETE") {
            write!(self.out, "Content-Length: {}\r\n", body.length())?;
        }
        self.out.extend_from_slice(b"\r\n");
        let stream = self.stream.get_mut();
        match body {
            Body::Bytes(bytes) if bytes.len() <= JOIN_MAX => {
                self.out.extend_from_slice(bytes);
                stream.write_all(&self.out)?;
            }
            Body::Bytes(bytes) => {
                stream.write_all(&self.out)?;
                stream.write_all(bytes)?;
            }
            Body::Empty => stream.write_all(&self.out)?,
            Body::Stream(_, write) => {
                stream.write_all(&self.out)?;
                write(stream)?;
            }
        }
        stream.flush()
    }

    fn read(&mut self, head_only: bool) -> io::Result<Response> {
        loop {
            let head = Head::read(&mut self.stream)?;
            if head.status < 200 {
                continue;
            }
            let mut body = Vec::new();
            if head.chunked && !head_only {
                read_chunks(&mut self.stream, &mut body)?;
            } else if !head_only && !matches!(head.status, 204 | 304) {
                read_exactly(&mut self.stream, head.length, &mut body)?;
            }
            return Ok(Response { status: head.status, location: head.location, body });
        }
    }
}

fn open(target: &Target) -> io::Result<Stream> {
    let tcp = TcpStream::connect(target.address)?;
    tcp.set_nodelay(true)?;
    tcp.set_read_timeout(Some(SILENCE))?;
    tcp.set_write_timeout(Some(SILENCE))?;
    let Some(config) = &target.tls else {
        return Ok(Stream::Plain(tcp));
    };
    let name = ServerName::from(target.address.ip());
    let session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(session, tcp);
    stream.conn.complete_io(&mut stream.sock)?;
    Ok(Stream::Tls(Box::new(stream)))
}

/// The part of a response's head the bench looks at.
#[derive(Debug, Default, PartialEq, Eq)]
struct Head {
    status: u16,
    length: u64,
    chunked: bool,
    location: Option<String>,
}

impl Head {
    fn read(stream: &mut impl BufRead) -> io::Result<Head> {
        let first = line(stream)?;
        let status = first
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3))
            .and_then(|code| code.parse().ok())
            .ok_or_else(|| invalid("no HTTP/1.1 status line"))?;
        let mut head = Head { status, ..Head::default() };
        loop {
            let line = line(stream)?;
            if line.is_empty() {
                return Ok(head);
            }
            let Some((name, value)) = line.split_once(':') else {
                return Err(invalid("a header line without a colon"));
            };
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                head.length = value.parse().map_err(|_| invalid("bad Content-Length"))?;
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                head.chunked = value.eq_ignore_ascii_case("chunked");
            } else if name.eq_ignore_ascii_case("location") {
                head.location = Some(value.to_owned());
            }
        }
    }
}

/// One line without its ending; an end of the stream is an error.
fn line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    stream.take(LINE_MAX).read_line(&mut line)?;
    if !line.ends_with('\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line)
}

fn read_exactly(stream: &mut impl BufRead, length: u64, body: &mut Vec<u8>) -> io::Result<()> {
    if length.saturating_add(body.len() as u64) > BODY_MAX {
        return Err(invalid("a body larger than any the bench asks for"));
    }
    let read = stream.take(length).read_to_end(body)?;
    if read as u64 == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn read_chunks(stream: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let size = line(stream)?;
        let digits = size.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(digits, 16).map_err(|_| invalid("bad chunk size"))?;
        read_exactly(stream, size, body)?;
        // After the last chunk this is the end of the (empty) trailers.
        line(stream)?;
        if size == 0 {
            return Ok(());
        }
    }
}

fn invalid(problem: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

#[cfg(test)]
mod tests;
