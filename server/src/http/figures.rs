//! A listener of its own for `/metrics`, for `[metrics] listen_addr`; never anything else of the server.

use std::sync::Arc;

use http::StatusCode;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use super::admin;
use super::connection::Limits;
use super::edge::Edge;
use super::listener::Listening;
use super::respond::empty;

/// Scrapers served at once.
const MAX_SCRAPERS: usize = 32;

/// Accepts until the server stops; over TLS where the server has a certificate.
pub async fn accept(listener: TcpListener, listening: Listening) {
    let places = Arc::new(Semaphore::new(MAX_SCRAPERS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = listening.edge.stopping.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        let (edge, limits, tls) = (Arc::clone(&listening.edge), listening.limits, listening.tls.clone());
        edge.tasks.clone().spawn(async move {
            match tls {
                None => serve(edge, stream, limits).await,
                Some(config) => {
                    let handshake = tokio::time::timeout(limits.head, TlsAcceptor::from(config).accept(stream)).await;
                    if let Ok(Ok(stream)) = handshake {
                        serve(edge, stream, limits).await;
                    }
                }
            }
            drop(place);
        });
    }
}

async fn serve<I: AsyncRead + AsyncWrite + Unpin + Send + 'static>(edge: Arc<Edge>, io: I, limits: Limits) {
    let service = service_fn(|request: http::Request<Incoming>| {
        let edge = Arc::clone(&edge);
        async move {
            Ok::<_, std::convert::Infallible>(match request.uri().path() {
                "/metrics" => admin::metrics(&edge).await,
                "/v1/health" => admin::health(&edge).await,
                "/healthz" => admin::alive(),
                "/readyz" => admin::ready(&edge).await,
                _ => empty(StatusCode::NOT_FOUND),
            })
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .keep_alive(false)
        .serve_connection(TokioIo::new(io), service);
    if let Err(error) = served.await {
        tracing::debug!(%error, "a scraper's connection ended with an error");
    }
}
