//! Tests of which certificates are believed, against a server that has one for 127.0.0.1 from an authority of its own.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;

use super::*;
use crate::testing::{install_provider, quick};
use crate::{Client, Error, Login, Settings};

/// Of the authority, of the server, and the server's key. Made for these tests and for nothing else.
const CA: &[u8] = include_bytes!("testdata/ca.pem");
const LEAF: &[u8] = include_bytes!("testdata/leaf.pem");
const LEAF_KEY: &[u8] = include_bytes!("testdata/leaf.key");

fn der(pem: &[u8]) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem).unwrap()
}

/// Serves one request over TLS, or fails to; answers the port.
fn serve() -> u16 {
    install_provider();
    let key = PrivateKeyDer::from_pem_slice(LEAF_KEY).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![der(LEAF)], key).unwrap();
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = Arc::new(config);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream.unwrap());
            // A client that refuses the certificate ends this here.
            if stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}");
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    port
}

async fn ping(host: &str, trust: Trust) -> Result<(), Error> {
    let settings = quick(&format!("https://{host}:{}/", serve()), Login::Anonymous);
    Client::new(Settings { trust, ..settings }).unwrap().ping().await
}

#[tokio::test]
async fn an_authority_is_believed_for_the_names_in_its_certificates() {
    assert_eq!(ping("127.0.0.1", Trust::Only(CA.to_vec())).await, Ok(()));
    let error = ping("127.0.0.2", Trust::Only(CA.to_vec())).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_stranger_is_refused_at_once_and_told_what_to_do() {
    let start = std::time::Instant::now();
    let error = ping("127.0.0.1", Trust::System).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Unreachable { .. }), "{text}");
    assert!(text.contains("invalid peer certificate") && text.contains("--ca-cert FILE"), "{text}");
    assert!(start.elapsed() < std::time::Duration::from_millis(900), "it is not tried again: {:?}", start.elapsed());
}

#[tokio::test]
async fn the_pinned_certificate_is_believed_under_any_name_and_no_other_is() {
    for host in ["127.0.0.1", "127.0.0.2"] {
        assert_eq!(ping(host, Trust::Pinned(der(LEAF).to_vec())).await, Ok(()));
    }
    let error = ping("127.0.0.1", Trust::Pinned(der(CA).to_vec())).await.unwrap_err();
    assert!(error.to_string().contains("not the pinned one; if it was renewed"), "{error}");
}

#[test]
fn a_signature_of_another_key_is_refused() {
    install_provider();
    let provider = Arc::clone(CryptoProvider::get_default().unwrap());
    let pinned = Pinned { der: der(LEAF).to_vec(), provider };
    // A server that shows the pinned certificate and does not hold its key: it speaks through the same verifier.
    let config = ClientConfig::builder().dangerous().with_custom_certificate_verifier(Arc::new(pinned));
    let mut client =
        rustls::ClientConnection::new(Arc::new(config.with_no_client_auth()), "127.0.0.1".try_into().unwrap()).unwrap();
    let provider = CryptoProvider::get_default().unwrap();
    let forged = Arc::new(rustls::sign::CertifiedKey::new(vec![der(LEAF)], other_key(provider)));
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_cert_resolver(Arc::new(Forger(forged)));
    let mut server = rustls::ServerConnection::new(Arc::new(config)).unwrap();
    let error = loop {
        if let Err(error) = exchange(&mut client, &mut server) {
            break error;
        }
        assert!(client.is_handshaking(), "the forged handshake went through");
    };
    assert!(error.to_string().contains("BadSignature"), "{error}");
}

/// Some key that is not the leaf's.
fn other_key(provider: &CryptoProvider) -> Arc<dyn rustls::sign::SigningKey> {
    const KEY: &[u8] = include_bytes!("testdata/other.key");
    provider.key_provider.load_private_key(PrivateKeyDer::from_pem_slice(KEY).unwrap()).unwrap()
}

#[derive(Debug)]
struct Forger(Arc<rustls::sign::CertifiedKey>);

impl rustls::server::ResolvesServerCert for Forger {
    fn resolve(&self, _hello: rustls::server::ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// Carries what each side has to say to the other.
fn exchange(client: &mut rustls::ClientConnection, server: &mut rustls::ServerConnection) -> Result<(), rustls::Error> {
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    server.read_tls(&mut bytes.as_slice()).unwrap();
    server.process_new_packets()?;
    bytes.clear();
    server.write_tls(&mut bytes).unwrap();
    client.read_tls(&mut bytes.as_slice()).unwrap();
    client.process_new_packets().map(|_| ())
}

#[tokio::test]
async fn anything_is_believed_where_that_was_said() {
    assert_eq!(ping("127.0.0.2", Trust::Anything).await, Ok(()));
}

#[tokio::test]
async fn plain_http_on_the_port_of_tls_is_told() {
    let server = crate::testing::Server::start(|_| Vec::new()).await;
    let settings = quick(&server.url("/").replace("http:", "https:"), Login::Anonymous);
    let trust = Trust::Anything;
    // The server answers a TLS greeting with nothing at all, or with what is no TLS.
    let error = Client::new(Settings { trust, ..settings }).unwrap().ping().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
}
