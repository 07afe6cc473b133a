//! A request being put together and sent; never a header that was not asked for, except Host and the body's length.

use std::fmt::Write as _;
use std::io::{self, Read};

use super::Client;
use super::connection::Connection;
use super::response::{Failure, Response};

/// What follows the head.
enum Body<'a> {
    None,
    Bytes(&'a [u8]),
    Chunked(&'a [u8], usize),
    Stream(Box<dyn Read + 'a>, u64),
    ChunkedStream(Box<dyn Read + 'a>),
}

/// A request that is not yet sent.
pub struct Request<'a> {
    client: &'a Client,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Body<'a>,
}

impl<'a> Request<'a> {
    pub(super) fn new(client: &'a Client, method: &str, target: &str) -> Self {
        Self { client, method: method.to_owned(), target: target.to_owned(), headers: Vec::new(), body: Body::None }
    }

    /// Adds a header; a second one of a name is a second line.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Leaves out the credentials that the client has.
    #[must_use]
    pub fn anonymous(mut self) -> Self {
        self.headers.retain(|(name, _)| name != "Authorization");
        self
    }

    /// A body with its Content-Length.
    #[must_use]
    pub fn body(mut self, bytes: &'a [u8]) -> Self {
        self.body = Body::Bytes(bytes);
        self
    }

    /// A body in chunks of `size`, without Content-Length.
    #[must_use]
    pub fn chunked(mut self, bytes: &'a [u8], size: usize) -> Self {
        self.body = Body::Chunked(bytes, size);
        self
    }

    /// A body of `length` bytes from a reader, with Content-Length.
    #[must_use]
    pub fn stream(mut self, reader: impl Read + 'a, length: u64) -> Self {
        self.body = Body::Stream(Box::new(reader), length);
        self
    }

    /// A body from a reader, in chunks, without Content-Length.
    #[must_use]
    pub fn chunked_stream(mut self, reader: impl Read + 'a) -> Self {
        self.body = Body::ChunkedStream(Box::new(reader));
        self
    }

    /// Sends it and reads the whole answer.
    ///
    /// # Panics
    /// Where no whole answer comes.
    #[must_use]
    #[track_caller]
    pub fn call(self) -> Response {
        let what = format!("{} {}", self.method, self.target);
        match self.send() {
            Ok(response) => response,
            Err(failure) => panic!("{what}: {failure}"),
        }
    }

    /// Sends it and reads the whole answer.
    ///
    /// A kept connection that the server had closed meanwhile is replaced once; nothing else is repeated.
    ///
    /// # Errors
    /// Where no whole answer comes.
    pub fn send(mut self) -> Result<Response, Failure> {
        let replayable = matches!(self.body, Body::None | Body::Bytes(_) | Body::Chunked(..));
        if let Some(connection) = replayable.then(|| self.client.take_idle()).flatten() {
            match self.exchange(connection) {
                Err(Failure::NoAnswer(_)) => {}
                done => return done,
            }
        }
        let connection = self.client.connect().map_err(Failure::NoConnection)?;
        self.exchange(connection)
    }

    fn exchange(&mut self, mut connection: Connection) -> Result<Response, Failure> {
        let sent = self.transmit(&mut connection);
        let response = connection.read_response(&self.method);
        match (sent, response) {
            (Ok(()), Ok(response)) => {
                if response.keeps_connection() {
                    self.client.keep(connection);
                }
                Ok(response)
            }
            // The server answered before the body was sent and does not take the rest: its answer counts.
            (Err(_), Ok(response)) => Ok(response),
            (Err(error), Err(Failure::NoAnswer(_))) => Err(Failure::NoAnswer(error)),
            (_, Err(failure)) => Err(failure),
        }
    }

    fn head(&self) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        let mut add = |name: &str, value: &str| {
            let _ = write!(head, "{name}: {value}\r\n");
        };
        if !self.names_header("host") {
            add("Host", &self.client.address().to_string());
        }
        for (name, value) in &self.headers {
            add(name, value);
        }
        match &self.body {
            Body::None => {}
            Body::Bytes(bytes) => add("Content-Length", &bytes.len().to_string()),
            Body::Stream(_, length) => add("Content-Length", &length.to_string()),
            Body::Chunked(..) | Body::ChunkedStream(_) => add("Transfer-Encoding", "chunked"),
        }
        head.push_str("\r\n");
        head
    }

    fn names_header(&self, wanted: &str) -> bool {
        let mut names = self.headers.iter().map(|(name, _)| name);
        names.any(|name| name.eq_ignore_ascii_case(wanted))
    }

    fn transmit(&mut self, connection: &mut Connection) -> io::Result<()> {
        let head = self.head();
        if let Body::Bytes(bytes) = &self.body {
            // One packet for small requests, as clients send them.
            if bytes.len() < 16 * 1024 {
                return connection.send(&[head.as_bytes(), bytes].concat());
            }
        }
        connection.send(head.as_bytes())?;
        match &mut self.body {
            Body::None => Ok(()),
            Body::Bytes(bytes) => connection.send(bytes),
            Body::Chunked(bytes, size) => {
                for chunk in bytes.chunks(*size) {
                    send_chunk(connection, chunk)?;
                }
                connection.send(b"0\r\n\r\n")
            }
            Body::Stream(reader, _) => copy(reader, |bytes| connection.send(bytes)),
            Body::ChunkedStream(reader) => {
                copy(reader, |bytes| send_chunk(connection, bytes))?;
                connection.send(b"0\r\n\r\n")
            }
        }
    }
}

fn send_chunk(connection: &mut Connection, bytes: &[u8]) -> io::Result<()> {
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    connection.send(&chunk)
}

fn copy(reader: &mut dyn Read, mut send: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let read = reader.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        send(&buffer[..read])?;
    }
}
