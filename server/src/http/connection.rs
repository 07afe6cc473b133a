//! One connection: its protocol, its limits and its graceful end; never a request's content.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::clients::Client;
use super::edge::Edge;
use super::peer::Link;
use super::service;
use super::stall::Stall;

/// Bytes of an HTTP/1.1 head.
const MAX_HEAD: usize = 64 * 1024;
/// Headers of a request.
const MAX_HEADERS: usize = 100;
/// Bytes read from an HTTP/1.1 connection at a time.
const READ_BUFFER: usize = 128 * 1024;
/// Streams of one HTTP/2 connection at once.
const MAX_STREAMS: u32 = 64;
/// Bytes that may be under way on one HTTP/2 stream, and on the whole connection.
const STREAM_WINDOW: u32 = 512 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Bytes of an HTTP/2 head.
const MAX_HEADER_LIST: u32 = 64 * 1024;

/// What the server lets a connection do.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most time for a request's head.
    pub head: Duration,
    /// Most time without a request.
    pub idle: Duration,
    /// Most time a peer may take nothing of an answer; `None` is for ever.
    pub write: Option<Duration>,
}

/// The protocol a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, as agreed by ALPN.
    Http2,
}

/// Whether anything happens on a connection.
#[derive(Debug, Default)]
struct Activity {
    running: AtomicUsize,
    answered: AtomicU64,
}

impl Activity {
    /// Whether no request has come at all.
    fn is_untouched(&self) -> bool {
        self.answered.load(Ordering::Relaxed) == 0 && self.running.load(Ordering::Relaxed) == 0
    }
}

/// Serves a connection to its end: closed by the peer, idle too long, or the server stops.
pub async fn serve<I>(edge: Arc<Edge>, io: I, from: (Link, Option<Client>), protocol: Protocol, limits: Limits)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let peer = from.0.address;
    let (shared, from) = (Arc::clone(&edge), Arc::new(from));
    let answer = move |request| {
        let (edge, from) = (Arc::clone(&shared), Arc::clone(&from));
        async move { service::answer(&edge, &from.0, from.1.as_ref(), request).await }
    };
    converse(&edge, io, peer, protocol, limits, answer).await;
}

/// The same for whatever `answer` answers.
pub async fn converse<I, A, F, B>(edge: &Edge, io: I, peer: IpAddr, protocol: Protocol, limits: Limits, answer: A)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<B>> + Send + 'static,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let activity = Arc::new(Activity::default());
    let counted = Arc::clone(&activity);
    let service = service_fn(move |request: Request<Incoming>| {
        let (activity, answer) = (Arc::clone(&counted), answer(request));
        async move {
            activity.running.fetch_add(1, Ordering::Relaxed);
            let answer = answer.await;
            activity.running.fetch_sub(1, Ordering::Relaxed);
            activity.answered.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(answer)
        }
    });
    let io = TokioIo::new(Stall::new(io, limits.write));
    let ended = match protocol {
        Protocol::Http1 => {
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(limits.head).max_headers(MAX_HEADERS);
            builder.max_buf_size(READ_BUFFER).max_header_size(MAX_HEAD).keep_alive(true).half_close(false);
            let connection = pin!(builder.serve_connection(io, service));
            until_done(connection, http1::Connection::graceful_shutdown, edge, &activity, limits.idle).await
        }
        Protocol::Http2 => {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.timer(TokioTimer::new()).keep_alive_interval(Some(Duration::from_secs(30)));
            builder.max_concurrent_streams(MAX_STREAMS).max_header_list_size(MAX_HEADER_LIST);
            builder.initial_stream_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
            let connection = pin!(builder.serve_connection(io, service));
            until_done(connection, http2::Connection::graceful_shutdown, edge, &activity, limits.idle).await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "a connection ended with an error");
    }
}

/// Drives a connection; asks it to end when the server stops or nothing has happened for `idle`.
async fn until_done<C>(
    mut connection: std::pin::Pin<&mut C>,
    end: impl Fn(std::pin::Pin<&mut C>),
    edge: &Edge,
    activity: &Activity,
    idle: Duration,
) -> Result<(), hyper::Error>
where
    C: Future<Output = Result<(), hyper::Error>>,
{
    let mut ending = false;
    let mut answered = 0;
    loop {
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = edge.stopping.cancelled(), if !ending => {
                ending = true;
                end(connection.as_mut());
            }
            () = tokio::time::sleep(idle), if !ending || activity.is_untouched() => {
                // hyper ends no HTTP/2 connection gracefully before its preface came: it would wait for ever.
                if activity.is_untouched() {
                    return Ok(());
                }
                let now = activity.answered.load(Ordering::Relaxed);
                if !ending && now == answered && activity.running.load(Ordering::Relaxed) == 0 {
                    ending = true;
                    end(connection.as_mut());
                }
                answered = now;
            }
        }
    }
}
