//! `/metrics` of a probe that runs on a schedule; never anything else over HTTP.

use std::convert::Infallible;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use mcr_probe::Exposition;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Connections at once; more wait to be accepted.
const CONNECTIONS: usize = 32;
/// How long a scraper may take to ask, and to take its answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Serves the figures until the listener fails.
///
/// # Errors
/// That it cannot listen, in one line.
pub(crate) async fn serve(address: SocketAddr, exposition: Arc<Exposition>) -> Result<(), String> {
    let told = |error: std::io::Error| format!("cannot listen on {address}: {error}; choose another address");
    let listener = TcpListener::bind(address).await.map_err(told)?;
    let bound = listener.local_addr().map_err(told)?;
    // Who starts it on port 0 reads the port here; where stdout is closed nobody does.
    let _ = writeln!(std::io::stdout(), "mcrctl probe ready http://{bound}/metrics");
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let place = Arc::clone(&places).acquire_owned().await.map_err(|error| error.to_string())?;
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, or the peer is gone: the next one may fare better.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let exposition = Arc::clone(&exposition);
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let answer = answer(&request, &exposition);
                async move { Ok::<_, Infallible>(answer) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            // A scraper that goes away or stalls has only itself to blame.
            let _ = tokio::time::timeout(PATIENCE * 2, connection).await;
            drop(place);
        });
    }
}

fn answer(request: &Request<Incoming>, exposition: &Exposition) -> Response<Full<Bytes>> {
    let (status, text) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => match exposition.encode() {
            Ok(text) => (StatusCode::OK, text),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        },
        (_, "/metrics") => (StatusCode::METHOD_NOT_ALLOWED, "GET /metrics\n".to_owned()),
        _ => (StatusCode::NOT_FOUND, "the metrics are at /metrics\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let plain = http::HeaderValue::from_static("text/plain; version=0.0.4");
    response.headers_mut().insert(http::header::CONTENT_TYPE, plain);
    response
}
