//! A blocking HTTP/1.1 client that sends exactly what it is told, also what no library would send; never a redirect
//! followed, a header added behind one's back, or an answer repaired.

mod connection;
mod request;
mod response;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;

pub use connection::Connection;
pub use request::Request;
pub use response::{Failure, Response};

/// A registry as a client sees it: an address, perhaps TLS, perhaps credentials, and idle connections.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    tls: Option<Arc<rustls::ClientConfig>>,
    source: Option<IpAddr>,
    authorization: Option<String>,
    timeout: Duration,
    idle: Mutex<Vec<Connection>>,
}

impl Client {
    /// A client of `address`, over TLS where a configuration is given.
    #[must_use]
    pub fn new(address: SocketAddr, tls: Option<Arc<rustls::ClientConfig>>) -> Self {
        let (timeout, idle) = (Duration::from_secs(60), Mutex::new(Vec::new()));
        Self { address, tls, source: None, authorization: None, timeout, idle }
    }

    /// The same registry, with HTTP Basic credentials.
    #[must_use]
    pub fn with_basic(&self, user: &str, password: &str) -> Self {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        Self { authorization: Some(format!("Basic {pair}")), ..self.fresh() }
    }

    /// The same registry, with a bearer token.
    #[must_use]
    pub fn with_bearer(&self, token: &str) -> Self {
        Self { authorization: Some(format!("Bearer {token}")), ..self.fresh() }
    }

    /// The same registry, without credentials.
    #[must_use]
    pub fn nobody(&self) -> Self {
        Self { authorization: None, ..self.fresh() }
    }

    /// The same registry and credentials, connecting from this address of the machine.
    #[must_use]
    pub fn from(&self, source: IpAddr) -> Self {
        Self { source: Some(source), ..self.fresh() }
    }

    /// The same registry and credentials, without the idle connections.
    #[must_use]
    pub fn fresh(&self) -> Self {
        Self {
            authorization: self.authorization.clone(),
            source: self.source,
            timeout: self.timeout,
            ..Self::new(self.address, self.tls.clone())
        }
    }

    /// The same registry, giving up on silence after `timeout`.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.fresh() }
    }

    /// Where it connects to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// A new connection of one's own, for rude requests.
    ///
    /// # Errors
    /// Where no connection comes about.
    pub fn connect(&self) -> std::io::Result<Connection> {
        Connection::open(self.address, self.source, self.tls.clone(), self.timeout)
    }

    /// A request to be completed and sent; `target` goes on the wire as it is.
    #[must_use]
    pub fn request(&self, method: &str, target: &str) -> Request<'_> {
        let mut request = Request::new(self, method, target);
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        request
    }

    /// `GET target`.
    #[must_use]
    pub fn get(&self, target: &str) -> Response {
        self.request("GET", target).call()
    }

    /// `HEAD target`.
    #[must_use]
    pub fn head(&self, target: &str) -> Response {
        self.request("HEAD", target).call()
    }

    /// `POST target` with an empty body.
    #[must_use]
    pub fn post(&self, target: &str) -> Response {
        self.request("POST", target).body(b"").call()
    }

    /// `PUT target` with `body` and no Content-Type.
    #[must_use]
    pub fn put(&self, target: &str, body: &[u8]) -> Response {
        self.request("PUT", target).body(body).call()
    }

    /// `DELETE target`.
    #[must_use]
    pub fn delete(&self, target: &str) -> Response {
        self.request("DELETE", target).call()
    }

    fn take_idle(&self) -> Option<Connection> {
        self.idle.lock().expect("no thread panics here").pop()
    }

    fn keep(&self, connection: Connection) {
        self.idle.lock().expect("no thread panics here").push(connection);
    }
}
