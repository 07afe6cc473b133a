//! One HTTP/2 connection as tonic wants it, and a codec that leaves messages as bytes; never what they mean.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tonic::Status;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::Service;

/// A connection that many calls share.
#[derive(Clone)]
pub(super) struct Wire {
    sender: SendRequest<Body>,
    origin: String,
}

impl Wire {
    pub(super) async fn connect(
        address: SocketAddr,
        tls: Option<Arc<rustls::ClientConfig>>,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let stream = TcpStream::connect(address).await?;
        let (sender, origin) = match tls {
            None => (talk(stream).await?, format!("http://{address}")),
            Some(config) => {
                let mut config = (*config).clone();
                config.alpn_protocols = vec![b"h2".to_vec()];
                let name = rustls::pki_types::ServerName::from(address.ip());
                let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
                (talk(stream).await?, format!("https://{address}"))
            }
        };
        Ok(Self { sender, origin })
    }

    /// Sends a request whose target is a path.
    pub(super) async fn send(&self, request: Request<Body>) -> Result<(StatusCode, HeaderMap, Vec<u8>), hyper::Error> {
        let mut wire = self.clone();
        let (head, body) = wire.call(request).await?.into_parts();
        let body = body.collect().await?.to_bytes().to_vec();
        Ok((head.status, head.headers, body))
    }
}

async fn talk<I: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: I,
) -> Result<SendRequest<Body>, hyper::Error> {
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    // It ends with its last sender; the runtime of the client holds it.
    drop(tokio::spawn(connection));
    Ok(sender)
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<Incoming>, hyper::Error>> + Send>>;

impl Service<Request<Body>> for Wire {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Answering;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.sender.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Answering {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = format!("{}{path}", self.origin).parse().expect("a URI");
        Box::pin(self.sender.send_request(request))
    }
}

/// Messages as bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut bytes = vec![0; from.remaining()];
        from.copy_to_slice(&mut bytes);
        Ok(Some(bytes))
    }
}
