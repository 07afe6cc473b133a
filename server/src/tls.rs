//! TLS of the listeners: certificate and key from files, taken over anew when they change; never sockets.

mod reload;
mod validity;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

pub use reload::{Reloader, watch};

use crate::config::MinTls;
use crate::files;

/// A certificate with its key, ready to serve.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// For rustls.
    pub certified: Arc<CertifiedKey>,
    /// When it ends, in unix seconds; `None` when that cannot be read from it.
    pub not_after: Option<i64>,
}

/// Why certificate and key cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{}: cannot be read: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file is damaged.
    #[error("{}: not PEM: {reason}", .path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        reason: String,
    },
    /// The certificate file holds none.
    #[error("{}: no certificate in it; expected PEM with BEGIN CERTIFICATE{}", .path.display(), if *.has_key { " (this one holds a private key: are tls_cert and tls_key exchanged?)" } else { "" })]
    NoCertificate {
        /// The file.
        path: PathBuf,
        /// It holds a key instead.
        has_key: bool,
    },
    /// The key file holds none.
    #[error("{}: no private key in it; expected PEM with BEGIN PRIVATE KEY, not encrypted", .path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The key is of a kind that cannot sign here.
    #[error("{}: this private key cannot be used: {reason}; RSA, ECDSA and Ed25519 can", .path.display())]
    BadKey {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Certificate and key do not belong together.
    #[error("{} is not the key of {}; take the pair that was issued together, the server's own certificate first", .key.display(), .cert.display())]
    Mismatch {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The certificate itself cannot be read.
    #[error("{}: the first certificate is damaged: {reason}", .path.display())]
    BadCertificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The settings for TLS do not go together; a defect of this program.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

/// PEM files larger than this are something else, in bytes.
const MAX_PEM: u64 = 1 << 20;

/// Reads a certificate chain and its key.
///
/// # Errors
/// What is wrong with which file.
pub fn load(cert: &Path, key: &Path) -> Result<Certificate, TlsError> {
    let chain = read_chain(cert)?;
    let key_der = read_key(key)?;
    let signing = aws_lc_rs::sign::any_supported_type(&key_der)
        .map_err(|error| TlsError::BadKey { path: key.to_owned(), reason: error.to_string() })?;
    let not_after = chain.first().and_then(|first| validity::not_after(first));
    let certified = CertifiedKey::new(chain, signing);
    certified.keys_match().map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => TlsError::Mismatch { cert: cert.to_owned(), key: key.to_owned() },
        other => TlsError::BadCertificate { path: cert.to_owned(), reason: other.to_string() },
    })?;
    Ok(Certificate { certified: Arc::new(certified), not_after })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    files::read_bytes(path, MAX_PEM).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(path)?;
    let chain: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&bytes).collect();
    let chain = chain.map_err(|error| not_pem(path, &error))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate {
            path: path.to_owned(),
            has_key: PrivateKeyDer::from_pem_slice(&bytes).is_ok(),
        });
    }
    Ok(chain)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let bytes = read(path)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey { path: path.to_owned() },
        other => not_pem(path, &other),
    })
}

fn not_pem(path: &Path, error: &pem::Error) -> TlsError {
    TlsError::Pem { path: path.to_owned(), reason: error.to_string() }
}

/// What the listeners serve: HTTP/2 and HTTP/1.1 over TLS 1.3, and over 1.2 where `min_tls` permits it.
///
/// # Errors
/// [`TlsError::Setup`], which would be a defect of this program.
pub fn server_config(reloader: Arc<Reloader>, min_tls: MinTls) -> Result<Arc<ServerConfig>, TlsError> {
    let versions: &[&rustls::SupportedProtocolVersion] = match min_tls {
        MinTls::V1_2 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        MinTls::V1_3 => &[&rustls::version::TLS13],
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .map_err(|error| TlsError::Setup(error.to_string()))?
        .with_no_client_auth()
        .with_cert_resolver(reloader);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests;
