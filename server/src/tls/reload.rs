//! The certificate in force and how a new one takes its place while serving; never what is in it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use mcr_seams::Clock;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::{Certificate, TlsError, load};
use crate::files::{self, Signature};

/// How often the files are looked at.
const POLL: Duration = Duration::from_secs(5);

/// A certificate that ends within this is warned about, in seconds.
const NEAR_END: i64 = 14 * 24 * 3600;

/// Serves the certificate of two files and takes over what they become.
#[derive(Debug)]
pub struct Reloader {
    cert: PathBuf,
    key: PathBuf,
    current: RwLock<Certificate>,
    seen: Mutex<Seen>,
}

/// The state of both files when they were last read; `None` for one that could not be looked at.
type Seen = [Option<Signature>; 2];

impl Reloader {
    /// Reads both files for the first time.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn open(cert: &Path, key: &Path) -> Result<Arc<Self>, TlsError> {
        // Looked at before it is read: a change in between is found by the next look.
        let seen = look(cert, key);
        let current = load(cert, key)?;
        warn_of_end(cert, &current);
        Ok(Arc::new(Self {
            cert: cert.to_owned(),
            key: key.to_owned(),
            current: RwLock::new(current),
            seen: Mutex::new(seen),
        }))
    }

    /// Reads both files again. On an error the certificate in force stays.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn reload(&self) -> Result<(), TlsError> {
        let seen = look(&self.cert, &self.key);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        let new = load(&self.cert, &self.key)?;
        warn_of_end(&self.cert, &new);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// Whether a file is not what it was when it was last read.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        look(&self.cert, &self.key) != *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the certificate in force ends, in unix seconds.
    #[must_use]
    pub fn not_after(&self) -> Option<i64> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).not_after
    }

    /// The server's own certificate of the chain in force, as DER; what the probe pins.
    #[must_use]
    pub fn leaf(&self) -> Option<Vec<u8>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.certified.cert.first().map(|leaf| leaf.as_ref().to_vec())
    }

    fn reload_and_tell(&self) {
        match self.reload() {
            Ok(()) => tracing::info!(cert = %self.cert.display(), "certificate taken over"),
            // Half of a pair may be in place already: the next change is looked at again.
            Err(error) => tracing::warn!(%error, "the certificate in force stays, the new one cannot be used"),
        }
    }
}

impl ResolvesServerCert for Reloader {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current.certified))
    }
}

fn look(cert: &Path, key: &Path) -> Seen {
    [files::signature(cert).ok(), files::signature(key).ok()]
}

fn warn_of_end(path: &Path, certificate: &Certificate) {
    let now = Clock::system().now_ms() / 1000;
    match certificate.not_after {
        Some(end) if end <= now => {
            tracing::warn!(cert = %path.display(), "the certificate has expired: clients will refuse it; replace the file, it is taken over at once");
        }
        Some(end) if end - now < NEAR_END => {
            let days = (end - now) / (24 * 3600);
            tracing::warn!(cert = %path.display(), days, "the certificate ends soon; replace the file, it is taken over at once");
        }
        _ => {}
    }
}

/// Takes over new certificates on SIGHUP and when the files change, until it is dropped.
///
/// # Errors
/// When the process cannot listen to SIGHUP.
pub async fn watch(reloader: Arc<Reloader>) -> std::io::Result<()> {
    let mut hangup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
    let mut poll = tokio::time::interval(POLL);
    loop {
        let asked = tokio::select! {
            _ = hangup.recv() => true,
            _ = poll.tick() => false,
        };
        let reloader = Arc::clone(&reloader);
        // Reading may block on a slow disk; a panic inside has been told by then.
        let _ = tokio::task::spawn_blocking(move || {
            if asked || reloader.has_changed() {
                reloader.reload_and_tell();
            }
        })
        .await;
    }
}
