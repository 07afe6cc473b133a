//! Answers: read strictly, looked at conveniently; never a short body taken for a whole one.

use std::io;

use mcr_oci::Digest;
use serde_json::Value;

use super::connection::Connection;

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header fields in their order, names as sent.
    pub headers: Vec<(String, String)>,
    /// The body, complete.
    pub body: Vec<u8>,
    what: String,
    reusable: bool,
}

/// Why there is no whole answer.
#[derive(Debug)]
pub enum Failure {
    /// No connection came about.
    NoConnection(io::Error),
    /// The connection ended, or was silent for too long, before the answer began.
    NoAnswer(io::Error),
    /// The answer began and did not end as announced.
    Cut {
        /// The head that came, with the part of the body that came.
        partial: Box<Response>,
        /// What happened.
        reason: io::Error,
    },
    /// What came is not HTTP.
    Garbled(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoConnection(error) => write!(formatter, "no connection: {error}"),
            Self::NoAnswer(error) => write!(formatter, "no answer: {error}"),
            Self::Cut { partial, reason } => {
                write!(formatter, "answer {} cut after {} bytes: {reason}", partial.status, partial.body.len())
            }
            Self::Garbled(line) => write!(formatter, "not HTTP: {line:?}"),
        }
    }
}

/// How the body ends.
enum Framing {
    Empty,
    Length(usize),
    Chunked,
    Close,
}

impl Response {
    pub(super) fn read(connection: &mut Connection, method: &str) -> Result<Self, Failure> {
        let mut response = Self::read_head(connection, method)?;
        // Interim answers (100 Continue) precede the real one.
        while (100..200).contains(&response.status) {
            response = Self::read_head(connection, method)?;
        }
        let framing = response.framing(method)?;
        response.reusable = !matches!(framing, Framing::Close)
            && response.header("connection").is_none_or(|value| !value.eq_ignore_ascii_case("close"));
        match response.read_body(connection, &framing) {
            Ok(()) => Ok(response),
            Err(reason) => Err(Failure::Cut { partial: Box::new(response), reason }),
        }
    }

    fn read_head(connection: &mut Connection, method: &str) -> Result<Self, Failure> {
        let eof = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let first = connection.line().map_err(Failure::NoAnswer)?;
        let first = first.ok_or_else(|| Failure::NoAnswer(eof()))?;
        let status = first
            .strip_prefix("HTTP/1.1 ")
            .or_else(|| first.strip_prefix("HTTP/1.0 "))
            .and_then(|rest| rest.get(..3))
            .and_then(|code| code.parse().ok());
        let Some(status) = status else {
            return Err(Failure::Garbled(first));
        };
        let mut response =
            Self { status, headers: Vec::new(), body: Vec::new(), what: method.to_owned(), reusable: false };
        loop {
            let line = connection.line().map_err(Failure::NoAnswer)?;
            let line = line.ok_or_else(|| Failure::NoAnswer(eof()))?;
            if line.is_empty() {
                return Ok(response);
            }
            let Some((name, value)) = line.split_once(':') else {
                return Err(Failure::Garbled(line));
            };
            let field = (name.to_owned(), value.trim().to_owned());
            response.headers.push(field);
        }
    }

    fn framing(&self, method: &str) -> Result<Framing, Failure> {
        if method == "HEAD" || self.status == 204 || self.status == 304 {
            return Ok(Framing::Empty);
        }
        if let Some(encoding) = self.header("transfer-encoding") {
            let chunked = encoding.eq_ignore_ascii_case("chunked");
            let framing = chunked.then_some(Framing::Chunked);
            return framing.ok_or_else(|| Failure::Garbled(encoding.to_owned()));
        }
        let Some(length) = self.header("content-length") else {
            return Ok(Framing::Close);
        };
        let length = length.parse().map(Framing::Length);
        length.map_err(|_| Failure::Garbled("Content-Length".to_owned()))
    }

    fn read_body(&mut self, connection: &mut Connection, framing: &Framing) -> io::Result<()> {
        match *framing {
            Framing::Empty => Ok(()),
            Framing::Length(length) => self.read_exactly(connection, length),
            Framing::Close => loop {
                let bytes = connection.fill()?;
                if bytes.is_empty() {
                    return Ok(());
                }
                self.body.extend_from_slice(bytes);
                let taken = bytes.len();
                connection.consume(taken);
            },
            Framing::Chunked => loop {
                let eof = || io::Error::from(io::ErrorKind::UnexpectedEof);
                let size = connection.line()?.ok_or_else(eof)?;
                let size = usize::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
                self.read_exactly(connection, size)?;
                connection.line()?.ok_or_else(eof)?;
                if size == 0 {
                    return Ok(());
                }
            },
        }
    }

    fn read_exactly(&mut self, connection: &mut Connection, length: usize) -> io::Result<()> {
        let mut left = length;
        while left > 0 {
            let bytes = connection.fill()?;
            if bytes.is_empty() {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
            let taken = bytes.len().min(left);
            self.body.extend_from_slice(&bytes[..taken]);
            connection.consume(taken);
            left -= taken;
        }
        Ok(())
    }

    pub(super) const fn keeps_connection(&self) -> bool {
        self.reusable
    }

    /// The first header field of that name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.headers.iter();
        let found = fields.find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The header field of that name.
    ///
    /// # Panics
    /// Where it is not there.
    #[must_use]
    #[track_caller]
    pub fn required(&self, name: &str) -> &str {
        self.header(name).unwrap_or_else(|| panic!("no header {name} in {self:#?}"))
    }

    /// The body as text, damaged letters replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// Where it is none.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.text()))
    }

    /// The sha256 digest of the body.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::sha256(&self.body)
    }

    /// The codes of an OCI error body, in order; empty where it is none.
    #[must_use]
    pub fn codes(&self) -> Vec<String> {
        let texts = |errors: &Vec<Value>| {
            let codes = errors.iter().filter_map(|error| error["code"].as_str());
            codes.map(str::to_owned).collect()
        };
        let json: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        json["errors"].as_array().map(texts).unwrap_or_default()
    }

    /// The messages of an OCI error body, joined by line ends.
    #[must_use]
    pub fn messages(&self) -> String {
        let json: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let errors = json["errors"].as_array().cloned().unwrap_or_default();
        let messages = errors.iter().filter_map(|error| error["message"].as_str());
        messages.collect::<Vec<_>>().join("\n")
    }

    /// This answer, if it has `status`.
    ///
    /// # Panics
    /// Where it has not.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        let text = self.text();
        assert_eq!(self.status, status, "{} {:?} {text}", self.what, self.headers);
        self
    }

    /// This answer, if it is the OCI error `code` with `status` in the form every client can read.
    ///
    /// # Panics
    /// Where it is not.
    #[track_caller]
    pub fn expect_error(self, status: u16, code: &str) -> Self {
        let this = self.expect(status);
        assert_eq!(this.required("content-type"), "application/json");
        let codes = this.codes();
        assert!(!codes.is_empty(), "no OCI error: {}", this.text());
        assert!(codes.iter().all(|other| other == code), "{code} expected: {}", this.text());
        assert!(!this.messages().is_empty(), "no message: {}", this.text());
        this
    }
}
