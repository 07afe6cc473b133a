//! One connection, plain or TLS, with a read buffer; never a retry.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;

use super::response::{Failure, Response};

type TlsStream = rustls::StreamOwned<rustls::ClientConnection, TcpStream>;

/// The two kinds of transport.
#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream>),
}

/// A connection to the server that sends and receives raw bytes, and can read whole answers.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    buffer: Vec<u8>,
    consumed: usize,
}

impl Connection {
    pub(super) fn open(
        address: SocketAddr,
        source: Option<IpAddr>,
        tls: Option<Arc<rustls::ClientConfig>>,
        timeout: Duration,
    ) -> io::Result<Self> {
        let tcp = match source {
            None => TcpStream::connect_timeout(&address, timeout)?,
            Some(source) => connect_from(source, address)?,
        };
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(timeout))?;
        tcp.set_write_timeout(Some(timeout))?;
        let stream = match tls {
            None => Stream::Plain(tcp),
            Some(config) => {
                let name = ServerName::from(address.ip());
                let client = rustls::ClientConnection::new(config, name).map_err(io::Error::other)?;
                Stream::Tls(Box::new(rustls::StreamOwned::new(client, tcp)))
            }
        };
        Ok(Self { stream, buffer: Vec::new(), consumed: 0 })
    }

    /// Sends `bytes` as they are.
    ///
    /// # Errors
    /// Where the other side has gone or does not read.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(tcp) => tcp.write_all(bytes),
            Stream::Tls(tls) => tls.write_all(bytes).and_then(|()| tls.flush()),
        }
    }

    /// Says that nothing more will be sent, and still listens.
    ///
    /// # Errors
    /// Where the connection is gone already.
    pub fn finish_sending(&mut self) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(tcp) => tcp.shutdown(Shutdown::Write),
            Stream::Tls(tls) => {
                tls.conn.send_close_notify();
                tls.flush()
            }
        }
    }

    /// Sets how long a read may be silent.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn set_timeout(&mut self, timeout: Duration) -> io::Result<()> {
        let tcp = match &self.stream {
            Stream::Plain(tcp) => tcp,
            Stream::Tls(tls) => tls.get_ref(),
        };
        tcp.set_read_timeout(Some(timeout))
    }

    /// Reads the answer to a request of `method`.
    ///
    /// # Errors
    /// Where the answer is not whole.
    pub fn read_response(&mut self, method: &str) -> Result<Response, Failure> {
        Response::read(self, method)
    }

    /// The next bytes that came, at least one; empty at the end.
    pub(super) fn fill(&mut self) -> io::Result<&[u8]> {
        if self.consumed == self.buffer.len() {
            self.buffer.resize(64 * 1024, 0);
            self.consumed = 0;
            let read = self.read_some();
            self.buffer.truncate(*read.as_ref().unwrap_or(&0));
            read?;
        }
        Ok(&self.buffer[self.consumed..])
    }

    /// One read, again where a signal ended it: a socket with a timeout is not gone on with by the
    /// system once the process was stopped and continued (signal(7)).
    fn read_some(&mut self) -> io::Result<usize> {
        loop {
            let read = match &mut self.stream {
                Stream::Plain(tcp) => tcp.read(&mut self.buffer),
                Stream::Tls(tls) => tls.read(&mut self.buffer),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }

    pub(super) const fn consume(&mut self, bytes: usize) {
        self.consumed += bytes;
    }

    /// One line without its end; `None` where the connection ended before it began.
    pub(super) fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        loop {
            let bytes = self.fill()?;
            if bytes.is_empty() {
                let whole = line.is_empty().then_some(None);
                return whole.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof));
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(bytes.len(), |end| end + 1);
            line.extend_from_slice(&bytes[..taken]);
            self.consume(taken);
            if end.is_some() {
                let text = String::from_utf8_lossy(&line);
                return Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()));
            }
        }
    }
}

/// Connects from an address of one's own choice, such as any of 127.0.0.0/8.
fn connect_from(source: IpAddr, address: SocketAddr) -> io::Result<TcpStream> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};
    let family = if source.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    bind(&socket, &SocketAddr::new(source, 0))?;
    connect(&socket, &address)?;
    Ok(TcpStream::from(socket))
}
