//! TLS for a run: one certificate for the peers, and a client that takes any certificate, because
//! every server it talks to is a child of this process on loopback.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use crate::{error::Error, host};

/// The cipher suite both load generators offer, the one Go clients on processors with AES put first.
/// Left to themselves they would prefer AES-256, and servers differ in whose preference they follow;
/// the figures would then compare ciphers.
const CIPHER_SUITE: rustls::CipherSuite = rustls::CipherSuite::TLS13_AES_128_GCM_SHA256;

/// An OpenSSL configuration with the same offer, for `wrk`.
pub(crate) const OPENSSL_CONFIGURATION: &str = "\
openssl_conf = bench
[bench]
ssl_conf = protocols
[protocols]
system_default = offer
[offer]
MinProtocol = TLSv1.3
Ciphersuites = TLS_AES_128_GCM_SHA256
";

/// Certificate and key files for the peers.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    /// PEM certificate.
    pub(crate) certificate: PathBuf,
    /// PEM key.
    pub(crate) key: PathBuf,
}

impl Certificate {
    /// Makes a self-signed ECDSA P-256 certificate for loopback, kept in `directory`.
    pub(crate) fn make(directory: &Path) -> Result<Certificate, Error> {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).map_err(|error| Error::Tls(error.to_string()))?;
        let files = Certificate { certificate: directory.join("certificate.pem"), key: directory.join("key.pem") };
        host::write(&files.certificate, made.cert.pem().as_bytes())?;
        host::write(&files.key, made.signing_key.serialize_pem().as_bytes())?;
        Ok(files)
    }
}

/// The client side: TLS 1.3 only, one cipher suite, HTTP/1.1.
pub(crate) fn client() -> Result<Arc<ClientConfig>, Error> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.retain(|suite| suite.suite() == CIPHER_SUITE);
    let provider = Arc::new(provider);
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| Error::Tls(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(OwnChild(provider)))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Takes any certificate; signatures of the handshake are still checked, as every client's are.
#[derive(Debug)]
struct OwnChild(Arc<CryptoProvider>);

impl ServerCertVerifier for OwnChild {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
