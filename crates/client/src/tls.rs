//! Which certificates are believed; never which registry is meant.

use std::sync::Arc;

use reqwest::{Certificate, ClientBuilder};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, OtherError, SignatureScheme};
use subtle::ConstantTimeEq as _;

use crate::error::SetupError;
use crate::settings::Trust;
use crate::text::causes;

/// What stands in the text of an error for a certificate that is not the pinned one.
pub(crate) const NOT_PINNED: &str = "NotPinned";

/// Sets `builder` to believe what `trust` says.
///
/// # Errors
/// [`SetupError`] for certificates that cannot be read, and where the program installed no crypto provider.
pub(crate) fn believing(builder: ClientBuilder, trust: &Trust) -> Result<ClientBuilder, SetupError> {
    // Without one reqwest would panic.
    let Some(provider) = CryptoProvider::get_default() else {
        return Err(SetupError::Tls("no crypto provider is installed in this program".to_owned()));
    };
    match trust {
        Trust::System => Ok(builder),
        Trust::Anything => Ok(builder.tls_danger_accept_invalid_certs(true)),
        Trust::Only(pem) => match Certificate::from_pem_bundle(pem) {
            Ok(certificates) if !certificates.is_empty() => Ok(builder.tls_certs_only(certificates)),
            Ok(_) => Err(SetupError::Certificates("there is none".to_owned())),
            Err(error) => Err(SetupError::Certificates(causes(&error))),
        },
        Trust::Pinned(der) => Ok(builder.tls_backend_preconfigured(pinned(der, provider)?)),
    }
}

fn pinned(der: &[u8], provider: &Arc<CryptoProvider>) -> Result<ClientConfig, SetupError> {
    if der.is_empty() {
        return Err(SetupError::Certificates("the pinned certificate is empty".to_owned()));
    }
    let verifier = Pinned { der: der.to_vec(), provider: Arc::clone(provider) };
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| SetupError::Tls(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Accepts one leaf certificate. Names and dates do not matter: whoever pinned it compared a fingerprint. That the
/// other end holds its key does matter, so the signatures of the handshake are verified.
#[derive(Debug)]
struct Pinned {
    der: Vec<u8>,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug, thiserror::Error)]
#[error("not the pinned certificate")]
struct NotPinned;

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if bool::from(end_entity.as_ref().ct_eq(&self.der)) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::Other(OtherError(Arc::new(NotPinned))).into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
