//! Accepting connections, TLS handshakes among them, up to a bounded number; never what is said on them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;

use super::connection::{Limits, Protocol, serve};
use super::edge::Edge;

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

async fn connected(listening: Listening, stream: TcpStream, peer: SocketAddr, place: OwnedSemaphorePermit) {
    // An answer is written in few large pieces: waiting to join small ones only adds latency.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    let ip = peer.ip().to_canonical();
    match listening.tls {
        None => serve(listening.edge, stream, ip, Protocol::Http1, listening.limits).await,
        Some(config) => {
            let handshake = tokio::time::timeout(listening.limits.head, TlsAcceptor::from(config).accept(stream)).await;
            match handshake {
                Ok(Ok(stream)) => {
                    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    let protocol = if http2 { Protocol::Http2 } else { Protocol::Http1 };
                    serve(listening.edge, stream, ip, protocol, listening.limits).await;
                }
                Ok(Err(error)) => tracing::debug!(%error, %peer, "a TLS handshake failed"),
                Err(_) => tracing::debug!(%peer, "a TLS handshake took too long"),
            }
        }
    }
    drop(place);
}
