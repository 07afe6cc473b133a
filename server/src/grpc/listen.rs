//! Accepting connections for gRPC, under the limits, proxies and TLS of the main listener; never a call.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::call::Calls;
use super::routes;
use crate::http::connection::{Protocol, converse};
use crate::http::listener::{Arrived, Listening, Stream, arrive};

/// Connections served at once; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 1024;
/// How long accepting rests after an error such as "too many open files".
const REST: Duration = Duration::from_millis(100);

/// Accepts until the server stops.
pub async fn accept(listener: TcpListener, listening: Listening) {
    let routes = match routes() {
        Ok(routes) => routes,
        Err(error) => {
            tracing::error!(%error, "gRPC cannot be served");
            return;
        }
    };
    let calls = Arc::new(Calls::new(Arc::clone(&listening.edge), routes));
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
                tasks.spawn(connected(listening.clone(), Arc::clone(&calls), stream, peer, place));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

async fn connected(
    listening: Listening,
    calls: Arc<Calls>,
    stream: TcpStream,
    peer: SocketAddr,
    place: OwnedSemaphorePermit,
) {
    if let Some(Arrived { link, client, stream, .. }) = arrive(&listening, stream, peer).await {
        let (address, from) = (link.address, Arc::new((link, client)));
        let answer = move |request| {
            let (calls, from) = (Arc::clone(&calls), Arc::clone(&from));
            async move { calls.answer(&from.0, from.1.as_ref(), request).await }
        };
        let (edge, limits) = (&listening.edge, listening.limits);
        match stream {
            Stream::Plain(stream) => converse(edge, stream, address, Protocol::Http2, limits, answer).await,
            Stream::Tls(stream) => converse(edge, *stream, address, Protocol::Http2, limits, answer).await,
        }
    }
    drop(place);
}
