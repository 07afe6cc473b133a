//! Accepting connections up to a bounded number, in all and of one client; PROXY headers and TLS handshakes; never
//! what is said on them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mcr_authentication::Peer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::clients::Client;
use super::connection::{Limits, Protocol, serve};
use super::edge::Edge;
use super::peer::Link;
use super::proxy_protocol::{self, Said};
use crate::config::Names;

/// Connections served at once; more wait in the kernel's queue.
pub const MAX_CONNECTIONS: usize = 8192;
/// Connections the kernel keeps waiting.
const BACKLOG: u32 = 1024;
/// How long accepting rests after an error such as "too many open files".
const REST: Duration = Duration::from_millis(100);

/// Binds a listening socket.
///
/// # Errors
/// The address cannot be bound.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { tokio::net::TcpSocket::new_v4()? } else { tokio::net::TcpSocket::new_v6()? };
    // A restart must not wait for connections of the process before it to time out.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// A listener with what its connections need.
#[derive(Clone)]
pub struct Listening {
    /// The server.
    pub edge: Arc<Edge>,
    /// TLS, or plain.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Limits of each connection.
    pub limits: Limits,
}

/// Accepts until the server stops.
pub async fn accept(listener: TcpListener, listening: Listening) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = listening.edge.stopping.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let tasks = listening.edge.tasks.clone();
                tasks.spawn(connected(listening.clone(), stream, peer, place));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// A connection that may speak.
#[derive(Debug)]
pub struct Arrived {
    /// How it came.
    pub link: Link,
    /// Whose it is, where that is counted.
    pub client: Option<Client>,
    /// Its bytes.
    pub stream: Stream,
    _place: Option<OwnedSemaphorePermit>,
}

/// The bytes of a connection.
#[derive(Debug)]
pub enum Stream {
    /// As they come.
    Plain(TcpStream),
    /// Out of TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Finds out who made a connection, and brings it to where requests begin; `None` where it does not get there, which
/// is in the log.
pub async fn arrive(listening: &Listening, mut stream: TcpStream, peer: SocketAddr) -> Option<Arrived> {
    // An answer is written in few large pieces: waiting to join small ones only adds latency.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    let names = listening.edge.live.names();
    let mut link = link(listening, &mut stream, peer, &names).await?;
    link.local = stream.local_addr().ok();
    // Who comes through a trusted proxy is known with each request.
    let client = if link.is_trusted() {
        None
    } else {
        listening.edge.clients.of(&Peer { address: Some(link.address), is_shared: link.is_shared })
    };
    let Ok(place) = client.as_ref().map(Client::connect).transpose() else {
        tracing::debug!(client = %link.address, "a connection too many of one client was closed");
        return None;
    };
    let stream = match &listening.tls {
        None => Stream::Plain(stream),
        Some(config) => {
            let accepting = TlsAcceptor::from(Arc::clone(config)).accept(stream);
            match tokio::time::timeout(listening.limits.head, accepting).await {
                Ok(Ok(stream)) => Stream::Tls(Box::new(stream)),
                Ok(Err(error)) => {
                    tracing::debug!(%error, %peer, "a TLS handshake failed");
                    return None;
                }
                Err(_) => {
                    tracing::debug!(%peer, "a TLS handshake took too long");
                    return None;
                }
            }
        }
    };
    link.tls = listening.tls.is_some();
    Some(Arrived { link, client, stream, _place: place })
}

/// Whom the socket, or the PROXY header where one is believed, says it is from.
async fn link(listening: &Listening, stream: &mut TcpStream, peer: SocketAddr, names: &Arc<Names>) -> Option<Link> {
    let socket = peer.ip().to_canonical();
    let reading = proxy_protocol::read(stream, socket, listening.edge.proxy_protocol, names);
    match tokio::time::timeout(listening.limits.head, reading).await {
        Ok(Ok(Said::Nothing)) => Some(Link::new(socket, names)),
        Ok(Ok(Said::Nobody)) => Some(Link::new(socket, names).shared()),
        Ok(Ok(Said::Client(address))) => Some(Link::new(address, names)),
        Ok(Err(error)) => {
            tracing::debug!(%peer, %error, "a connection was closed");
            None
        }
        Err(_) => {
            tracing::debug!(%peer, "a connection was closed: its PROXY protocol header took too long");
            None
        }
    }
}

async fn connected(listening: Listening, stream: TcpStream, peer: SocketAddr, place: OwnedSemaphorePermit) {
    if let Some(Arrived { link, client, stream, _place }) = arrive(&listening, stream, peer).await {
        let from = (link, client);
        match stream {
            Stream::Plain(stream) => serve(listening.edge, stream, from, Protocol::Http1, listening.limits).await,
            Stream::Tls(stream) => {
                let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let protocol = if http2 { Protocol::Http2 } else { Protocol::Http1 };
                serve(listening.edge, *stream, from, protocol, listening.limits).await;
            }
        }
    }
    drop(place);
}
