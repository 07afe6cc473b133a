//! A listener of its own for `/metrics`, for `[metrics] listen_addr`; never anything else of the server.

use std::sync::Arc;

use http::StatusCode;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::admin;
use super::listener::Listening;
use super::respond::empty;

/// Scrapers served at once.
const MAX_SCRAPERS: usize = 32;

/// Accepts until the server stops. Plain HTTP: scrapers are inside, and figures are no secret.
pub async fn accept(listener: TcpListener, listening: Listening) {
    let places = Arc::new(Semaphore::new(MAX_SCRAPERS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = listening.edge.stopping.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        let edge = Arc::clone(&listening.edge);
        let limits = listening.limits;
        edge.tasks.clone().spawn(async move {
            let service = service_fn(|request: http::Request<hyper::body::Incoming>| {
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
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = served.await {
                tracing::debug!(%error, "a scraper's connection ended with an error");
            }
            drop(place);
        });
    }
}
