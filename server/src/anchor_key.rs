//! The key that signs where the audit trail was cut off: made at the first start, kept beside the database; never a key of
//! tokens, which change and are forgotten, while a cut must stay provable.

use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcr_registry::SignAnchor;

use crate::files;

/// The file's name, beside the database.
pub const FILE: &str = "audit-key.pem";
/// A key file larger than this is something else, in bytes.
const MAX_FILE: u64 = 4096;
const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";
/// How a signature of ours begins, so that another kind can follow one day.
const KIND: &str = "ed25519:";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum AnchorKeyError {
    /// The file cannot be read or written.
    #[error("{}: {source}; check the directory of the database and its permissions", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Others can read it, so what it signs proves nothing.
    #[error("{}: others than its owner can read the key of the audit trail; if nobody did, take the right away: chmod 600", .0.display())]
    Open(PathBuf),
    /// The file is not what was written once.
    #[error("{} is no Ed25519 key in PEM: bring it back from a backup, or remove it to have a new one made, after which earlier cuts of the audit trail cannot be verified", .0.display())]
    Damaged(PathBuf),
    /// The crypto library made no key.
    #[error("no key for the audit trail can be made")]
    Generate,
}

/// Signs and verifies the ends of what was cut off the audit trail.
pub struct AnchorKey(Ed25519KeyPair);

impl std::fmt::Debug for AnchorKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AnchorKey(…)")
    }
}

impl AnchorKey {
    /// Reads the key in `directory`, or makes it. Blocks.
    ///
    /// # Errors
    /// [`AnchorKeyError`].
    pub fn open(directory: &Path) -> Result<Self, AnchorKeyError> {
        let path = directory.join(FILE);
        let failed = |source| AnchorKeyError::Io { path: path.clone(), source };
        if !files::exists(&path).map_err(failed)? {
            let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| AnchorKeyError::Generate)?;
            let text = format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(made.as_ref()));
            files::write_new(&path, text.as_bytes(), 0o600).map_err(failed)?;
        }
        if !files::is_private(&path).map_err(failed)? {
            return Err(AnchorKeyError::Open(path));
        }
        let text = files::read_text(&path, MAX_FILE).map_err(failed)?;
        let body: String = text.lines().map(str::trim).filter(|line| !line.starts_with("-----")).collect();
        let damaged = || AnchorKeyError::Damaged(path.clone());
        let der = STANDARD.decode(body).map_err(|_| damaged())?;
        Ed25519KeyPair::from_pkcs8(&der).map(Self).map_err(|_| damaged())
    }
}

impl SignAnchor for AnchorKey {
    fn sign(&self, statement: &[u8]) -> Option<String> {
        Some(format!("{KIND}{}", STANDARD.encode(self.0.sign(statement))))
    }

    fn verify(&self, statement: &[u8], signature: &str) -> bool {
        let Some(Ok(signature)) = signature.strip_prefix(KIND).map(|text| STANDARD.decode(text)) else { return false };
        UnparsedPublicKey::new(&ED25519, self.0.public_key().as_ref()).verify(statement, &signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_knows_its_own_signatures() {
        let dir = tempfile::tempdir().unwrap();
        let first = AnchorKey::open(dir.path()).unwrap();
        let signature = first.sign(b"up to 7").unwrap();
        let again = AnchorKey::open(dir.path()).unwrap();
        assert!(again.verify(b"up to 7", &signature) && !again.verify(b"up to 8", &signature));
        assert!(!again.verify(b"up to 7", "") && !again.verify(b"up to 7", "ed25519:AAAA"));
        assert_eq!(dir.path().join(FILE).metadata().unwrap().mode() & 0o777, 0o600);
        let other = tempfile::tempdir().unwrap();
        assert!(!AnchorKey::open(other.path()).unwrap().verify(b"up to 7", &signature));
    }

    #[test]
    fn a_damaged_key_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        files::replace(&dir.path().join(FILE), b"nonsense", 0o640).unwrap();
        assert!(matches!(AnchorKey::open(dir.path()), Err(AnchorKeyError::Open(_))));
        files::replace(&dir.path().join(FILE), b"nonsense", 0o600).unwrap();
        let error = AnchorKey::open(dir.path()).unwrap_err();
        assert!(error.to_string().contains("is no Ed25519 key"), "{error}");
        assert_eq!(files::read_text(&dir.path().join(FILE), 99).unwrap(), "nonsense");
    }
}
