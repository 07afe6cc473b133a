//! TLS of the test clients: trusts one certificate, as a user who was told the fingerprint; never the system's roots.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// Makes `aws-lc-rs` the provider of this process; may be called often.
pub fn install_provider() {
    // The second call fails, and that is fine.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// A configuration that trusts the certificates in the PEM file at `path`, and nothing else.
///
/// # Panics
/// Where the file holds none.
#[must_use]
pub fn trusting(path: &Path) -> Arc<rustls::ClientConfig> {
    install_provider();
    let mut roots = rustls::RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path).expect("the certificate can be read");
    for certificate in certificates {
        let certificate = certificate.expect("the file holds certificates");
        roots.add(certificate).expect("it can be an anchor");
    }
    let builder = rustls::ClientConfig::builder().with_root_certificates(roots);
    Arc::new(builder.with_no_client_auth())
}
